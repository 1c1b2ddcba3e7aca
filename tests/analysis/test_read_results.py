"""Reading results.h5."""

import fcntl

import h5py
import numpy as np
import pytest
from synthetic_results import ARMS, CONFIG, WHOLE, add_read_outs, set_status

from rvsweep import load
from rvsweep.data.results import ResultsError, read_results
from rvsweep.data.settings import summary
from rvsweep.report.methods import methods
from rvsweep.stats.equivalence import Margin
from rvsweep.stats.resampling import Bootstrap


def test_values_of_rows_without_a_result_are_nan(results_file):
    def edit(columns):
        set_status(columns, [2], 1, "no")
        columns["rows/keyword_count"][5] = -1
        columns["rows/future_keys"][2] = 9  # a value in a row that is not ok

    results = read_results(results_file(edit=edit))
    assert results.ok.sum() == len(results.ok) - 1 and not results.ok[2]
    assert np.isnan(results.rows["keyword_count"][[2, 5]]).all()
    assert np.isnan(results.rows["future_keys"][2])
    assert np.isfinite(results.rows["keyword_count"][6])
    assert (results.rows["change_norm"][0], results.rows["reason"][2]) == (0.0, "no")


def test_statuses_go_by_name_not_by_number(results_file):
    path = results_file()
    with h5py.File(path, "r+") as file:
        rows = len(file["rows/status"])
        del file["rows/status"]
        kind = h5py.enum_dtype({"pending": 0, "failed": 1, "refused": 2, "ok": 3}, basetype="i1")
        file["rows"].create_dataset("status", data=np.full(rows, 3), dtype=kind)
    assert read_results(path).ok.all()


def test_text_may_be_of_fixed_length_or_an_enum(results_file):
    path = results_file()
    with h5py.File(path, "r+") as file:
        rows = len(file["rows/status"])
        for name in ("rows/stop_reason", "pairs/id"):
            del file[name]
        kind = h5py.enum_dtype({"none": 0, "eos": 1, "length": 2}, basetype="i1")
        file["rows"].create_dataset("stop_reason", data=np.full(rows, 2), dtype=kind)
        file["pairs"].create_dataset("id", data=np.array([f"p{i}".encode() for i in range(5)]))
    results = read_results(path)
    assert set(results.rows["stop_reason"]) == {"length"}
    assert list(results.pairs["id"]) == ["p0", "p1", "p2", "p3", "p4"]


def test_layers_may_be_numbers_or_text(results_file):
    results = read_results(results_file())  # the fixture mixes both
    assert (results.n_layers, results.early_layer, results.late_layer, results.window) == (30, 4, 24, 16)


def test_datasets_bring_their_definitions(results_file):
    notes = {note.path: note for note in read_results(results_file()).datasets}
    assert notes["/prompts/pr"].definition.startswith("participation_ratio v1")
    assert notes["/prompts/pr"].shape == "10 × 30"
    assert "/run/started" not in notes


def damage(name, action):
    def apply(path):
        with h5py.File(path, "r+") as file:
            action(file, name)

    return apply


def replace(values):
    def action(file, name):
        del file[name]
        file[name] = values

    return action


def remove(file, name):
    del file[name]


def link_to_nothing(file, name):
    del file[name]
    file[name] = h5py.SoftLink("/nowhere")


def lists(file, name):
    rows = len(file[name])
    del file[name]
    file.create_dataset(name, (rows,), dtype=h5py.vlen_dtype(np.int32))


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (damage("arms/kind", link_to_nothing), "/arms/kind is no column of 1 dimension"),
        (damage("arms/label", lists), "/arms/label holds lists"),
        (damage("rows/change_norm", replace(np.ones(89))), "columns of /rows differ in length"),
        (damage("pairs", remove), "/pairs/id is missing"),
        (damage("rows/status", remove), "/rows/status is missing"),
        (damage("pairs/source", replace(np.array([0, 1, 2, 3, 99]))), "points outside"),
        (damage("rows/arm", replace(np.full(90, -1))), "points outside"),
        (damage("pairs/base", replace(np.arange(5.0))), "does not hold integers"),
        (damage("rows/sample", replace(np.arange(3))), "differ in length"),
        (damage("rows/sample", replace(["0"] * 90)), "does not hold integers"),
        (damage("rows/row_id", replace(np.ones(90))), "does not hold integers"),
        (
            damage("rows/pair", replace(np.zeros((90, 2), dtype=int))),
            "/rows/pair is no column of 1 dimension",
        ),
        (damage("rows/reason", replace(np.zeros(90, dtype=int))), "/rows/reason does not hold text"),
        (damage("rows/text", replace(np.zeros(90, dtype=int))), "/rows/text does not hold text"),
        (damage("pairs/id", replace("pair")), "/pairs/id is no column of 1 dimension"),
        (damage("pairs/id", replace(np.arange(5))), "/pairs/id does not hold text"),
        (damage("prompts/text", replace([["a", "b"]] * 10)), "/prompts/text is no column of 1 dimension"),
        (damage("prompts/n_tokens", replace(["12"] * 10)), "/prompts/n_tokens does not hold numbers"),
        (damage("prompts/pr", replace(np.ones(10))), "/prompts/pr is no column of 2 dimension"),
        (damage("arms/kind", replace(["base"] * 5)), "columns of /arms differ in length"),
        (damage("arms/label", replace(["base"] * 6)), "two arms have the label 'base'"),
        (
            damage("arms/spec", replace([f"v_proj layers={at or 10**19}" for at in range(6)])),
            "10000000000000000000 are not layers of the model",
        ),
        (
            damage("n_layers", lambda file, name: file.attrs.__setitem__(name, str(10**19))),
            "n_layers is 1000",
        ),
        (damage("prompts/pr", replace(np.ones((10, 7)))), "one column per layer"),
        (damage("rows/status", replace(np.zeros(90, dtype=int))), "without a known name"),
        (damage("window", lambda file, name: file.attrs.__delitem__(name)), "window is missing"),
        (damage("window", lambda file, name: file.attrs.__setitem__(name, "wide")), "is not a number"),
        (damage("late_layer", lambda file, name: file.attrs.__setitem__(name, 30)), "not a layer"),
    ],
)
def test_damaged_files_are_named_as_such(results_file, break_it, message):
    path = results_file()
    break_it(path)
    with pytest.raises(ResultsError, match=message) as caught:
        read_results(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "drawn, name", [("none", "models/demo"), ("3", "models/demo (random weights, seed 3)")]
)
def test_a_model_with_drawn_weights_is_named_as_such_wherever_it_is_named(results_file, drawn, name):
    config = CONFIG.replace("[prompts]", f"random_weights = {drawn}\n[prompts]")
    results = read_results(results_file(attributes={"config": config}))
    assert dict(summary(results, {"ok": 1}))["Model"] == name
    written = methods(
        results, {"ok": 1, "refused": 0, "failed": 0, "pending": 0}, Bootstrap(500, 1), Margin()
    )
    assert written[0].startswith(f"We ran {name} (")


def test_no_lock_is_asked_for(results_file):
    path = results_file()
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # another's lock, or a file system without any
        with pytest.raises(OSError, match="lock"):
            h5py.File(path, "r")
        assert len(read_results(path).rows["status"])


ODD = (
    3.0,
    ["12", "7"],
    np.ones((2, 2)),
    np.full(2, 2**62),
    h5py.Empty("f4"),
    np.zeros(2, dtype=[("a", "i4")]),
)


def test_layers_beyond_any_model_are_refused_at_once(results_file):
    arms = [*ARMS[:2], ("far", "kv_cache", f"kv_cache layers=3:{10**20} entry=hold_last {WHOLE}")]
    with pytest.raises(ResultsError, match=r"arm far: 3:1000+ are not layers of the model"):
        read_results(results_file(arms=tuple(arms)))


def test_odd_datasets_are_read_or_refused_in_one_line(results_file, tmp_path):
    """Whatever stands in the place of any dataset."""
    path, odd = results_file(pairs=1, samples=1, edit=add_read_outs), tmp_path / "odd.h5"
    names, refused = [], 0
    with h5py.File(path) as file:
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
    for name in names:
        for value in ODD:
            odd.write_bytes(path.read_bytes())
            damage(name, replace(value))(odd)
            try:
                study = load(odd)
                study.rows, study.to_xarray(), repr(study)
            except ResultsError as error:
                assert len(str(error).splitlines()) == 1
                refused += 1
    assert refused > 80
