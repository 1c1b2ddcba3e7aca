"""The page: its numbers against an independent computation, and what it must never do."""

import itertools

import h5py
import numpy as np
import pytest
import scipy.stats
from report_page import numbers
from synthetic_results import ARMS, remove_rows, set_status


def pair_means(file, column, arm, transform=np.asarray):
    """[N] by a loop: mean over the finite samples of ok rows."""
    rows = {name: file[f"rows/{name}"][...] for name in ("pair", "arm", "status")}
    rows[column] = transform(file[f"rows/{column}"][...])
    means = []
    for pair in range(len(file["pairs/id"])):
        values = [
            v
            for p, a, s, v in zip(rows["pair"], rows["arm"], rows["status"], rows[column], strict=True)
            if (p, a, s) == (pair, arm, 0) and np.isfinite(v)
        ]
        means.append(np.mean(values) if values else np.nan)
    return np.array(means)


def students_interval(values):
    return scipy.stats.ttest_1samp(values, 0).confidence_interval(0.95)


def test_metrics_table_holds_the_paired_statistics(plain):
    path, shown = plain
    rows = {(row[0], row[1]): row[2:] for row in shown.tables["metrics"][1:]}
    assert len(rows) == 12
    with h5py.File(path) as file:
        source, base = file["pairs/source"][...], file["pairs/base"][...]
        columns = {("RV", "L24 / L4"): file["prompts/r_v"][...]}
        columns["ln RV", "L24 / L4"] = np.log(file["prompts/r_v"][...])
        for title, name in (("Participation ratio (PR)", "pr"), ("Nuclear ratio", "nuclear_ratio")):
            for layer in (4, 24):
                columns[title, f"L{layer}"] = file[f"prompts/{name}"][:, layer]
    for key, values in columns.items():
        first, second = values[source], values[base]
        d = first - second
        n, mean_source, mean_base, difference, interval, d_z, d_av, p = rows[key]
        assert n == "5"
        assert numbers(mean_source) == pytest.approx([first.mean(), np.std(first, ddof=1)], abs=6e-3)
        assert numbers(mean_base) == pytest.approx([second.mean(), np.std(second, ddof=1)], abs=6e-3)
        assert numbers(difference) == pytest.approx([d.mean()], abs=6e-4)
        assert numbers(interval) == pytest.approx(list(students_interval(d)), abs=6e-3)
        assert numbers(d_z) == pytest.approx([d.mean() / np.std(d, ddof=1)], abs=6e-3)
        assert numbers(p) == pytest.approx([exact_p(d)], abs=6e-4)


def exact_p(differences):
    sums = [abs(np.dot(s, differences)) for s in itertools.product((-1, 1), repeat=len(differences))]
    return np.mean(np.array(sums) >= abs(differences.sum()) - 1e-12)


@pytest.mark.parametrize("column", ["keyword_count", "keyword_rate", "r_v_prompt", "r_v_generated"])
def test_outcome_tables_average_samples_first_and_pair_with_base(plain, column):
    path, shown = plain
    table = shown.table(column)
    assert list(table)[1:] == [arm[0] for arm in ARMS]
    with h5py.File(path) as file:
        by_arm = [pair_means(file, column, arm) for arm in range(len(ARMS))]
        scale = np.log if column.startswith("r_v") else np.asarray
        logs = [pair_means(file, column, arm, scale) for arm in range(len(ARMS))]
        rows_nan = [
            int((~np.isfinite(file[f"rows/{column}"][...]) & (file["rows/arm"][...] == arm)).sum())
            for arm in range(len(ARMS))
        ]
    gap = logs[1] - logs[0]
    for arm, (label, _, _) in enumerate(ARMS):
        pairs, missing, mean, sd, interval, difference, d_interval, d_z, p, transfer = table[label]
        values = by_arm[arm][np.isfinite(by_arm[arm])]
        assert pairs == str(len(values))
        assert missing == f"{rows_nan[arm]} of 15"
        assert numbers(mean) == pytest.approx([values.mean()], abs=6e-3)
        assert numbers(sd) == pytest.approx([np.std(values, ddof=1)], abs=6e-3)
        assert numbers(interval) == pytest.approx(list(students_interval(values)), rel=2e-3, abs=6e-3)
        if arm == 0:
            assert {difference, d_interval, d_z, p, transfer} == {"–"}
            continue
        d = (logs[arm] - logs[0])[np.isfinite(logs[arm] - logs[0])]
        assert numbers(difference) == pytest.approx([d.mean()], abs=6e-3)
        assert numbers(d_z) == pytest.approx([d.mean() / np.std(d, ddof=1)], rel=2e-3, abs=6e-4)
        assert numbers(p) == pytest.approx([exact_p(d)], abs=6e-4)
        if arm == 1:
            assert transfer == "–"
        elif np.prod(np.sign(students_interval(gap))) < 0:
            assert transfer == "unbounded"
        else:
            assert numbers(transfer)[0] == pytest.approx(100 * d.mean() / gap.mean(), abs=1)


def test_transfer_is_unbounded_without_a_gap(page):
    _, shown = page(effect=(0.4,) * 6, seed=11)
    table = shown.table("keyword_count")
    assert [table[arm[0]][-1] for arm in ARMS[2:]] == ["unbounded"] * 4
    assert "unbounded where the gap is not established; the gap source − base is" in shown.text


def test_arms_of_the_other_direction_are_compared_with_source(page):
    arms = (*ARMS[:2], ("back", "kv_cache", "kv_cache layers=16:30 direction=base_to_source"))
    path, shown = page(arms=arms, effect=(0.1, 0.8, 0.7))
    with h5py.File(path) as file:
        base, source, back = (pair_means(file, "keyword_count", arm) for arm in range(3))
    row = shown.table("keyword_count")["back"]
    assert numbers(row[5]) == pytest.approx([(back - source).mean()], abs=6e-3)
    assert numbers(row[9])[0] == pytest.approx(100 * (back - source).mean() / (base - source).mean(), abs=1)


def test_refused_and_failed_rows_are_listed_and_left_out(page):
    def edit(columns):
        set_status(columns, [6, 7, 8], 1, "v_proj needs 16 tokens")
        set_status(columns, [12], 2, "the patch changed nothing")
        set_status(columns, [89], 3, "")

    _, shown = page(edit=edit)
    reasons = shown.tables["reasons"][1:]
    assert reasons[0] == ["refused", "v_proj needs 16 tokens", "3", ARMS[2][0], "pair-01"]
    assert ["failed", "the patch changed nothing", "1", ARMS[4][0], "pair-01"] in reasons
    assert ["pending", "not computed yet", "1", ARMS[5][0], "pair-05"] in reasons
    assert shown.table("status")["All"] == ["85", "3", "1", "1"]
    assert shown.table("keyword_count")[ARMS[2][0]][:2] == ["4", "0 of 12"]
    assert "Partial. 89 of 90 rows are done" in " ".join(shown.text.split())


def test_prompts_without_geometry_leave_their_pair_out_of_experiment_a(page):
    def edit(columns):
        for name in ("r_v", "pr", "effective_rank", "spectral_entropy", "stable_rank", "nuclear_ratio"):
            columns[f"prompts/{name}"][2] = np.nan
        columns["prompts/reason"][2] = "9 tokens, the window needs 16"

    _, shown = page(edit=edit)
    assert {row[2] for row in shown.tables["metrics"][1:]} == {"4"}
    assert (
        "9 tokens, the window needs 16 (s2). Their pairs are left out of this section: n = 4 of 5."
        in " ".join(shown.text.split())
    )


def test_early_ends_are_counted(plain):
    path, shown = plain
    with h5py.File(path) as file:
        short = (file["rows/n_generated_v"][...] < 16) & (file["rows/arm"][...] == 0)
        eos = (file["rows/stop_reason"].asstr()[...] == "eos") & (file["rows/arm"][...] == 0)
    base = shown.table("stopping")["base"]
    assert short.any() and (base[1], base[4]) == (str(eos.sum()), str(short.sum()))


def test_patch_proof_lists_patched_arms_only(page):
    def edit(columns):
        columns["rows/change_norm"][6] = 0.0

    _, shown = page(edit=edit)
    table = shown.table("proof")
    assert list(table)[1:] == [arm[0] for arm in ARMS[2:]]
    assert table[ARMS[4][0]][1] == "420" and table[ARMS[4][0]][4] == "6"
    assert table[ARMS[2][0]][-1] == "1" and table[ARMS[4][0]][-1] == "0"


def test_keyword_counts_that_disagree_with_the_texts_are_reported(page):
    def edit(columns):
        columns["rows/keyword_count"][3] += 1

    _, shown = page(edit=edit)
    assert "agree with the stored count in 89 of 90 rows" in shown.text


def test_texts_show_prompts_marks_and_facts(page):
    def edit(columns):
        columns["rows/text"][0] = "Stir the dough. Notice itself."
        columns["prompts/text"][5] = "A unique base prompt"

    _, shown = page(edit=edit)
    assert "A unique base prompt" in shown.text and "Stir the dough." in shown.text
    assert {"Notice", "itself"} <= set(shown.marks)
    assert "stop:\u00a0length" in shown.text


def test_the_number_of_texts_is_limited_in_whole_pairs(page):
    _, shown = page("--texts", "40")
    assert sum(element == ("article", {"class": "card prompt"}) for element in shown.elements) == 4
    assert "The first 2 of 5 pairs are shown" in shown.text


HOSTILE = (
    "</style></svg><script>alert('x')</script><img src=http://evil/x onerror=alert(1)> "
    '$\\frac{1} & "q" {{ 7*7 }} -->'
)


def test_hostile_text_stays_text(page):
    def edit(columns):
        set_status(columns, [7], 1, HOSTILE)
        columns["rows/text"][0] = columns["prompts/text"][0] = columns["pairs/id"][0] = HOSTILE
        columns["prompts/id"][1] = columns["prompts/reason"][1] = HOSTILE
        columns["rows/stop_reason"][1] = HOSTILE
        for name in ("label", "kind", "spec"):
            columns[f"arms/{name}"][3] = HOSTILE

    _, shown = page(edit=edit, attributes={"config": HOSTILE, "model_path": HOSTILE, "git_commit": HOSTILE})
    tags = {tag for tag, _ in shown.elements}
    assert not tags & {"img", "iframe", "object", "link"}
    assert [tag for tag, _ in shown.elements].count("script") == 1  # its own
    assert not any(name.startswith("on") for _, attributes in shown.elements for name in attributes)
    assert shown.text.count("alert('x')") >= 8
    assert "{{ 7*7 }}" in shown.text


def test_the_page_loads_nothing_and_fits_a_phone(plain):
    _, shown = plain
    tags = [tag for tag, _ in shown.elements]
    assert tags.count("svg") == 15 and not {"link", "iframe", "base"} & set(tags)
    assert [a for t, a in shown.elements if t == "script"] == [{}]
    for tag, attributes in shown.elements:
        for name in ("src", "href", "xlink:href", "data", "srcset"):
            if name in attributes:
                assert attributes[name].startswith(("#", "data:")), (tag, attributes)
        if tag == "svg":
            assert "width" not in attributes and "viewbox" in attributes
    viewport = [a["content"] for t, a in shown.elements if a.get("name") == "viewport"]
    assert viewport == ["width=device-width, initial-scale=1"]
    ids = [attributes["id"] for _, attributes in shown.elements if "id" in attributes]
    used = {a["xlink:href"][1:] for _, a in shown.elements if "xlink:href" in a}
    assert used <= set(ids) and len(set(ids)) == len(ids)


def test_settings_and_definitions_are_shown(plain):
    _, shown = plain
    identity = shown.table("identity")
    assert identity["model_fingerprint"] == ["aa11"] and identity["run: started"] == ["2031-05-06T07:08:05Z"]
    assert shown.table("definitions")["/prompts/pr"][-1].startswith("participation_ratio v1")
    assert "early_layer = 4" in shown.text
    assert "30; early L4 (13.3 % of depth), late L24 (80.0 %)" in shown.text


def test_columns_that_were_not_asked_for_may_be_absent(page):
    leave_out = [
        "rows/r_v_reencoded",
        "rows/r_v_generated",
        "rows/n_generated_v",
        "rows/keyword_rate",
        "rows/cells_changed",
        "rows/cells_dropped",
        "rows/change_norm",
        "rows/future_keys",
        "prompts/reason",
        "prompts/group",
        "rows/stop_reason",
        "prompts/n_tokens",
    ]
    _, shown = page(leave_out=tuple(leave_out), attributes={"config": None})
    assert "Not in this file, so not shown: RV, generated window; RV, text read again." in shown.text
    assert "cannot show whether a patch acted" in shown.text
    assert "r_v_generated" not in shown.tables and "r_v_prompt" in shown.tables


def test_the_notebooks_value_is_shown_as_such_only_where_it_exists(plain, page):
    def edit(columns):
        columns["rows/r_v_notebook"] = columns["rows/r_v_prompt"] * 1.1

    assert "r_v_notebook" not in plain[1].tables
    assert "r_v_notebook" in page(edit=edit)[1].tables


def test_prompts_in_several_pairs_are_counted(plain, page):
    def edit(columns):
        columns["pairs/base"][1] = columns["pairs/base"][0]

    _, shown = page(edit=edit)
    assert (
        shown.table("keyword_count")["source"][0] == "5 (5 × 4)"
        and "5 source and 4 base prompts" in shown.text
    )
    assert (
        plain[1].table("keyword_count")["source"][0] == "5"
        and "No two pairs share a prompt." in plain[1].text
    )


def test_many_points_are_drawn_as_pictures_inside_the_page(page, monkeypatch):
    monkeypatch.setattr("rvsweep.figures.style.MANY_POINTS", 2)
    _, shown = page()
    pictures = [attributes["xlink:href"] for tag, attributes in shown.elements if tag == "image"]
    assert pictures and all(address.startswith("data:image/png;base64,") for address in pictures)


def everything_refused(columns):
    set_status(columns, np.arange(len(columns["rows/status"])), 1, "no")


def all_nan(columns):
    for values in columns.values():
        if isinstance(values, np.ndarray) and values.dtype.kind == "f":
            values[...] = np.nan


def constant(columns):
    for values in columns.values():
        if isinstance(values, np.ndarray) and values.dtype.kind == "f":
            values[...] = 1.0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"pairs": 1}, "There is one pair (n = 1)"),
        ({"pairs": 2, "samples": 1}, "n = 2 pairs"),
        ({"edit": everything_refused}, "No row has a value to compare"),
        ({"edit": all_nan}, "No pair has a finite RV"),
        ({"leave_out": ("rows/text",)}, "The file holds no generated texts"),
        ({"edit": constant}, "the differences do not vary"),
        ({"edit": remove_rows}, "No row has a value to compare"),
        ({"arms": ARMS[2:4]}, "it needs both a base and a source arm"),
        ({"arms": ARMS[:1]}, "No arm can be compared pair by pair"),
        ({"leave_out": ("prompts/r_v", "prompts/pr")}, "the file has no /prompts/r_v"),
        ({"pairs": 30}, "Experiment A"),
        ({"attributes": {"early_layer": 24}}, "Experiment A"),
        ({"arms": tuple((f"arm {i} " + "x" * 90, "new_kind", "s") for i in range(9))}, "Experiment A"),
    ],
    ids=lambda value: None if isinstance(value, dict) else value[:20],
)
def test_unusual_sweeps_still_give_a_report(page, options, says):
    _, shown = page(**options)
    assert says in " ".join(shown.text.split())
    assert "nan" not in {word.strip(".,[]") for word in shown.text.lower().split()}
