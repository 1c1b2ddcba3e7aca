"""Experiments B and C: each arm against its unpatched recipient and against its own controls."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from analysis.data.arms import Arm, controls_of
from analysis.data.outcomes import Outcome, has_values
from analysis.data.results import Results
from analysis.stats.equivalence import Equivalence, Margin, tost
from analysis.stats.multiplicity import holm, max_statistic
from analysis.stats.pair_means import natural_log, per_pair_means
from analysis.stats.paired import (
    Estimate,
    PairedDifference,
    column_means,
    paired_difference,
    paired_differences,
    transfer_percents,
)
from analysis.stats.resampling import Bootstrap


@dataclass(frozen=True)
class ArmLine:
    """One arm and one outcome. `recipient` is the arm it is compared with: None for that arm itself.

    p_holm, p_max: sign-flip p adjusted for all patched arms of the outcome, by Holm and by the
    max-statistic; NaN where the arm was not tested.
    """

    arm: Arm
    rows_ok: int
    rows_missing: int  # ok rows without a value
    level: Estimate  # mean over pairs
    recipient: Arm | None
    paired: PairedDifference | None  # of logarithms for a ratio
    transfer: Estimate | None  # percent; None where the gap's interval includes 0
    p_holm: float
    p_max: float
    equivalence: Equivalence | None


@dataclass(frozen=True)
class ControlLine:
    """An arm less one of its controls, each as its difference to its own recipient."""

    arm: Arm
    control: Arm
    paired: PairedDifference
    p_holm: float  # over all controls of all arms
    equivalence: Equivalence


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


@dataclass(frozen=True)
class _Means:
    """What the lines of a table are computed from; arrays [N, A] as in OutcomeTable."""

    results: Results
    outcome: Outcome
    values: np.ndarray
    compared: np.ndarray
    gap: PairedDifference | None

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


def outcome_table(
    results: Results, outcome: Outcome, bootstrap: Bootstrap, margin: Margin
) -> OutcomeTable | None:
    """None where the file has no such column or no row has a value."""
    if not has_values(results, outcome.name):
        return None
    column = results.rows[outcome.name]
    values = per_pair_means(results, column)
    compared = per_pair_means(results, natural_log(column)) if outcome.ratio else values
    base, source = results.arm_of_kind("base"), results.arm_of_kind("source")
    gap = None
    if base and source:
        gap = paired_difference(compared[:, source.index], compared[:, base.index], bootstrap)
    means = _Means(results, outcome, values, compared, gap)
    lines = _arm_lines(means, bootstrap, margin)
    controls = _control_lines(means, bootstrap, margin)
    return OutcomeTable(outcome, values, compared, means.differences, gap, lines, controls)


def _arm_lines(means: _Means, bootstrap: Bootstrap, margin: Margin) -> list[ArmLine]:
    results = means.results
    arms = [arm for arm in results.arms if not arm.control]
    levels = column_means(means.values[:, [arm.index for arm in arms]], bootstrap)
    paired, transfer = _against_recipients(means, arms, bootstrap)
    tested = [arm.index for arm in arms if arm.patched and arm.index in paired]
    p_holm = dict(zip(tested, holm([paired[i].p_sign_flip for i in tested]), strict=True))
    p_max = dict(zip(tested, max_statistic(means.differences[:, tested], bootstrap).p, strict=True))
    without_value = results.ok & ~np.isfinite(results.rows[means.outcome.name])
    ok, missing = (
        np.bincount(results.rows["arm"][chosen], minlength=len(results.arms))
        for chosen in (results.ok, without_value)
    )
    lines = []
    for arm, level in zip(arms, levels, strict=True):
        one = paired.get(arm.index)
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
                p_max=float(p_max.get(arm.index, np.nan)),
                equivalence=None if one is None else _equivalence(one, means.gap, margin),
            )
        )
    return lines


def _against_recipients(
    means: _Means, arms: list[Arm], bootstrap: Bootstrap
) -> tuple[dict[int, PairedDifference], dict[int, Estimate | None]]:
    """By index of the arm: its paired difference, where a pair has one, and its transfer in percent."""
    paired: dict[int, PairedDifference] = {}
    transfer: dict[int, Estimate | None] = {}
    base, source = means.results.arm_of_kind("base"), means.results.arm_of_kind("source")
    for recipient, donor in ((base, source), (source, base)):
        from_source = recipient is source
        chosen = [arm.index for arm in arms if arm is not recipient and arm.donor_is_base == from_source]
        if recipient is None or not chosen:
            continue
        compared, level = means.compared[:, chosen], means.level_of(recipient)
        found = paired_differences(compared, level[:, None], bootstrap)
        paired |= {index: one for index, one in zip(chosen, found, strict=True) if one.n}
        # Of a relative outcome only the gap seen from base is known: the source arm's own value.
        if donor is not None and means.outcome.transfer and not (means.outcome.relative and from_source):
            shares = transfer_percents(compared, level, means.compared[:, donor.index], bootstrap)
            transfer |= dict(zip(chosen, shares, strict=True))
    return paired, transfer


def _control_lines(means: _Means, bootstrap: Bootstrap, margin: Margin) -> list[ControlLine]:
    arms = means.results.arms
    pairs = [(arms[index], control) for index, found in controls_of(arms).items() for control in found]
    if not pairs:
        return []
    first, second = [], []
    for arm, control in pairs:
        # Of one recipient: it cancels, so a missing base arm does no harm.
        scale = means.compared if arm.donor_is_base == control.donor_is_base else means.differences
        first.append(scale[:, arm.index])
        second.append(scale[:, control.index])
    found = paired_differences(np.column_stack(first), np.column_stack(second), bootstrap)
    p_holm = holm([one.p_sign_flip for one in found])
    return [
        ControlLine(arm, control, one, float(p), _equivalence(one, means.gap, margin))
        for (arm, control), one, p in zip(pairs, found, p_holm, strict=True)
        if one.n
    ]


def _equivalence(paired: PairedDifference, gap: PairedDifference | None, margin: Margin) -> Equivalence:
    difference = paired.difference
    return tost(difference.value, difference.sd, difference.n, margin.bound(difference.sd, gap))
