"""python analysis/localize.py --config ... --arm "..." --rows N --out DIR: where in an arm its effect is."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # products are small: threads would mostly wait

from rvsweep.cli.localize import main

raise SystemExit(main())
