"""The environment in which every page is drawn: escaping, formats, style sheet and script."""

from pathlib import Path

import jinja2
from markupsafe import Markup

from rvsweep.data.texts import marked, printable
from rvsweep.report import formatting

TEMPLATES = Path(__file__).resolve().parent / "templates"


def template(name: str) -> jinja2.Template:
    """That of templates/; a name that it reads and is not given raises, and so does a misspelt attribute."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: printable(value) if type(value) is str else value,
    )
    environment.filters.update(
        number=formatting.number,
        quantity=formatting.count,
        symbols=formatting.with_symbols,
        p=formatting.p_value,
        interval=formatting.interval,
        with_interval=formatting.with_interval,
        percent=formatting.percent,
        data_address=formatting.data_address,
        marked=marked,
    )
    for part, file in (("style", "style.css"), ("script", "report.js")):
        environment.globals[part] = Markup((TEMPLATES / file).read_text(encoding="utf-8"))
    return environment.get_template(name)
