"""python analysis/report.py results.h5 [-o report.html]: one self-contained HTML page about a sweep."""

from pathlib import Path

from analysis.cli.report import main

raise SystemExit(main(binary=Path(__file__).resolve().parents[1] / "build" / "rvsweep"))
