"""Running the rvsweep binary and reading its results.h5."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np


def run(binary: Path, *arguments: str | Path, timeout: float = 1800) -> subprocess.CompletedProcess:
    """Runs to the end; a failure shows the command and the end of its log."""
    command = [str(binary), *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    if result.returncode != 0:
        raise AssertionError(
            f"exit {result.returncode} from {' '.join(command)}\n{result.stdout[-2000:]}\n{result.stderr[-4000:]}"
        )
    return result


def write_config(
    path: Path,
    model: Path,
    prompts: Path,
    arms: Sequence[str],
    early_layer: int,
    late_layer: int,
    max_new_tokens: int,
    window: int = 16,
    stop_at_eos: bool = True,
    reencode: bool = False,
) -> Path:
    """A greedy sweep of the listed pairs, one arm a line."""
    switch = {True: "true", False: "false"}
    lines = [
        "[model]",
        f"path = {model}",
        f"early_layer = {early_layer}",
        f"late_layer = {late_layer}",
        f"window = {window}",
        "[prompts]",
        f"file = {prompts}",
        "pairing = listed",
        "template = none",
        "[generation]",
        f"max_new_tokens = {max_new_tokens}",
        "temperature = 0",
        "samples = 1",
        f"stop_at_eos = {switch[stop_at_eos]}",
        "[readouts]",
        f"reencode = {switch[reencode]}",
        "[sweep]",
        "seed = 1",
        *(f"arm = {arm}" for arm in arms),
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


@dataclass
class Table:
    """The datasets of one group as arrays; text as str, enums as their names."""

    columns: dict[str, np.ndarray]

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self.columns:
            raise AssertionError(f"results.h5 has no column {name}; it has {sorted(self.columns)}")
        return self.columns[name]


@dataclass
class Results:
    prompts: Table
    pairs: Table
    arms: Table
    rows: Table

    def row(self, pair: str, arm: int) -> int:
        """Index of the row of `pair` and the arm of that place in the config (sample 0)."""
        pair_index = list(self.pairs["id"]).index(pair)
        hits = np.flatnonzero((self.rows["pair"] == pair_index) & (self.rows["arm"] == arm))
        if len(hits) != 1:
            raise AssertionError(f"{len(hits)} rows of pair {pair} and arm {arm}, not one")
        return int(hits[0])

    def prompt(self, pair: str, side: str) -> int:
        """Index into prompts of a pair's `base` or `source`."""
        return int(self.pairs[side][list(self.pairs["id"]).index(pair)])

    def tokens(self, row: int) -> list[int]:
        return self.rows["tokens"][row, : self.rows["n_generated"][row]].tolist()


def read_results(path: Path) -> Results:
    with h5py.File(path) as file:
        groups = {}
        for name in ("prompts", "pairs", "arms", "rows"):
            groups[name] = Table({key: _values(data) for key, data in file[name].items()})
        return Results(**groups)


def _values(dataset: h5py.Dataset) -> np.ndarray:
    if h5py.check_string_dtype(dataset.dtype):
        return dataset.asstr()[()]
    names = h5py.check_enum_dtype(dataset.dtype)
    if names:
        return np.vectorize({value: name for name, value in names.items()}.get)(dataset[()])
    return dataset[()]


def sets(settings: Sequence[str]) -> list[str]:
    """"section.key=value" as words of a command line."""
    return [word for setting in settings for word in ("--set", setting)]


def sweep(binary: Path, folder: Path, config: Path, settings: Sequence[str] = ()) -> Results:
    """`rvsweep run` of a config on one CPU core in float32, in this process group, and its results."""
    out = folder / "out"
    arithmetic = ["--device", "cpu", "--dtype", "float32", "--set", "run.threads=1"]
    run(binary, "run", "--config", config, "--out", out, *arithmetic, *sets(settings))
    return read_results(out / "results.h5")
