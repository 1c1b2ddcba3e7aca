"""Fixtures of the fault tests: one sweep of about 40 small bundles, run once to its end."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from sweep_job import Finished, Sweep, finish, make_sweep


@pytest.fixture(scope="session")
def sweep(rvsweep, tiny_model, tmp_path_factory) -> Sweep:
    return make_sweep(rvsweep, tiny_model("llama"), tmp_path_factory.mktemp("sweep"))


@dataclass
class Timed(Finished):
    seconds: float = 0  # that the undisturbed run took


@pytest.fixture(scope="session")
def finished(sweep, tmp_path_factory) -> Timed:
    """Tests must not change its folder; see copy_of_finished."""
    start = time.monotonic()
    done = finish(sweep, tmp_path_factory.mktemp("finished") / "out")
    return Timed(done.out, done.content, done.results, time.monotonic() - start)


@pytest.fixture
def copy_of_finished(finished, tmp_path) -> Path:
    return Path(shutil.copytree(finished.out, tmp_path / "copy"))
