"""What report.js does in a browser: sorting, filters, search, downloads and print; and axe's rules of access."""

from pathlib import Path
from xml.etree import ElementTree

import pytest
from browser import needs_browser, run_in_browser
from report_page import report_of
from synthetic_results import Sweep, add_read_outs, layer_scan

from rvsweep.report.html import TEMPLATES

pytestmark = needs_browser
CELLS = [
    "−0.5 [−1, 0]",
    "0.2",
    "–",
    "3.0e-5",
    "10\u202f000",
    "12.5",
    "< 0.0001",
    "7 % [1, 9]",
    "−3",
    "unbounded",
]
PAIRS = ["alpha beta", "Alpha gamma", "delta"]


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A page with one table of CELLS, texts and a figure, and the script."""
    rows = "".join(f"<tr><td>arm {9 - i}</td><td class=num>{cell}</td></tr>" for i, cell in enumerate(CELLS))
    pairs = "".join(f"<details class=pair><summary>{text}</summary></details>" for text in PAIRS)
    page = tmp_path_factory.mktemp("page") / "small.html"
    page.write_text(
        "<!DOCTYPE html><html><body><div class=scroll><table id=t><thead><tr><th>Arm</th><th class=num>n</th></tr>"
        f"</thead><tbody>{rows}</tbody></table></div><table id=short><thead><tr><th>A</th></tr></thead><tbody>"
        f"<tr><td>1</td></tr><tr><td>2</td></tr></tbody></table>{pairs}<figure><svg><title>a &lt; b</title></svg>"
        '<figcaption><span class=download data-name="one"></span></figcaption></figure>'
        f"<script>{(TEMPLATES / 'report.js').read_text('utf-8')}</script></body></html>",
        "utf-8",
    )
    return page


HELPERS = """
const table = document.querySelector("#t"), heads = table.tHead.rows[0].cells;
const column = (n) => [...table.tBodies[0].rows].map((row) => row.cells[n].textContent);
const shown = (all) => [...all].filter((one) => !one.hidden).map((one) => one.textContent);
const type = (box, text) => { box.value = text; box.dispatchEvent(new Event("input")); };
"""


def test_numbers_sort_as_numbers_and_what_has_none_stands_last(small):
    up, state, down, again = run_in_browser(
        small,
        HELPERS
        + """heads[1].click(); const up = column(1), state = [...heads].map((h) => h.ariaSort);
        heads[1].dispatchEvent(new KeyboardEvent("keydown", { key: "Enter" })); const down = column(1);
        heads[0].click(); return [up, state, down, column(0)];""",
    )
    order = ["−3", "−0.5 [−1, 0]", "3.0e-5", "< 0.0001", "0.2", "7 % [1, 9]", "12.5", "10\u202f000"]
    assert up == [*order, "–", "unbounded"] and down == [*order[::-1], "–", "unbounded"]
    assert state == [None, "ascending"]
    assert again == [f"arm {i}" for i in range(10)]


def test_a_filter_keeps_rows_with_every_word(small):
    boxes, some, none, back = run_in_browser(
        small,
        HELPERS
        + """const boxes = [...document.querySelectorAll("input")].map((box) => box.ariaLabel);
        const box = document.querySelector("input"), rows = table.tBodies[0].rows, left = [];
        for (const text of ["ARM 0.2", "nothing such", ""]) { type(box, text); left.push(shown(rows)); }
        return [boxes, ...left];""",
    )
    assert boxes == ["Filter rows", "Search pairs and texts"]  # none for the short table
    assert some == ["arm 80.2"] and none == [] and len(back) == len(CELLS)


def test_search_finds_texts_without_regard_to_case(small):
    found = run_in_browser(
        small,
        HELPERS
        + """const box = document.querySelectorAll("input")[1];
        return ["alpha", "beta ALPHA", "x"].map((text) => { type(box, text); return shown(document.querySelectorAll(".pair")); });""",
    )
    assert found == [["alpha beta", "Alpha gamma"], ["alpha beta"], []]


def test_print_opens_what_is_closed_and_closes_it_again(small):
    found = run_in_browser(
        small,
        """document.querySelector(".pair").open = true;
        const open = () => [...document.querySelectorAll("details")].map((one) => one.open);
        return ["beforeprint", "afterprint"].map((name) => { dispatchEvent(new Event(name)); return open(); });""",
    )
    assert found == [[True] * 3, [True, False, False]]


def test_a_figure_downloads_as_the_svg_that_is_shown(small):
    name, text = run_in_browser(
        small,
        """const link = document.querySelector(".download a");
        document.body.addEventListener("click", (event) => event.preventDefault());
        link.click(); return [link.download, await (await fetch(link.href)).text()];""",
    )
    assert name == "one.svg"
    assert ElementTree.fromstring(text)[0].text == "a < b"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The report of a sweep that has every section."""
    folder = tmp_path_factory.mktemp("report")
    path = Sweep(pairs=4, samples=1, arms=layer_scan()[:5], edit=add_read_outs).write(folder / "results.h5")
    report_of(path, folder / "page.html", "--bootstrap", "200")
    return folder / "page.html"


@pytest.mark.parametrize(
    "width, switches",
    [(1400, ()), (1400, ("--blink-settings=preferredColorScheme=0",)), (390, ())],
    ids=["light", "dark", "narrow"],
)
def test_axe_finds_nothing_to_mend(report, width, switches):
    axe_core_python = pytest.importorskip("axe_core_python")
    axe = (Path(axe_core_python.__file__).parent / "axe.min.js").read_text("utf-8")
    found = run_in_browser(
        report,
        axe.replace("</", "<\\/")
        + """;document.querySelectorAll("details").forEach((one) => (one.open = true));
        const { violations, passes } = await axe.run({ exclude: ["svg *"] }, { resultTypes: ["violations"] });
        return [passes.length, violations.map((v) => [v.id, v.nodes.length, v.nodes[0].html.slice(0, 200)])];""",
        width,
        *switches,
    )
    assert found[0] > 20 and found[1] == []
