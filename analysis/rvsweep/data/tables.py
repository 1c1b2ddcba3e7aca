"""Tidy tables (pandas) of a results file: one row per (pair, arm, sample), per layer, per pair, per arm."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from rvsweep.data.ratings import row_id_text
from rvsweep.data.results import STATUSES, Results
from rvsweep.data.spectra import (
    ATTENTION,
    WINDOWS,
    measured_sites,
    row_attention,
    row_spectra,
    spectral_metrics,
)


def rows_table(results: Results) -> pd.DataFrame:
    """One row per (pair, arm, sample) with the pair's prompts, the arm's settings and every column of /rows.

    Numbers have the file's type; whole ones are pandas' nullable integers, <NA> where there is no value.
    """
    rows = results.rows
    taken = ("row_id", "pair", "arm", "sample", "status")
    of_pair = pairs_table(results).iloc[rows["pair"]].reset_index(drop=True)
    of_arm = arms_table(results).drop(columns="spec").iloc[rows["arm"]].reset_index(drop=True)
    front = {"row_id": _row_ids(results)} if "row_id" in rows else {}
    status = pd.Categorical.from_codes(rows["status"], categories=list(STATUSES))
    own = {"sample": rows["sample"], "status": status}
    own |= {
        name: _exact(values, results.types.get(name)) for name, values in rows.items() if name not in taken
    }
    return pd.concat([pd.DataFrame(front, index=of_pair.index), of_pair, of_arm, pd.DataFrame(own)], axis=1)


def pairs_table(results: Results) -> pd.DataFrame:
    """One row per pair: its id, and id, group and token count of both prompts."""
    columns = {"pair": results.pairs["id"]}
    for role in ("source", "base"):
        columns[f"{role}_id"] = results.prompts["id"][results.pairs[role]]
        columns[f"{role}_group"] = results.groups(role)
        if "n_tokens" in results.prompts:
            columns[f"{role}_tokens"] = results.prompts["n_tokens"][results.pairs[role]]
    return pd.DataFrame(columns)


def arms_table(results: Results) -> pd.DataFrame:
    """One row per arm: label, kind, layers as a band where they are one, every setting of its spec, the spec.

    A setting that an arm does not have is empty; `of` is the layers of a wrong_band control's arm.
    """
    names = list(dict.fromkeys(name for arm in results.arms for name in arm.settings))
    lines = []
    for arm in results.arms:
        start, end = arm.band or (None, None)
        line = {"arm": arm.label, "kind": arm.kind, "layer_start": start, "layer_end": end}
        line["layer_count"] = sum(b - a for a, b in arm.ranges) if arm.ranges else None
        lines.append(line | {name: arm.settings.get(name, "") for name in names} | {"spec": arm.spec})
    table = pd.DataFrame(lines)
    for name in ("layer_start", "layer_end", "layer_count"):
        table[name] = table[name].astype("Int64")
    return table


def layer_tables(results: Results) -> Iterator[pd.DataFrame]:
    """Parts of the long table: one row per (row, window, site, layer) with every metric of its spectrum.

    `site` is V for the cells that the window's tokens have in the row's cache, else what gave the values.
    """
    layers = np.arange(results.n_layers)
    sites = [("prompt", site) for site in measured_sites(results)]
    for window, site in [*((window, "V") for window in WINDOWS), *sites]:
        for start, sigma in row_spectra(results, window if site == "V" else f"{window}_{site}"):
            columns = _of_rows(results, slice(start, start + len(sigma)), len(layers))
            columns |= {"window": window, "site": site, "layer": np.tile(layers, len(sigma))}
            columns["depth"] = columns["layer"] / len(layers)
            metrics = spectral_metrics(sigma)
            yield pd.DataFrame(columns | {name: values.ravel() for name, values in metrics.items()})


def attention_table(results: Results) -> pd.DataFrame:
    """One row per (row, layer, KV head) with every attention_*, layers that were left out too; empty without them."""
    found = {name: row_attention(results, name) for name in ATTENTION}
    if any(values is None for values in found.values()):
        return pd.DataFrame()
    rows, layers, heads = found["bos"].shape
    columns = _of_rows(results, slice(rows), layers * heads)
    columns["layer"] = np.tile(np.repeat(np.arange(layers), heads), rows)
    columns["kv_head"] = np.tile(np.arange(heads), rows * layers)
    return pd.DataFrame(columns | {name: values.ravel() for name, values in found.items()})


def _of_rows(results: Results, chosen: slice, lines: int) -> dict[str, np.ndarray]:
    """What names a row, `lines` times each."""
    rows, labels = results.rows, np.array([arm.label for arm in results.arms], dtype=object)
    columns = {"row_id": _row_ids(results)[chosen]} if "row_id" in rows else {}
    columns |= {
        "pair": results.pairs["id"][rows["pair"][chosen]],
        "arm": labels[rows["arm"][chosen]],
        "sample": rows["sample"][chosen],
    }
    return {name: np.repeat(values, lines) for name, values in columns.items()}


def prompt_layers_table(results: Results) -> pd.DataFrame:
    """One row per (prompt, layer) with the metrics that the file stores of it."""
    layers = results.n_layers
    stored = {name: values.ravel() for name, values in results.prompts.items() if values.ndim == 2}
    prompts = results.prompts["id"]
    columns = {
        "prompt": np.repeat(prompts, layers),
        "layer": np.tile(np.arange(layers), len(prompts)),
        "depth": np.tile(np.arange(layers) / layers, len(prompts)),
    }
    return pd.DataFrame(columns | stored)


def _exact(values: np.ndarray, stored: np.dtype | None) -> np.ndarray | pd.api.extensions.ExtensionArray:
    """Of a column that the reader made float64, in the type that the file has."""
    if stored is None or values.dtype.kind != "f":
        return values
    if stored.kind in "iu":
        return pd.array(values, dtype=stored.name.replace("i", "I", 1).replace("u", "U", 1))
    return values.astype(stored)


def _row_ids(results: Results) -> np.ndarray:
    return np.array([row_id_text(row_id) for row_id in results.rows["row_id"]], dtype=object)
