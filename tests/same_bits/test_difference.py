"""The comparison of two programs finds what it is there to find, and passes over what may differ."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from difference import first_difference

COMPARE = Path(__file__).with_name("compare.py")
OK = h5py.enum_dtype({"ok": 0, "refused": 1}, basetype="i1")


def write_results(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        file.attrs["config"] = "[sweep]\nseed = 1\n"
        file.attrs["schema_version"] = np.int64(1)
        file.attrs["git_commit"] = "0123456789ab"
        file.attrs["rvsweep_version"] = "0.1.0"
        file["run/seconds"] = [1.5]
        file["run"].attrs["finished"] = "today"
        rows = file.create_group("rows")
        rows.create_dataset("change_norm", data=np.array([0.0, np.nan, 2.5]), chunks=(3,), compression="gzip")
        rows["change_norm"].attrs["units"] = "1"
        rows["change_norm"].attrs["definition"] = np.float64("nan")
        rows["status"] = np.array([0, 1, 0], OK)
        rows["text"] = ["", "naïve", "end"]
        tokens = rows.create_dataset("tokens", 3, h5py.vlen_dtype("i4"))
        tokens[1] = [5, 6]
    return path


@pytest.fixture
def two(tmp_path) -> tuple[Path, Path]:
    return write_results(tmp_path / "old.h5"), write_results(tmp_path / "new.h5")


def put(name: str, value, **how):
    """Replaces a dataset."""

    def change(file: h5py.File) -> None:
        attributes = dict(file[name].attrs)
        del file[name]
        file.create_dataset(name, data=value, **how).attrs.update(attributes)

    return change


def element(name: str, index: int, value):
    return lambda file: file[name].__setitem__(index, value)


def attribute(name: str, key: str, value):
    return lambda file: file[name].attrs.__setitem__(key, value)


NORM = "rows/change_norm"
CHANGES = {
    "a changed bit": (element(NORM, 2, np.nextafter(2.5, 3)), "/rows/change_norm[2] is"),
    "the sign of zero": (element(NORM, 0, -0.0), "/rows/change_norm[0] is"),
    "another NaN": (element(NORM, 1, np.uint64(0x7FF8000000000001).view("f8")), "/rows/change_norm[1] is"),
    "a changed text": (element("rows/text", 1, "naive"), "/rows/text[1] is"),
    "a changed list": (element("rows/tokens", 1, [5, 7]), "/rows/tokens[1] is"),
    "a longer list": (element("rows/tokens", 2, [0]), "/rows/tokens[2] is"),
    "a missing dataset": (lambda file: file.__delitem__("rows/text"), "/rows/text is missing"),
    "a new dataset": (lambda file: file.create_dataset("rows/step_pr", data=1), "/rows/step_pr is new"),
    "another type": (put(NORM, np.array([0, np.nan, 2.5], "f4")), "/rows/change_norm has another type"),
    "other names of an enum": (
        put("rows/status", np.array([0, 1, 0], h5py.enum_dtype({"ok": 0, "failed": 1}, basetype="i1"))),
        "/rows/status has another type",
    ),
    "other chunks": (put(NORM, [0, np.nan, 2.5], chunks=(2,), compression="gzip"), "/rows/change_norm has chunks"),
    "another compression": (put(NORM, [0, np.nan, 2.5], chunks=(3,)), "/rows/change_norm has compression"),
    "a row more": (put("rows/status", np.zeros(4, OK)), "/rows/status has shape"),
    "a changed attribute": (attribute("/", "config", "[sweep]\nseed = 2\n"), "/@config"),
    "another type of attribute": (attribute("/", "schema_version", np.int32(1)), "/@schema_version has another type"),
    "a missing attribute": (lambda file: file[NORM].attrs.__delitem__("units"), "/rows/change_norm@units is missing"),
    "a new attribute": (attribute("rows", "note", "x"), "/rows@note is new"),
}


def test_equal_files(two):
    assert first_difference(*two) is None


@pytest.mark.parametrize("name", CHANGES)
def test_a_difference_is_found_and_named(two, name):
    change, said = CHANGES[name]
    with h5py.File(two[1], "r+") as file:
        change(file)
    assert first_difference(*two).startswith(said)


def test_facts_of_the_run_and_the_program_may_differ(two):
    with h5py.File(two[1], "r+") as file:
        file["run/seconds"][0] = 9
        file["run/host"] = "elsewhere"
        file["run"].attrs["finished"] = "tomorrow"
        file.attrs["git_commit"] = "ba9876543210"
        file.attrs["rvsweep_version"] = "0.2.0"
    assert first_difference(*two) is None


PROGRAM = """#!{python}
import os, pathlib, sys
import h5py
if sys.argv[1] == "plan":
    print("rows of {plan}")
elif {code}:
    sys.exit("12:00:00 error: another sweep")
elif os.environ.get("OMPI_COMM_WORLD_RANK", "0") == "0":
    out = pathlib.Path(sys.argv[sys.argv.index("--out") + 1])
    out.mkdir(exist_ok=True)
    with h5py.File(out / "results.h5", "w") as file:
        file["rows/tokens"] = [1, {token}]
    with open("calls", "a") as calls:
        calls.write("{name}\\n")
"""


@pytest.fixture
def compare(tmp_path):
    """compare(token=..., plan=..., code=...) -> how it ended, the old program having token 2 and plan 1."""
    inputs = tmp_path / "kept" / "inputs"
    inputs.mkdir(parents=True)
    (inputs / "work.json").write_text(json.dumps([["a job", ["run"], []], ["a job", ["plan"], []]]))

    def program(name: str, token: int, plan: int, code: int) -> Path:
        path = tmp_path / name
        path.write_text(PROGRAM.format(python=sys.executable, name=name, token=token, plan=plan, code=code))
        path.chmod(0o755)
        return path

    def run(token: int = 2, plan: int = 1, code: int = 0) -> subprocess.CompletedProcess:
        programs = program("old", 2, 1, 0), program("new", token, plan, code)
        command = [sys.executable, COMPARE, *programs, "--quick", "--kept", tmp_path / "kept"]
        return subprocess.run(command, capture_output=True, text=True)

    run.calls = lambda: (inputs / "calls").read_text().split()
    return run


def test_equal_programs_end_in_a_table_and_0_and_the_old_one_runs_once(compare):
    first = compare()
    assert first.returncode == 0, first.stderr
    assert "3 of 3 equal" in first.stdout and first.stdout.count("run a job") == 2
    compare()
    assert sorted(compare.calls()) == ["new"] * 4 + ["old"] * 2


@pytest.mark.parametrize(
    "new, said",
    [
        ({"token": 3}, "/rows/tokens[1] is np.int64(2), then np.int64(3); 1 of 2 differ"),
        ({"plan": 2}, "rows: line 2 is 'rows of 1', then 'rows of 2'"),
        ({"code": 1}, "exit 1: 12:00:00 error: another sweep"),
    ],
)
def test_programs_that_differ_end_in_1_and_the_first_difference(compare, new, said):
    ended = compare(**new)
    assert ended.returncode == 1
    assert said in ended.stdout
