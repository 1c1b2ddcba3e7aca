"""python analysis/report.py results.h5 [-o report.html]: one self-contained HTML page about a sweep."""

import os
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # products are small: threads would mostly wait

from rvsweep.cli.report import main

raise SystemExit(main(binary=Path(__file__).resolve().parents[1] / "build" / "rvsweep"))
