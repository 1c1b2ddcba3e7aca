"""python analysis/compare.py a.h5 b.h5 [more] [-o page.html]: several models or runs on one page."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # products are small: threads would mostly wait

from rvsweep.cli.compare import main

raise SystemExit(main())
