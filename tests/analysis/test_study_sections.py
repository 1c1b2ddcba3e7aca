"""Sections that appear only where a file has their data: controls, depth, tokens, groups, layers, power."""

import base64
import csv
import io
import xml.etree.ElementTree as ElementTree

import h5py
import numpy as np
import pytest
import scipy.stats
from report_page import Page, numbers
from synthetic_results import ARMS, Sweep, add_read_outs, cross, in_a_ring, layer_scan, set_status

from rvsweep.cli import report


def dosed(columns):
    add_read_outs(columns)
    pairs = len(columns["pairs/id"])
    columns["prompts/group"] = [f"recursive_l{i % 4 + 1}" for i in range(pairs)] + ["factual"] * pairs


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Path and page of a sweep that has data for every section; tests only read them."""
    folder = tmp_path_factory.mktemp("study")
    path = Sweep(pairs=8, samples=1, arms=layer_scan(), edit=dosed).write(folder / "results.h5")
    page = folder / "page.html"
    assert report.main([str(path), "-o", str(page), "--bootstrap", "500"]) == 0
    return path, Page(page.read_text("utf-8"))


def by_arm(path, column):
    """Arm label -> [pairs], one sample each."""
    with h5py.File(path) as file:
        values = file[f"rows/{column}"][...].reshape(8, -1)
        return dict(zip(file["arms/label"].asstr()[...], values.T, strict=True))


def sections(shown):
    return {attributes["id"] for tag, attributes in shown.elements if tag == "section"}


def test_a_plain_sweep_has_only_what_it_can_show(plain, study):
    extra = {"controls", "depth", "tokens", "groups", "layers"}
    assert not sections(plain[1]) & extra
    assert extra <= sections(study[1]) and "ratings" not in sections(study[1])
    links = {attributes.get("href") for tag, attributes in plain[1].elements if tag == "a"}
    assert "#depth" not in links and "#methods" in links


def test_controls_leave_the_arms_and_stand_against_them(study):
    path, shown = study
    assert not any("|" in label for label in shown.table("logprob_source"))
    values = by_arm(path, "logprob_source")
    found = {row[1]: row[2:] for row in shown.tables["logprob_source-controls"][1:]}
    assert list(found) == ["self", "gaussian", "reverse"]
    for name in ("self", "gaussian"):
        d = values["kv 15:20"] - values[f"kv 15:20 | {name}"]
        assert found[name][0] == "8" and numbers(found[name][1]) == pytest.approx([d.mean()], abs=6e-3)


def test_bands_and_positions_have_their_tables(study):
    path, shown = study
    values = by_arm(path, "logprob_source")
    depth = shown.tables["logprob_source-layers-0-map-table"][1:]
    assert [row[0] for row in depth] == [
        "0:5", "5:10", "10:15", "15:20", "20:25", "25:30", "0:10", "5:15", "10:20", "15:25", "20:30",
    ]  # fmt: skip
    for row in depth:
        d = values[f"kv {row[0]}"] - values["base"]
        assert numbers(row[2]) == pytest.approx([d.mean()], abs=6e-3)
        assert float(row[6].lstrip("< ")) >= float(row[5].lstrip("< ")) - 1e-4  # adjusted p is no smaller
    tokens = [row[0] for row in shown.tables["logprob_source-positions-0-table"][1:]]
    assert tokens == ["all", "last:4", "last:8", "span:2:6", "bos"]


def test_dose_trend_is_the_least_squares_slope(study):
    path, shown = study
    values = by_arm(path, "kl_first")
    row = shown.table("kl_first-groups-trend")["kv 0:5"]
    slope = np.polyfit(np.resize([1, 2, 3, 4], 8), values["kv 0:5"] - values["base"], 1)[0]
    assert numbers(row[1]) == pytest.approx([slope], abs=6e-4)


def test_regex_families_become_read_outs_of_their_own(study):
    path, shown = study
    values = by_arm(path, "recursive_paradox")
    assert numbers(shown.table("recursive_paradox")["source"][2]) == pytest.approx(
        [values["source"].mean()], abs=6e-3
    )


def downloads(shown):
    for tag, attributes in shown.elements:
        if tag == "a" and attributes.get("download", "").endswith(".csv"):
            yield attributes["download"], base64.b64decode(attributes["href"].partition(",")[2]).decode()


def test_figures_are_well_formed_and_hold_their_text_as_text(study):
    _, shown = study
    for text in shown.drawings():
        svg = ElementTree.fromstring(text)
        assert svg.tag.endswith("svg")
    first = ElementTree.fromstring(shown.drawings()[0])
    words = {"".join(one.itertext()).strip() for one in first.iter("{http://www.w3.org/2000/svg}text")}
    assert {"layer", "source", "difference, nats per token"} <= words


def test_marks_tell_their_numbers_where_they_are_pointed_at(study):
    path, shown = study
    d = by_arm(path, "logprob_source")["kv 15:20"] - by_arm(path, "logprob_source")["base"]
    titles = [one for one in shown.titles if one.startswith("kv 15:20:")]
    assert any(f": {d.mean():.3g} [" in one and ", n = 8, p = " in one for one in titles)


def test_every_figure_can_be_downloaded_with_its_data(study):
    path, shown = study
    files = dict(downloads(shown))
    drawn = shown.drawings()
    assert len(drawn) == len(files) == sum(tag == "figure" for tag, _ in shown.elements)
    for text in files.values():
        lines = list(csv.DictReader(io.StringIO(text)))
        assert lines and all(None not in line.values() for line in lines)
    values = by_arm(path, "logprob_source")
    data = list(csv.DictReader(io.StringIO(files["logprob_source-layers-0-map.csv"])))
    assert len(data) == 11
    for line in data:
        d = values[f"kv {line['start']}:{line['end']}"] - values["base"]
        assert float(line["difference"]) == pytest.approx(d.mean())
    with h5py.File(path) as file:
        pr = file["prompts/pr"][...]
        mean = pr[file["pairs/source"][...]].mean(axis=0)
    curve = list(csv.DictReader(io.StringIO(files["pr.csv"])))
    assert [float(line["source_mean"]) for line in curve] == pytest.approx(mean)


def test_tests_table_holds_adjusted_p_and_equivalence(study):
    path, shown = study
    rows = [row for row in shown.tables["logprob_source-tests"][1:]]
    values = by_arm(path, "logprob_source")
    patched = [row for row in rows if row[0].startswith("kv")]
    assert len(patched) == 15
    for row in patched:
        d = values[row[0]] - values["base"]
        assert numbers(row[1]) == pytest.approx([d.mean() / d.std(ddof=1)], abs=6e-3)
        assert numbers(row[9]) == pytest.approx([0.2 * d.std(ddof=1)], abs=6e-3)


def test_columns_that_cannot_succeed_say_so(study, page):
    text = " ".join(study[1].text.split())
    assert f"so many pairs can give is {15 * 2 / 2**8:.3f}, so none can fall below 0.05" in text
    assert (
        "No TOST can succeed here: this bound needs 68 pairs of unshared prompts; these are worth 8." in text
    )
    other = " ".join(page("--equivalence", "d_z:0.8")[1].text.split())
    assert "No TOST can succeed" not in other


def test_a_divergence_is_tested_between_arms_only(study):
    _, shown = study
    assert {"kl_first-tests", "kl_first-power"}.isdisjoint(
        shown.tables
    ) and "keyword_count-tests" in shown.tables
    for row in shown.tables["kl_first"][2:]:
        assert row[8:] == ["–", "–", "–"] and len(numbers(row[7])) == 2
    assert all(row[6] == "–" for row in shown.tables["kl_first-layers-0-map-table"][1:])
    assert all(row[6] != "–" for row in shown.tables["kl_first-controls"][1:])


def test_pairs_that_share_prompts_are_analysed_by_prompt(page):
    def edit(columns):
        dosed(columns)
        cross(columns)

    path, shown = page(pairs=4, samples=1, arms=layer_scan(), edit=edit)
    text = " ".join(shown.text.split())
    assert "n = 4 (2 × 2) pairs (source × base prompts)" in text and "sign-flip permutation" not in text
    assert "The 4 pairs are made of 2 source and 2 base prompts" in text
    row = shown.table("keyword_count")["kv 0:5"]
    assert row[0] == "4 (2 × 2)"
    with h5py.File(path) as file:
        values = file["rows/keyword_count"][...].reshape(4, -1)
    d = (values[:, 2] - values[:, 0]).reshape(2, 2).astype(float)
    by_source, by_base = (2 * d.mean(axis=axis).var(ddof=1) for axis in (1, 0))
    rest = ((d - d.mean(axis=1, keepdims=True) - d.mean(axis=0) + d.mean()) ** 2).sum()
    total = d.var(ddof=1)
    # Of the four models: both sides; either side; none.
    error = np.sqrt(max(by_source + by_base - rest, by_source, by_base, total) / 4)
    half = scipy.stats.t.ppf(0.975, 1) * error
    assert numbers(row[6]) == pytest.approx([d.mean() - half, d.mean() + half], rel=2e-3)
    tests = shown.table("keyword_count-tests")["kv 0:5"]
    assert tests[2] == tests[7] == "–" and numbers(tests[6]) == numbers(row[8])


def test_prompts_that_are_source_of_one_pair_and_base_of_another_are_shared(page):
    def edit(columns):
        add_read_outs(columns)
        in_a_ring(columns)

    _, shown = page(pairs=14, samples=1, arms=layer_scan(), edit=edit)
    text = " ".join(shown.text.split())
    assert "No two pairs share a prompt." not in text and "sign-flip permutation" not in text
    assert "14 source and 14 base prompts, some of them on both sides, and pairs that share one" in text
    assert "base prompt, the covariance of a prompt’s two effects and rest" in text
    assert "source of one pair and base of another (by the covariance of a prompt’s two effects)" in text
    assert "they share 14 sources and 14 bases on both sides" in text
    assert "Every prompt is source of as many pairs as it is base of. So what belongs to a prompt alone" in text
    assert shown.table("logprob_source-tests")["kv 0:5"][2] == "–"  # no sign flips


def test_arms_without_a_difference_say_so(page):
    def edit(columns):
        for name in ("keyword_count", "r_v_prompt"):
            values = columns[f"rows/{name}"].reshape(5, 6, 3)
            values[:, 4] = values[:, 0]

    _, shown = page(edit=edit)
    row = next(row for row in shown.tables["keyword_count-tests"] if row[0] == ARMS[4][0])
    assert row[-1] == "the differences do not vary"


def test_methods_state_the_settings_and_the_bound(page):
    def edit(columns):
        set_status(columns, [6], 1, "no")

    _, shown = page("--equivalence", "gap:0.1", edit=edit)
    text = " ".join(shown.text.split())
    assert "5 prompt pairs" in text and "up to 50 tokens at temperature 0.7 (3 samples per pair" in text
    assert "Of 90 rows 89 entered (1 refused)" in text and "4 patched arms" in text
    assert "a bound of 10 % of the gap source − base" in text


def test_a_file_without_configuration_has_methods_without_it(page):
    _, shown = page(attributes={"config": None, "rvsweep_version": None, "git_commit": None}, pairs=2)
    assert "Each arm generated" not in shown.text and "2 prompt pairs" in shown.text


def many_rows(columns):
    """1,000 pairs x 100 samples of one arm's text become 100,000 rows."""
    rows = len(columns["rows/pair"])
    times = 100_000 // rows + 1
    for name, values in columns.items():
        if name.startswith("rows/"):
            whole = values * times if isinstance(values, list) else np.concatenate([values] * times)
            columns[name] = whole[:100_000]
    columns["rows/sample"] = np.repeat(np.arange(times), rows)[:100_000].astype(np.int32)
    columns["rows/row_id"] = np.arange(100_000, dtype=np.uint64)


def test_a_hundred_thousand_rows_give_a_page_of_bounded_size(results_file, tmp_path):
    page = tmp_path / "page.html"
    path = results_file(pairs=400, samples=1, arms=layer_scan(), edit=many_rows)
    assert report.main([str(path), "-o", str(page), "--bootstrap", "200"]) == 0
    assert page.stat().st_size < 20e6
    assert "100000" in Page(page.read_text("utf-8")).text.replace("\u202f", "")


def test_a_hundred_pairs_by_44_arms_give_a_page_of_a_few_megabytes(results_file, tmp_path):
    spec = "kv_cache layers={}:{} entry=hold_last growth=append direction=source_to_base"
    bands = [(start, start + width) for width in (1, 8) for start in range(21)]
    arms = [*ARMS[:2], *((f"kv {a}:{b}", "kv_cache", spec.format(a, b)) for a, b in bands)]
    page = tmp_path / "page.html"
    path = results_file(pairs=100, samples=1, arms=tuple(arms), edit=dosed)
    assert report.main([str(path), "-o", str(page), "--bootstrap", "200"]) == 0
    assert len(arms) == 44 and page.stat().st_size < 6e6


def everything(value):
    def edit(columns):
        dosed(columns)
        for name, values in columns.items():
            if isinstance(values, np.ndarray) and values.dtype.kind == "f":
                values[...] = value

    return edit


def refused(columns):
    dosed(columns)
    set_status(columns, np.arange(len(columns["rows/status"])), 1, "no")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "options",
    [
        {"pairs": 1, "edit": dosed},
        {"pairs": 2, "edit": dosed},
        {"pairs": 3, "edit": everything(1.0)},
        {"pairs": 3, "edit": everything(0.0)},
        {"pairs": 3, "edit": everything(np.nan)},
        {"pairs": 3, "edit": refused},
        {"pairs": 3, "edit": dosed, "leave_out": ("rows/row_id",)},
    ],
    ids=["one pair", "two pairs", "ones", "zeros", "nan", "refused", "no row ids"],
)
def test_sections_without_much_to_show_still_give_a_page(page, options):
    _, shown = page(arms=layer_scan(), samples=1, **options)
    assert "nan" not in {word.strip(".,[]()±") for word in shown.text.lower().split()}
