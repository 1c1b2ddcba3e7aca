"""Ratings of texts by people or models: blinded texts out, ratings back in."""

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from rvsweep.data.delimiters import table_and_delimiter
from rvsweep.data.outcomes import KNOWN
from rvsweep.data.results import Results, ResultsError
from rvsweep.data.texts import printable

_IDS = ("row_id", "rater")
# What a spreadsheet takes a cell for that begins so, also in full width, and what says that it is text.
_FORMULA = tuple("=+-@＝＋－＠'")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")  # or a decimal comma: nobody can tell
TEXT_COLUMNS = ("id", "text")  # of blinded texts
KEY_COLUMNS = ("id", "row_id", "pair", "arm", "sample")


def blinded(results: Results, seed: int) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """(texts in random order: TEXT_COLUMNS; their key: KEY_COLUMNS) of the ok rows that have text.

    Ids are random and unique; neither they nor the order say anything about the row. They begin with a letter:
    a spreadsheet reads 22508e75 as a number.
    """
    rows = results.rows
    if "row_id" not in rows or "text" not in rows:
        raise ResultsError(f"{results.path}: holds no row ids or no texts, so nothing can be blinded")
    chosen = np.flatnonzero(results.ok & (rows["text"] != ""))
    random = np.random.default_rng(seed)
    numbers = random.choice(16**8, size=len(chosen), replace=False) if len(chosen) else []
    order = random.permutation(len(chosen))
    texts, key = [], []
    for at in order:
        row, name = chosen[at], f"t{numbers[at]:08x}"
        texts.append({"id": name, "text": rows["text"][row]})
        pair, arm = results.pairs["id"][rows["pair"][row]], results.arms[rows["arm"][row]].label
        values = (name, row_id_text(rows["row_id"][row]), pair, arm, str(rows["sample"][row]))
        key.append(dict(zip(KEY_COLUMNS, values, strict=True)))
    return texts, key


def row_id_text(row_id: int) -> str:
    """As `rvsweep plan --list` and `replay --row` write it."""
    return f"{int(row_id):016x}"


def write_table(path: Path, lines: list[dict[str, str]], columns: tuple[str, ...]) -> None:
    """JSONL where the name ends in .jsonl, else CSV whose cells no spreadsheet takes for formulas."""
    if path.suffix == ".jsonl":
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    else:
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _cell(value) for name, value in line.items()} for line in lines)
        text = buffer.getvalue()
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ResultsError(f"{path}: cannot be written ({error.strerror}); give another place") from error


def _cell(text: str) -> str:
    """Control characters as symbols; ' in front of what might be a formula."""
    text = printable(text)
    formula = text.lstrip().startswith(_FORMULA) and not _NUMBER.fullmatch(text)
    return "'" + text if formula else text


def _restored(cell: str | None) -> str | None:
    """Without the ' that _cell put in front."""
    marked = isinstance(cell, str) and cell.startswith("'") and cell[1:].lstrip().startswith(_FORMULA)
    return cell[1:] if marked else cell


def read_table(path: Path, needed: tuple[str, ...]) -> list[dict[str, str]]:
    """Lines of JSONL, or of a CSV file with a header as spreadsheets save it; all values as text."""
    try:
        data = path.read_bytes()
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8: save it as CSV UTF-8"
        raise ResultsError(f"{path}: cannot be read ({reason}); give a CSV or JSONL file") from error
    if path.suffix == ".jsonl":
        lines = [
            _json_line(path, number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()
        ]
    else:
        lines = _csv_lines(path, text)
    if not lines:
        raise ResultsError(f"{path}: holds no lines below its header; give a table with {', '.join(needed)}")
    for number, line in enumerate(lines, 1):
        missing = [name for name in needed if not line.get(name)]
        if missing:
            raise ResultsError(f"{path}: entry {number} has no {missing[0]}; needed are {', '.join(needed)}")
        if None in line or None in line.values():
            raise ResultsError(
                f"{path}: entry {number} has not as many fields as the header; quote its commas"
            )
    return lines


def _csv_lines(path: Path, text: str) -> list[dict[str, str]]:
    """Fields as table_and_delimiter separates them; emptied lines are left out."""
    table, delimiter = table_and_delimiter(text)
    try:
        reader = csv.DictReader(io.StringIO(table, newline=""), delimiter=delimiter, strict=True)
        lines = [{name: _restored(cell) for name, cell in line.items()} for line in reader]
    except csv.Error as error:
        raise ResultsError(f"{path}: not a CSV file ({error})") from error
    if not any(line.get("") for line in lines):  # columns that a spreadsheet adds behind the last one
        lines = [{name: cell for name, cell in line.items() if name != ""} for line in lines]
    return [line for line in lines if any(line.values())]


def _json_line(path: Path, number: int, line: str) -> dict[str, str]:
    try:
        values = json.loads(line)
    except ValueError as error:
        raise ResultsError(f"{path}:{number}: not JSON ({error})") from error
    if not isinstance(values, dict):
        raise ResultsError(f"{path}:{number}: not an object; write one {{...}} per line")
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}


def unblind(ratings: list[dict[str, str]], key: list[dict[str, str]], path: Path) -> list[dict[str, str]]:
    """Ratings by blind `id` with their row_id instead."""
    rows = {line["id"]: line["row_id"] for line in key}
    joined = []
    for line in ratings:
        name = line["id"].strip()
        if name not in rows:
            raise ResultsError(
                f"{path}: id {name} is not in the key; give the key of these texts{_hint(name)}"
            )
        joined.append({"row_id": rows[name], **{k: v for k, v in line.items() if k not in ("id", "text")}})
    return joined


def join(results: Results, path: Path) -> tuple[Results, dict[str, np.ndarray]]:
    """Adds each rating of the file as a column of /rows (mean over raters) and gives them by rater.

    Columns: row_id, optionally rater, and one or more ratings (numbers, empty = none). Returned beside
    the results: rating -> [raters, rated rows] with NaN where a rater gave none.
    """
    lines = read_table(path, ("row_id",))
    columns = dict.fromkeys(name for line in lines for name in line)  # objects of JSON need not have all
    names = [name for name in columns if name not in (*_IDS, "id", "text")]
    if not names:
        raise ResultsError(f"{path}: has no column of ratings; name one beside row_id")
    known = {row_id_text(row_id): at for at, row_id in enumerate(results.rows.get("row_id", []))}
    raters = {rater: at for at, rater in enumerate(dict.fromkeys(line.get("rater", "") for line in lines))}
    taken = set(names) & {*results.rows, *(outcome.name for outcome in KNOWN), ""}
    if taken:
        name = sorted(taken)[0]
        raise ResultsError(f"{path}: rating {name!r} is the name of a read-out or a column of /rows; rename it")
    given = {name: np.full((len(raters), len(known)), np.nan) for name in names}
    for number, line in enumerate(lines, 1):
        row = known.get(line["row_id"].strip().lower().removeprefix("0x").zfill(16))
        if row is None:
            hint = _hint(line["row_id"])
            raise ResultsError(f"{path}: entry {number}: no row {line['row_id']} in {results.path}{hint}")
        for name in names:
            text = line.get(name, "")
            if text.strip() in ("", "null"):
                continue
            rater = raters[line.get("rater", "")]
            if np.isfinite(given[name][rater, row]):
                raise ResultsError(
                    f"{path}: entry {number}: row {line['row_id']} is rated twice by one rater"
                )
            given[name][rater, row] = _rating(path, number, name, text)
    rows = dict(results.rows)
    for name, values in given.items():
        counted = np.isfinite(values).sum(axis=0)
        total = np.nansum(values, axis=0)
        rows[name] = np.divide(total, counted, out=np.full(len(known), np.nan), where=counted > 0)
        rows[name][~results.ok] = np.nan
    rated = {name: values[:, np.isfinite(values).any(axis=0)] for name, values in given.items()}
    return replace(results, rows=rows, ratings=names), rated


def _hint(name: str) -> str:
    """What to do about an id that has become a number."""
    lost = re.fullmatch(r"\d+([.,]\d+)?E\+\d+", name)
    return " as they were: a spreadsheet has made a number of it; format the column as text" if lost else ""


def _rating(path: Path, number: int, name: str, text: str) -> float:
    text = text.strip()
    if _THOUSANDS.fullmatch(text):
        raise ResultsError(
            f"{path}: entry {number}: {name} {text!r} has a comma for thousands or decimals; write a point"
        )
    try:
        value = float(text.replace(",", ".") if _DECIMAL_COMMA.fullmatch(text) else text)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise ResultsError(f"{path}: entry {number}: {name} {text!r} is not a number")
    return value
