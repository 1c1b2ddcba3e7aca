"""Every control as the arm that it is of with some settings and the donor replaced, or a refusal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import donors
from donors import Donor
from explicit_model import ExplicitModel
from philox import key64, permutation
from row_spec import Pair, Prompt, Refusal, RowSpec

OF_SITES = ("self", "other_base", "other_source", "gaussian", "zero", "reverse", "random_layers")
SEVERAL = ("other_base", "other_source", "random_layers")  # a config may ask for NAME*K; copy k > 1 is called NAME:k
OF_KV_CACHE = (*OF_SITES, "full_swap", "filler", "shuffled", "mean", "wrong_band")


@dataclass(frozen=True)
class Study:
    """What controls draw on beside the pair itself."""

    model: ExplicitModel
    pairs: Sequence[Pair]
    seed: int
    filler: Prompt | None = None


@dataclass(frozen=True)
class Compiled:
    row: RowSpec
    recipient: Prompt
    donor: Donor | None


def compiled(study: Study, arm: RowSpec, pair: Pair, control: str | None = None) -> Compiled | Refusal:
    """What `run` takes for one row."""
    if not arm.patched:
        return Compiled(arm, pair.base if arm.kind == "base" else pair.source, None)
    control, _, copy = (control or "").partition(":")
    number = int(copy or 1)
    row = control_row(arm, control, study.model.n_layers, study.seed, number)
    if isinstance(row, Refusal):
        return row
    recipient, source = pair.roles(row.direction)
    if not recipient.tokens:
        return Refusal("empty prompt")
    donor = control_donor(study, row, pair, recipient, source, control, number)
    return donor if isinstance(donor, Refusal) else Compiled(row, recipient, donor)


def control_row(arm: RowSpec, control: str, n_layers: int, seed: int, number: int) -> RowSpec | Refusal:
    if control == "reverse":
        return replace(arm, direction=reversed_direction(arm.direction))
    if control == "full_swap":
        return RowSpec("kv_cache", tuple(range(n_layers)), arm.direction)
    if control == "wrong_band":
        width, first, end = len(arm.layers), min(arm.layers), max(arm.layers) + 1
        if width <= first:
            return replace(arm, layers=tuple(range(width)))
        if end <= n_layers - width:
            return replace(arm, layers=tuple(range(n_layers - width, n_layers)))
        return Refusal("no band of this width beside the arm's layers")
    if control == "random_layers":
        layers = drawn_layers(arm.layers, n_layers, seed, number)
        return replace(arm, layers=layers) if layers else Refusal("too few other sets of as many layers")
    return arm


def drawn_layers(layers: tuple[int, ...], n_layers: int, seed: int, number: int) -> tuple[int, ...] | None:
    """The `number`-th set of as many layers that is neither `layers` nor an earlier one."""
    found = [tuple(sorted(layers))]
    for draw in range(1000):
        order = permutation(key64(seed, "random_layers", layers_text(layers), 0, draw), 0, n_layers - 1)
        drawn = tuple(sorted(order[: len(layers)]))
        if drawn not in found:
            found.append(drawn)
        if len(found) > number:
            return drawn
    return None


def layers_text(layers: tuple[int, ...]) -> str:
    """As /arms/spec writes them: 3 for one layer, 2:5 for a run, joined by +."""
    runs: list[list[int]] = []
    for layer in sorted(layers):
        if runs and runs[-1][-1] == layer - 1:
            runs[-1].append(layer)
        else:
            runs.append([layer])
    return "+".join(f"{run[0]}" if len(run) == 1 else f"{run[0]}:{run[-1] + 1}" for run in runs)


def reversed_direction(direction: str) -> str:
    return "base_to_source" if direction == "source_to_base" else "source_to_base"


def control_donor(
    study: Study, row: RowSpec, pair: Pair, recipient: Prompt, source: Prompt, control: str, number: int
) -> Donor | Refusal:
    model = study.model
    if control == "self":
        return donors.of_prompt(model, recipient)
    if control in ("other_base", "other_source"):
        other = next_pair_prompt(study, pair, row.direction, recipient, control, number)
        return Refusal("no other pair's prompt differs") if other is None else _of(model, other)
    if control == "filler":
        if study.filler is None or len(study.filler.tokens) < len(source.tokens):
            return Refusal("the filler text is shorter than the donor")
        return _of(model, study.filler.cut(len(source.tokens)))
    if control == "mean":
        prompts = tuple(p.roles(row.direction)[1] for p in study.pairs)
        return donors.mean(model, prompts) if any(p.tokens for p in prompts) else Refusal("no donor prompt has a token")
    donor = _of(model, source)
    if isinstance(donor, Refusal):
        return donor
    if control == "gaussian":
        return donors.gaussian(donor, row.kind, study.seed, pair.id)
    if control == "shuffled":
        n_cells = donor.n_tokens - (1 if row.entry == "hold_last" else 0)
        return donors.shuffled(model, donor, n_cells, study.seed, pair.id) if n_cells else donor
    return donors.zeros(donor) if control == "zero" else donor


def _of(model: ExplicitModel, prompt: Prompt) -> Donor | Refusal:
    return donors.of_prompt(model, prompt) if prompt.tokens else Refusal("empty donor")


def next_pair_prompt(
    study: Study, pair: Pair, direction: str, recipient: Prompt, control: str, number: int
) -> Prompt | None:
    """Of the pairs in a random cyclic order: the next ones' prompts of that side, each text once and none the
    recipient's; the `number`-th of them."""
    order = permutation(key64(study.seed, "derangement"), 0, len(study.pairs) - 1)
    place = next(i for i, index in enumerate(order) if study.pairs[index].id == pair.id)
    found = {recipient.text: recipient}
    for step in range(1, len(order)):
        roles = study.pairs[order[(place + step) % len(order)]].roles(direction)
        other = roles[0 if control == "other_base" else 1]
        found.setdefault(other.text, other)
        if len(found) > number:
            return other
    return None
