"""One row of every arm: which cells each fed token sees is a list made anew for it, with P repeated literally."""

from __future__ import annotations

import math
from collections.abc import Sequence, Set
from dataclasses import dataclass, field

import torch
from torch import Tensor

from donors import Donor, unpatched
from explicit_model import Cells, Edit, ExplicitModel, Pass, joined
from row_spec import Prompt, Refusal, RowSpec, Selection, keyword_tokens, select


@dataclass
class Proof:
    """What a patch wrote. Norms are over written values; `written` is that of the new values, as a scale."""

    cells_changed: int = 0
    cells_dropped: int = 0
    future_keys: int = 0
    squared_change: float = 0.0
    squared_written: float = 0.0

    def write(self, new: Tensor, old: Tensor) -> None:
        self.squared_change += float(((new.double() - old.double()) ** 2).sum())
        self.squared_written += float((new.double() ** 2).sum())

    @property
    def change_norm(self) -> float:
        return math.sqrt(self.squared_change)

    @property
    def written_norm(self) -> float:
        return math.sqrt(self.squared_written)


@dataclass
class Trajectory:
    """V rows are per layer [T, n_kv_heads*head_dim], patch included."""

    tokens: list[int] = field(default_factory=list)
    stop_reason: str = ""  # eos | length | forced_end
    steps: list[Tensor] = field(default_factory=list)  # logits [vocab] that each token was drawn from
    proof: Proof = field(default_factory=Proof)
    v_prompt: list[Tensor] = field(default_factory=list)  # the rows that the first step attends to, in their order
    v_fed: list[Tensor] = field(default_factory=list)  # of g_1 .. g_(N-1)
    v_refed: list[Tensor] | None = None  # entry=refeed: the row of the last token fed again
    first_residuals: list[Tensor] = field(default_factory=list)  # resid_post where g_1 is drawn, per layer [hidden]

    @property
    def logits(self) -> Tensor:
        return torch.stack(self.steps)


def run(
    model: ExplicitModel,
    row: RowSpec,
    recipient: Prompt,
    donor: Donor | None,
    max_new_tokens: int,
    stop_ids: Set[int] = frozenset(),
    forced: Sequence[int] | None = None,
) -> Trajectory | Refusal:
    """Greedy, or along `forced`. `recipient`: the prompt whose run is patched (after `direction`)."""
    if not recipient.tokens:
        return Refusal("empty prompt")
    if not row.patched:
        return decode_row(Plain(model, recipient), model, max_new_tokens, stop_ids, forced)
    if donor is None or donor.n_tokens == 0:
        return Refusal("empty donor")
    if row.kind == "kv_cache":
        if row.align == "rerotate" and not model.spec.rotates:
            return Refusal("nothing to rotate")
        chosen = selection(row, recipient, donor)
        if isinstance(chosen, Refusal):
            return chosen
        return decode_row(CachePatch(model, row, recipient, donor, chosen), model, max_new_tokens, stop_ids, forced)
    window = site_window(row, recipient, donor)
    if isinstance(window, Refusal):
        return window
    return decode_row(SitePatch(model, row, recipient, donor, window), model, max_new_tokens, stop_ids, forced)


def site_window(row: RowSpec, recipient: Prompt, donor: Donor) -> int | Refusal:
    """Number of rows that a forward-pass patch writes in the prompt."""
    longest = min(_window_end(recipient), donor.window_end)
    if longest >= row.window:
        return row.window
    return longest if row.window_policy == "shrink" else Refusal("prompt shorter than the window")


def selection(row: RowSpec, recipient: Prompt, donor: Donor) -> Selection | Refusal:
    n, m = len(recipient.tokens), donor.n_tokens
    held = 1 if row.entry == "hold_last" else 0
    if row.align == "matched" and n != m:
        return Refusal("align=matched of unequal lengths")
    whole = row.what == "kv" and row.heads is None and row.alpha == 1
    if row.positions == "all" and n != m and not whole:
        return Refusal("a mixture over all positions of unequal lengths")
    words = keyword_tokens(donor.prompt, row.words, m - held) if donor.prompt else []
    chosen = select(row.positions, n - held, m - held, words)
    return chosen if chosen.written else Refusal("no cell to write")


def _window_end(prompt: Prompt) -> int:
    return len(prompt.tokens) if prompt.window_end is None else prompt.window_end


def _flat(values: Tensor) -> Tensor:
    return values.flatten(1)


class Plain:
    """An unpatched run: `first` is what g_1 is drawn from, `feed` what each further token sees."""

    def __init__(self, model: ExplicitModel, recipient: Prompt):
        self.model, self.position = model, len(recipient.tokens)
        self.proof = Proof()
        self.first = unpatched(model, recipient.tokens)
        self.cells = list(self.first.cells)
        self.v_prompt = [_flat(c.values) for c in self.cells]
        self.v_refed = None

    def feed(self, token: int) -> Pass:
        passed = self.model.forward([token], [self.position], self.cells, self.edit())
        self.position += 1
        self.cells = [joined(pair) for pair in zip(self.cells, passed.cells)]
        return passed

    def edit(self) -> Edit | None:
        return None


class SitePatch(Plain):
    """The last rows of the prompt take the donor's inside the pass; persist: each fed token takes the last of them."""

    def __init__(self, model: ExplicitModel, row: RowSpec, recipient: Prompt, donor: Donor, window: int):
        self.model, self.row, self.position = model, row, len(recipient.tokens)
        self.proof = Proof()
        self.heads = list(range(model.spec.heads_of(row.kind)) if row.heads is None else row.heads)
        self.donor, self.donor_end = donor.activations[row.kind], donor.window_end
        end = _window_end(recipient)
        plain = unpatched(model, recipient.tokens).activations[row.kind]

        def in_prompt(site: str, layer: int, own: Tensor) -> Tensor:
            if site != row.kind or layer not in row.layers:
                return own
            rows = range(end - window, end)
            given = self.donor[layer][self.donor_end - window : self.donor_end]
            return self._write(own, rows, layer, given, plain[layer])

        self.first = model.forward(recipient.tokens, range(len(recipient.tokens)), None, in_prompt)
        self.cells = list(self.first.cells)
        self.v_prompt = [_flat(c.values) for c in self.cells]
        self.v_refed = None

    def _write(self, own: Tensor, rows: range, layer: int, given: Tensor, old: Tensor) -> Tensor:
        at = torch.tensor(rows)[:, None], torch.tensor(self.heads)
        new = own.clone()
        new[at] = (1 - self.row.alpha) * own[at] + self.row.alpha * given[:, self.heads]
        self.proof.write(new[at], old[at])
        self.proof.cells_changed += len(rows) * len(self.heads)
        return new

    def edit(self) -> Edit | None:
        if self.row.decode == "prefill":
            return None

        def in_decode(site: str, layer: int, own: Tensor) -> Tensor:
            if site != self.row.kind or layer not in self.row.layers:
                return own
            last = self.donor[layer][self.donor_end - 1]
            return self._write(own, range(1), layer, last[None], torch.zeros_like(own))

        return in_decode


class CachePatch:
    """Patched layers: P and what growth makes of it for each fed token; others: base's cells, then fed ones."""

    def __init__(self, model: ExplicitModel, row: RowSpec, recipient: Prompt, donor: Donor, chosen: Selection):
        self.model, self.row = model, row
        self.proof = Proof()
        n, held = len(recipient.tokens), 1 if row.entry == "hold_last" else 0
        self.n_cells, m_cells = n - held, donor.n_tokens - held
        self.position = self.n_cells  # of the token fed next
        shift = n - donor.n_tokens if row.align == "rerotate" and chosen.rotated else 0
        base = [c[: self.n_cells] for c in unpatched(model, recipient.tokens).cells]
        self.prompt_cells = [
            self.patched(l, base[l], donor.cells[l][:m_cells], shift, chosen) if l in row.layers else base[l]
            for l in range(model.n_layers)
        ]
        if "k" in row.what:
            self.proof.future_keys = sum(j + shift > self.position for j, _ in chosen.written)
        n_heads = model.n_kv_heads if row.heads is None else len(row.heads)
        self.proof.cells_changed = len(chosen.written) * len(row.layers) * n_heads
        self.proof.cells_dropped = chosen.dropped * len(row.layers) * n_heads
        self.fed: list[list[Cells]] = [[] for _ in range(model.n_layers)]
        self.first = self.feed(recipient.tokens[-1])
        rows = [_flat(c.values) for c in self.prompt_cells]
        own = [_flat(c.values) for c in self.first.cells]
        self.v_prompt = [torch.cat(both) for both in zip(rows, own)] if held else rows
        self.v_refed = None if held else own

    def patched(self, layer: int, base: Cells, donor: Cells, shift: int, chosen: Selection) -> Cells:
        row = self.row
        turned = self.model.rotate(layer, donor.keys, shift) if shift else donor.keys
        heads = list(range(self.model.n_kv_heads) if row.heads is None else row.heads)
        whole = row.positions == "all" and len(donor) != len(base)  # the donor's cells, as many as there are
        js, to = (torch.tensor(side) for side in zip(*chosen.written))
        inside = (to >= 0) & (to < len(base))
        at = (js if whole else to)[:, None], torch.tensor(heads)
        out = []
        for name, old, given in (("k", base.keys, turned), ("v", base.values, donor.values)):
            rows = (given if whole else old).clone()
            if name in row.what:
                before = torch.zeros_like(given[js])
                before[inside] = old[to[inside]]
                new = (1 - row.alpha) * before[:, heads] + row.alpha * given[js][:, heads]
                rows[at] = new
                self.proof.write(new, before[:, heads])
            out.append(rows)
        return Cells(*out)

    def _seen(self, layer: int) -> Cells:
        """What the token fed next sees beside itself."""
        fed = self.fed[layer]
        prompt = self.prompt_cells[layer]
        if layer not in self.row.layers or self.row.growth == "append":
            return joined([prompt, *fed])
        if self.row.growth == "frozen":
            return prompt
        return joined([*[prompt] * (len(fed) + 1), *fed])  # compound: the t-th fed token sees t copies

    def feed(self, token: int) -> Pass:
        seen = [self._seen(layer) for layer in range(self.model.n_layers)]
        passed = self.model.forward([token], [self.position], seen)
        self.position += 1
        for cells, own in zip(self.fed, passed.cells):
            cells.append(own)
        return passed


def decode_row(
    state: Plain | CachePatch,
    model: ExplicitModel,
    max_new_tokens: int,
    stop_ids: Set[int],
    forced: Sequence[int] | None,
) -> Trajectory:
    out = Trajectory(proof=state.proof, v_prompt=state.v_prompt, v_refed=state.v_refed)
    out.first_residuals = [x[-1].flatten() for x in state.first.activations["resid_post"]]
    fed: list[Pass] = []
    logits = state.first.logits
    while not out.stop_reason:
        token = int(logits.argmax()) if forced is None else int(forced[len(out.tokens)])
        out.tokens.append(token)
        out.steps.append(logits)
        if token in stop_ids:
            out.stop_reason = "eos"
        elif len(out.tokens) == max_new_tokens:
            out.stop_reason = "length"
        elif forced is not None and len(out.tokens) == len(forced):
            out.stop_reason = "forced_end"
        else:
            fed.append(state.feed(token))
            logits = fed[-1].logits
    width = model.n_kv_heads * state.first.cells[0].values.shape[-1]
    for layer in range(model.n_layers):
        rows = [_flat(passed.cells[layer].values) for passed in fed]
        out.v_fed.append(torch.cat(rows) if rows else torch.zeros(0, width))
    return out
