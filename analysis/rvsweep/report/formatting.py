"""Numbers as the report prints them."""

import base64
import math

from markupsafe import Markup, escape

from rvsweep.stats.paired import Estimate

NOTHING = "–"


def number(value: float | int | None) -> str:
    """Three decimals below 10, fewer above, more where it would read as 0.000; integers as they are."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return NOTHING
    if isinstance(value, float) and math.isinf(value):
        return "∞" if value > 0 else "−∞"
    size = abs(value)
    if isinstance(value, int) or (size >= 100_000 and float(value).is_integer()):
        text = f"{int(value):,}".replace(",", "\u202f") if size >= 10_000 else str(int(value))
    elif size >= 100_000:
        text = f"{value:.3g}"
    elif size >= 100:
        text = f"{value:.1f}"
    elif size >= 10:
        text = f"{value:.2f}"
    elif 0 < size < 0.00005:
        text = f"{value:.1e}".replace("e-0", "e-")
    elif 0 < size < 0.0005:
        text = f"{value:.4f}"
    else:
        text = f"{value:.3f}"
    return text.replace("-", "−")


def count(value: float) -> str:
    """A quantity that is often, but not always, a whole number."""
    return number(int(value)) if float(value).is_integer() else number(value)


def with_symbols(text: str) -> Markup:
    """Escaped text in which R_V stands as the symbol."""
    return Markup(escape(text).replace("R_V", Markup("<var>R<sub>V</sub></var>")))


def data_address(text: str, kind: str) -> str:
    """A link that holds `text`, of media type `kind`."""
    return (
        f"data:{kind};charset=utf-8;base64,"
        + base64.b64encode(text.encode(errors="surrogateescape")).decode()
    )


def p_value(value: float) -> str:
    if math.isnan(value):
        return NOTHING
    return "< 0.0001" if value < 0.0001 else f"{value:.4f}" if value < 0.1 else f"{value:.3f}"


def interval(estimate: Estimate | None) -> str:
    if estimate is None or math.isnan(estimate.low):
        return NOTHING
    return f"[{number(estimate.low)}, {number(estimate.high)}]"


def with_interval(estimate: Estimate | None) -> str:
    if estimate is None:
        return NOTHING
    return f"{number(estimate.value)} {interval(estimate)}"


def percent(estimate: Estimate | None) -> str:
    """A transfer; the caller says why where it is None."""
    if estimate is None:
        return "not defined"
    if not estimate.bounded:
        return "unbounded"
    low, high = (f"{end:.0f}".replace("-", "−") for end in (estimate.low, estimate.high))
    return f"{estimate.value:.0f} % [{low}, {high}]".replace("-", "−")
