"""Experiment A: the prompts' own geometry, source against base, pair by pair."""

from dataclasses import dataclass

import numpy as np

from analysis.comparison import natural_log
from analysis.multiplicity import MaxStatistic, max_statistic
from analysis.resampling import Bootstrap
from analysis.results import PROMPT_METRICS, Results
from analysis.statistics import (
    Estimate,
    PairedDifference,
    mean_band,
    mean_with_interval,
    paired_difference,
)

METRIC_TITLES = {
    "pr": "Participation ratio (PR)",
    "effective_rank": "Effective rank (Roy & Vetterli)",
    "spectral_entropy": "Spectral entropy (nats)",
    "stable_rank": "Stable rank",
    "nuclear_ratio": "Nuclear ratio",
}


@dataclass(frozen=True)
class MetricLine:
    """One quantity, both prompts of a pair; means and SDs over the pairs that have both."""

    title: str
    layer: int | None
    source: Estimate
    base: Estimate
    paired: PairedDifference


@dataclass(frozen=True)
class LayerCurve:
    """Mean and 95 % band by layer, [L] each; `pairs` is [n, L]."""

    pairs: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class ExperimentA:
    """r_v_* are [N], NaN where a prompt has no geometry; the curves are None without /prompts/pr."""

    r_v_source: np.ndarray
    r_v_base: np.ndarray
    complete: np.ndarray  # [N] bool: both R_V finite
    lines: list[MetricLine]
    log_r_v: PairedDifference | None
    pr_source: LayerCurve | None
    pr_base: LayerCurve | None
    pr_difference: LayerCurve | None
    pr_max: MaxStatistic | None  # of the difference, over layers
    tokens_source: np.ndarray | None
    tokens_base: np.ndarray | None
    missing_reasons: list[tuple[str, list[str]]]  # why geometry is NaN, prompt ids
    shared_prompts: bool  # some prompt stands in several pairs

    @property
    def n(self) -> int:
        return int(self.complete.sum())


def experiment_a(results: Results, bootstrap: Bootstrap) -> ExperimentA:
    source, base = results.pairs["source"], results.pairs["base"]
    nothing = np.full(len(results.prompts["id"]), np.nan)
    r_v = results.prompts.get("r_v", nothing)
    r_v = np.where(r_v > 0, r_v, np.nan)  # a ratio of participation ratios, each at least 1
    complete = np.isfinite(r_v[source]) & np.isfinite(r_v[base])

    lines, log_line = [], None
    if complete.any():
        r_v_line = _line("R_V", None, r_v[source], r_v[base], bootstrap)
        log_line = _line("ln R_V", None, natural_log(r_v[source]), natural_log(r_v[base]), bootstrap)
        lines += [r_v_line, log_line]
    for name in PROMPT_METRICS:
        if name not in results.prompts:
            continue
        for layer in (results.early_layer, results.late_layer):
            values = results.prompts[name][:, layer]
            line = _line(METRIC_TITLES[name], layer, values[source], values[base], bootstrap)
            if line.paired.n:
                lines.append(line)

    curves, pr_max = (None, None, None), None
    if "pr" in results.prompts:
        pr = results.prompts["pr"]
        both = np.isfinite(pr[source]).any(axis=1) & np.isfinite(pr[base]).any(axis=1)
        if both.any():
            first, second = pr[source][both], pr[base][both]
            curves = tuple(_curve(values, bootstrap) for values in (first, second, first - second))
            pr_max = max_statistic(first - second, bootstrap)

    tokens = results.prompts.get("n_tokens")
    used = np.concatenate([source, base])
    return ExperimentA(
        r_v_source=r_v[source],
        r_v_base=r_v[base],
        complete=complete,
        lines=lines,
        log_r_v=log_line.paired if log_line else None,
        pr_source=curves[0],
        pr_base=curves[1],
        pr_difference=curves[2],
        pr_max=pr_max,
        tokens_source=None if tokens is None else tokens[source],
        tokens_base=None if tokens is None else tokens[base],
        missing_reasons=_missing_reasons(results, used),
        shared_prompts=len(np.unique(used)) < len(used),
    )


def _line(title, layer, source: np.ndarray, base: np.ndarray, bootstrap: Bootstrap) -> MetricLine:
    both = np.isfinite(source) & np.isfinite(base)
    return MetricLine(
        title=title,
        layer=layer,
        source=mean_with_interval(source[both], bootstrap),
        base=mean_with_interval(base[both], bootstrap),
        paired=paired_difference(source, base, bootstrap),
    )


def _curve(values: np.ndarray, bootstrap: Bootstrap) -> LayerCurve:
    return LayerCurve(values, *mean_band(values, bootstrap))


def _missing_reasons(results: Results, used: np.ndarray) -> list[tuple[str, list[str]]]:
    grouped: dict[str, list[str]] = {}
    reasons = results.prompts.get("reason", [])
    for prompt in np.unique(used):
        if len(reasons) and reasons[prompt]:
            grouped.setdefault(reasons[prompt], []).append(results.prompts["id"][prompt])
    return list(grouped.items())
