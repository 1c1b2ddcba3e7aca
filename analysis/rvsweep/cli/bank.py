"""What a prompt bank is like, on stdout and as a page."""

import argparse
from pathlib import Path

from rvsweep.bank.checks import examine
from rvsweep.bank.page import render
from rvsweep.bank.prompts import BankError, read_banks, token_counts
from rvsweep.bank.summary import summary
from rvsweep.cli import common

DEMO_TOKENIZER = Path("models/SmolLM2-135M-Instruct")


def main(arguments: list[str] | None = None) -> int:
    """0 done, whatever the checks found; 2 bad usage or input, with one message on stderr."""
    parser = argparse.ArgumentParser(
        prog="bank.py",
        description="Lengths, duplicates and keywords of a prompt bank (JSON lines or a table: id, text, group).",
    )
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="together they are one bank")
    about = f"with a tokenizer.json (default {DEMO_TOKENIZER})"
    parser.add_argument("--tokenizer", type=Path, nargs="+", action="extend", metavar="FOLDER", help=about)
    parser.add_argument("-o", "--output", type=Path, metavar="PAGE", help="also write an HTML page")
    return common.run(parser, arguments, _examine)


def _examine(options: argparse.Namespace) -> None:
    if options.output and any(_same(options.output, file) for file in options.files):
        raise BankError(f"{options.output}: is the bank: give another name with -o")
    prompts = read_banks(options.files)
    texts = [prompt.text for prompt in prompts]
    folders = options.tokenizer or [DEMO_TOKENIZER]
    bank = examine(prompts, {folder.name: token_counts(folder, texts) for folder in folders})
    if options.output:
        common.write(options.output, render(bank))
    print(summary(bank))
    if options.output:
        print(f"\n{options.output}")


def _same(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)
