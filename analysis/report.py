"""python analysis/report.py results.h5 [-o report.html]: one self-contained HTML page about a sweep."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # products are small: threads would mostly wait

from rvsweep.cli.report import main

raise SystemExit(main())
