"""rvsweep-analysis: the other commands under one name."""

import importlib
import sys

COMMANDS = {  # name -> module of this package, its function, what it does
    "report": ("report", "main", "one HTML page about a sweep"),
    "compare": ("compare", "main", "one HTML page about several models or runs"),
    "export": ("export", "main", "tidy tables as CSV or Parquet"),
    "blind": ("blind", "main", "texts without their arms, for raters"),
    "join-ratings": ("blind", "join_ratings", "ratings of blinded texts by row id"),
    "chat-template": ("chat_template", "main", "a model's own chat template, for prompts.template"),
    "localize": ("localize", "main", "where in layers, heads and positions an arm's effect is"),
    "power": ("power", "main", "pairs that the next study needs"),
}


def main(arguments: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    name = arguments[0] if arguments else ""
    if name in COMMANDS:
        module, function, _ = COMMANDS[name]
        return getattr(importlib.import_module(f"rvsweep.cli.{module}"), function)(arguments[1:])
    usage = ["usage: rvsweep-analysis COMMAND ... (each with --help)"]
    usage += [f"  {command:14}{about}" for command, (_, _, about) in COMMANDS.items()]
    asked = name in ("-h", "--help")
    print("\n".join(usage), file=sys.stdout if asked else sys.stderr)
    return 0 if asked else 2
