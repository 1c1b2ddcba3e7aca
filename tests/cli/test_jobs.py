"""Every shipped study plans on the demo model, with the number of rows that its head states."""

from __future__ import annotations

import re
import subprocess

import pytest

from shipped_jobs import JOBS, ROOT, config_words


@pytest.mark.parametrize("job", JOBS)
def test_a_shipped_job_plans(rvsweep, demo_model, job):
    command = [str(rvsweep), "plan", *config_words(job), "--set", f"model.path={demo_model}"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    rows = int(re.search(r"^rows +(\d+)", found.stdout, re.MULTILINE)[1])
    head = (ROOT / "jobs" / f"{job}.cfg").read_text(encoding="utf-8").split("\n[")[0]
    stated = re.search(r"([\d,]+) rows", head)
    assert stated and rows == int(stated[1].replace(",", ""))
