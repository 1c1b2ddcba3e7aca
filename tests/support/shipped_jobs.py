"""The shipped studies and the config files that a run of each names."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
JOBS = sorted(path.stem for path in (ROOT / "jobs").glob("*.cfg"))
OVERLAYS = {"replication-large": ["replication"]}  # read after these


def config_words(job: str) -> list[str]:
    """--config FILE ... of `job` on the demo model, relative to the repository's root."""
    jobs = [*OVERLAYS.get(job, []), job]
    files = ["configs/smollm2-135m-instruct.cfg", *(f"jobs/{name}.cfg" for name in jobs)]
    return [word for file in files for word in ("--config", file)]
