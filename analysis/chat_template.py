"""python analysis/chat_template.py MODEL_FOLDER [--system TEXT]: a model's own chat template, as prompts.template reads it."""

from rvsweep.cli.chat_template import main

raise SystemExit(main())
