"""python analysis/blind.py results.h5 -o texts.csv --key key.csv: texts without their arms, for raters."""

from rvsweep.cli.blind import main

raise SystemExit(main())
