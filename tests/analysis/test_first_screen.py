"""The first screen: the study's own question, one sentence with its control, and what limits it."""

import re

import numpy as np
import pytest
from report_page import numbers, report_of
from scripts import ROOT
from synthetic_results import ARMS, CONFIG, Sweep, add_read_outs, layer_scan, set_status

from rvsweep.stats.overview import CONTROLS

OWN = CONFIG.replace("notebook.jsonl", "gardens.jsonl")
TITLED = OWN + "[study]\ntitle = Gardens\nquestion = Which layers carry the season?\nprimary = keyword_rate\n"


def flat(shown):
    return " ".join(shown.text.split())


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Page and path of a study of its own with controls; tests only read them."""
    folder = tmp_path_factory.mktemp("sea")
    options = {"pairs": 8, "samples": 1, "arms": layer_scan(), "attributes": {"config": OWN}}
    path = Sweep(**options, edit=strong).write(folder / "results.h5")
    return report_of(path, folder / "page.html")


def strong(columns):
    """kv 15:20 is the strongest arm, its gaussian control half as strong."""
    add_read_outs(columns)
    values = columns["rows/logprob_source"].reshape(8, -1)
    labels = list(columns["arms/label"])
    values[:, labels.index("kv 15:20")] += 9
    values[:, labels.index("kv 15:20 | gaussian")] += 4.5


def test_one_sentence_names_the_strongest_arm_its_interval_its_control_and_n(study):
    path, shown = study
    table = shown.table("logprob_source")
    row, tests = table["kv 15:20"], shown.table("logprob_source-tests")["kv 15:20"]
    against = {r[1]: r for r in shown.tables["logprob_source-controls"][1:]}["gaussian"]
    said = flat(shown)
    arms = len(table) - 3  # without heading, base and source
    assert (
        f"Of {arms} patched arms, kv 15:20 differs most from base in “Log-likelihood of source’s continuation”"
        in said
    )
    assert f"{row[5]} nats per token {row[6]} (n = 8), p = {tests[4]} over all of them" in said
    assert "its control gaussian differs by" in said
    assert f"and the arm less its control by {against[3]} {against[4]} (n = 8)." in said


def test_an_arm_is_compared_with_its_control_by_their_difference_whatever_their_signs(page):
    def edit(columns):
        strong(columns)
        values, labels = columns["rows/logprob_source"].reshape(8, -1), list(columns["arms/label"])
        values[:, labels.index("kv 15:20")] -= 18
        values[:, labels.index("kv 15:20 | gaussian")] -= 18

    _, shown = page(pairs=8, samples=1, arms=layer_scan(), edit=edit, attributes={"config": OWN})
    said = flat(shown)
    arm, control, less = (
        float(found.replace("−", "-"))
        for found in re.search(
            r"continuation”: (\S+) nats.*?its control gaussian differs by (\S+) .*?the arm less its control by (\S+) ",
            said,
        ).groups()
    )
    assert control < arm < 0 < less == pytest.approx(arm - control, abs=0.02) and "the arm goes beyond" not in said


def test_few_prompts_are_warned_of_with_the_interval_that_they_get(plain, study):
    for (_, shown), students in ((plain, True), (study, False)):  # 5 pairs and 8
        assert "few prompts, so intervals are wide" in flat(shown)
        assert ("So few give Student’s intervals" in flat(shown)) == students


def test_the_figure_holds_every_patched_arm_and_the_control(study):
    from test_study_sections import downloads

    _, shown = study
    lines = dict(downloads(shown))["overview.csv"].splitlines()
    assert len(lines) == 1 + len(shown.table("logprob_source")) - 3
    strongest = next(line for line in lines if line.startswith("kv 15:20,")).split(",")
    row = shown.table("logprob_source")["kv 15:20"]
    assert strongest[1] == "15:20" and float(strongest[2]) == pytest.approx(numbers(row[5])[0], abs=6e-3)
    assert strongest[6] == "kv 15:20 | gaussian"


def test_of_many_arms_the_figure_shows_those_that_differ_most(study):
    from test_study_sections import downloads

    _, shown = study
    lines = [line.split(",") for line in dict(downloads(shown))["overview.csv"].splitlines()[1:]]
    ranked = [line[0] for line in sorted(lines, key=lambda line: -abs(float(line[2])))]
    assert len(
        ranked
    ) == 15 and "The 14 of 15 arms that differ most: left the layers that it patches" in flat(shown)
    drawn = [label for label in re.findall(r">([^<>]*)</text>", shown.drawings()[0]) if label in ranked]
    assert drawn == ranked[:14]


def test_what_is_the_notebooks_stays_with_the_notebook(study, plain):
    _, own = study
    hidden = {"keyword_count", "keyword_rate", "recursive_paradox"}
    assert not hidden & set(own.tables) and not own.marks
    shown = own.text.partition("Configuration of the sweep")[0]  # the file's own words follow
    assert not [words for words in ("Experiment", "otebook", "eyword", "recursive") if words in shown]
    assert {"keyword_count", "keyword_rate"} <= set(plain[1].tables) and plain[1].marks
    assert "Experiment A · Geometry" in plain[1].text and "The notebook’s known traps" in plain[1].text


def test_a_notebook_preset_makes_the_study_the_notebooks(page):
    arms = (*layer_scan()[:4], ("b", "v_proj", "v_proj layers=24 decode=persist preset=notebook_b"))
    _, shown = page(arms=arms, samples=1, attributes={"config": OWN})
    assert "keyword_count" in shown.tables


def test_title_question_and_primary_come_from_the_configuration(page):
    _, shown = page(attributes={"config": TITLED})
    said = flat(shown)
    assert "Gardens" in said and "Which layers carry the season?" in said
    assert "Primary read-out as registered." in said and "in “Keyword rate”" in said
    assert "keyword_rate" in shown.tables and "keyword_count" not in shown.tables


@pytest.mark.parametrize(
    ("primary", "arms", "says"),
    [
        (
            "logit_diff",
            ARMS,
            "The registered primary read-out, logit_diff, has no value in this file, so this is the first usual one "
            "that has. Intervals",
        ),
        (
            "logit_diff",
            ARMS[:2],
            "The registered primary read-out, logit_diff, has no value in this file. Intervals",
        ),
        (
            "keyword_rate",
            ARMS[:2],
            "In the registered primary read-out, keyword_rate, nothing patched can be compared. Intervals",
        ),
        (
            None,
            ARMS,
            "The configuration registers no primary read-out, so this is the first usual one that the file has.",
        ),
        (None, ARMS[:2], "The configuration registers no primary read-out. Intervals"),
    ],
)
def test_it_says_why_it_is_about_this_read_out(page, primary, arms, says):
    config = OWN + (f"[study]\nprimary = {primary}\n" if primary else "")
    said = flat(page(samples=1, arms=arms, attributes={"config": config})[1])
    assert says in said and "as registered" not in said


def test_without_a_title_the_folder_and_the_arms_stand_for_it(study):
    path, shown = study
    assert path.parent.name in shown.text and "15 patched arms (kv_cache) on 8 prompt pairs" in flat(shown)


def test_an_arm_without_a_control_says_so(plain):
    assert "there is no control to compare it with, so this may be the procedure" in flat(plain[1])


def test_the_banner_counts_the_pairs_that_the_sentence_rests_on(page):
    def edit(columns):
        columns["rows/keyword_rate"].reshape(100, -1)[3:] = np.nan

    said = flat(page(pairs=100, samples=1, edit=edit, attributes={"config": TITLED})[1])
    assert "There are n = 3 pairs with a value here, of 100 in the study: few prompts" in said
    assert "sign-flip p that 3 pairs can give is 0.250" in said


def test_the_banner_counts_refused_and_failed_rows_with_their_reasons(page):
    def edit(columns):
        set_status(columns, [6, 7], 1, "too short")
        set_status(columns, [12], 2, "no change")

    said = flat(page(edit=edit)[1])
    assert "2 of 90 rows refused, and enter no number below: too short (2)." in said
    assert "1 of 90 rows failed, and enter no number below: no change (1)." in said


def test_the_banner_says_when_every_row_failed(page):
    def edit(columns):
        set_status(columns, np.arange(90), 2, "out of memory")

    assert "All 90 rows failed, and enter no number below: out of memory (90)." in flat(page(edit=edit)[1])


def test_a_divergence_is_answered_by_its_control_alone(page):
    config = OWN + "[study]\nprimary = kl_first\n"
    _, shown = page(pairs=8, samples=1, arms=layer_scan(), edit=strong, attributes={"config": config})
    said = flat(shown)
    assert "in “KL at the first token”" in said and "over all of them" not in said.split("At a glance")[0]


def test_known_answers_are_what_a_study_with_them_is_about(page):
    def with_answers(columns):
        strong(columns)
        arm = columns["rows/arm"]
        label = list(columns["arms/label"])
        columns["rows/logit_diff"] = np.select(
            [arm == label.index("source"), arm == label.index("kv 15:20")], [4.0, 2.0], -2.0
        )
        columns["rows/logit_diff"] += columns["rows/pair"] / 100
        columns["rows/answer_prob_source"] = np.where(columns["rows/logit_diff"] > 0, 0.75, 0.25)
        columns["rows/answer_rank_base"] = (columns["rows/logit_diff"] > 0).astype(np.int32)
        columns["rows/answer_in_text"] = (columns["rows/logit_diff"] > 3).astype(np.int32)

    options = {"pairs": 8, "samples": 1, "arms": layer_scan(), "attributes": {"config": OWN}}
    _, shown = page(edit=with_answers, **options)
    assert "kv 15:20 differs most from base in “Logit difference of the answers”" in flat(shown)
    row = shown.table("logit_diff")["kv 15:20"]
    assert numbers(row[5])[0] == 4.0
    transfer = next(cell for cell in row if "%" in cell)
    assert numbers(transfer)[0] == pytest.approx(67, abs=1)  # of the gap of 6
    assert {"answer_prob_source", "answer_rank_base", "answer_in_text"} <= shown.tables.keys()


def r_v_that_disagrees(columns) -> None:
    """Of arm 2: raw above the others', centred like theirs, corrected below."""
    random = np.random.default_rng(2)
    moved = (columns["rows/arm"] == 2) * 1.0
    for kind, shift in (("", moved), ("_centred", 0 * moved), ("_corrected", -moved)):
        columns[f"rows/r_v_prompt{kind}"] = np.exp(random.normal(shift, 0.05))


def test_a_first_sentence_about_r_v_says_whether_raw_centred_and_corrected_agree(page):
    primary = OWN + "[study]\nprimary = {}\n"
    for name, told in (("r_v_prompt", True), ("keyword_rate", False)):
        _, shown = page(pairs=20, edit=r_v_that_disagrees, attributes={"config": primary.format(name)})
        said = "disagree on this: raw above 0, centred undecided, corrected below 0." in flat(shown)
        assert said == told


def test_r_v_of_another_site_is_compared_as_a_ratio_and_is_not_said_to_be_of_v(page):
    def edit(columns):
        r_v_that_disagrees(columns)
        random, moved = np.random.default_rng(3), (columns["rows/arm"] == 2) * 1.0
        columns["rows/r_v_prompt_resid_pre"] = np.exp(2 * moved + random.normal(0, 0.01, len(moved)))

    config = OWN + "[study]\nprimary = r_v_prompt_resid_pre\n"
    said = flat(page(pairs=20, samples=1, edit=edit, attributes={"config": config})[1])
    assert "disagree on this" not in said
    assert float(re.search(r"in “r v prompt resid pre”: (\S+) in ln RV", said)[1]) == pytest.approx(2, abs=0.02)


def test_the_facts_name_the_end_of_the_window_and_the_repetition_penalty(page, plain):
    config = CONFIG.replace("late_layer = 24", "late_layer = 24\nwindow_end = user_end")
    config = config.replace("top_p = 1.0", "top_p = 1.0\nrepetition_penalty = 1.1")
    said = flat(page(samples=1, attributes={"config": config})[1])
    window = "last 16 positions up to the user’s last token"
    assert f"at the {window} of the prompt; RV is its participation ratio" in said  # the methods
    assert f"of the V block at the {window} of the prompt." in said  # the geometry of prompts
    assert said.count(window) == 3 and "user’s last token" not in flat(plain[1])
    assert "up to 50 tokens, temperature 0.7, repetition_penalty 1.1" in said  # the facts
    assert "up to 50 tokens at temperature 0.7, repetition_penalty 1.1" in said  # the methods
    assert "repetition_penalty" not in flat(plain[1])


def test_every_control_of_the_program_can_stand_beside_an_arm():
    text = (ROOT / "src/plan/control.cpp").read_text("utf-8")
    listed = text[text.index("array<ControlInfo") :]
    names = set(re.findall(r'\{\w+, "(\w+)"', listed)) - {"none", "reverse", "full_swap"}
    assert len(names) > 10 and names == set(CONTROLS)
