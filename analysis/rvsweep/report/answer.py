"""The first screen: one sentence from the primary outcome, its figure, what limits it, and the facts."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rvsweep.data import outcomes
from rvsweep.data.diagnostics import reason_groups
from rvsweep.data.results import Results
from rvsweep.data.settings import study_question, study_title, summary
from rvsweep.figures.drawing import Drawing
from rvsweep.figures.overview import MOST_RANKED, overview_figure
from rvsweep.report.formatting import interval, number, p_value
from rvsweep.report.sections import Sweep
from rvsweep.stats.outcome_table import OutcomeTable
from rvsweep.stats.overview import Overview
from rvsweep.stats.paired import FEWEST_RESAMPLED, PairedDifference
from rvsweep.stats.prompt_geometry import PromptGeometry
from rvsweep.stats.resampling import EXACT_SIGN_FLIP_PAIRS

MOST_REASONS = 3  # named in the banner


@dataclass(frozen=True)
class Head:
    """The first screen: question, answer, figure and limits; then the facts and the table at a glance."""

    few_prompts: ClassVar[int] = 12  # below this the report warns about its own intervals
    exact_pairs: ClassVar[int] = EXACT_SIGN_FLIP_PAIRS
    fewest_resampled: ClassVar[int] = FEWEST_RESAMPLED
    most_arms: ClassVar[int] = 14  # at a glance, for each of several outcomes
    glanced: ClassVar[tuple[str, ...]] = (
        "logit_diff",
        "logprob_source",
        "kl_first",
        "keyword_count",
        "r_v_generated",
    )

    title: str
    question: str
    registered: bool  # the primary outcome stands in the configuration
    answer: str
    figure: Drawing | None
    ranked: str  # which arms stand in the figure
    controlled: bool  # and whether some of them have a control
    limits: list[str]
    facts: list[tuple[str, str]]
    glance: list[OutcomeTable]


def head(sweep: Sweep) -> Head:
    """At a glance: the primary outcome, ratings and the main ones; of many arms the first, to keep it short."""
    results, found = sweep.results, sweep.overview
    primary, registered = outcomes.primary_outcome(results)
    names = (*results.ratings, *Head.glanced)
    glance = [t for t in sweep.tables if t.outcome == primary or t.outcome.name in names]
    glance.sort(key=lambda table: table.outcome != primary)
    short = all(len(table.lines) <= Head.most_arms for table in glance)
    return Head(
        title=study_title(results),
        question=study_question(results),
        registered=registered,
        answer=sentence(found, sweep.prompts),
        figure=found and overview_figure(found, sweep.colours, results.n_layers),
        ranked=_ranked(len(found.effects) if found else 0),
        controlled=bool(found and any(effect.control for effect in found.effects)),
        limits=measure_limits(sweep) + row_limits(results, sweep.counts),
        facts=summary(results, sweep.counts),
        glance=glance if short else glance[:1],
    )


def _ranked(arms: int) -> str:
    return f"The {MOST_RANKED} of {arms} arms that differ most" if arms > MOST_RANKED else "Each arm"


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


def measure_limits(sweep: Sweep) -> list[str]:
    """Where the sentence is about R_V: that raw, centred and corrected, or windows, disagree on it."""
    found = sweep.overview
    if found is None:
        told = sweep.prompts.disagreement
    else:
        name, arm = found.table.outcome.name, found.largest.line.arm
        spans = (arms for span, arms in sweep.row_windows.items() if name.startswith(f"r_v_{span}"))
        told = next((one.disagreement for arms in spans for one in arms if one.arm == arm), "")
    return [f"Raw, centred and corrected R_V disagree on this: {told}."] if told else []


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
