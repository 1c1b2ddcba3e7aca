"""The report: one self-contained page about a sweep."""

from rvsweep.data.results import Results
from rvsweep.report import sections
from rvsweep.report.html import template
from rvsweep.report.methods import methods


def render(results: Results, options: sections.Options) -> str:
    """The whole page. The same file and options give the same bytes."""
    sweep = sections.Sweep(results, options)
    return template("report.html.j2").render(
        results=results,
        bootstrap=options.bootstrap,
        margin=options.margin,
        counts=sweep.counts,
        colours=sweep.colours,
        notebook=sweep.notebook,
        head=sections.head(sweep),
        geometry=sections.geometry(sweep),
        patching=sections.patching(sweep),
        controls=sections.controls(sweep),
        scans=sections.scan_sections(sweep),
        groups=sections.groups(sweep),
        layers=sections.layers(sweep),
        ratings=sections.ratings(sweep),
        power=sections.power(sweep),
        methods=methods(results, sweep.counts, options.bootstrap, options.margin),
        texts=sections.texts(sweep),
        rows=sections.rows(sweep),
    )
