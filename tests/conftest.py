"""Fixtures shared by the Python tests: the binary, the demo model and tiny models made on the spot."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "analysis"), str(ROOT / "tests" / "support")]  # import rvsweep: this checkout's

PARITY_NOTES = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[PARITY_NOTES] = []


def pytest_terminal_summary(terminalreporter, config: pytest.Config) -> None:
    if config.stash[PARITY_NOTES]:
        terminalreporter.section("parity with Hugging Face")
        for note in config.stash[PARITY_NOTES]:
            terminalreporter.write_line(note)


@pytest.fixture(scope="session")
def parity_notes(pytestconfig: pytest.Config) -> list[str]:
    """Lines for the end of the test report: how much was compared, how many near ties there were."""
    return pytestconfig.stash[PARITY_NOTES]


@pytest.fixture(scope="session")
def rvsweep() -> Path:
    binary = ROOT / "build" / "rvsweep"
    if not binary.is_file():
        pytest.fail(f"{binary} is missing (nothing was built): cmake --preset release && cmake --build build")
    return binary


@pytest.fixture(scope="session")
def demo_model() -> Path:
    folder = ROOT / "models" / "SmolLM2-135M-Instruct"
    missing = [
        name
        for name in ("config.json", "model.safetensors", "tokenizer.json")
        if not (folder / name).is_file()
    ]
    if missing:
        pytest.fail(f"{folder} lacks {', '.join(missing)} (the demo model was not made): run ./tests/run.sh")
    return folder


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory):
    """tiny_model(family) -> folder of that tiny random model, made once."""
    import tiny_models

    made: dict[str, Path] = {}

    def folder(family: str) -> Path:
        if family not in made:
            made[family] = tiny_models.make(family, tmp_path_factory.mktemp("tiny") / family)
        return made[family]

    return folder
