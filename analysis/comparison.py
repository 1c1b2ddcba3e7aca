"""Experiments B and C: every read-out of the rows by arm, and each arm against its unpatched recipient."""

from dataclasses import dataclass

import numpy as np

from analysis.results import Arm, Results
from analysis.statistics import (
    Bootstrap,
    Estimate,
    PairedDifference,
    mean_with_interval,
    paired_difference,
    transfer_percent,
)


@dataclass(frozen=True)
class Outcome:
    """A column of /rows and how it is compared."""

    name: str
    title: str
    unit: str
    explanation: str
    ratio: bool  # R_V: differences are taken between logarithms


BEHAVIOUR = (
    Outcome(
        "keyword_count",
        "Notebook keywords per text",
        "of the notebook’s 24",
        "How many of the notebook’s 24 keywords occur in the generated text at least once, "
        "also inside longer words: its own score.",
        ratio=False,
    ),
    Outcome(
        "keyword_rate",
        "Keyword rate",
        "per 100 words",
        "Whole words that are keywords, per 100 generated words; every occurrence counts.",
        ratio=False,
    ),
)
GEOMETRY = (
    Outcome(
        "r_v_prompt",
        "R_V, prompt window",
        "PR late / PR early",
        "The row’s own V at the last W prompt positions, patch included.",
        ratio=True,
    ),
    Outcome(
        "r_v_generated",
        "R_V, generated window",
        "PR late / PR early",
        "The row’s own V at the last W generated tokens that were fed, patch included.",
        ratio=True,
    ),
    Outcome(
        "r_v_reencoded",
        "R_V, text read again",
        "PR late / PR early",
        "Unpatched forward pass over prompt + space + generated text, as in the notebook’s "
        "Experiment C: what was written, not what the patched run computed.",
        ratio=True,
    ),
)
NOTEBOOK_R_V = Outcome(  # only where a notebook preset ran
    "r_v_notebook",
    "R_V, notebook’s hook order",
    "PR late / PR early",
    "What the notebook printed as “R_V after patching”: captured before the patch acts. "
    "Shown to reproduce it; it says nothing about the patch.",
    ratio=True,
)


@dataclass(frozen=True)
class ArmLine:
    """One arm and one outcome. `recipient` is the arm it is compared with: None for that arm itself."""

    arm: Arm
    rows_ok: int
    rows_missing: int  # ok rows without a value
    level: Estimate  # mean over pairs
    recipient: Arm | None
    paired: PairedDifference | None  # of logarithms for a ratio
    transfer: Estimate | None  # percent; None where the gap's interval includes 0


@dataclass(frozen=True)
class OutcomeTable:
    """`values` [N, A]: mean over a pair's samples, on the outcome's own scale."""

    outcome: Outcome
    values: np.ndarray
    differences: np.ndarray  # [N, A] arm - recipient on the compared scale, NaN for the recipient itself
    lines: list[ArmLine]
    gap: PairedDifference | None  # source - base


def outcome_table(results: Results, outcome: Outcome, bootstrap: Bootstrap) -> OutcomeTable | None:
    """None where the file has no such column or no row has a value."""
    column = results.rows.get(outcome.name)
    if column is None or column.dtype == object or not np.isfinite(column).any():
        return None
    values = per_pair_means(results, column)
    with np.errstate(divide="ignore", invalid="ignore"):
        compared = per_pair_means(results, np.log(column)) if outcome.ratio else values
    base, source = results.arm_of_kind("base"), results.arm_of_kind("source")
    gap = None
    if base and source:
        gap = paired_difference(compared[:, source.index], compared[:, base.index], bootstrap)

    differences = np.full(values.shape, np.nan)
    lines = []
    for arm in results.arms:
        recipient, donor = (source, base) if arm.donor_is_base else (base, source)
        if arm is recipient:
            recipient = None
        of_arm = results.ok & (results.rows["arm"] == arm.index)
        paired = transfer = None
        if recipient is not None:
            differences[:, arm.index] = compared[:, arm.index] - compared[:, recipient.index]
            paired = paired_difference(compared[:, arm.index], compared[:, recipient.index], bootstrap)
            if donor is not None and arm is not donor:
                transfer = transfer_percent(
                    *(compared[:, a.index] for a in (arm, recipient, donor)), bootstrap
                )
        lines.append(
            ArmLine(
                arm=arm,
                rows_ok=int(of_arm.sum()),
                rows_missing=int((of_arm & ~np.isfinite(column)).sum()),
                level=mean_with_interval(values[:, arm.index], bootstrap),
                recipient=recipient,
                paired=paired if paired and paired.n else None,
                transfer=transfer,
            )
        )
    return OutcomeTable(outcome, values, differences, lines, gap)


def per_pair_means(results: Results, column: np.ndarray) -> np.ndarray:
    """[N, A] mean over the finite samples of each pair and arm; NaN where there is none."""
    shape = (len(results.pairs["id"]), len(results.arms))
    kept = np.isfinite(column)
    cells = (results.rows["pair"][kept], results.rows["arm"][kept])
    total, count = np.zeros(shape), np.zeros(shape)
    np.add.at(total, cells, column[kept])
    np.add.at(count, cells, 1)
    return np.divide(total, count, out=np.full(shape, np.nan), where=count > 0)
