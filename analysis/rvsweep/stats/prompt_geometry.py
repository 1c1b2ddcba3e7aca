"""Experiment A: the prompts' own geometry, source against base, pair by pair."""

from dataclasses import dataclass

import numpy as np

from rvsweep.data.clusters import Clusters
from rvsweep.data.results import PROMPT_METRICS, R_V_KINDS, Results
from rvsweep.stats.multiplicity import MaxStatistic, max_statistic
from rvsweep.stats.pair_means import natural_log
from rvsweep.stats.paired import Estimate, PairedDifference, mean_band, mean_with_interval, paired_difference
from rvsweep.stats.resampling import Bootstrap
from rvsweep.stats.window_sweep import KINDS, WindowLine, by_window, disagreement, prompt_windows

METRIC_TITLES = {
    "pr": "Participation ratio (PR)",
    "pr_centred": "PR, centred",
    "pr_corrected": "PR, corrected",
    "effective_rank": "Effective rank (Roy & Vetterli)",
    "spectral_entropy": "Spectral entropy (nats)",
    "stable_rank": "Stable rank",
    "nuclear_ratio": "Nuclear ratio",
}


@dataclass(frozen=True)
class MetricLine:
    """One quantity, both prompts of a pair; means and SDs over the pairs that have both."""

    title: str
    layer: int | None  # None: of two layers
    source: Estimate
    base: Estimate
    paired: PairedDifference


@dataclass(frozen=True)
class LayerCurve:
    """Mean and 95 % band by layer, [L] each; `pairs` is [n, L], `counted` as Clusters.counted."""

    pairs: np.ndarray
    counted: str
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class PromptGeometry:
    """Source and base prompts of N pairs. The curves and pr_max are None without /prompts/pr."""

    r_v_source: np.ndarray  # [N], NaN where a prompt has no geometry
    r_v_base: np.ndarray  # [N]
    complete: np.ndarray  # [N] bool: both R_V finite
    lines: list[MetricLine]
    log_r_v: PairedDifference | None
    log_r_v_kinds: dict[str, PairedDifference]  # raw, centred, corrected, where the file has them
    windows: list[WindowLine]  # of a sweep that measured several
    pr_source: LayerCurve | None
    pr_base: LayerCurve | None
    pr_difference: LayerCurve | None
    pr_max: MaxStatistic | None  # of the difference, over layers
    tokens_source: np.ndarray | None  # [N]
    tokens_base: np.ndarray | None  # [N]
    missing_reasons: list[tuple[str, list[str]]]  # why geometry is NaN, ids of the prompts

    @property
    def n(self) -> int:
        """Pairs with R_V of both prompts."""
        return int(self.complete.sum())

    @property
    def disagreement(self) -> str:
        """Of raw, centred and corrected ln R_V, or of windows, on source less base; empty where they agree."""
        own = {kind: paired.difference for kind, paired in self.log_r_v_kinds.items()}
        return disagreement(by_window(self.windows) or own)

    def simultaneous_half_width(self) -> np.ndarray:
        """[L] of the band around pr_difference that holds every layer at once, from the max-statistic.

        NaN where the pairs are too few for one.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.abs(self.pr_max.critical * self.pr_difference.mean / self.pr_max.t)


def prompt_geometry(results: Results, bootstrap: Bootstrap) -> PromptGeometry:
    """Missing datasets of /prompts leave their fields empty."""
    source, base = results.pairs["source"], results.pairs["base"]
    nothing = np.full(len(results.prompts["id"]), np.nan)
    ratios = {name: results.prompts.get(name, nothing) for name in R_V_KINDS}
    ratios = {name: np.where(values > 0, values, np.nan) for name, values in ratios.items()}
    r_v = ratios["r_v"]
    complete = np.isfinite(r_v[source]) & np.isfinite(r_v[base])
    lines, kinds = [], {}
    if complete.any():
        lines.append(_line("R_V", None, r_v[source], r_v[base], results.clusters, bootstrap))
    for ending, kind in KINDS.items():
        logs, title = natural_log(ratios[f"r_v{ending}"]), "ln R_V" if kind == "raw" else f"ln R_V, {kind}"
        line = _line(title, None, logs[source], logs[base], results.clusters, bootstrap)
        if line.paired.n:
            lines.append(line)
            kinds[kind] = line.paired
    lines += _metric_lines(results, bootstrap)
    curves, pr_max = _pr_curves(results, bootstrap)
    tokens = results.prompts.get("n_tokens")
    used = np.concatenate([source, base])
    return PromptGeometry(
        r_v_source=r_v[source],
        r_v_base=r_v[base],
        complete=complete,
        lines=lines,
        log_r_v=kinds.get("raw"),
        log_r_v_kinds=kinds,
        windows=prompt_windows(results, bootstrap),
        pr_source=curves[0],
        pr_base=curves[1],
        pr_difference=curves[2],
        pr_max=pr_max,
        tokens_source=None if tokens is None else tokens[source],
        tokens_base=None if tokens is None else tokens[base],
        missing_reasons=_missing_reasons(results, used),
    )


def _metric_lines(results: Results, bootstrap: Bootstrap) -> list[MetricLine]:
    """Every per-layer metric at the early and the late layer, where a pair has it."""
    lines = []
    for name in PROMPT_METRICS:
        if name not in results.prompts:
            continue
        for layer in (results.early_layer, results.late_layer):
            values = results.prompts[name][:, layer]
            source, base = (values[results.pairs[role]] for role in ("source", "base"))
            lines.append(_line(METRIC_TITLES[name], layer, source, base, results.clusters, bootstrap))
    return [line for line in lines if line.paired.n]


def _pr_curves(
    results: Results, bootstrap: Bootstrap
) -> tuple[tuple[LayerCurve | None, ...], MaxStatistic | None]:
    """PR of source, base and their difference by layer, over the pairs that have both; the difference's test."""
    pr = results.prompts.get("pr")
    if pr is None:
        return (None, None, None), None
    source, base = (pr[results.pairs[role]] for role in ("source", "base"))
    both = np.isfinite(source).any(axis=1) & np.isfinite(base).any(axis=1)
    if not both.any():
        return (None, None, None), None
    first, second, clusters = source[both], base[both], results.clusters.of(both)
    curves = (
        LayerCurve(values, clusters.counted, *mean_band(values, clusters, bootstrap))
        for values in (first, second, first - second)
    )
    return tuple(curves), max_statistic(first - second, clusters, bootstrap)


def _line(
    title: str,
    layer: int | None,
    source: np.ndarray,
    base: np.ndarray,
    clusters: Clusters,
    bootstrap: Bootstrap,
) -> MetricLine:
    both = np.isfinite(source) & np.isfinite(base)
    return MetricLine(
        title=title,
        layer=layer,
        source=mean_with_interval(source[both], clusters.of(both), bootstrap),
        base=mean_with_interval(base[both], clusters.of(both), bootstrap),
        paired=paired_difference(source, base, clusters, bootstrap),
    )


def _missing_reasons(results: Results, used: np.ndarray) -> list[tuple[str, list[str]]]:
    grouped: dict[str, list[str]] = {}
    reasons = results.prompts.get("reason", [])
    for prompt in np.unique(used):
        if len(reasons) and reasons[prompt]:
            grouped.setdefault(reasons[prompt], []).append(results.prompts["id"][prompt])
    return list(grouped.items())
