"""The report: one self-contained page about a sweep."""

from rvsweep.data.results import Results
from rvsweep.data.settings import window_text
from rvsweep.report import answer, sections
from rvsweep.report.html import template
from rvsweep.report.methods import methods
from rvsweep.report.references import bibtex


def render(contents: dict[str, object]) -> str:
    """The whole page of what `contents_of` gave."""
    return template("report.html.j2").render(contents)


def contents_of(results: Results, options: sections.Options) -> dict[str, object]:
    """What the page is drawn from, by its names in the templates. The same file and options give the same page."""
    sweep = sections.Sweep(results, options)
    groups = sections.groups(sweep)
    return dict(
        results=results,
        bootstrap=options.bootstrap,
        margin=options.margin,
        counts=sweep.counts,
        colours=sweep.colours,
        window=window_text(results),
        notebook=sweep.notebook,
        head=answer.head(sweep),
        geometry=sections.geometry(sweep),
        patching=sections.patching(sweep),
        controls=sections.controls(sweep),
        scans=sections.scan_sections(sweep),
        groups=groups,
        layers=sections.layers(sweep),
        ratings=sections.ratings(sweep),
        power=sections.power(sweep),
        methods=methods(results, sweep.counts, options.bootstrap, options.margin),
        bibtex=bibtex(results, dosed=bool(groups and groups.dosed)),
        texts=sections.texts(sweep),
        rows=sections.rows(sweep),
    )
