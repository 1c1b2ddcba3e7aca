"""What happened to the rows: their status, why some have no result, and whether each patch acted."""

from dataclasses import dataclass

import numpy as np

from rvsweep.data.arms import Arm
from rvsweep.data.results import OK, STATUSES, Results

PATCH_COLUMNS = ("cells_changed", "cells_dropped", "change_norm", "future_keys")


@dataclass(frozen=True)
class ArmStatus:
    arm: Arm
    counts: dict[str, int]  # by status


@dataclass(frozen=True)
class ReasonGroup:
    """Rows that share a status and a reason."""

    status: str
    reason: str
    rows: int
    arms: list[str]
    pairs: list[str]


@dataclass(frozen=True)
class Spread:
    """Minimum, median, maximum."""

    low: float
    median: float
    high: float


@dataclass(frozen=True)
class PatchLine:
    """Proof that an arm's patch fired, over its ok rows; None where the file has no value."""

    arm: Arm
    rows: int
    unchanged: int  # ok rows in which no value changed
    spreads: dict[str, Spread | None]


@dataclass(frozen=True)
class StopLine:
    """How an arm's ok rows ended."""

    arm: Arm
    rows: int
    eos: int
    length: int
    tokens: Spread | None  # n_generated
    short: int | None  # ok rows with fewer than W fed tokens: no generated window


def status_counts(results: Results, chosen: np.ndarray | slice = slice(None)) -> dict[str, int]:
    """Rows by status, of those `chosen` ([R] bool)."""
    counts = np.bincount(results.rows["status"][chosen], minlength=len(STATUSES))
    return {name: int(count) for name, count in zip(STATUSES, counts, strict=True)}


def status_by_arm(results: Results) -> list[ArmStatus]:
    arm_of_row = results.rows["arm"]
    return [ArmStatus(arm, status_counts(results, arm_of_row == arm.index)) for arm in results.arms]


def reason_groups(results: Results) -> list[ReasonGroup]:
    """Rows that are not ok and ok rows with a remark, by status and reason, the largest group first."""
    rows = results.rows
    grouped: dict[tuple[int, str], list[int]] = {}
    for row in np.flatnonzero((rows["status"] != OK) | (rows["reason"] != "")):
        grouped.setdefault((int(rows["status"][row]), rows["reason"][row]), []).append(row)
    groups = []
    for (status, reason), members in grouped.items():
        arms = dict.fromkeys(results.arms[arm].label for arm in rows["arm"][members])
        pairs = dict.fromkeys(results.pairs["id"][pair] for pair in rows["pair"][members])
        groups.append(ReasonGroup(STATUSES[status], reason, len(members), list(arms), list(pairs)))
    return sorted(groups, key=lambda group: -group.rows)


def patch_proof(results: Results) -> list[PatchLine]:
    """One line per patched arm; empty where the file has none of the columns."""
    if not any(name in results.rows for name in PATCH_COLUMNS):
        return []
    lines = []
    for arm in [arm for arm in results.arms if arm.patched]:
        members = results.ok & (results.rows["arm"] == arm.index)
        spreads = {name: _spread(results, name, members) for name in PATCH_COLUMNS}
        norm = results.rows.get("change_norm")
        unchanged = 0 if norm is None else int((norm[members] == 0).sum())
        lines.append(PatchLine(arm, int(members.sum()), unchanged, spreads))
    return lines


def stopping(results: Results) -> list[StopLine]:
    """How generation ended, by arm; empty where the file does not say."""
    if "stop_reason" not in results.rows:
        return []
    lines = []
    for arm in results.arms:
        members = results.ok & (results.rows["arm"] == arm.index)
        reasons = results.rows["stop_reason"][members]
        fed = results.rows.get("n_generated_v")
        lines.append(
            StopLine(
                arm=arm,
                rows=int(members.sum()),
                eos=int((reasons == "eos").sum()),
                length=int((reasons == "length").sum()),
                tokens=_spread(results, "n_generated", members),
                short=None if fed is None else int((fed[members] < results.window).sum()),
            )
        )
    return lines


def _spread(results: Results, name: str, members: np.ndarray) -> Spread | None:
    """Of a column of /rows over the rows `members` ([R] bool); None without a finite value."""
    values = results.rows[name][members] if name in results.rows else np.empty(0)
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    return Spread(float(values.min()), float(np.median(values)), float(values.max()))
