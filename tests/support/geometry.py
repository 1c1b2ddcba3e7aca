"""Spectra and metrics of V windows in NumPy float64."""

from __future__ import annotations

import numpy as np

def window_spectra(v_rows: list[np.ndarray], window: int) -> np.ndarray:
    """Singular values of the last `window` rows at every layer, [L, window], NaN where there are fewer."""
    spectra = np.full((len(v_rows), window), np.nan)
    for layer, rows in enumerate(v_rows):
        if len(rows) >= window:
            spectra[layer] = np.linalg.svd(rows[-window:].astype(np.float64), compute_uv=False)
    return spectra


def metrics(spectra: np.ndarray) -> dict[str, np.ndarray]:
    """Every metric of singular values [..., W], each of shape [...]."""
    energies = spectra**2
    p = energies / energies.sum(-1, keepdims=True)
    q = spectra / spectra.sum(-1, keepdims=True)
    return {
        "pr": energies.sum(-1) ** 2 / (energies**2).sum(-1),
        "effective_rank": np.exp(-_plogp(q).sum(-1)),
        "spectral_entropy": -_plogp(p).sum(-1),
        "stable_rank": energies.sum(-1) / energies.max(-1),
        "nuclear_ratio": spectra.sum(-1) ** 2 / energies.sum(-1),
    }


def _plogp(p: np.ndarray) -> np.ndarray:
    return np.where(p > 0, p * np.log(np.where(p > 0, p, 1.0)), np.where(np.isnan(p), np.nan, 0.0))


def r_v(spectra: np.ndarray, early: int, late: int) -> float:
    """PR(late) / PR(early) of the spectra [L, W] of one text."""
    pr = metrics(spectra)["pr"]
    return float(pr[late] / pr[early])
