"""python -m rvsweep COMMAND ...: what rvsweep-analysis does where nothing is installed."""

from rvsweep.cli.main import main

raise SystemExit(main())
