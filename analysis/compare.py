"""python analysis/compare.py a.h5 b.h5 [more] [-o page.html]: several models or runs on one page."""

from analysis.cli.compare import main

raise SystemExit(main())
