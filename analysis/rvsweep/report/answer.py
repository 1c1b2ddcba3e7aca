"""What the first screen says: one sentence from the primary outcome, and what limits it."""

import numpy as np

from rvsweep.data.diagnostics import reason_groups
from rvsweep.data.results import Results
from rvsweep.report.formatting import interval, number, p_value
from rvsweep.stats.overview import Overview
from rvsweep.stats.paired import PairedDifference
from rvsweep.stats.prompt_geometry import PromptGeometry

MOST_REASONS = 3  # named in the banner


def sentence(overview: Overview | None, geometry: PromptGeometry) -> str:
    """Of the arm that changes the primary outcome most, with its control; else of the prompts' geometry."""
    if overview is None:
        if geometry.log_r_v is None:
            return "No row and no prompt has a value that could be compared."
        found = geometry.log_r_v
        return (
            f"Nothing patched can be compared; ln R_V of source less base prompts is {_measured(found, '')}."
        )
    line, outcome = overview.largest.line, overview.table.outcome
    unit = "in ln R_V" if outcome.ratio else outcome.unit
    p = f", p {_p(line.p_max)} over all of them" if np.isfinite(line.p_max) else ""
    arms = len(overview.effects)
    who = (
        f"Of {arms} patched arms, {line.arm.label} differs most" if arms > 1 else f"{line.arm.label} differs"
    )
    text = f"{who} from {line.recipient.label} in “{outcome.title}”: {_measured(line.paired, unit)}{p if arms > 1 else ''}"
    if not overview.largest.control:
        return f"{text}; it has no control, so this may be the procedure rather than what the donor holds."
    control = overview.largest.control
    own = f"{number(control.effect.value)} {interval(control.effect)}"
    beyond = control.line.paired.difference
    return (
        f"{text}; its control {control.line.name} differs by {own}, "
        f"and the arm goes beyond it by {number(beyond.value)} {interval(beyond)} (n = {beyond.counted})."
    )


def _measured(paired: PairedDifference, unit: str) -> str:
    difference = paired.difference
    return f"{number(difference.value)} {unit} {interval(difference)} (n = {difference.counted})".replace(
        "  ", " "
    )


def _p(value: float) -> str:
    text = p_value(value)
    return text if text.startswith("<") else f"= {text}"


def row_limits(results: Results, counts: dict[str, int]) -> list[str]:
    """Rows that do not enter, with their commonest reasons; empty where all do."""
    lost = {name: counts[name] for name in ("refused", "failed") if counts[name]}
    total = sum(counts.values())
    found = []
    for name, n in lost.items():
        groups = [group for group in reason_groups(results) if group.status == name]
        reasons = "; ".join(f"{g.reason or 'no reason stored'} ({g.rows})" for g in groups[:MOST_REASONS])
        more = f"; and {len(groups) - MOST_REASONS} more reasons" if len(groups) > MOST_REASONS else ""
        who = f"All {total} rows {name}" if n == total else f"{n} of {total} rows {name}"
        found.append(f"{who}, and enter no number below: {reasons}{more}.")
    return found
