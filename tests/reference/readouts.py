"""Read-outs of a row's trajectory: comparisons of logits with the unpatched run, traces of V, the logit lens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import entr
from torch import Tensor

from explicit_model import ExplicitModel
from reference_run import Trajectory


def kl(base_logits: Tensor, row_logits: Tensor) -> np.ndarray:
    """KL(base || row) in nats of logits [..., vocab], in float64."""
    p, q = (x.double().log_softmax(-1) for x in (base_logits, row_logits))
    return (p.exp() * (p - q)).sum(-1).numpy()


@dataclass(frozen=True)
class Forced:
    """Means over the tokens of a continuation that both the unpatched run and the row were fed."""

    kl: float
    logprob: float  # mean log-likelihood per token, row minus unpatched


def forced(unpatched: Trajectory, row: Trajectory) -> Forced:
    if unpatched.tokens != row.tokens:
        raise ValueError((unpatched.tokens, row.tokens))
    chosen = torch.tensor(row.tokens)[:, None]
    before, after = (x.logits.double().log_softmax(-1).gather(1, chosen) for x in (unpatched, row))
    return Forced(float(kl(unpatched.logits, row.logits).mean()), float((after - before).mean()))


def lse_difference(logits: Tensor, first: Sequence[int], second: Sequence[int]) -> float:
    """Log-sum-exp over one set of tokens minus that over another, of logits [vocab]."""
    x = logits.double()
    return float(x[list(first)].logsumexp(0) - x[list(second)].logsumexp(0))


def answer_readouts(logits: Tensor, source: Sequence[int], base: Sequence[int]) -> dict[str, float]:
    """Of the first tokens of both answers, logits [vocab]; NaN where an answer is unknown or both begin alike."""
    comparable = source and base and not set(source) & set(base)
    out = {"logit_diff": lse_difference(logits, source, base) if comparable else np.nan}
    p = logits.double().softmax(0)
    for side, tokens in (("source", source), ("base", base)):
        out[f"answer_prob_{side}"] = float(p[tokens].sum()) if tokens else np.nan
    return out


def rank_bounds(logits: Tensor, tokens: Sequence[int], error: float = 1e-3) -> tuple[int, int]:
    """Least and most tokens that may lie above the likeliest of `tokens` where logits err; -1 of no tokens."""
    if not tokens:
        return -1, -1
    best = logits[tokens].max()
    return int((logits > best + error).sum()), int((logits > best - error).sum())


def participation_ratio(rows: Tensor) -> float:
    energies = np.linalg.svd(rows.double().numpy(), compute_uv=False) ** 2
    return float(energies.sum() ** 2 / (energies**2).sum())


def step_trace(row: Trajectory, window: int) -> np.ndarray:
    """[L, N]: PR of the last `window` V rows as each generated token is drawn; NaN where there are fewer.

    The rows are those of the prompt and of every token fed since, the refed last prompt token of entry=refeed included.
    NaN too where they hold cells of the prompt that are replaced later.
    """
    trace = np.full((len(row.v_prompt), len(row.tokens)), np.nan)
    for layer, fed in enumerate(row.v_fed):
        refed = [row.v_refed[layer]] if row.v_refed else []
        start = torch.cat([row.v_prompt[layer], *refed])
        rows = torch.cat([start, fed])
        for step in range(len(row.tokens)):
            seen = rows[: len(start) + step]
            if step < row.replaced_at.get(layer, 0) and step + 1 < window:
                continue
            if len(seen) >= window:
                trace[layer, step] = participation_ratio(seen[-window:])
    return trace


def attention(row: Trajectory, n_kv_heads: int) -> dict[str, np.ndarray]:
    """[L, n_kv_heads] of the query that g_1 is drawn from: sums and entropies of its heads' attention, then means."""
    out: dict[str, list[np.ndarray]] = {name: [] for name in ("bos", "donor", "base", "fed", "entropy")}
    for weights, written in zip(row.attention, row.written):
        heads = weights.double().numpy().reshape(n_kv_heads, -1, weights.shape[-1])  # [KV heads, query heads of each, C]
        given = written.numpy()[:, None]
        masses = {
            "bos": heads[..., 0],
            "donor": np.where(given, heads, 0)[..., :-1].sum(-1),
            "base": np.where(given, 0, heads)[..., :-1].sum(-1),
            "fed": heads[..., -1],
            "entropy": entr(heads).sum(-1),
        }
        for name, of_heads in masses.items():
            out[name].append(of_heads.mean(-1))
    return {name: np.stack(layers) for name, layers in out.items()}


def nearest(state: np.ndarray, states: Mapping[tuple[int, ...], np.ndarray], own: tuple[int, ...]) -> float:
    """Euclidean distance from the nearest state but that of `own`."""
    return min(float(np.linalg.norm(state - of)) for tokens, of in states.items() if tokens != own)


def logit_lens(model: ExplicitModel, row: Trajectory, layer: int, count: int = 5) -> tuple[list[int], list[float]]:
    """The likeliest tokens after `layer` where g_1 is drawn, and their log-probabilities."""
    likely = model.unembed(row.first_residuals[layer]).double().log_softmax(-1).topk(count)
    return likely.indices.tolist(), likely.values.tolist()
