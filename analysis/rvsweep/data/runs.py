"""Two files row by row: what differs in their settings, and whether their rows have the same bits."""

from dataclasses import dataclass

import h5py
import numpy as np

from rvsweep.data.results import ROWS_AT_ONCE, Results, open_results
from rvsweep.data.settings import parse_config

_NAMES = ("row_id", "pair", "arm")  # indices into the file's own tables, and the id itself


@dataclass(frozen=True)
class SettingDifference:
    key: str
    values: list[str]  # by file, empty where a file does not have it


@dataclass(frozen=True)
class ColumnAgreement:
    """A dataset of /rows over the common rows. largest: |difference| of numbers, NaN for text or unlike shapes."""

    name: str
    rows: int
    equal: int  # rows with the same bits
    largest: float


@dataclass(frozen=True)
class RunComparison:
    """The first file against another. only_*: rows that one of them alone has."""

    common: int
    only_first: int
    only_second: int
    columns: list[ColumnAgreement]
    missing: list[str]  # datasets that one of them alone has

    @property
    def bit_equal(self) -> bool:
        return bool(self.columns) and all(column.equal == column.rows for column in self.columns)


def setting_differences(files: list[Results]) -> list[SettingDifference]:
    """Configuration keys and root attributes whose text is not the same in every file, in order of their names."""
    described = []
    for results in files:
        facts = {name: text for name, text in results.attributes.items() if name != "config"}
        config = parse_config(results.attributes.get("config", ""))
        described.append(facts | {key: "; ".join(values) for key, values in config.items()})
    keys = sorted(set().union(*described))
    found = [SettingDifference(key, [facts.get(key, "") for facts in described]) for key in keys]
    return [difference for difference in found if len(set(difference.values)) > 1]


def compare_rows(first: Results, second: Results) -> RunComparison:
    """Joined by row id; rows in both files are compared in every dataset of /rows that both have."""
    nothing = np.empty(0, dtype=np.uint64)
    ids = [results.rows.get("row_id", nothing) for results in (first, second)]
    common, at_first, at_second = np.intersect1d(*ids, return_indices=True)
    order = np.argsort(at_first)
    at_first, at_second = at_first[order], at_second[order]
    columns: list[ColumnAgreement] = []
    missing: list[str] = []
    if len(common):
        with open_results(first.path) as a, open_results(second.path) as b:
            names = [{n for n, d in file["rows"].items() if isinstance(d, h5py.Dataset)} for file in (a, b)]
            missing = sorted(names[0] ^ names[1])
            for name in sorted((names[0] & names[1]) - set(_NAMES)):
                columns.append(_agreement(name, a["rows"][name], b["rows"][name], at_first, at_second))
    return RunComparison(
        common=len(common),
        only_first=len(ids[0]) - len(common),
        only_second=len(ids[1]) - len(common),
        columns=columns,
        missing=missing,
    )


def _agreement(
    name: str, a: h5py.Dataset, b: h5py.Dataset, at_a: np.ndarray, at_b: np.ndarray
) -> ColumnAgreement:
    rows = len(at_a)
    if a.shape[1:] != b.shape[1:] or (a.dtype.kind == "O") != (b.dtype.kind == "O"):
        return ColumnAgreement(name, rows, 0, float("nan"))
    equal, largest = 0, 0.0
    for start in range(0, rows, ROWS_AT_ONCE):
        chosen = slice(start, start + ROWS_AT_ONCE)
        x, y = _rows(a, at_a[chosen]), _rows(b, at_b[chosen])
        if x.dtype.kind == "O":
            equal += int((x == y).sum())
            continue
        same = (x == y) if x.dtype.kind not in "f" else (x == y) & (np.signbit(x) == np.signbit(y))
        if x.dtype.kind == "f":
            same |= np.isnan(x) & np.isnan(y)
        equal += int(same.reshape(len(x), -1).all(axis=1).sum())
        gap = np.abs(x.astype(np.float64) - y.astype(np.float64))
        largest = max(largest, float(np.nanmax(gap, initial=0.0, where=np.isfinite(gap))))
    return ColumnAgreement(name, rows, equal, float("nan") if a.dtype.kind == "O" else largest)


def _rows(dataset: h5py.Dataset, rows: np.ndarray) -> np.ndarray:
    low, high = rows.min(), rows.max() + 1
    return dataset[low:high][rows - low]
