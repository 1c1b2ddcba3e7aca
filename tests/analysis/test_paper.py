"""`report.py --figures`: figures of the asked width, the page's own numbers as tables, methods, references."""

import re
import struct
import xml.etree.ElementTree as ElementTree
import zlib

import pytest
from report_page import Page
from scripts import run_script
from synthetic_results import Sweep, add_read_outs, layer_scan

from rvsweep.cli import report
from rvsweep.data.results import read_results
from rvsweep.report.page import contents_of
from rvsweep.report.paper import PaperTable
from rvsweep.report.sections import Options
from rvsweep.stats.resampling import Bootstrap


@pytest.fixture(scope="module")
def paper(tmp_path_factory):
    """What --figures writes in each format, and the page, of a sweep with controls; tests only read them."""
    folder = tmp_path_factory.mktemp("paper")
    path = Sweep(pairs=8, samples=1, arms=layer_scan(), edit=add_read_outs).write(folder / "results.h5")
    words = [str(path), "-o", str(folder / "page.html"), "--bootstrap", "500", "--format", "svg"]
    assert report.main([*words, "--figures", str(folder / "paper")]) == 0
    contents = contents_of(read_results(path), Options(Bootstrap(100)))
    overview = contents["head"].figure
    overview.save(folder / "paper" / "overview.pdf", 3.25)
    overview.save(folder / "paper" / "overview.png", 2.5)
    return folder / "paper", Page((folder / "page.html").read_text("utf-8"))


def test_every_figure_of_the_page_is_a_file_of_the_asked_width(paper):
    folder, page = paper
    names = [a["data-name"] for tag, a in page.elements if tag == "span" and "data-name" in a]
    assert {path.stem for path in folder.glob("*.svg")} == set(names) and len(names) > 10
    for path in folder.glob("*.svg"):
        svg = ElementTree.parse(path).getroot()
        width, height = (float(part) for part in svg.get("viewBox").split()[2:])
        assert svg.get("width") == "3.25in"
        assert float(svg.get("height").removesuffix("in")) == pytest.approx(3.25 * height / width, rel=1e-4)


def test_png_has_300_dots_an_inch(paper):
    folder, page = paper
    data = (folder / "overview.png").read_bytes()
    assert struct.unpack(">I", data[16:20])[0] == pytest.approx(750, abs=1)
    dots, _, per_metre = struct.unpack(">IIB", data[data.index(b"pHYs") + 4 :][:9])
    assert per_metre == 1 and dots == pytest.approx(300 / 0.0254, abs=1)


def test_pdf_has_the_width_in_points_and_draws_at_that_scale(paper):
    folder, page = paper
    data = (folder / "overview.pdf").read_bytes()
    box = [float(n) for n in re.search(rb"/MediaBox \[([^\]]*)\]", data)[1].split()]
    assert box[2] == pytest.approx(3.25 * 72, abs=0.01)
    streams = re.findall(rb"stream\r?\n(.*?)endstream", data, re.DOTALL)
    scale = rb"([\d.]+) 0 0 ([\d.]+) 0 0 cm"
    found = [match for match in (re.search(scale, inflated(text)) for text in streams) if match]
    assert found and all(float(part) == pytest.approx(3.25 / 4.5, abs=1e-6) for part in found[0].groups())
    ends = [float(x) for x in re.findall(rb"([\d.]+) [\d.]+ l\b", found[0].string)]
    assert 0.95 * 4.5 * 72 < max(ends) <= 4.5 * 72  # lines go on to the right end, in points before the scale


def inflated(stream):
    try:
        return zlib.decompressobj().decompress(stream)
    except zlib.error:
        return b""


def test_tables_hold_the_numbers_of_the_page(paper):
    folder, page = paper
    found = {}
    for line in (folder / "tables.md").read_text("utf-8").splitlines():
        if line.startswith("**"):
            rows = found[line.strip("*")] = []
        elif line.startswith("| "):
            rows.append(line.strip("| ").replace("\\|", "|").split(" | "))
    rows = found["Log-likelihood of source’s continuation, difference (nats per token) to the unpatched arm"]
    shown, tests = page.table("logprob_source"), page.table("logprob_source-tests")
    own = {row[0]: row for row in rows[2:]}
    assert list(own) == [name for name in shown if name not in ("Arm", "base")]
    for name, (_, n, difference, interval, d_z, p, holm, tost, transfer) in own.items():
        assert [n, difference, interval, d_z, p] == [shown[name][0], *shown[name][5:9]]
        if name != "source":
            assert [holm, tost, transfer] == [tests[name][3], tests[name][10], shown[name][9]]
    latex = (folder / "tables.tex").read_text("utf-8")
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") == len(found)
    plain = re.sub(r"\\label\{[^}]*\}|\\.|\$[^$]*\$|^%.*$", "", latex, flags=re.M)
    assert not set("−<>%_|") & set(plain)


def test_latex_escapes_what_labels_may_hold():
    table = PaperTable("t", "50 % of a_b", ["Arm", "n"], [["a & b|#{^~\\", "−1"]], 1)
    assert r"a \& b$|$\#\{\textasciicircum{}\textasciitilde{}\textbackslash{} & $-$1 \\" in table.latex()
    assert r"\caption{50 \% of a\_b}" in table.latex() and r"\begin{tabular}{lr}" in table.latex()
    assert r"| a & b\|#{^~\ | −1 |" in table.markdown()


def test_methods_and_references_are_those_of_the_study(paper, tmp_path):
    folder, page = paper
    methods = (folder / "methods.md").read_text("utf-8")
    assert " ".join(methods.replace("R_V", "RV").split()) in " ".join(page.text.split())
    assert re.search(r"Analysis: rvsweep \S+ with Python 3\.\d+\.\d+, NumPy \d+\.", methods)
    keys = set(re.findall(r"^@\w+\{(\w+),", (folder / "references.bib").read_text("utf-8"), re.M))
    assert {"rvsweep", "hall1988", "fieller1954", "vig2020", "holm1979"} <= keys
    assert not {"henderson1953", "krippendorff2004", "mackinnon1985"} & keys
    entries = (folder / "references.bib").read_text("utf-8")
    assert entries.count("{") == entries.count("}")
    assert any(a.get("download") == "references.bib" for tag, a in page.elements if tag == "a")


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--width", "0"], "0: must be from 0.5 to 50"),
        (["--format", "eps"], "invalid choice"),
        (["--figures", "taken"], "taken: is no folder; give another place with --figures"),
    ],
)
def test_bad_options_are_refused_before_any_work(results_file, tmp_path, more, told):
    (tmp_path / "taken").write_text("")
    done = run_script("report", results_file(), "-o", tmp_path / "page.html", *more, cwd=tmp_path)
    assert done.returncode == 2 and told in done.stderr and not (tmp_path / "page.html").exists()
