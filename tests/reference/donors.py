"""Where patched values come from: cells and activations of a donor, of one prompt or made up."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from explicit_model import Cells, ExplicitModel, Pass
from philox import key64, normals, permutation
from row_spec import Prompt


@dataclass(frozen=True)
class Donor:
    """`prompt` is what the donor's tokens are said to be; a mean over prompts has no text of its own."""

    n_tokens: int
    cells: list[Cells]  # per layer, all tokens; keys rotated by their own index
    activations: dict[str, list[Tensor]]
    prompt: Prompt | None

    @property
    def window_end(self) -> int:
        end = self.prompt.window_end if self.prompt else None
        return self.n_tokens if end is None else end


@lru_cache(maxsize=512)
def unpatched(model: ExplicitModel, tokens: tuple[int, ...]) -> Pass:
    return model.forward(tokens, range(len(tokens)))


def of_prompt(model: ExplicitModel, prompt: Prompt) -> Donor:
    passed = unpatched(model, prompt.tokens)
    return Donor(len(prompt.tokens), passed.cells, passed.activations, prompt)


def zeros(donor: Donor) -> Donor:
    cells = [Cells(c.keys * 0, c.values * 0) for c in donor.cells]
    return replace(donor, cells=cells, activations={s: [x * 0 for x in xs] for s, xs in donor.activations.items()})


def gaussian(donor: Donor, site: str, seed: int, pair_id: str) -> Donor:
    """Every (token, head) vector of `site` (K and V for kv_cache) drawn and scaled to the norm of the donor's."""

    def drawn(rows: Tensor, layer: int, name: str) -> Tensor:
        z = normals(key64(seed, pair_id, "gaussian", layer, name), rows.numel()).reshape(rows.shape)
        x = rows.double().numpy()
        scaled = z * np.linalg.norm(x, axis=-1, keepdims=True) / np.linalg.norm(z, axis=-1, keepdims=True)
        return torch.from_numpy(scaled).float()

    if site != "kv_cache":
        return replace(donor, activations={site: [drawn(x, l, site) for l, x in enumerate(donor.activations[site])]})
    cells = [Cells(drawn(c.keys, l, "k"), drawn(c.values, l, "v")) for l, c in enumerate(donor.cells)]
    return replace(donor, cells=cells)


def shuffled(model: ExplicitModel, donor: Donor, n_cells: int, seed: int, pair_id: str) -> Donor:
    """The `n_cells` cached cells in one random order for all layers, the first one kept; keys turn along."""
    order = torch.tensor(permutation(key64(seed, pair_id, "shuffled"), 1, n_cells - 1))
    turn = torch.arange(n_cells) - order
    cells = [Cells(model.rotate(l, c.keys[order], turn), c.values[order]) for l, c in enumerate(donor.cells)]
    return replace(donor, cells=cells)


def last_row(model: ExplicitModel, donor: Donor, n_cells: int) -> Donor:
    """The last of `n_cells` cached cells at each of their positions, and the last row of every site at each token."""
    last = torch.full((n_cells,), n_cells - 1)
    turn = torch.arange(n_cells) - last
    cells = [Cells(model.rotate(l, c.keys[last], turn), c.values[last]) for l, c in enumerate(donor.cells)]
    activations = {site: [x[-1:].expand_as(x) for x in xs] for site, xs in donor.activations.items()}
    return replace(donor, cells=cells, activations=activations)


@lru_cache(maxsize=8)
def mean(model: ExplicitModel, prompts: tuple[Prompt, ...]) -> Donor:
    """Mean over prompts of distinct text, right-aligned over the tokens that all have."""
    distinct = list({p.text: p for p in prompts if p.tokens}.values())
    length = min(len(p.tokens) for p in distinct)
    passes = [unpatched(model, p.tokens) for p in distinct]
    cells = []
    for layer in range(model.n_layers):
        keys, values = [], []
        for prompt, passed in zip(distinct, passes):
            own = passed.cells[layer]
            keys.append(model.rotate(layer, own.keys.double(), -torch.arange(len(prompt.tokens)))[-length:])
            values.append(own.values.double()[-length:])
        turned = model.rotate(layer, torch.stack(keys).mean(0), torch.arange(length))
        cells.append(Cells(turned.float(), torch.stack(values).mean(0).float()))
    return Donor(length, cells, {}, None)
