"""Synthetic results files and their reports as fixtures."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from report_page import report_of
from synthetic_results import Sweep


@pytest.fixture
def results_file(tmp_path):
    """results_file(**options) -> path of a file as Sweep(**options) describes it."""
    return lambda **options: Sweep(**options).write(tmp_path / "results.h5")


@pytest.fixture
def page(results_file, tmp_path):
    """page(*arguments, **options) -> path and report of results_file(**options)."""
    return lambda *arguments, **options: report_of(
        results_file(**options), tmp_path / "page.html", *arguments
    )


@pytest.fixture(scope="session")
def plain(tmp_path_factory):
    """Path and report of the default sweep; tests only read them."""
    folder = tmp_path_factory.mktemp("plain")
    return report_of(Sweep().write(folder / "results.h5"), folder / "page.html")
