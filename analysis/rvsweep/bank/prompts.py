"""Prompt banks, JSON lines or tables with id, text and group: their prompts and the tokens of each."""

import csv
import difflib
import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from rvsweep.data.delimiters import table_and_delimiter
from rvsweep.data.errors import InputError

COLUMNS = ("id", "text", "group")
SWEEPS_OWN = ("cluster", "answer", "spans", "system", "turns")  # which a bank may have and nothing here reads
FORM = '{"id": "...", "text": "...", "group": "..."}'


class BankError(InputError):
    """The bank cannot be used; the message says what, where and what to do."""


@dataclass(frozen=True)
class Prompt:
    id: str
    text: str
    group: str
    where: str  # file:line of its first character


def read_banks(paths: list[Path]) -> list[Prompt]:
    """Every prompt of the files, in order. Ids are unique over all files, and there are at least two prompts."""
    prompts: list[Prompt] = []
    first: dict[str, Prompt] = {}
    for path in paths:
        for prompt in _read(path):
            same = first.setdefault(prompt.id, prompt)
            if same is not prompt:
                raise BankError(
                    f'{prompt.where}: id "{prompt.id}" is already used at {same.where}: '
                    "give every prompt its own id"
                )
            prompts.append(prompt)
    if len(prompts) == 1:
        raise BankError(f"{prompts[0].where}: is the only prompt: a bank needs sources and bases")
    return prompts


def _read(path: Path) -> list[Prompt]:
    readers = {".jsonl": _jsonl, ".csv": _csv, ".tsv": _csv}
    if path.suffix.lower() not in readers:
        raise BankError(f"{path}: is none of .jsonl, .csv and .tsv: name the file by what it holds")
    try:
        data = path.read_bytes()
    except OSError as error:
        reason = f"cannot be read ({error.strerror})"
        raise BankError(f"{path}: {reason}: name a file of JSON lines or a table") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BankError(f"{path}:{line}: is not UTF-8: save the file as UTF-8") from error
    prompts = readers[path.suffix.lower()](text, path)
    if not prompts:
        raise BankError(f"{path}: holds no prompt: a bank needs at least two")
    return prompts


def _jsonl(text: str, path: Path) -> list[Prompt]:
    prompts = []
    for number, line in enumerate(text.removesuffix("\n").split("\n") if text else [], start=1):
        where = f"{path}:{number}"
        if not line.strip():
            raise BankError(f"{where}: is empty: remove the line")
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise BankError(f"{where}: is not valid JSON: a line reads {FORM}") from error
        if not isinstance(fields, dict):
            raise BankError(f"{where}: is not a JSON object: a line reads {FORM}")
        _check_names(list(fields), where)
        for name in COLUMNS:
            if not isinstance(fields[name], str):
                raise BankError(f'{where}: "{name}" is not a text: a line reads {FORM}')
        prompts.append(_prompt(fields, where))
    return prompts


def _csv(text: str, path: Path) -> list[Prompt]:
    table, delimiter = table_and_delimiter(text)
    reader = csv.reader(io.StringIO(table, newline=""), delimiter=delimiter, strict=True)
    first_line = 1 + text.count("\n") - table.count("\n")
    header: list[str] = []
    prompts = []
    while True:
        where = f"{path}:{first_line + reader.line_num}"
        try:
            values = next(reader)
        except StopIteration:
            return prompts
        except csv.Error as error:
            raise BankError(f"{where}: is not valid CSV ({error}): put such a field in quotes") from error
        if not header:
            _check_names(values, where)
            header = values
        elif not values:
            raise BankError(f"{where}: is empty: remove the line")
        elif len(values) != len(header):
            raise BankError(
                f"{where}: has {len(values)} fields, the header {len(header)}: "
                "put fields with separators or line breaks in quotes"
            )
        else:
            prompts.append(_prompt(dict(zip(header, values, strict=True)), where))


def _check_names(names: list[str], where: str) -> None:
    known = (*COLUMNS, *SWEEPS_OWN)
    for name in names:
        if name not in known:
            nearest = difflib.get_close_matches(name, known, n=1, cutoff=0)[0]
            raise BankError(f'{where}: unknown column "{name}": remove it, or did you mean {nearest}?')
        if names.count(name) > 1:
            raise BankError(f'{where}: column "{name}" stands twice: keep one of the two')
    for name in COLUMNS:
        if name not in names:
            raise BankError(f'{where}: has no "{name}": a bank has the columns id, text and group')


def _prompt(fields: dict, where: str) -> Prompt:
    for name in COLUMNS:
        value = fields[name]
        if not value.strip():
            raise BankError(f'{where}: "{name}" is empty: fill it in or remove the prompt')
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise BankError(f'{where}: "{name}" holds half of a surrogate pair: write the whole character')
    return Prompt(fields["id"], fields["text"], fields["group"], where)


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
