"""Several files on one page: joined rows, settings that differ, arms matched by depth."""

import h5py
import numpy as np
import pytest
from report_page import Page, numbers
from synthetic_results import ARMS, Sweep, add_read_outs, layer_scan

from rvsweep.cli import compare
from rvsweep.data.arms import Arm
from rvsweep.data.results import read_results
from rvsweep.data.runs import compare_rows
from rvsweep.figures import style
from rvsweep.stats.matched_arms import same_arm

OPTIONS = ("--bootstrap", "500")


def pages(tmp_path, *paths):
    page = tmp_path / "compare.html"
    assert compare.main([*map(str, paths), "-o", str(page), *OPTIONS]) == 0
    return Page(page.read_text("utf-8"))


def write(folder, name, **options):
    return Sweep(**options).write(folder / name)


def test_equal_runs_are_found_equal_whatever_the_order_of_their_rows(tmp_path):
    def turned(columns):
        add_read_outs(columns)
        for name, values in columns.items():
            if name.startswith("rows/"):
                columns[name] = values[::-1]

    a = write(tmp_path, "a.h5", edit=add_read_outs)
    b = write(tmp_path, "b.h5", edit=turned, attributes={"threads_per_rank": 2})
    shown = pages(tmp_path, a, b)
    assert "They are equal bit by bit" in shown.text and "90 rows stand in both files" in shown.text
    assert (
        shown.table("differences")["threads_per_rank"] == ["1", "2"] and len(shown.tables["differences"]) == 2
    )


def test_files_of_one_name_are_told_by_their_folders(tmp_path):
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
    shown = pages(tmp_path, *(write(tmp_path / folder, "results.h5") for folder in ("first", "second")))
    assert "first · second" in shown.text and "first/results.h5" not in shown.text


def test_differences_of_rows_are_counted_and_measured(tmp_path):
    def edit(columns):
        columns["rows/r_v_prompt"][[3, 8]] += [0.25, -0.5]
        columns["rows/text"][3] = "other"
        columns["rows/r_v_generated"][:] = 1.0
        columns["rows/r_v_generated"][7] = np.nan
        columns["rows/row_id"][5] += np.uint64(1)
        del columns["rows/future_keys"]

    def whole(columns):
        columns["rows/r_v_generated"][:] = 1.0

    a, b = write(tmp_path, "a.h5", edit=whole), write(tmp_path, "b.h5", edit=edit)
    found = compare_rows(read_results(a), read_results(b))
    assert (found.common, found.only_first, found.only_second) == (89, 1, 1)
    by_name = {column.name: column for column in found.columns}
    assert by_name["r_v_prompt"].equal == 87 and by_name["r_v_prompt"].largest == pytest.approx(0.5)
    assert by_name["text"].equal == 88 and by_name["r_v_generated"].equal == 88
    assert by_name["tokens"].equal == 89 and found.missing == ["future_keys"] and not found.bit_equal
    shown = pages(tmp_path, a, b)
    assert "They are not equal bit by bit" in shown.text
    assert shown.table("rows-1")["r_v_prompt"] == ["89", "87", "0.500"]


def test_negative_zero_and_shapes_are_not_the_same_bits(tmp_path):
    def zero(columns):
        columns["rows/r_v_prompt"][:] = 0.0

    def negative(columns):
        columns["rows/r_v_prompt"][:] = -0.0
        columns["rows/tokens"] = columns["rows/tokens"][:, :40]

    files = [write(tmp_path, name, edit=edit) for name, edit in (("a.h5", zero), ("b.h5", negative))]
    by_name = {column.name: column for column in compare_rows(*map(read_results, files)).columns}
    assert by_name["r_v_prompt"].equal == 0 and by_name["r_v_prompt"].largest == 0
    assert by_name["tokens"].equal == 0


def test_runs_without_common_rows_say_so(tmp_path):
    shown = pages(tmp_path, write(tmp_path, "a.h5"), write(tmp_path, "b.h5", seed=9))
    assert "No row stands in both files." in shown.text


SETTINGS = "entry=hold_last growth=append align=rerotate what=kv positions=all heads=all alpha=1 direction=source_to_base"


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (("15:30", 30), ("16:32", 32), True),  # 50%:100%
        (("22", 30), ("24", 32), True),  # 75%: floor(22.5) and 24
        (("0:8", 32), ("0:7", 30), True),
        (("0:8", 32), ("8:16", 32), False),
        (("0:8+24:32", 32), ("0:7+22:30", 30), True),
        (("0:8+24:32", 32), ("0:8", 32), False),
    ],
)
def test_arms_of_different_models_are_matched_by_share_of_depth(first, second, same):
    arms = [Arm(0, "", "kv_cache", f"kv_cache layers={layers} {SETTINGS}") for layers, _ in (first, second)]
    assert same_arm(arms[0], first[1], arms[1], second[1]) is same
    other = Arm(0, "", "kv_cache", f"kv_cache layers={second[0]} {SETTINGS.replace('what=kv', 'what=k')}")
    assert not same_arm(arms[0], first[1], other, second[1])


JOINT = "kv_cache layers={} entry=refeed & v_proj layers={} decode=persist direction=source_to_base"


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (("15:30", "22"), ("16:32", "24"), True),
        (("15:30", "22"), ("16:32", "10"), False),
        (("15:30", "22"), ("22", "16:32"), False),  # the ranges of one patch are not the other's
        (("0:15", "15:30"), ("0:16", "16:32"), True),  # which meet
    ],
)
def test_joint_arms_of_different_models_are_matched_patch_by_patch(tmp_path, first, second, same):
    specs = [JOINT.format(*layers) for layers in (first, second)]
    arms = [Arm(0, "", "kv_cache & v_proj", spec) for spec in specs]
    assert same_arm(arms[0], 30, arms[1], 32) is same
    files = [
        write(tmp_path, f"{layers}.h5", pairs=4, samples=1, layers=layers,
              arms=(*ARMS[:2], ("joint", "kv_cache & v_proj", spec)), attributes={"model_name": str(layers)})
        for layers, spec in zip((30, 32), specs, strict=True)
    ]  # fmt: skip
    rows = pages(tmp_path, *files).tables["keyword_count"][1:]
    assert (("joint" in [row[0] for row in rows]) and [row[1] for row in rows][-2:] == ["30", "32"]) is same


def test_two_models_are_shown_side_by_side(tmp_path):
    def of_32_layers(columns):
        columns["arms/spec"] = [
            spec.replace("16:30", "17:32").replace("=24", "=26") for spec in columns["arms/spec"]
        ]

    a = write(tmp_path, "a.h5", attributes={"model_name": "small"})
    b = write(
        tmp_path, "b.h5", layers=32, seed=8, edit=of_32_layers,
        attributes={"model_name": "large", "late_layer": 26},
    )  # fmt: skip
    shown = pages(tmp_path, a, b)
    assert shown.tables["files"][0] == ["", "small", "large"]
    rows = shown.tables["keyword_count"][1:]
    assert [(row[0], row[1]) for row in rows[:4]] == [
        ("source", "small"), ("", "large"), (ARMS[2][0], "small"), ("", "large"),
    ]  # fmt: skip
    assert len(rows) == 10  # five arms, base being the recipient
    for path, row in ((a, rows[0]), (b, rows[1])):
        with h5py.File(path) as file:
            kept = [file["rows/arm"][...] == arm for arm in (1, 0)]
            source, base = (file["rows/keyword_count"][...][k].reshape(5, 3).mean(axis=1) for k in kept)
        assert numbers(row[4]) == pytest.approx([(source - base).mean()], abs=6e-3)


def test_three_files_and_scans_give_a_page(tmp_path):
    first = write(tmp_path, "a.h5", pairs=4, arms=layer_scan(), edit=add_read_outs)
    shown = pages(tmp_path, first, write(tmp_path, "b.h5", pairs=2), write(tmp_path, "c.h5", pairs=1))
    assert {"keyword_count", "log-rv", "files"} <= set(shown.tables)
    for tag, attributes in shown.elements:
        assert tag not in ("link", "img") and "src" not in attributes
        if tag == "a":
            assert attributes["href"].startswith(("#", "data:"))


def test_bad_input_is_refused_in_one_line(tmp_path, capsys):
    path = write(tmp_path, "a.h5", pairs=1)
    text = tmp_path / "notes.h5"
    text.write_text("no")
    cases = [
        ((path,), "give two or more"),
        ((path, text), "not a readable HDF5 file"),
        ((path, tmp_path / "b"), "no such"),
    ]
    for paths, message in cases:
        assert compare.main([*map(str, paths)]) == 2
        said = capsys.readouterr().err
        assert message in said and len(said.splitlines()) == 1
    before = path.read_bytes()
    assert compare.main([str(path), str(path), "-o", str(path)]) == 2 and path.read_bytes() == before


def test_the_first_screen_answers_for_every_model(tmp_path):
    """Four models of which one lacks the strongest arm; ten colours where there are ten files."""

    def stronger(columns):
        add_read_outs(columns)
        columns["rows/logprob_source"].reshape(4, -1)[:, list(columns["arms/label"]).index("kv 15:20")] += 9

    options = {"pairs": 4, "samples": 1, "edit": stronger}
    arms = layer_scan()
    names = ["one", "two", "three", "four"]
    fewer = tuple(arm for arm in arms if not arm[0].startswith("kv 15:20"))
    paths = [
        write(tmp_path, f"{name}.h5", **options | {"edit": add_read_outs} if name == "four" else options,
              seed=at, arms=fewer if name == "four" else arms, attributes={"model_name": name})
        for at, name in enumerate(names)
    ]  # fmt: skip
    shown = pages(tmp_path, *paths)
    said = " ".join(shown.text.split())
    rows = shown.tables["logprob_source"]
    at = next(i for i, row in enumerate(rows) if row[0] == "kv 15:20")
    parts = [f"{row[1]} {row[4]} {row[5]} (n = {row[3]})" for row in rows[at : at + 3]]
    assert (
        f"kv 15:20 differs most from the unpatched prompt in “Log-likelihood of source’s continuation” (nats per token): {'; '.join(parts)}."
        in said
    )
    assert "No row stands both in the first file and in: two, three, four." in said
    assert len(set(style.curve_colours(10))) == 10 and len(set(style.curve_colours(8))) == 8


def test_equal_files_are_said_to_be_equal_first(tmp_path):
    a, b, c = (write(tmp_path, f"{name}.h5", edit=add_read_outs) for name in "abc")
    assert "All 90 rows that stand in both files are equal bit by bit. " in " ".join(
        pages(tmp_path, a, b).text.split()
    )
    assert "All rows shared with the first file, at least 90, are equal" in pages(tmp_path, a, b, c).text
