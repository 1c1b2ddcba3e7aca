"""Which columns of /rows are outcomes, and how each is compared."""

from dataclasses import dataclass

import numpy as np

from rvsweep.data.results import Results
from rvsweep.data.settings import is_notebook, study_config


@dataclass(frozen=True)
class Outcome:
    """A column of /rows and how it is compared."""

    name: str
    title: str
    unit: str
    explanation: str
    ratio: bool = False  # R_V: differences are taken between logarithms
    transfer: bool = True  # a share of the gap source - base has a meaning
    figures: bool = True  # False: its table alone
    relative: bool = False  # already a difference to the unpatched recipient: one figure is enough
    bounded: bool = False  # below by its null: only differences between arms are tested

    @property
    def counts_keywords(self) -> bool:
        return self.name in ("keyword_count", "keyword_rate")


LOGITS = (
    Outcome(
        "logit_diff",
        "Logit difference of the answers",
        "nats",
        "Logit of the answer to source less that of the answer to base, where the first token is drawn: "
        "above 0, source’s answer is the likelier one.",
    ),
    Outcome(
        "answer_prob_source",
        "Probability of source’s answer",
        "",
        "Of its first token, or of all first tokens of a list, where the first token is drawn.",
    ),
    Outcome(
        "answer_prob_base",
        "Probability of base’s answer",
        "",
        "The same of base’s answer: it falls where a patch carries source over.",
    ),
    Outcome(
        "answer_rank_source",
        "Rank of source’s answer",
        "tokens likelier",
        "How many tokens are likelier than source’s answer where the first token is drawn; 0: none.",
        figures=False,
    ),
    Outcome(
        "answer_rank_base",
        "Rank of base’s answer",
        "tokens likelier",
        "The same of base’s answer.",
        figures=False,
    ),
    Outcome(
        "lse_difference",
        "Recursive over task tokens",
        "nats",
        "Log-sum-exp of the recursive token set less that of the task token set, where the first token is drawn.",
    ),
    Outcome(
        "logprob_source",
        "Log-likelihood of source’s continuation",
        "nats per token",
        "Mean log-likelihood of the greedy unpatched continuation of source, row minus unpatched recipient: "
        "above 0, the patch makes source’s text likelier. Where source is the recipient (reverse, "
        "base_to_source), this is base’s continuation: always the other prompt’s.",
        relative=True,
    ),
    Outcome(
        "logprob_base",
        "Log-likelihood of base’s continuation",
        "nats per token",
        "The same along base’s own greedy continuation: below 0, the patch makes base’s text less likely. "
        "Always the recipient’s own.",
        relative=True,
    ),
    Outcome(
        "kl_first",
        "KL at the first token",
        "nats",
        "KL(unpatched recipient || row) where the first token is drawn: how far the patch moves the "
        "distribution, whichever way.",
        transfer=False,
        relative=True,
        bounded=True,
    ),
    Outcome(
        "kl_forced_source",
        "KL along source’s continuation",
        "nats",
        "The mean of that KL over source’s (the other prompt’s) greedy continuation, fed to both.",
        transfer=False,
        figures=False,
        relative=True,
        bounded=True,
    ),
    Outcome(
        "kl_forced_base",
        "KL along base’s continuation",
        "nats",
        "The mean of that KL over base’s (the recipient’s own) greedy continuation, fed to both.",
        transfer=False,
        figures=False,
        relative=True,
        bounded=True,
    ),
)
BEHAVIOUR = (
    Outcome(
        "answer_in_text",
        "Texts with source’s answer",
        "share of texts",
        "Whether the generated text holds source’s answer as it is written.",
    ),
    Outcome(
        "keyword_count",
        "Notebook keywords per text",
        "of the notebook’s 24",
        "How many of the notebook’s 24 keywords occur in the generated text at least once, "
        "also inside longer words: its own score.",
    ),
    Outcome(
        "keyword_rate",
        "Keyword rate",
        "per 100 words",
        "Whole words that are keywords, per 100 generated words; every occurrence counts.",
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
        "Unpatched forward pass over prompt + space + generated text: what was written, not what the "
        "patched run computed.",
        ratio=True,
    ),
)
LESS_BIASED_R_V = tuple(
    Outcome(
        f"r_v_{window}_{kind}",
        f"R_V, {window} window, {kind}",
        "PR late / PR early",
        about,
        ratio=True,
        figures=False,
    )
    for window in ("prompt", "generated")
    for kind, about in (
        ("centred", "The same V less the mean of its W rows."),
        (
            "corrected",
            "That with the bias of W rows corrected (Chun et al. 2025), as if rows were independent.",
        ),
    )
)
NOTEBOOK_R_V = Outcome(  # only where a notebook preset ran
    "r_v_notebook",
    "R_V, notebook’s hook order",
    "PR late / PR early",
    "What the notebook printed as “R_V after patching”: captured before the patch acts. "
    "Shown to reproduce it; it says nothing about the patch.",
    ratio=True,
)
# Titles of groups of outcomes, in the order of the report.
HEADINGS = {"Logits": LOGITS, "Behaviour": BEHAVIOUR, "Geometry": (*GEOMETRY, *LESS_BIASED_R_V, NOTEBOOK_R_V)}
KNOWN = tuple(outcome for listed in HEADINGS.values() for outcome in listed)
# Of the notebook's question alone: its words, its token sets, its regex families, its hook order.
_NOTEBOOKS = ("keyword_count", "keyword_count_new", "keyword_rate", "lse_difference", "r_v_notebook")
_FAMILIES = ("recursive_", "technical_")
# Where none is registered: continuous measures first.
_PRIMARY = ("logit_diff", "logprob_source", "lse_difference", "r_v_generated", "r_v_prompt", "kl_first")
# Facts about a row rather than outcomes of it.
_FACTS = {
    "row_id", "pair", "arm", "sample", "status", "n_generated", "n_generated_v",
    "cells_changed", "cells_dropped", "change_norm", "future_keys",
}  # fmt: skip


def further_outcomes(results: Results) -> list[Outcome]:
    """Every other number of /rows, named and explained by the file: regex families, copying, R_V of other sites."""
    known = {outcome.name for outcome in KNOWN} | _FACTS
    notes = {note.path: note for note in results.datasets}
    found = []
    for name, values in sorted(results.rows.items()):
        if name in known or values.dtype.kind != "f":
            continue
        note = notes.get(f"/rows/{name}")
        if note is None:
            continue
        unit = "" if note.units == "1" else note.units
        title = name.replace("_", " ")
        ratio = name.startswith("r_v_")  # of further sites
        found.append(Outcome(name, title, unit, note.description, ratio=ratio, figures=False))
    return found


def reported_outcomes(results: Results) -> list[Outcome]:
    """all_outcomes without those that answer the notebook's question alone, where the study asks another."""
    config = study_config(results)
    own_families = config.last("readouts.families") not in (None, "builtin")

    def kept(name: str) -> bool:
        if name == config.last("study.primary") or name in results.ratings:
            return True
        return name not in _NOTEBOOKS and (own_families or not name.startswith(_FAMILIES))

    found = all_outcomes(results)
    return found if is_notebook(results) else [outcome for outcome in found if kept(outcome.name)]


def primary_outcome(results: Results) -> tuple[Outcome | None, bool]:
    """The outcome that the first screen answers with, and whether the configuration registered it."""
    found = {outcome.name: outcome for outcome in reported_outcomes(results)}
    registered = study_config(results).last("study.primary")
    if registered in found:
        return found[registered], True
    usual = (name for name in (*results.ratings, *_PRIMARY, *found) if name in found)
    name = next(usual, None)
    return found.get(name), False


def rating_outcomes(names: list[str]) -> list[Outcome]:
    return [Outcome(name, f"Rating: {name}", "rating", "Mean over raters of this rating.") for name in names]


def all_outcomes(results: Results) -> list[Outcome]:
    """Every outcome that has a value in some row, the continuous logit measures first."""
    listed = (*rating_outcomes(results.ratings), *KNOWN, *further_outcomes(results))
    return [outcome for outcome in listed if has_values(results, outcome.name)]


def has_values(results: Results, name: str) -> bool:
    """Whether /rows has numbers of this name with a value in some row."""
    column = results.rows.get(name)
    return column is not None and column.dtype.kind == "f" and bool(np.isfinite(column).any())
