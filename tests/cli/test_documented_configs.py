"""Pages show configurations that can be planned as they stand, and know everything that can be chosen."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from rvsweep_cli import run
from shipped_jobs import JOBS, ROOT, config_words

INI = re.compile(r"^```ini\n(.*?)^```", re.DOTALL | re.MULTILINE)
SHOWN = [
    pytest.param(block, id=f"{page}-{i}")
    for page in ("README.md", "jobs/README.md", "jobs/arms.md")
    for i, block in enumerate(INI.findall((ROOT / page).read_text(encoding="utf-8")))
]


@pytest.mark.usefixtures("demo_model")
@pytest.mark.parametrize("block", SHOWN)
def test_is_planned_without_refusals(
    block: str, rvsweep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(ROOT)
    (tmp_path / "shown.cfg").write_text(block, encoding="utf-8")
    planned = run(rvsweep, "plan", *config_words("localization"), "--config", tmp_path / "shown.cfg").stdout
    assert "(0 refused)" in planned


def test_every_page_shows_one():
    assert len(SHOWN) >= 3


def choices(rvsweep: Path, setting: str) -> list[str]:
    """What the program offers in place of a value that it does not know."""
    words = [rvsweep, "plan", *config_words("controls"), "--set", setting]
    message = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, check=False).stderr
    return message.strip().split("choose from ")[1].split(", ")


def undocumented(names: list[str], page: str) -> list[str]:
    """Those that no code of the page holds, neither a span nor a block."""
    code = " ".join((ROOT / page).read_text(encoding="utf-8").split("`")[1::2])
    return [name for name in names if not re.search(rf"\b{name}\b", code)]


@pytest.mark.usefixtures("demo_model")
@pytest.mark.parametrize(
    "unknown", ["control=x", "arm=x", "arm=kv_cache layers=0 x=1", "arm=v_proj layers=0 x=1"]
)
def test_every_choice_of_an_arm_is_on_its_page(rvsweep: Path, unknown: str):
    names = choices(rvsweep, f"sweep.{unknown}")
    assert len(names) > 5
    assert undocumented(names, "jobs/arms.md") == []


def test_every_command_is_in_readme(rvsweep: Path):
    commands = re.findall(r"^  ([a-z]+)  ", run(rvsweep, "--help").stdout, re.MULTILINE)
    assert len(commands) > 5
    assert undocumented(commands, "README.md") == []


def test_every_module_and_config_has_a_line():
    assert (
        undocumented([path.name for path in (ROOT / "src").iterdir() if path.is_dir()], "src/README.md") == []
    )
    assert undocumented([path.name for path in (ROOT / "configs").glob("*.cfg")], "configs/README.md") == []
    assert undocumented(JOBS, "jobs/README.md") == []
