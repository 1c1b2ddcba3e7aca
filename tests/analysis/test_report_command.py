"""The command: exit codes, messages, and what it writes where."""

import pytest
from scripts import run_script
from synthetic_results import remove_rows

from rvsweep.cli import common, report


def test_no_external_address_in_the_style(results_file, tmp_path):
    path = results_file()
    assert report.main([str(path)]) == 0
    text = (tmp_path / "report.html").read_text(encoding="utf-8")  # beside the results
    assert "@import" not in text
    assert all(part.startswith("#") for part in text.split("url(")[1:])


def test_the_same_file_gives_the_same_bytes(results_file, tmp_path):
    path = results_file()
    for name in ("a", "b"):
        run_script("report", path, "-o", tmp_path / name, "--bootstrap", "500", check=True)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def assert_refused(done, message):
    assert done.returncode == 2 and done.stdout == ""
    assert message in done.stderr and "Traceback" not in done.stderr
    return done


def test_files_that_are_no_results_are_refused_in_one_line(tmp_path, results_file):
    folder = tmp_path / "folder"
    folder.mkdir()
    text = tmp_path / "notes.h5"
    text.write_text("not HDF5")
    truncated = tmp_path / "cut.h5"
    truncated.write_bytes(results_file().read_bytes()[:20_000])
    cases = [
        (tmp_path / "absent.h5", "no such file"),
        (folder, "results.h5: no such file; while the sweep runs add --partial"),
        (text, "not a readable HDF5 file"),
        (truncated, "not a readable HDF5 file"),
        (results_file(attributes={"schema_version": 2}), "has schema_version 2"),
    ]
    for path, message in cases:
        done = assert_refused(run_script("report", path, "-o", tmp_path / "never.html"), message)
        assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "never.html").exists()


def test_a_file_without_version_or_pairs_is_refused(results_file, capsys):
    assert report.main([str(results_file(attributes={"schema_version": None}))]) == 2
    assert "has no schema_version" in capsys.readouterr().err

    def no_pairs(columns):
        remove_rows(columns)
        for name in ("id", "source", "base"):
            columns[f"pairs/{name}"] = columns[f"pairs/{name}"][:0]

    assert report.main([str(results_file(edit=no_pairs))]) == 2
    assert "no prompt pairs" in capsys.readouterr().err


def test_the_results_file_is_never_overwritten(results_file, capsys):
    path = results_file()
    before = path.read_bytes()
    assert report.main([str(path), "-o", str(path)]) == 2
    assert path.read_bytes() == before and "is the results file itself" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["no/r.html", "."])
def test_an_output_that_cannot_be_written_is_named(results_file, tmp_path, capsys, place):
    assert report.main([str(results_file()), "-o", str(tmp_path / place)]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_a_failed_write_leaves_the_old_report(results_file, tmp_path, capsys, monkeypatch):
    def full_disk(source, target):
        raise OSError(28, "No space left on device")

    output = tmp_path / "page.html"
    output.write_text("old")
    monkeypatch.setattr(common.os, "replace", full_disk)
    assert report.main([str(results_file(pairs=1)), "-o", str(output)]) == 2
    assert "No space left" in capsys.readouterr().err
    assert output.read_text() == "old" and not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize(
    "arguments", [("--bootstrap", "3"), ("--bootstrap", "many"), ("--seed", "-1"), ("--texts", "0")]
)
def test_bad_options_are_refused(results_file, arguments):
    assert_refused(run_script("report", results_file(), *arguments), arguments[0])


def test_help_names_the_options():
    done = run_script("report", "--help")
    assert done.returncode == 0 and {"--output", "--bootstrap", "--seed", "--texts"} <= set(
        done.stdout.replace(",", " ").split()
    )
