"""Metrics of singular values, as `src/metrics` defines them, for tables by row and layer."""

from collections.abc import Iterator

import numpy as np

from rvsweep.data.results import ROWS_AT_ONCE, Results, open_results

WINDOWS = ("prompt", "generated")
PR_KINDS = ("raw", "centred", "corrected")  # the last axis of window_pr
ATTENTION = ("bos", "donor", "base", "fed", "entropy")  # attention_* of /rows, [R, L, KV heads]


def participation_ratio(sigma: np.ndarray) -> np.ndarray:
    """(sum lambda)^2 / sum lambda^2, lambda = sigma^2, over the last axis [..., W]; 1 to W, NaN where a value is."""
    squares = sigma**2
    with np.errstate(invalid="ignore", divide="ignore"):
        return squares.sum(axis=-1) ** 2 / (squares**2).sum(axis=-1)


def spectral_metrics(sigma: np.ndarray) -> dict[str, np.ndarray]:
    """Every metric of float64 singular values [..., W] over their last axis; entropies in nats."""
    squares = sigma**2
    with np.errstate(invalid="ignore", divide="ignore"):
        total = squares.sum(axis=-1)
        return {
            "pr": participation_ratio(sigma),
            "effective_rank": np.exp(_entropy(sigma / sigma.sum(axis=-1, keepdims=True))),
            "spectral_entropy": _entropy(squares / total[..., None]),
            "stable_rank": total / squares.max(axis=-1),
            "nuclear_ratio": sigma.sum(axis=-1) ** 2 / total,
        }


def row_spectra(results: Results, window: str) -> Iterator[tuple[int, np.ndarray]]:
    """(first row, float64 [rows, L, W]) in file order, ROWS_AT_ONCE at a time; nothing where the file has none.

    NaN where a row is not ok or has no geometry.
    """
    with open_results(results.path) as file:
        dataset = file["rows"].get(f"spectra_{window}")
        if dataset is None or dataset.ndim != 3 or dataset.shape[:2] != (len(results.ok), results.n_layers):
            return
        for start in range(0, len(dataset), ROWS_AT_ONCE):
            part = dataset[start : start + ROWS_AT_ONCE].astype(np.float64)
            part[~results.ok[start : start + ROWS_AT_ONCE]] = np.nan
            yield start, part


def measured_sites(results: Results) -> list[str]:
    """Sites beside V whose spectra the file has."""
    known = {note.path for note in results.datasets}
    prefix = "/rows/spectra_prompt_"
    return sorted(path.removeprefix(prefix) for path in known if path.startswith(prefix))


def row_attention(results: Results, measure: str) -> np.ndarray | None:
    """[R, L, KV heads] float32 of one of ATTENTION; NaN where a row is not ok; None where the file has none."""
    with open_results(results.path) as file:
        dataset = file["rows"].get(f"attention_{measure}")
        if dataset is None or dataset.ndim != 3 or dataset.shape[:2] != (len(results.ok), results.n_layers):
            return None
        found = dataset[...]
    found[~results.ok] = np.nan
    return found


def row_pr(results: Results, window: str) -> np.ndarray | None:
    """[R, L] float32 participation ratio of each row's own V; None where the file has no spectra of `window`."""
    parts = [participation_ratio(sigma).astype(np.float32) for _, sigma in row_spectra(results, window)]
    return np.concatenate(parts) if parts else None


def step_pr(results: Results) -> np.ndarray | None:
    """[R, 2, steps] float64 PR of the sliding window at the early and the late layer; None without a trace."""
    with open_results(results.path) as file:
        trace = file["rows"].get("step_pr")
        if trace is None or trace.ndim != 3 or trace.shape[:2] != (len(results.ok), results.n_layers):
            return None
        layers = (results.early_layer, results.late_layer)
        found = np.stack([trace[:, layer].astype(np.float64) for layer in layers], axis=1)
    found[~results.ok] = np.nan
    return found


def row_window_pr(results: Results, span: str) -> np.ndarray | None:
    """[R, windows, 2, kinds] PR at the early and the late layer of each of model.window; None where there is none.

    `span` is prompt or generated; kinds are raw, centred and corrected.
    """
    with open_results(results.path) as file:
        stored = file["rows"].get(f"window_pr_{span}")
        if stored is None or stored.ndim != 4 or stored.shape[::2] != (len(results.ok), results.n_layers):
            return None
        found = np.stack([stored[:, :, at] for at in (results.early_layer, results.late_layer)], axis=2)
    found[~results.ok] = np.nan
    return found


def _entropy(p: np.ndarray) -> np.ndarray:
    return -np.where(p == 0, 0.0, p * np.log(np.where(p == 0, 1.0, p))).sum(axis=-1)
