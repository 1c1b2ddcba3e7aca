"""Whether two sides generated the same tokens, and how near a tie the first difference lies."""

from __future__ import annotations

from collections.abc import Sequence

import torch

Rows = Sequence[Sequence[Sequence[int]]]  # pair, arm, step


def compare(a: Rows, b: Rows, arms: Sequence[int], margins: torch.Tensor | None = None) -> dict:
    """Over the pairs and arms that both have; `margins` [arms, pairs, steps] are of those tokens."""
    identical, rows, differences = 0, 0, []
    for pair, (left, right) in enumerate(zip(a, b)):
        for arm in arms:
            rows += 1
            unlike = [step for step, both in enumerate(zip(left[arm], right[arm])) if both[0] != both[1]]
            if not unlike:
                identical += 1
                continue
            margin = None if margins is None else float(margins[arm, pair, unlike[0]])
            differences.append({"pair": pair, "arm": arm, "step": unlike[0], "top_two_margin": margin})
    return {"rows": rows, "identical": identical, "first_differences": differences}


def sentence(name: str, found: dict) -> str:
    text = f"tokens of {name}: identical in {found['identical']} of {found['rows']} rows"
    for difference in found["first_differences"][:5]:
        margin = difference["top_two_margin"]
        text += f"\n  pair {difference['pair']}, arm {difference['arm']}: differ from step {difference['step']} on"
        if margin is not None:
            text += f", where the two likeliest logits are {margin:.2g} apart"
    return text
