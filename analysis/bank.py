"""python analysis/bank.py bank.jsonl [--tokenizer FOLDER ...] [-o page.html]: what a prompt bank is like."""

from rvsweep.cli.bank import main

raise SystemExit(main())
