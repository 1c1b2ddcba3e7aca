"""The first screen: one sentence from the primary outcome, its figure, what limits it, and the facts."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from rvsweep.data import outcomes
from rvsweep.data.clusters import Clusters
from rvsweep.data.diagnostics import reason_groups
from rvsweep.data.results import Results
from rvsweep.data.settings import study_config, study_question, study_title, summary
from rvsweep.figures.drawing import Drawing
from rvsweep.figures.overview import MOST_RANKED, overview_figure
from rvsweep.report.formatting import interval, number, p_value
from rvsweep.report.sections import Sweep
from rvsweep.stats.outcome_table import OutcomeTable
from rvsweep.stats.overview import Overview
from rvsweep.stats.paired import FEWEST_RESAMPLED, NO_ESTIMATE, Estimate, PairedDifference
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
    answer: str
    chosen: str  # why this read-out
    basis: Estimate  # the pairs and prompts behind the answer
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
        answer=sentence(found, sweep.prompts),
        chosen=_chosen(study_config(results).last("study.primary"), registered, found is not None),
        basis=basis(sweep),
        figure=found and overview_figure(found, sweep.colours, results.n_layers),
        ranked=_ranked(len(found.effects) if found else 0),
        controlled=bool(found and any(effect.control for effect in found.effects)),
        limits=measure_limits(sweep) + design_limits(results.clusters) + row_limits(results, sweep.counts),
        facts=summary(results, sweep.counts),
        glance=glance if short else glance[:1],
    )


def _chosen(name: str | None, registered: bool, compared: bool) -> str:
    """Whether the answer is about the read-out that the configuration registers, and what it lacks where not."""
    if not name:
        usual = ", so this is the first usual one that the file has" if compared else ""
        return f"The configuration registers no primary read-out{usual}."
    if registered:
        return (
            "Primary read-out as registered."
            if compared
            else f"In the registered primary read-out, {name}, nothing patched can be compared."
        )
    usual = ", so this is the first usual one that has" if compared else ""
    return f"The registered primary read-out, {name}, has no value in this file{usual}."


def basis(sweep: Sweep) -> Estimate:
    """Of the sentence's own contrast, which has fewer pairs than were planned where rows have no value."""
    if sweep.overview:
        return sweep.overview.largest.line.paired.difference
    if sweep.prompts.log_r_v:
        return sweep.prompts.log_r_v.difference
    clusters = sweep.results.clusters
    return replace(NO_ESTIMATE, n=len(clusters.source), sources=clusters.sources, bases=clusters.bases)


def design_limits(clusters: Clusters) -> list[str]:
    """What the pairing leaves without meaning."""
    if not clusters.exchanged:
        return []
    return [
        "Every prompt is source of as many pairs as it is base of. So what belongs to a prompt alone (R_V of prompts, "
        "an unpatched text’s score) has a mean source less base of 0 by design: its interval and test say nothing."
    ]


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
        return (
            f"{text}; there is no control to compare it with, so this may be the procedure rather than what the "
            "donor holds."
        )
    control = overview.largest.control
    own = f"{number(control.effect.value)} {interval(control.effect)}"
    less = control.line.paired.difference
    return (
        f"{text}; its control {control.line.name} differs by {own}, "
        f"and the arm less its control by {number(less.value)} {interval(less)} (n = {less.counted})."
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
        told = ""
        for span, arms in sweep.row_windows.items():
            if name in (f"r_v_{span}", f"r_v_{span}_centred", f"r_v_{span}_corrected"):  # other sites' are not of V
                told = next((one.disagreement for one in arms if one.arm == arm), "")
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
