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


def centred_pr(rows: np.ndarray) -> float:
    """Participation ratio of rows [W, D] less their mean."""
    energies = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False) ** 2
    return float(energies.sum() ** 2 / (energies**2).sum())


def corrected_pr(rows: np.ndarray) -> float:
    """Ratio of unbiased estimates of (tr C)^2 and tr C^2, C the covariance of rows [W, D]: means over all distinct
    i, j, k, l of |x_i - x_j|^2 |x_k - x_l|^2 / 4 and ((x_i - x_j) (x_k - x_l))^2 / 4 (Chun et al. 2025, gamma_row).

    By inner products of all differences: [W, W, W, W].
    """
    count = len(rows)
    apart = rows[:, None] - rows[None]
    products = np.einsum("ijd,kld->ijkl", apart, apart)
    norms = np.einsum("ijd,ijd->ij", apart, apart)
    i, j, k, l = np.ogrid[:count, :count, :count, :count]
    distinct = (i != j) & (i != k) & (i != l) & (j != k) & (j != l) & (k != l)
    of_square = (norms[:, :, None, None] * norms[None, None])[distinct].mean()
    return float(of_square / (products[distinct] ** 2).mean())
