"""Runs the scripts of analysis/ as a user does."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run_script(name: str, *arguments, **options) -> subprocess.CompletedProcess[str]:
    """analysis/`name`.py of this checkout: a script finds the package beside it, whatever is installed."""
    command = [sys.executable, ROOT / "analysis" / f"{name}.py", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, **options)
