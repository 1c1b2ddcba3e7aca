"""The benchmark's figures as a picture: rows per second of every side, and rvsweep's time by phase."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

COLOURS = ("#64707d", "#9aa5b1", "#1d5fa8", "#c2410c")


def draw(report: dict, out: Path) -> list[Path]:
    """Writes benchmark.png and benchmark.svg; `report` is what benchmark.json holds."""
    phases = report["phases"]
    figure = Figure(figsize=(7.2, 2.6 + (1.2 if phases else 0)), layout="constrained")
    grid = figure.subplots(2 if phases else 1, 1, squeeze=False, height_ratios=[2.4, 1] if phases else None)
    draw_rates(grid[0, 0], report)
    if phases:
        draw_phases(grid[1, 0], phases)
    files = [out / f"benchmark.{kind}" for kind in ("png", "svg")]
    for file in files:
        figure.savefig(file, dpi=150)
    return files


def draw_rates(axes, report: dict) -> None:
    sides = report["sides"]
    limits = {f"limit, {name}": limit["rows_per_second"] for name, limit in report["limits"]["limits"].items()}
    names = [*sides, *limits]
    rates = [side["rows_per_second"] for side in sides.values()] + list(limits.values())
    colours = [*COLOURS[: len(sides) - 1], COLOURS[3], *["#d5dbe1"] * len(limits)]
    axes.barh(names, rates, color=colours)
    for place, (name, rate) in enumerate(zip(names, rates)):
        turns = [sides[name]["rows"] / seconds for seconds in sides[name]["seconds"]] if name in sides else []
        axes.plot(turns, [place] * len(turns), "|", color="#1f2933", markersize=9)
        end = max([rate, *turns])
        axes.annotate(f"{rate:.3g}", (end, place), xytext=(5, 0), textcoords="offset points", va="center")
    axes.invert_yaxis()
    axes.set_xlabel("rows per second (bar: median, marks: turns)")
    axes.margins(x=0.12)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(report["title"], fontsize=10)


def draw_phases(axes, phases: dict[str, float]) -> None:
    left = 0.0
    for number, (name, seconds) in enumerate(phases.items()):
        axes.barh(["phases"], [seconds], left=left, color=f"C{number}", label=f"{name} {seconds:.1f} s")
        left += seconds
    axes.set_xlabel("seconds of rvsweep, mean over ranks")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=7, ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.55), frameon=False)
