"""Experiments B and C: each arm against its unpatched recipient and against its own controls."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rvsweep.data.arms import Arm, controls_of
from rvsweep.data.outcomes import Outcome, has_values
from rvsweep.data.results import Results
from rvsweep.stats.control_copies import mean_of_copies
from rvsweep.stats.equivalence import Equivalence, Margin, tost
from rvsweep.stats.multiplicity import holm, max_statistic
from rvsweep.stats.pair_means import natural_log, per_pair_means
from rvsweep.stats.paired import (
    Estimate,
    PairedDifference,
    column_means,
    paired_difference,
    paired_differences,
    ratio,
    sample_sd,
    t_test_p,
    transfer_percents,
)
from rvsweep.stats.resampling import Bootstrap


@dataclass(frozen=True)
class ArmLine:
    """One arm and one outcome. `recipient` is the arm it is compared with: None for that arm itself.

    p_holm, p_max, p_max_sign_flip: adjusted for all patched arms of the outcome, by Holm and by the
    max-statistic; NaN where the arm was not tested.
    """

    arm: Arm
    rows_ok: int
    rows_missing: int  # ok rows without a value
    level: Estimate  # mean over pairs
    recipient: Arm | None
    paired: PairedDifference | None  # of logarithms for a ratio
    transfer: Estimate | None  # percent
    p_holm: float
    p_max: float
    p_max_sign_flip: float
    equivalence: Equivalence | None


@dataclass(frozen=True)
class ControlLine:
    """An arm less one of its controls, each as its difference to its own recipient.

    Of a control that was drawn several times (`other_base*4`), less each pair's mean over `copies`.
    """

    arm: Arm
    copies: tuple[Arm, ...]  # one, or several that were drawn
    paired: PairedDifference
    p_holm: float  # over all controls of all arms
    equivalence: Equivalence

    @property
    def name(self) -> str:
        """As the configuration asks for it: "other_base*4", also "other_base*4 of patch 2"."""
        word, _, patch = self.copies[0].control.partition(" ")
        return f"{word}*{len(self.copies)} {patch}".rstrip() if self.several else self.copies[0].control

    @property
    def label(self) -> str:
        return self.copies[0].label + (f", mean of {len(self.copies)}" if self.several else "")

    @property
    def several(self) -> bool:
        return len(self.copies) > 1


@dataclass(frozen=True)
class OutcomeTable:
    """One outcome of every arm, N pairs by A arms. `lines` leave controls out.

    The compared scale is that of the outcome, or its logarithm for a ratio.
    """

    outcome: Outcome
    values: np.ndarray  # [N, A] mean over a pair's samples, on the outcome's own scale
    compared: np.ndarray  # [N, A] the same on the compared scale
    differences: np.ndarray  # [N, A] arm - recipient on the compared scale, NaN for the recipient itself
    gap: PairedDifference | None  # source - base
    lines: list[ArmLine]
    controls: list[ControlLine]
    smallest_holm: float  # p that can be reached for the patched arms; 0 for pairs that share prompts
    smallest_holm_control: float


@dataclass(frozen=True)
class _Means:
    """What the lines of a table are computed from; arrays [N, A] as in OutcomeTable."""

    results: Results
    outcome: Outcome
    values: np.ndarray
    compared: np.ndarray

    def level_of(self, recipient: Arm) -> np.ndarray:
        """[N] what arms of `recipient` are compared with: 0 where values are differences to it already."""
        return np.zeros(len(self.compared)) if self.outcome.relative else self.compared[:, recipient.index]

    @cached_property
    def differences(self) -> np.ndarray:
        """[N, A] arm - recipient; an arm whose recipient did not run is all NaN."""
        found = np.full(self.compared.shape, np.nan)
        for arm in self.results.arms:
            recipient = self.results.recipient_of(arm)
            if recipient is not None and arm is not recipient:
                found[:, arm.index] = self.compared[:, arm.index] - self.level_of(recipient)
        return found

    def equivalence(self, paired: PairedDifference, values: np.ndarray, margin: Margin) -> Equivalence:
        """Of the mean of `values` [N]."""
        base, source = self.results.arm_of_kind("base"), self.results.arm_of_kind("source")
        gap = np.full(len(values), np.nan)
        if base and source:
            gap = self.compared[:, source.index] - self.level_of(base)
        return tost(paired.difference, values, gap, margin, self.results.clusters)


def differences_of(results: Results, outcome: Outcome) -> np.ndarray:
    """OutcomeTable's differences [N, A] alone."""
    return _means(results, outcome).differences


def _means(results: Results, outcome: Outcome) -> _Means:
    column = results.rows[outcome.name]
    values = per_pair_means(results, column)
    compared = per_pair_means(results, natural_log(column)) if outcome.ratio else values
    return _Means(results, outcome, values, compared)


def outcome_table(
    results: Results, outcome: Outcome, bootstrap: Bootstrap, margin: Margin
) -> OutcomeTable | None:
    """None where the file has no such column or no row has a value."""
    if not has_values(results, outcome.name):
        return None
    means = _means(results, outcome)
    values, compared = means.values, means.compared
    base, source = results.arm_of_kind("base"), results.arm_of_kind("source")
    gap = None
    if base and source:
        both = compared[:, source.index], compared[:, base.index]
        gap = paired_difference(*both, results.clusters, bootstrap)
    lines = _arm_lines(means, bootstrap, margin)
    controls = _control_lines(means, bootstrap, margin)
    arms = [line.paired for line in lines if np.isfinite(line.p_holm)]
    smallest = (_smallest_holm(found, bootstrap) for found in (arms, [line.paired for line in controls]))
    return OutcomeTable(outcome, values, compared, means.differences, gap, lines, controls, *smallest)


def _smallest_holm(family: list[PairedDifference], bootstrap: Bootstrap) -> float:
    """The p that the line with most pairs can reach by sign flips."""
    tests, n = len(family), max((one.n for one in family), default=0)
    if n < 2 or all(np.isnan(one.p_sign_flip) for one in family):
        return 0.0
    return min(1.0, tests * bootstrap.smallest_p(n, tests))


def _arm_lines(means: _Means, bootstrap: Bootstrap, margin: Margin) -> list[ArmLine]:
    results, clusters = means.results, means.results.clusters
    arms = [arm for arm in results.arms if not arm.control]
    levels = column_means(means.values[:, [arm.index for arm in arms]], clusters, bootstrap)
    paired, transfer = _against_recipients(means, arms, bootstrap), _transfers(means, arms, bootstrap)
    tested = [arm.index for arm in arms if arm.patched and arm.index in paired and not means.outcome.bounded]
    p_holm = dict(zip(tested, holm([paired[i].p for i in tested]), strict=True))
    joint = max_statistic(means.differences[:, tested], clusters, bootstrap)
    p_max, p_max_sign_flip = (
        dict(zip(tested, p.tolist(), strict=True)) for p in (joint.p, joint.p_sign_flip)
    )
    without_value = results.ok & ~np.isfinite(results.rows[means.outcome.name])
    ok, missing = (
        np.bincount(results.rows["arm"][chosen], minlength=len(results.arms))
        for chosen in (results.ok, without_value)
    )
    lines = []
    for arm, level in zip(arms, levels, strict=True):
        one = paired.get(arm.index)
        equivalence = None
        if one is not None and not means.outcome.bounded:
            equivalence = means.equivalence(one, means.differences[:, arm.index], margin)
        lines.append(
            ArmLine(
                arm=arm,
                rows_ok=int(ok[arm.index]),
                rows_missing=int(missing[arm.index]),
                level=level,
                recipient=None if one is None else results.recipient_of(arm),
                paired=one,
                transfer=transfer.get(arm.index) if arm.patched else None,
                p_holm=float(p_holm.get(arm.index, np.nan)),
                p_max=p_max.get(arm.index, np.nan),
                p_max_sign_flip=p_max_sign_flip.get(arm.index, np.nan),
                equivalence=equivalence,
            )
        )
    return lines


def _against_recipients(means: _Means, arms: list[Arm], bootstrap: Bootstrap) -> dict[int, PairedDifference]:
    """By index of the arm: its paired difference, where a pair has one."""
    recipients = [(arm, means.results.recipient_of(arm)) for arm in arms]
    chosen = [(arm.index, recipient) for arm, recipient in recipients if recipient not in (None, arm)]
    if not chosen:
        return {}
    levels = np.column_stack([means.level_of(recipient) for _, recipient in chosen])
    compared = means.compared[:, [index for index, _ in chosen]]
    found = paired_differences(compared, levels, means.results.clusters, bootstrap)
    if means.outcome.bounded:
        found = [one.untested() for one in found]
    return {index: one for (index, _), one in zip(chosen, found, strict=True) if one.n}


def _transfers(means: _Means, arms: list[Arm], bootstrap: Bootstrap) -> dict[int, Estimate | None]:
    """By index of the arm: its transfer in percent."""
    found: dict[int, Estimate | None] = {}
    base, source = means.results.arm_of_kind("base"), means.results.arm_of_kind("source")
    for recipient, donor in ((base, source), (source, base)):
        from_source = recipient is source
        chosen = [arm.index for arm in arms if arm is not recipient and arm.donor_is_base == from_source]
        # Of a relative outcome only the gap seen from base is known: the source arm's own value.
        unknown = not means.outcome.transfer or (means.outcome.relative and from_source)
        if recipient is None or donor is None or unknown or not chosen:
            continue
        compared, donors = means.compared[:, chosen], means.compared[:, donor.index]
        level, clusters = means.level_of(recipient), means.results.clusters
        shares = transfer_percents(compared, level, donors, clusters, bootstrap.confidence)
        found |= dict(zip(chosen, shares, strict=True))
    return found


def _control_lines(means: _Means, bootstrap: Bootstrap, margin: Margin) -> list[ControlLine]:
    arms = means.results.arms
    drawn: dict[tuple[int, str], list[Arm]] = {}
    for index, found in controls_of(arms).items():
        for control in found:
            drawn.setdefault((index, control.control_drawn), []).append(control)
    pairs = [(arms[index], tuple(copies)) for (index, _), copies in drawn.items()]
    single = _less_single_controls(means, [pair for pair in pairs if len(pair[1]) == 1], bootstrap)
    compared = [single.get(pair) or _less_copies(means, *pair, bootstrap) for pair in pairs]
    p_holm = holm([paired.p for paired, _ in compared])
    lines = []
    for (arm, copies), (paired, values), p in zip(pairs, compared, p_holm, strict=True):
        if paired.n:
            drawn = len(copies) > 1 and margin.unit == "gap"  # Fieller's set knows nothing of the draw
            equivalence = (
                Equivalence(reason="drawn controls: in d_z alone")
                if drawn
                else means.equivalence(paired, values, margin)
            )
            lines.append(ControlLine(arm, copies, paired, float(p), equivalence))
    return lines


def _scale(means: _Means, arm: Arm, control: Arm) -> np.ndarray:
    """[N, A] on which they are compared: of one recipient it cancels, so a missing base arm does no harm."""
    return means.compared if arm.donor_is_base == control.donor_is_base else means.differences


def _less_single_controls(
    means: _Means, pairs: list[tuple[Arm, tuple[Arm, ...]]], bootstrap: Bootstrap
) -> dict[tuple[Arm, tuple[Arm, ...]], tuple[PairedDifference, np.ndarray]]:
    """Arm less control and the differences [N], for each of `pairs`."""
    if not pairs:
        return {}
    scales = [_scale(means, arm, control) for arm, (control,) in pairs]
    first = np.column_stack([scale[:, arm.index] for scale, (arm, _) in zip(scales, pairs, strict=True)])
    second = np.column_stack([s[:, control.index] for s, (_, (control,)) in zip(scales, pairs, strict=True)])
    found = paired_differences(first, second, means.results.clusters, bootstrap)
    return dict(zip(pairs, zip(found, (first - second).T, strict=True), strict=True))


def _less_copies(
    means: _Means, arm: Arm, copies: tuple[Arm, ...], bootstrap: Bootstrap
) -> tuple[PairedDifference, np.ndarray]:
    """Arm less each pair's mean over the copies, and these differences [N]."""
    scale = _scale(means, arm, copies[0])
    level, less = scale[:, arm.index], scale[:, [arm.index]] - scale[:, [copy.index for copy in copies]]
    values, difference = mean_of_copies(less, copies[0], means.results.clusters, bootstrap)
    rows = np.isfinite(values)
    mean_sd = (sample_sd(level[rows]) + sample_sd((level - values)[rows])) / 2
    d_z, d_av = ratio(difference.value, difference.sd), ratio(difference.value, mean_sd)
    return PairedDifference(difference, d_z, d_av, np.nan, t_test_p(difference), np.nan), values
