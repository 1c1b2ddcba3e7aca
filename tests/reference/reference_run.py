"""One row of every arm: which cells each fed token sees is a list made anew for it, with P repeated literally."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, field

import torch
from torch import Tensor

from donors import Donor, unpatched
from explicit_model import Cells, Edit, ExplicitModel, Pass, joined
from row_spec import (
    Prompt,
    Refusal,
    RowSpec,
    Selection,
    keyword_tokens,
    named_span,
    select,
    select_span,
    select_tokens,
    span_tokens,
)


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
    proofs: list[Proof] = field(default_factory=list)  # of each patch
    v_prompt: list[Tensor] = field(default_factory=list)  # the rows that the last step attends to, in their order
    v_fed: list[Tensor] = field(default_factory=list)  # of g_1 .. g_(N-1)
    v_refed: list[Tensor] | None = None  # entry=refeed: the row of the last token fed again
    replaced_at: dict[int, int] = field(default_factory=dict)  # by layer: the step at which its prompt cells changed
    first_residuals: list[Tensor] = field(default_factory=list)  # resid_post where g_1 is drawn, per layer [hidden]
    sites: dict[str, list[Tensor]] = field(default_factory=dict)  # what each gave at the prompt, per layer [n, width]
    attention: list[Tensor] = field(default_factory=list)  # where g_1 is drawn, per layer [n_heads, C]
    # Per layer [n_kv_heads, C]: which of these cells a patch has written, the fed token's own (the last) left out.
    written: list[Tensor] = field(default_factory=list)

    @property
    def logits(self) -> Tensor:
        return torch.stack(self.steps)

    @property
    def proof(self) -> Proof:
        """Of all patches."""
        total = Proof()
        for proof in self.proofs:
            for name, value in vars(proof).items():
                setattr(total, name, getattr(total, name) + value)
        return total


def run(
    model: ExplicitModel,
    row: RowSpec,
    recipient: Prompt,
    donors: Sequence[Donor | None],
    max_new_tokens: int,
    stop_ids: Set[int] = frozenset(),
    forced: Sequence[int] | None = None,
) -> Trajectory | Refusal:
    """Greedy, or along `forced`. `recipient`: the prompt whose run is patched (after `direction`); a donor a patch."""
    if not recipient.tokens:
        return Refusal("empty prompt")
    state: Plain | Patched = Plain(model, recipient)
    if row.patched:
        sites, caches, proofs = [], [], []
        for patch, donor in zip(row.patches, donors, strict=True):
            if donor is None or donor.n_tokens == 0:
                return Refusal("empty donor")
            is_cache = patch.kind == "kv_cache"
            if is_cache and patch.align == "rerotate" and not model.spec.rotates:
                return Refusal("nothing to rotate")
            chosen = selection(patch, recipient, donor) if is_cache else site_selection(patch, recipient, donor)
            if isinstance(chosen, Refusal):
                return chosen
            proofs.append(Proof())
            if is_cache:
                caches.append(CachePatch(model, patch, recipient, donor, chosen, proofs[-1]))
            else:
                sites.append(SitePatch(model, patch, recipient, donor, chosen, proofs[-1]))
        state = Patched(model, row, recipient, sites, caches, proofs)
    return decode_row(state, model, max_new_tokens, stop_ids, forced)


def site_selection(row: RowSpec, recipient: Prompt, donor: Donor) -> Selection | Refusal:
    """Tokens of the prompt that a forward-pass patch writes."""
    if row.site_positions != "window":
        n, m = len(recipient.tokens), donor.n_tokens
        chosen = span_selection(row.site_positions, recipient, donor, n, m)
        if chosen is None:
            chosen = select_tokens(row.site_positions, n, m, keyword_tokens(donor.prompt, row.words, m))
        return chosen if chosen.written else Refusal("no token to write")
    end, donor_end = _window_end(recipient), donor.window_end
    length = min(row.window, end, donor_end)
    if length < row.window and row.window_policy == "refuse":
        return Refusal("prompt shorter than the window")
    return Selection(tuple((donor_end - d, end - d) for d in range(length, 0, -1)), 0, False)


def selection(row: RowSpec, recipient: Prompt, donor: Donor) -> Selection | Refusal:
    n, m = len(recipient.tokens), donor.n_tokens
    held = 1 if row.entry == "hold_last" else 0
    if row.align == "matched" and n != m:
        return Refusal("align=matched of unequal lengths")
    whole = row.what == "kv" and row.heads is None and row.alpha == 1
    if row.positions == "all" and n != m and not whole:
        return Refusal("a mixture over all positions of unequal lengths")
    chosen = span_selection(row.positions, recipient, donor, n - held, m - held)
    if chosen is None:
        words = keyword_tokens(donor.prompt, row.words, m - held) if donor.prompt else []
        chosen = select(row.positions, n - held, m - held, words)
    return chosen if chosen.written else Refusal("no cell to write")


def span_selection(positions: str, recipient: Prompt, donor: Donor, n_cells: int, m_cells: int) -> Selection | None:
    """None for other positions than a named span's."""
    name = named_span(positions)
    if name is None:
        return None
    given = span_tokens(donor.prompt, name, m_cells) if donor.prompt else []
    return select_span(positions, span_tokens(recipient, name, n_cells), given)


def _window_end(prompt: Prompt) -> int:
    return len(prompt.tokens) if prompt.window_end is None else prompt.window_end


def _flat(values: Tensor) -> Tensor:
    return values.flatten(1)


def _rows_of_sites(activations: dict[str, list[Tensor]], count: int | None = None) -> dict[str, list[Tensor]]:
    """Of the first `count` tokens."""
    return {site: [_flat(x[:count]) for x in layers] for site, layers in activations.items()}


class Plain:
    """An unpatched run: `first` is what g_1 is drawn from, `feed` what each further token sees."""

    def __init__(self, model: ExplicitModel, recipient: Prompt):
        self.model, self.position = model, len(recipient.tokens)
        self.proofs: list[Proof] = []
        self.first = unpatched(model, recipient.tokens)
        self.cells = list(self.first.cells)
        self.v_prompt = [_flat(c.values) for c in self.cells]
        self.v_refed = None
        self.replaced_at: dict[int, int] = {}
        self.sites = _rows_of_sites(self.first.activations)

    def written(self, layer: int) -> Tensor:
        return torch.zeros(self.model.n_kv_heads, len(self.v_prompt[layer]), dtype=torch.bool)

    def feed(self, token: int) -> Pass:
        passed = self.model.forward([token], [self.position], self.cells)
        self.position += 1
        self.cells = [joined(pair) for pair in zip(self.cells, passed.cells)]
        return passed


class SitePatch:
    """Some rows of the prompt take the donor's inside the pass; persist: each fed token takes the last of them.

    Step 0 is the prompt's own pass, its last token fed again too; step t feeds the t-th new token.
    """

    def __init__(
        self, model: ExplicitModel, row: RowSpec, recipient: Prompt, donor: Donor, chosen: Selection, proof: Proof
    ):
        self.row, self.proof = row, proof
        self.n = len(recipient.tokens)
        self.giver = {i: j for j, i in chosen.written}
        self.last_giver = self.giver[max(self.giver)]
        self.heads = list(range(model.spec.heads_of(row.kind)) if row.heads is None else row.heads)
        self.donor = donor.activations[row.kind]
        proof.cells_dropped = chosen.dropped * len(row.layers) * len(self.heads) * (row.from_step == 0)
        self.plain = unpatched(model, recipient.tokens).activations[row.kind]

    def edited(
        self, site: str, layer: int, own: Tensor, before: Tensor, tokens: range
    ) -> tuple[Tensor, Callable[[Tensor], None]]:
        """`own` [T, heads, size] of these tokens of the row, edited; n and more are generated.

        Then what proves it when it is given what stands there after all patches: against base where it replaces, else
        against what the site gave, `before`.
        """
        if site != self.row.kind or layer not in self.row.layers:
            return own, lambda final: None
        rows, given, old = [], [], []
        for place, i in enumerate(tokens):
            step, until = max(0, i - self.n + 1), self.row.until_step
            if step < self.row.from_step or (until is not None and step >= until):
                continue
            if i in self.giver:
                given.append(self.donor[layer][self.giver[i]])
                old.append(self.plain[layer][i])
            elif i >= self.n and self.row.decode == "persist":
                given.append(self.donor[layer][self.last_giver])
                old.append(torch.zeros_like(own[place]))
            else:
                continue
            rows.append(place)
        if not rows:
            return own, lambda final: None
        at = torch.tensor(rows)[:, None], torch.tensor(self.heads)
        new = own.clone()
        new[at] = self._changed(own[at], torch.stack(given)[:, self.heads])
        self.proof.cells_changed += len(rows) * len(self.heads)
        was = torch.stack(old)[:, self.heads] if self.row.op == "replace" else before[at]
        return new, lambda final: self.proof.write(final[at], was)

    def _changed(self, x: Tensor, d: Tensor) -> Tensor:
        row = self.row
        if row.op == "replace":
            linear = (1 - row.alpha) * x + row.alpha * d
            return torch.where(*on_sphere(x.double(), d.double(), row.alpha), linear) if row.mix == "spherical" else linear
        if row.op == "scale":
            return row.factor * x
        unit = torch.nn.functional.normalize(d.double(), dim=-1, eps=1e-30).float()
        if row.op == "project_out":
            return x - (x * unit).sum(-1, keepdim=True) * unit
        if isinstance(row.scale, str):
            return x + float(row.scale.removesuffix("n")) * x.norm(dim=-1, keepdim=True) * unit
        return x + row.scale * d


def on_sphere(x: Tensor, d: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Whether head vectors have an arc between them, and what lies there: norms mixed, the angle shared out."""
    x_norm, d_norm = x.norm(dim=-1, keepdim=True), d.norm(dim=-1, keepdim=True)
    angle = torch.acos(((x * d).sum(-1, keepdim=True) / (x_norm * d_norm)).clamp(-1, 1))
    toward = (torch.sin((1 - alpha) * angle) * x / x_norm + torch.sin(alpha * angle) * d / d_norm) / torch.sin(angle)
    return torch.sin(angle) > 1e-3, (((1 - alpha) * x_norm + alpha * d_norm) * toward).float()


class CachePatch:
    """`applied` puts the donor's cells into a layer's prompt cells."""

    def __init__(
        self, model: ExplicitModel, row: RowSpec, recipient: Prompt, donor: Donor, chosen: Selection, proof: Proof
    ):
        self.model, self.row, self.chosen, self.proof = model, row, chosen, proof
        n, held = len(recipient.tokens), 1 if row.entry == "hold_last" else 0
        m_cells = donor.n_tokens - held
        last_from, last_to = chosen.written[-1]
        self.shift = last_to - last_from if row.align == "rerotate" and chosen.rotated else 0
        self.donor = [cells[:m_cells] for cells in donor.cells]
        self.plain = [cells[: n - held] for cells in unpatched(model, recipient.tokens).cells]
        self.heads = list(range(model.n_kv_heads) if row.heads is None else row.heads)
        if "k" in row.what:
            proof.future_keys = sum(j + self.shift > n - held + row.at_step for j, _ in chosen.written)

    def places(self, count: int) -> list[int]:
        """Cells that it has written in a layer that now has so many."""
        return [j if self.row.positions == "all" and count == len(self.donor[0]) else i for j, i in self.chosen.written]

    def applied(self, base: Cells, layer: int) -> Cells:
        row, donor = self.row, self.donor[layer]
        if layer not in row.layers:
            return base
        turned = self.model.rotate(layer, donor.keys, self.shift) if self.shift else donor.keys
        n_heads = self.model.n_kv_heads if row.heads is None else len(row.heads)
        self.proof.cells_changed += len(self.chosen.written) * n_heads
        self.proof.cells_dropped += self.chosen.dropped * n_heads
        heads = self.heads
        whole = row.positions == "all" and len(donor) != len(base)  # the donor's cells, as many as there are
        js, to = (torch.tensor(side) for side in zip(*self.chosen.written))
        inside = (to >= 0) & (to < len(base))
        at = (js if whole else to)[:, None], torch.tensor(heads)
        out = []
        plain = self.plain[layer]
        sides = (("k", base.keys, turned, plain.keys), ("v", base.values, donor.values, plain.values))
        for name, old, given, own in sides:
            rows = (given if whole else old).clone()
            if name in row.what:
                before, unpatched_before = torch.zeros_like(given[js]), torch.zeros_like(given[js])
                before[inside], unpatched_before[inside] = old[to[inside]], own[to[inside]]
                new = (1 - row.alpha) * before[:, heads] + row.alpha * given[js][:, heads]
                rows[at] = new
                self.proof.write(new, unpatched_before[:, heads])
            out.append(rows)
        return Cells(*out)


class Patched:
    """Sites act in every pass, cache patches on the prompt's cells before the last token is fed (again).

    Layers of a cache patch: P and what growth makes of it for each fed token; others: the prompt's cells, then fed ones.
    """

    def __init__(
        self,
        model: ExplicitModel,
        row: RowSpec,
        recipient: Prompt,
        sites: Sequence[SitePatch],
        caches: Sequence[CachePatch],
        proofs: list[Proof],
    ):
        self.model, self.patched_sites, self.caches, self.proofs = model, sites, caches, proofs
        n, held = len(recipient.tokens), 1 if row.entry == "hold_last" else 0
        self.position = n - held  # of the token fed next
        self.token = n - 1  # which one that is, of the row's
        self.prompt_cells = self._prompt_cells(recipient.tokens)
        self.step, self.held = 0, held
        self.replaced_at: dict[int, int] = {}
        self.fed: list[list[Cells]] = [[] for _ in range(model.n_layers)]
        self.first = self.feed(recipient.tokens[-1])
        self.n_seen = [len(cells) for cells in self.prompt_cells]
        if held:
            first = _rows_of_sites(self.first.activations)
            self.sites = {site: [torch.cat(both) for both in zip(xs, first[site])] for site, xs in self.sites.items()}
        self.own = [_flat(c.values) for c in self.first.cells]
        self.v_refed = None if held else self.own

    @property
    def v_prompt(self) -> list[Tensor]:
        """As the last step has it."""
        rows = [_flat(c.values) for c in self.prompt_cells]
        return [torch.cat(both) for both in zip(rows, self.own)] if self.held else rows

    def _prompt_cells(self, tokens: Sequence[int]) -> list[Cells]:
        """Of the tokens before the one fed next, after the sites' patches."""
        where = range(self.position)
        if self.patched_sites and self.position > 0:
            passed = self.model.forward(tokens[: self.position], where, None, self._edit(where))
        else:
            passed = unpatched(self.model, tokens)
        self.sites = _rows_of_sites(passed.activations, self.position)
        return [cells[: self.position] for cells in passed.cells]

    def written(self, layer: int) -> Tensor:
        """As step 0 has them."""
        marks = torch.zeros(self.model.n_kv_heads, self.n_seen[layer] + 1, dtype=torch.bool)
        for cache in self.caches:
            if layer in cache.row.layers and cache.row.at_step == 0:
                for i in cache.places(self.n_seen[layer]):
                    marks[cache.heads, i] = True
        for patch in self.patched_sites:
            if patch.row.kind in ("k_proj", "v_proj") and layer in patch.row.layers and patch.row.from_step == 0:
                for i in patch.giver:
                    if i < self.n_seen[layer]:
                        marks[patch.heads, i] = True
        return marks

    def _edit(self, tokens: range) -> Edit:
        def edit(site: str, layer: int, own: Tensor) -> Tensor:
            proofs, before = [], own
            for patch in self.patched_sites:
                own, proof = patch.edited(site, layer, own, before, tokens)
                proofs.append(proof)
            for proof in proofs:
                proof(own)
            return own

        return edit

    def _seen(self, layer: int) -> Cells:
        """What the token fed next sees beside itself."""
        fed, prompt = self.fed[layer], self.prompt_cells[layer]
        growth = next((c.row.growth for c in self.caches if layer in c.row.layers), "append")
        if growth == "append":
            return joined([prompt, *fed])
        if growth == "frozen":
            return prompt
        return joined([*[prompt] * (len(fed) + 1), *fed])  # compound: the t-th fed token sees t copies

    def feed(self, token: int) -> Pass:
        for cache in self.caches:
            if cache.row.at_step == self.step:
                self.prompt_cells = [cache.applied(cells, layer) for layer, cells in enumerate(self.prompt_cells)]
                self.replaced_at |= {layer: self.step for layer in cache.row.layers}
        self.step += 1
        seen = [self._seen(layer) for layer in range(self.model.n_layers)]
        edit = self._edit(range(self.token, self.token + 1))
        passed = self.model.forward([token], [self.position], seen, edit)
        self.position += 1
        self.token += 1
        for cells, own in zip(self.fed, passed.cells):
            cells.append(own)
        return passed


def decode_row(
    state: Plain | Patched,
    model: ExplicitModel,
    max_new_tokens: int,
    stop_ids: Set[int],
    forced: Sequence[int] | None,
) -> Trajectory:
    out = Trajectory(proofs=state.proofs, v_refed=state.v_refed)
    out.first_residuals = [x[-1].flatten() for x in state.first.activations["resid_post"]]
    out.sites = state.sites
    out.attention = [weights[:, -1] for weights in state.first.attention]
    out.written = [state.written(layer) for layer in range(model.n_layers)]
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
    out.v_prompt, out.replaced_at = state.v_prompt, state.replaced_at
    width = model.n_kv_heads * state.first.cells[0].values.shape[-1]
    for layer in range(model.n_layers):
        rows = [_flat(passed.cells[layer].values) for passed in fed]
        out.v_fed.append(torch.cat(rows) if rows else torch.zeros(0, width))
    return out
