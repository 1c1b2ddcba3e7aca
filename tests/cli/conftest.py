"""Fixtures of the command-line tests: one sweep, run once to its end."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sweep_job import Finished, Sweep, finish, make_sweep


@pytest.fixture(scope="session")
def sweep(rvsweep, tiny_model, tmp_path_factory) -> Sweep:
    return make_sweep(rvsweep, tiny_model("llama"), tmp_path_factory.mktemp("sweep"))


@pytest.fixture(scope="session")
def finished(sweep, tmp_path_factory) -> Finished:
    """Tests must not change its folder; see copy_of_finished."""
    return finish(sweep, tmp_path_factory.mktemp("finished") / "out")


@pytest.fixture
def copy_of_finished(finished, tmp_path) -> Path:
    return Path(shutil.copytree(finished.out, tmp_path / "copy"))
