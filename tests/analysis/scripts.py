"""Runs the scripts of analysis/ as a user does."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run_script(name: str, *arguments, **options) -> subprocess.CompletedProcess[str]:
    """analysis/`name`.py in a Python that finds this checkout, whatever is installed."""
    command = [sys.executable, ROOT / "analysis" / f"{name}.py", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, **options)
