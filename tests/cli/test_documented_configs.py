"""What pages show as configuration can be planned as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rvsweep_cli import run
from shipped_jobs import ROOT, config_words

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
