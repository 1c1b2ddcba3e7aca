"""Pages point to what exists, and README stays one that a newcomer takes in."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ["analysis", "configs", "jobs", "slurm", "src", "tests"]
PAGES = sorted([*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))])
LINK = re.compile(r"\]\(([^()\s]+)\)")
NAMED_FILE = re.compile(rf"`((?:{'|'.join(FOLDERS)})/[\w./-]+)`")


def prose(page: Path) -> str:
    """Without blocks of code, in which ](...) may be an index and a call."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def broken_links(page: Path) -> list[str]:
    broken = []
    for link in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    return broken


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_and_named_files_exist(page: Path):
    assert broken_links(page) == []
    assert [name for name in NAMED_FILE.findall(prose(page)) if not (ROOT / name).exists()] == []


def test_broken_links_are_found(tmp_path: Path):
    (tmp_path / "other.md").write_text("# A, b: `c`\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[](other.md#a-b-c) [](other.md#d) [](gone.md) [](https://x.y/z) [](#e)\n```\nf[0](gone)\n```\n# E\n"
    )
    assert broken_links(page) == ["other.md#d", "gone.md"]


def test_every_page_is_reached_from_readme():
    waiting, reached = [ROOT / "README.md"], set()
    while waiting:
        page = waiting.pop()
        if page not in reached:
            reached.add(page)
            targets = [(page.parent / link.partition("#")[0]).resolve() for link in LINK.findall(prose(page))]
            waiting += [target for target in targets if target.suffix == ".md" and target.is_file()]
    assert set(PAGES) <= reached


def test_readme_is_short_and_has_a_picture():
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 150
    assert [line for line in lines if len(line) > 120] == []
    pictures = [ROOT / name for line in lines[:20] for name in re.findall(r"!\[[^]]+\]\(([^)]+)\)", line)]
    assert [picture.stat().st_size < 150_000 for picture in pictures] == [True]
