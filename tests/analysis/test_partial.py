"""Reports on sweeps that still run, and the command that holds all others."""

import os
import stat
import subprocess
import sys

import pytest
from report_page import Page
from scripts import ROOT
from synthetic_results import set_status

from rvsweep.cli import main as command
from rvsweep.cli import report


def pending(columns):
    set_status(columns, range(60, 90), 3, "")


@pytest.fixture
def binary(tmp_path):
    """binary(script) -> an executable that stands for rvsweep."""

    def make(script):
        path = tmp_path / "rvsweep"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    return make


def partial_page(folder, merge):
    page = folder / "page.html"
    words = ["--partial", "--rvsweep", str(merge), "-o", str(page), "--bootstrap", "200"]
    assert report.main([str(folder), *words]) == 0
    return page


def test_a_running_sweep_is_merged_and_marked_as_partial(results_file, tmp_path, binary):
    path = results_file(edit=pending)
    merge = binary(f'[ "$1 $3" = "merge --partial" ] && [ "$2" = "{tmp_path}" ] && echo "{path}"')
    page = partial_page(tmp_path, merge)
    text = " ".join(Page(page.read_text("utf-8")).text.split())
    assert "Partial. 60 of 90 rows are done, 30 are not computed yet" in text
    assert "<title>Partial: " in page.read_text("utf-8")


def test_failed_rows_do_not_stop_a_partial_report(results_file, tmp_path, binary):
    merge = binary(f'echo "{results_file(pairs=2)}"; exit 3')
    page = partial_page(tmp_path, merge)
    assert "Partial" not in page.read_text("utf-8")  # nothing is pending: the sweep has ended meanwhile


def test_an_ascii_only_python_reports_on_any_name(results_file, tmp_path, binary):
    folder = tmp_path / "étude"
    folder.mkdir()
    results_file(pairs=2).rename(folder / "results.h5")
    merge = binary(f'echo "Küche" >&2; echo "{folder}/results.h5"')
    words = ["-X", "utf8=0", ROOT / "analysis/report.py", folder, "--partial", "--rvsweep", merge]
    environment = os.environ | {"PYTHONUTF8": "0", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, *words, "--bootstrap", "200"], env=environment, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode() == f"{folder}/report.html\n"
    assert "pair-01" in (folder / "report.html").read_text("utf-8")


def test_a_merge_that_fails_is_passed_on_in_one_line(tmp_path, binary, capsys):
    failing = binary('echo "plan.h5 is missing: not a sweep" >&2; exit 2')
    assert report.main([str(tmp_path), "--partial", "--rvsweep", str(failing)]) == 2
    assert report.main([str(tmp_path), "--partial", "--rvsweep", str(tmp_path / "none")]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2 and "ended with 2: plan.h5 is missing" in said[0]
    assert "cannot be run (No such file or directory); build rvsweep or name it with --rvsweep" in said[1]


def test_a_folder_stands_for_its_results(results_file, tmp_path):
    results_file(pairs=2)
    assert report.main([str(tmp_path), "--bootstrap", "200"]) == 0
    assert (tmp_path / "report.html").exists()


def test_one_command_holds_all(results_file, tmp_path, capsys):
    path = results_file(pairs=3)
    assert command.main(["--help"]) == 0
    assert {"report", "compare", "export", "blind", "join-ratings", "power"} <= set(
        capsys.readouterr().out.split()
    )
    assert command.main([]) == 2 and command.main(["dance"]) == 2
    assert command.main(["report", str(path), "-o", str(tmp_path / "r.html"), "--bootstrap", "200"]) == 0
    assert command.main(["power"]) == 0 and command.main(["power", str(path), "--bootstrap", "200"]) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert ["outcome", "arm"] == next(line for line in lines if line[0] == "outcome")[:2]
    assert any(line[:2] == ["keyword_count", "source"] for line in lines)
    assert command.main(["export", str(tmp_path / "none.h5"), "-o", str(tmp_path)]) == 2
    assert "no such file" in capsys.readouterr().err
