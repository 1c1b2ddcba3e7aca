"""Directions in place of donors: vectors [layers, dim] of a site, the same at every token."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import xxhash
from safetensors.torch import load_file
from torch import Tensor

from donors import Donor, unpatched
from explicit_model import ExplicitModel
from philox import key64, normals
from row_spec import Pair, Prompt

MEAN = "mean_difference:"


def donor(model: ExplicitModel, vectors: list[Tensor], site: str, recipient: Prompt) -> Donor:
    """Every token of the recipient gives its layer's vector, [heads, size]."""
    n = len(recipient.tokens)
    return Donor(n, [], {site: [vector.expand(n, *vector.shape) for vector in vectors]}, recipient)


def vectors(model: ExplicitModel, pairs: Sequence[Pair], seed: int, site: str, name: str) -> list[Tensor]:
    size = [x.shape[1:] for x in unpatched(model, pairs[0].base.tokens).activations[site]]
    if name == "random":
        return drawn(site, seed, [torch.full(shape, shape[1] ** -0.5) for shape in size])
    if not name.startswith(MEAN):
        return [x.view(shape) for x, shape in zip(load_file(Path(name))["direction"], size)]
    sides = name.removeprefix(MEAN).split("-")
    sums = [torch.stack(mean(model, fitted_on(pairs, seed, sides)[side], site)) for side in sides]
    return list((sums[0] - sums[1]).float())


def orthogonal(of: Tensor, to: Tensor) -> Tensor:
    """What is left of `of` [heads, size] beside `to`, stretched to its norm."""
    x, axis = of.double(), torch.nn.functional.normalize(to.double(), dim=-1, eps=1e-300)
    left = x - (x * axis).sum(-1, keepdim=True) * axis
    return (torch.nn.functional.normalize(left, dim=-1, eps=1e-300) * x.norm(dim=-1, keepdim=True)).float()


def content(name: str) -> str:
    """A file by what it holds."""
    if name == "random" or name.startswith(MEAN):
        return name
    return "file:" + xxhash.xxh3_64_hexdigest(Path(name).read_bytes())


def drawn(site: str, seed: int, like: Sequence[Tensor], *name: str) -> list[Tensor]:
    """Normal directions with the norms of every layer's and head's vector; those of unlike names are unlike."""
    out = []
    for layer, x in enumerate(like):
        z = normals(key64(seed, "direction", site, layer, *name), x.numel()).reshape(x.shape)
        z *= np.linalg.norm(x.double().numpy(), axis=-1, keepdims=True) / np.linalg.norm(z, axis=-1, keepdims=True)
        out.append(torch.from_numpy(z).float())
    return out


def mean(model: ExplicitModel, prompts: Sequence[Prompt], site: str) -> list[Tensor]:
    """Over the windows' last tokens, float64."""
    last = [unpatched(model, p.tokens[: p.window_end]).activations[site] for p in prompts]
    return [torch.stack([x[layer][-1].double() for x in last]).mean(0) for layer in range(model.n_layers)]


def fitted_on(pairs: Sequence[Pair], seed: int, sides: Sequence[str]) -> dict[str, list[Prompt]]:
    """Half of the first group's texts, and of the second's those that first occur in a pair with one of them.

    Sides are "base" and "source", those of their own group; a text of both follows the first group.
    """
    chosen: dict[str, bool] = {}

    def halve(texts: set[str]) -> None:
        left = sorted(text_unit(t) for t in texts if text_unit(t) not in chosen)
        left.sort(key=lambda unit: key64(seed, "direction", unit))
        chosen.update({unit: place < len(left) // 2 for place, unit in enumerate(left)})

    def is_of(pair: Pair, side: str) -> bool:
        return side in pair.groups

    first, second = (
        [getattr(pair, side) for pair in pairs if is_of(pair, side) and getattr(pair, side).tokens] for side in sides
    )
    halve({p.text for p in first})
    for pair in pairs:
        of_first, of_second = (text_unit(getattr(pair, side).text) for side in sides)
        if of_first in chosen and all(is_of(pair, side) for side in sides):
            chosen.setdefault(of_second, chosen[of_first])
    halve({p.text for p in second})
    out = {}
    for side, prompts in zip(sides, (first, second)):
        distinct = {p.text: p for p in prompts}
        out[side] = [p for text, p in distinct.items() if chosen[text_unit(text)]]
    return out


def untestable(pairs: Sequence[Pair], seed: int, pair: Pair, name: str) -> bool:
    if not name.startswith(MEAN):
        return False
    fitted = fitted_on(pairs, seed, name.removeprefix(MEAN).split("-"))
    texts = {p.text for side in fitted.values() for p in side}
    return bool(texts & {pair.base.text, pair.source.text})


def text_unit(text: str) -> str:
    return f"text {key64(text):016x}"
