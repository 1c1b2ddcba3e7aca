"""Whether two sides computed the same: tokens, and how near a tie the first difference lies; singular values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

Rows = Sequence[Sequence[Sequence[int]]]  # pair, arm, step


def compare(a: Rows, b: Rows, arms: Sequence[int], margins: torch.Tensor | None = None) -> dict:
    """Over the pairs and arms that both have; `margins` [arms, pairs, steps] are of the first pairs."""
    identical, rows, differences = 0, 0, []
    for pair, (left, right) in enumerate(zip(a, b)):
        for arm in arms:
            rows += 1
            unlike = [step for step, both in enumerate(zip(left[arm], right[arm])) if both[0] != both[1]]
            if not unlike:
                identical += 1
                continue
            known = margins is not None and pair < margins.shape[1]
            margin = float(margins[arm, pair, unlike[0]]) if known else None
            differences.append({"pair": pair, "arm": arm, "step": unlike[0], "top_two_margin": margin})
    return {"rows": rows, "identical": identical, "first_differences": differences}


def spectra_difference(batched, results, pairs: Sequence[dict]) -> float | None:
    """Largest difference of a singular value, as a share of its window's largest one, over rows of equal tokens.

    `batched` is what BatchedHuggingFace.run gave for `pairs`, `results` are rvsweep's; None: no row has equal tokens.
    """
    tokens = batched.tokens.flatten(0, 1).tolist()
    rows = [results.row(pair["pair"], arm) for arm in range(len(batched.tokens)) for pair in pairs]
    equal = [place for place, row in enumerate(rows) if results.tokens(row) == tokens[place]]
    worst = None
    for window, name in zip(range(batched.spectra.shape[1]), ("spectra_prompt", "spectra_generated")):
        theirs = batched.spectra[:, window, equal].flip(-1).transpose(0, 1).numpy()  # [rows, L, W], descending
        own = results.rows[name][[rows[place] for place in equal]]
        if equal:
            worst = max(worst or 0.0, float(np.max(np.abs(theirs - own) / own[..., :1])))
    return worst


def sentence(name: str, found: dict) -> str:
    text = f"tokens of {name}: identical in {found['identical']} of {found['rows']} rows"
    for difference in found["first_differences"][:5]:
        margin = difference["top_two_margin"]
        text += f"\n  pair {difference['pair']}, arm {difference['arm']}: differ from step {difference['step']} on"
        if margin is not None:
            text += f", where the two likeliest logits are {margin:.2g} apart"
    return text
