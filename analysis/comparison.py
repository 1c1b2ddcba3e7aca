"""Experiments B and C: each arm against its unpatched recipient and against its own controls."""

from dataclasses import dataclass

import numpy as np

from analysis.arms import Arm, controls_of
from analysis.equivalence import Equivalence, Margin, tost
from analysis.multiplicity import holm, max_statistic
from analysis.outcomes import Outcome, has_values
from analysis.resampling import Bootstrap
from analysis.results import Results
from analysis.statistics import (
    Estimate,
    PairedDifference,
    column_means,
    paired_difference,
    paired_differences,
    transfer_percents,
)


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
    """`values` [N, A]: mean over a pair's samples, on the outcome's own scale. `lines` leave controls out."""

    outcome: Outcome
    values: np.ndarray
    compared: np.ndarray  # [N, A] the same on the compared scale
    differences: np.ndarray  # [N, A] arm - recipient on the compared scale, NaN for the recipient itself
    lines: list[ArmLine]
    controls: list[ControlLine]
    gap: PairedDifference | None  # source - base


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
    differences = _differences(results.arms, outcome, compared, base, source)
    lines = _arm_lines(results, outcome, column, values, compared, gap, bootstrap, margin)
    controls = _control_lines(results.arms, compared, differences, gap, bootstrap, margin)
    return OutcomeTable(outcome, values, compared, differences, lines, controls, gap)


def _level_of(recipient: Arm, outcome: Outcome, compared: np.ndarray) -> np.ndarray:
    """[N] what an arm is compared with; nothing where its values are differences to the recipient already."""
    return np.zeros(len(compared)) if outcome.relative else compared[:, recipient.index]


def _differences(
    arms: list[Arm], outcome: Outcome, compared: np.ndarray, base: Arm | None, source: Arm | None
) -> np.ndarray:
    found = np.full(compared.shape, np.nan)
    for arm in arms:
        recipient = source if arm.donor_is_base else base
        if recipient is not None and arm is not recipient:
            found[:, arm.index] = compared[:, arm.index] - _level_of(recipient, outcome, compared)
    return found


def _arm_lines(
    results: Results, outcome: Outcome, column, values, compared, gap, bootstrap: Bootstrap, margin: Margin
) -> list[ArmLine]:
    arms = [arm for arm in results.arms if not arm.control]
    base, source = results.arm_of_kind("base"), results.arm_of_kind("source")
    levels = column_means(values[:, [arm.index for arm in arms]], bootstrap)
    paired: dict[int, PairedDifference] = {}
    transfer: dict[int, Estimate | None] = {}
    for recipient, donor in ((base, source), (source, base)):
        chosen = [
            arm.index for arm in arms if arm is not recipient and arm.donor_is_base == (recipient is source)
        ]
        if recipient is None or not chosen:
            continue
        of_recipient = _level_of(recipient, outcome, compared)[:, None]
        found = paired_differences(compared[:, chosen], of_recipient, bootstrap)
        paired |= {index: one for index, one in zip(chosen, found, strict=True) if one.n}
        # Of a relative outcome only the gap seen from base is known: the source arm's own value.
        if donor is not None and outcome.transfer and not (outcome.relative and recipient is source):
            shares = transfer_percents(
                compared[:, chosen], of_recipient[:, 0], compared[:, donor.index], bootstrap
            )
            transfer |= dict(zip(chosen, shares, strict=True))
    tested = [arm.index for arm in arms if arm.patched and arm.index in paired]
    adjusted = dict(zip(tested, holm([paired[i].p_sign_flip for i in tested]), strict=True))
    differences = _differences(results.arms, outcome, compared, base, source)[:, tested]
    largest = dict(zip(tested, max_statistic(differences, bootstrap).p, strict=True))
    ok = np.bincount(results.rows["arm"][results.ok], minlength=len(results.arms))
    missing = np.bincount(results.rows["arm"][results.ok & ~np.isfinite(column)], minlength=len(results.arms))
    lines = []
    for arm, level in zip(arms, levels, strict=True):
        one = paired.get(arm.index)
        lines.append(
            ArmLine(
                arm=arm,
                rows_ok=int(ok[arm.index]),
                rows_missing=int(missing[arm.index]),
                level=level,
                recipient=None if one is None else (source if arm.donor_is_base else base),
                paired=one,
                transfer=transfer.get(arm.index) if arm.patched else None,
                p_holm=float(adjusted.get(arm.index, np.nan)),
                p_max=float(largest.get(arm.index, np.nan)),
                equivalence=None if one is None else _equivalence(one, gap, margin),
            )
        )
    return lines


def _control_lines(
    arms: list[Arm], compared, differences, gap, bootstrap: Bootstrap, margin: Margin
) -> list[ControlLine]:
    pairs = [(arms[index], control) for index, found in controls_of(arms).items() for control in found]
    if not pairs:
        return []
    first, second = [], []
    for arm, control in pairs:
        # Of one recipient: it cancels, so a missing base arm does no harm.
        scale = compared if arm.donor_is_base == control.donor_is_base else differences
        first.append(scale[:, arm.index])
        second.append(scale[:, control.index])
    found = paired_differences(np.column_stack(first), np.column_stack(second), bootstrap)
    adjusted = holm([one.p_sign_flip for one in found])
    return [
        ControlLine(arm, control, one, float(p), _equivalence(one, gap, margin))
        for (arm, control), one, p in zip(pairs, found, adjusted, strict=True)
        if one.n
    ]


def _equivalence(paired: PairedDifference, gap: PairedDifference | None, margin: Margin) -> Equivalence:
    difference = paired.difference
    return tost(difference.value, difference.sd, difference.n, margin.bound(difference.sd, gap))


def natural_log(values: np.ndarray) -> np.ndarray:
    """ln of what is positive, NaN elsewhere."""
    return np.log(np.where(values > 0, values, np.nan))


def per_pair_means(results: Results, column: np.ndarray) -> np.ndarray:
    """[N, A] mean over the finite samples of each pair and arm; NaN where there is none.

    A column [R, L] gives [N, A, L].
    """
    shape = (len(results.pairs["id"]), len(results.arms), *column.shape[1:])
    cells = results.rows["pair"].astype(np.int64) * len(results.arms) + results.rows["arm"]
    columns = column.reshape(len(column), -1)
    found = np.full((shape[0] * shape[1], columns.shape[1]), np.nan)
    for at, values in enumerate(columns.T):
        kept = np.isfinite(values)
        count = np.bincount(cells[kept], minlength=len(found))
        total = np.bincount(cells[kept], weights=values[kept], minlength=len(found))
        np.divide(total, count, out=found[:, at], where=count > 0)
    return found.reshape(shape)
