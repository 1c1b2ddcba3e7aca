"""Command: python analysis/bank.py bank.jsonl [--tokenizer FOLDER ...] [-o page.html] - what a prompt bank is like."""

import argparse
import sys
from pathlib import Path

if __name__ == "__main__":  # run as a file: make this folder importable as the package `analysis`
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np
from tokenizers import Tokenizer

from analysis.bank_checks import NEAR, SHINGLE, WINDOW, Bank, examine
from analysis.bank_page import render
from analysis.command_line import run, write
from analysis.prompt_bank import BankError, read_banks

DEMO_TOKENIZER = Path("models/SmolLM2-135M-Instruct")
LISTED = 20  # findings of one kind on stdout


def token_counts(folder: Path, texts: list[str]) -> np.ndarray:
    """[P] tokens of every text, special tokens included, as the model reads it."""
    file = folder / "tokenizer.json"
    if not file.is_file():
        raise BankError(f"{file}: no such file: --tokenizer names a folder with a tokenizer.json")
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # the package raises nothing narrower
        raise BankError(f"{file}: is not a tokenizer ({error}): give another folder") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return np.array([len(encoding.ids) for encoding in tokenizer.encode_batch(texts)])


def summary(bank: Bank) -> str:
    """Tables and findings as text."""
    width = max(len(group) for group in bank.groups)
    lines = [f"{len(bank.prompts)} prompts in {len(bank.groups)} groups"]
    for measured in bank.measured:
        lines += ["", f"tokens of {measured.tokenizer}"]
        lines.append(f"  {'group':{width}}  {'n':>5} {'min':>6} {'Q1':>6} {'median':>6} {'Q3':>6} {'max':>6}")
        for row in measured.table:
            values = " ".join(f"{value:6g}" for value in (row.low, row.q1, row.median, row.q3, row.high))
            lines.append(f"  {row.group:{width}}  {row.n:5d} {values}")
        gaps = [f"{lead}: {bank.some_groups(others)}" for lead, others in measured.gaps]
        lines += _findings("groups whose middle halves do not overlap", gaps)
        lines += _findings(
            f"prompts of fewer than {WINDOW} tokens", [bank.prompts[i].where for i in measured.short]
        )
    lines += ["", "notebook keywords"]
    lines.append(f"  {'group':{width}}  prompts  per prompt  which")
    for row in bank.leakage:
        line = f"  {row.group:{width}}  {row.prompts:7d}  {row.mean:10.2f}  {', '.join(row.keywords)}"
        lines.append(line.rstrip())
    copies = [", ".join(bank.prompts[i].where for i in members) for members in bank.copies]
    near = [f"{j:.2f} {bank.prompts[a].where} {bank.prompts[b].where}" for j, a, b in bank.near]
    lines += [
        "",
        *_findings("equal texts", copies),
        *_findings(f"near-duplicates (Jaccard index of {SHINGLE}-word runs at least {NEAR})", near),
    ]
    return "\n".join(lines)


def _findings(title: str, found: list[str]) -> list[str]:
    if not found:
        return [f"{title}: none"]
    more = [f"  and {len(found) - LISTED} more"] if len(found) > LISTED else []
    return [f"{title}:", *(f"  {text}" for text in found[:LISTED]), *more]


def main(arguments: list[str] | None = None) -> int:
    """0 done, whatever the checks found; 2 bad usage or input, with one message on stderr."""
    parser = argparse.ArgumentParser(
        prog="bank.py",
        description="Lengths, duplicates and keywords of a prompt bank (JSONL or CSV: id, text, group).",
    )
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="together they are one bank")
    parser.add_argument(
        "--tokenizer",
        type=Path,
        nargs="+",
        action="extend",
        metavar="FOLDER",
        help=f"with a tokenizer.json (default {DEMO_TOKENIZER})",
    )
    parser.add_argument("-o", "--output", type=Path, metavar="PAGE", help="also write an HTML page")
    return run(parser, arguments, _examine)


def _examine(options: argparse.Namespace) -> None:
    if options.output and any(_same(options.output, file) for file in options.files):
        raise BankError(f"{options.output}: is the bank: give another name with -o")
    prompts = read_banks(options.files)
    texts = [prompt.text for prompt in prompts]
    folders = options.tokenizer or [DEMO_TOKENIZER]
    bank = examine(prompts, {folder.name: token_counts(folder, texts) for folder in folders})
    if options.output:
        write(options.output, render(bank))
    print(summary(bank))
    if options.output:
        print(f"\n{options.output}")


def _same(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)


if __name__ == "__main__":
    sys.exit(main())
