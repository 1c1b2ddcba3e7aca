"""Every shipped study plans on the demo model, with the number of rows that its head states."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
JOBS = sorted((ROOT / "jobs").glob("*.cfg"))
OVERLAYS = {"replication-large": ["replication"]}  # read after these


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.stem)
def test_a_shipped_job_plans(rvsweep, demo_model, job):
    files = [ROOT / "configs" / "smollm2-135m-instruct.cfg"]
    files += [ROOT / "jobs" / f"{name}.cfg" for name in OVERLAYS.get(job.stem, [])] + [job]
    words = [word for file in files for word in ("--config", str(file))]
    command = [str(rvsweep), "plan", *words, "--set", f"model.path={demo_model}"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    rows = int(re.search(r"^rows +(\d+)", found.stdout, re.MULTILINE)[1])
    head = job.read_text(encoding="utf-8").split("\n[")[0]
    stated = re.search(r"([\d,]+) rows", head)
    assert stated and rows == int(stated[1].replace(",", ""))
