"""A results file as an xarray Dataset with named dimensions; arrays of several are read where they are used."""

from pathlib import Path

import h5py
import numpy as np
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from rvsweep.data.ratings import row_id_text
from rvsweep.data.results import PROMPT_METRICS, STATUSES, Results, open_results
from rvsweep.data.settings import measured_windows
from rvsweep.data.spectra import PR_KINDS, WINDOWS

# Dimensions beyond the first, by how a dataset's name begins; the first that fits counts.
_AXES = {
    **dict.fromkeys(PROMPT_METRICS, ("layer",)),
    "spectra": ("layer", "rank"),
    "window_pr": ("window_size", "layer", "pr_kind"),
    "gram_sums": ("layer", "gram_sum"),
    "attention": ("layer", "kv_head"),
    "step_pr": ("layer", "step"),
    "tokens": ("step",),
}
_GRAM_SUMS = ("trace", "sum of squares", "sum of squared diagonal")


class _Stored(BackendArray):
    """Datasets of one shape [row, ...] in a file: one as it is, several as [row, window, ...]."""

    def __init__(self, path: Path, names: list[str], first: h5py.Dataset, windows: bool):
        self.path, self.names, self.windows = path, names, windows
        self.dtype = first.dtype
        self.shape = (first.shape[0], len(names), *first.shape[1:]) if windows else first.shape

    def __getitem__(self, key: indexing.ExplicitIndexer) -> np.ndarray:
        basic = indexing.IndexingSupport.BASIC
        return indexing.explicit_indexing_adapter(key, self.shape, basic, self._read)

    def _read(self, key: tuple) -> np.ndarray:
        with open_results(self.path) as file:
            if not self.windows:
                return file[self.names[0]][key]
            row, window, *rest = key
            if isinstance(window, slice):
                parts = [file[name][(row, *rest)] for name in self.names[window]]
                return np.stack(parts, axis=1 if isinstance(row, slice) else 0)
            return file[self.names[window]][(row, *rest)]


def to_xarray(results: Results) -> xr.Dataset:
    """See Study.to_xarray."""
    rows, prompts = results.rows, results.prompts
    labels = np.array([arm.label for arm in results.arms], dtype=object)
    roles = {role: prompts["id"][results.pairs[role]][rows["pair"]] for role in ("source", "base")}
    of_rows = {"pair": results.pairs["id"][rows["pair"]], "arm": labels[rows["arm"]], **roles}
    of_rows |= {"sample": rows["sample"], "status": np.array(STATUSES, dtype=object)[rows["status"]]}
    if "row_id" in rows:
        of_rows["row"] = np.array([row_id_text(row_id) for row_id in rows["row_id"]], dtype=object)
    coordinates = {name: ("row", values) for name, values in of_rows.items()}
    coordinates |= {"prompt": prompts["id"], "layer": np.arange(results.n_layers)}
    coordinates["rank"] = np.arange(results.window)
    coordinates |= {
        "window_size": measured_windows(results),
        "pr_kind": list(PR_KINDS),
        "gram_sum": list(_GRAM_SUMS),
    }
    variables = {}
    with open_results(results.path) as file:
        windows = _windows(results, file["rows"])
        if windows:
            names = [f"rows/spectra_{window}" for window in windows]
            stored = _Stored(results.path, names, file[names[0]], windows=True)
            variables["spectra"] = _variable(
                ("row", "window", "layer", "rank"), stored, {"description": "singular values of V"}
            )
            coordinates["window"] = windows
        for table, dimension, prefix in (("rows", "row", ""), ("prompts", "prompt", "prompt_")):
            taken = {"id", "status", *of_rows, "row_id", *(f"spectra_{window}" for window in windows)}
            for name in sorted(set(file[table]) - taken):
                variable = _stored_variable(results, file, f"{table}/{name}", dimension)
                if variable is not None:
                    variables[prefix + name] = variable
    return xr.Dataset(variables, coordinates, {**results.attributes, "file": str(results.path)})


def _sizes(results: Results, file: h5py.File) -> dict[str, int]:
    tokens = file["rows"].get("tokens")
    known = isinstance(tokens, h5py.Dataset) and len(tokens.shape or ()) == 2
    sizes = {"step": tokens.shape[1]} if known else {}
    attention = file["rows"].get("attention_bos")
    if isinstance(attention, h5py.Dataset) and len(attention.shape or ()) == 3:
        sizes["kv_head"] = attention.shape[2]
    sizes |= {"window_size": len(measured_windows(results)), "pr_kind": len(PR_KINDS)}
    return {"layer": results.n_layers, "rank": results.window, "gram_sum": len(_GRAM_SUMS), **sizes}


def _windows(results: Results, rows: h5py.Group) -> list[str]:
    """Whose spectra the file has."""
    shape = (len(results.ok), results.n_layers, results.window)
    found = {window: rows.get(f"spectra_{window}") for window in WINDOWS}
    return [window for window, item in found.items() if getattr(item, "shape", None) == shape]


def _stored_variable(results: Results, file: h5py.File, name: str, dimension: str) -> xr.Variable | None:
    """None for what is no array: ragged, or not one entry for each of `dimension`."""
    dataset, table, short = file.get(name), *name.split("/")
    columns = results.rows if table == "rows" else results.prompts
    if not isinstance(dataset, h5py.Dataset) or dataset.shape is None or dataset.ndim == 0:
        return None
    if len(dataset) != len(columns["reason" if table == "rows" else "id"]):
        return None
    about = ("units", "description", "definition")
    notes = {key: str(dataset.attrs[key]) for key in about if key in dataset.attrs}
    text = columns.get(short)
    if text is not None and text.dtype == object:
        return xr.Variable(dimension, text, notes)
    if dataset.dtype.kind not in "iufb":
        return None
    if dataset.ndim == 1:
        return xr.Variable(dimension, dataset[...], notes)
    axes = next((axes for beginning, axes in _AXES.items() if short.startswith(beginning)), ())
    sizes = _sizes(results, file)
    fits = tuple(sizes.get(axis) for axis in axes) == dataset.shape[1:]
    axes = axes if fits else tuple(f"{short}_{at}" for at in range(1, dataset.ndim))
    return _variable((dimension, *axes), _Stored(results.path, [name], dataset, windows=False), notes)


def _variable(dimensions: tuple[str, ...], stored: _Stored, notes: dict[str, str]) -> xr.Variable:
    return xr.Variable(dimensions, indexing.LazilyIndexedArray(stored), notes)
