"""python analysis/export.py results.h5 -o FOLDER [--format csv|parquet]: tidy tables for other tools."""

from rvsweep.cli.export import main

raise SystemExit(main())
