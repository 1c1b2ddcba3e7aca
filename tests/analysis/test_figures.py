"""Figures: one colour per arm, apart for every kind of colour vision; layers true to scale; no value unlike 0."""

import itertools

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle
from synthetic_results import Sweep, add_read_outs, layer_scan

from rvsweep.data.arms import Arm
from rvsweep.data.outcomes import all_outcomes
from rvsweep.data.results import read_results
from rvsweep.figures import group_effects, heat_map, outcome_table, overview, row_geometry, scans, style
from rvsweep.stats.equivalence import Margin
from rvsweep.stats.outcome_table import outcome_table as table_of
from rvsweep.stats.overview import overview as overview_of
from rvsweep.stats.resampling import Bootstrap
from rvsweep.stats.row_geometry import LayerEffects
from rvsweep.stats.scans import scans as scans_of

# Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB.
VISION = {
    "usual": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear(colours):
    rgb = np.array([to_rgb(colour) for colour in colours])
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(linear_rgb):
    """CIELAB under D65."""
    xyz = np.clip(linear_rgb, 0, 1) @ TO_XYZ.T / np.array([0.9505, 1, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


def least_distance(colours, vision):
    seen = lab(linear(colours) @ np.transpose(VISION[vision]))
    return min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2))


def arms_of(patched, controls=0):
    kinds = ["base", "source", *["kv_cache"] * patched]
    arms = [Arm(at, f"arm {at}", kind, kind) for at, kind in enumerate(kinds)]
    more = range(len(arms), len(arms) + controls)
    return arms + [Arm(at, f"control {at}", "kv_cache", "kv_cache control=self") for at in more]


@pytest.mark.parametrize("vision", VISION)
def test_colours_of_arms_stay_apart_for_every_kind_of_colour_vision(vision):
    assert least_distance(style.arm_colours(arms_of(style.MOST_CURVES)), vision) > 20


def test_the_simulation_tells_what_red_and_green_look_like():
    red_and_green = ["#d62728", "#2ca02c"]
    seen = {vision: least_distance(red_and_green, vision) for vision in VISION}
    assert seen["deuteranopia"] < 10 and min(seen["usual"], seen["tritanopia"]) > 100


@pytest.mark.parametrize(("patched", "controls"), [(1, 0), (8, 8), (9, 0), (39, 17), (120, 60)])
def test_no_colour_stands_for_two_arms(patched, controls):
    colours = style.arm_colours(arms_of(patched, controls))
    assert len(set(colours)) == len(colours) == 2 + patched + controls


@pytest.mark.parametrize("vision", VISION)
def test_of_many_arms_base_and_source_stay_apart_from_the_rest(vision):
    colours = style.arm_colours(arms_of(39))
    seen = lab(linear(colours) @ np.transpose(VISION[vision]))
    distance = np.linalg.norm(seen[:2, None] - seen[None, 2:], axis=-1)
    assert distance.min() > 12


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    def edit(columns):
        add_read_outs(columns)
        columns["rows/logprob_source"].reshape(8, -1)[:, 2] = 0  # kv 0:5: a band without any effect

    path = tmp_path_factory.mktemp("figures") / "results.h5"
    return read_results(Sweep(pairs=8, samples=1, arms=layer_scan(), edit=edit).write(path))


BOOTSTRAP = Bootstrap(500, 1)


@pytest.fixture(scope="module")
def table(results):
    outcome = next(one for one in all_outcomes(results) if one.name == "logprob_source")
    return table_of(results, outcome, BOOTSTRAP, Margin())


@pytest.fixture
def axes_of(monkeypatch):
    """axes_of(module, function, ...) -> the axes that the function draws."""

    def draw(module, function, *arguments):
        monkeypatch.setattr(module, "drawing", lambda figure, *_: figure)
        return getattr(module, function)(*arguments).axes[0]

    return draw


def spans(axes):
    """(start, end, height) of every horizontal bar."""
    lines = (line.get_xydata() for line in axes.lines if line.get_linewidth() >= 2)
    return {(*x[:, 0].tolist(), x[0, 1]) for x in lines if len(x) == 2 and x[0, 1] == x[1, 1]}


def test_bars_span_the_layers_of_their_band(results, table, axes_of):
    colours = style.arm_colours(results.arms)
    found = overview_of(table, results.clusters, BOOTSTRAP)
    scan = scans_of(table, "layers", results.clusters, BOOTSTRAP)[0]
    profile = axes_of(scans, "depth_profile", table, scan, "name", 30, colours)
    wanted = {(*map(float, line.arm.band), line.paired.difference.value) for line in scan.lines}
    assert profile.get_xlim() == (0, 30) and wanted <= spans(profile)
    first = axes_of(overview, "overview_figure", found, colours, 30)
    ranked = sorted(found.effects, key=lambda effect: -abs(effect.line.paired.difference.value))[:14]
    rows = sorted(spans(first), key=lambda span: span[2])
    assert first.get_xlim() == (0, 30)
    assert [row[:2] for row in rows] == [tuple(map(float, effect.line.arm.band)) for effect in ranked]


def test_a_band_of_no_effect_is_unlike_no_band(results, table, axes_of):
    scan = scans_of(table, "layers", results.clusters, BOOTSTRAP)[0]
    axes = axes_of(scans, "depth_heat_map", table, scan, "name", 30)
    drawn = {(p.get_x(), p.get_x() + p.get_width()): p for p in axes.patches if isinstance(p, Rectangle)}
    assert set(drawn) == {line.arm.band for line in scan.lines} and axes.get_xlim() == (0, 30)
    assert np.allclose(drawn[0, 5].get_facecolor(), (0.97, 0.97, 0.97, 1), atol=0.01)  # 0 in RdBu
    assert axes.patch.get_hatch() and not drawn[0, 5].get_hatch()


@pytest.mark.parametrize(
    ("bands", "lanes"),
    [
        ([(0, 5), (5, 10), (0, 10)], [0, 0, 1]),
        ([(0, 4), (2, 6), (4, 8), (0, 8)], [0, 1, 0, 2]),
        ([(0, 4), (0, 4)], [0, 0]),
    ],
)
def test_bands_of_a_lane_do_not_overlap(bands, lanes):
    assert scans.band_lanes(bands) == lanes


def test_many_arms_give_a_map_of_all_of_them(axes_of):
    arms = arms_of(39)[2:]
    values = np.arange(39 * 30.0).reshape(39, 30)
    values[3, 4] = np.nan
    effects = LayerEffects("prompt", arms, ["8"] * 39, values, values, values, np.ones_like(values))
    axes = axes_of(row_geometry, "layer_effects", effects, "name", style.arm_colours(arms_of(39)))
    image = axes.images[0]
    assert np.array_equal(np.ma.filled(image.get_array(), np.nan), values, equal_nan=True)
    assert image.get_extent() == [0, 30, 39, 0] or tuple(image.get_extent()) == (0, 30, 39, 0)
    assert [label.get_text() for label in axes.get_yticklabels()] == [arm.label for arm in arms]
    assert axes.patch.get_hatch()


def test_few_arms_give_curves_in_their_own_colours(axes_of):
    arms = arms_of(5)
    values = np.zeros((5, 30))
    effects = LayerEffects("prompt", arms[2:], ["8"] * 5, values, values, values, values + 1)
    axes = axes_of(row_geometry, "layer_effects", effects, "name", style.arm_colours(arms))
    drawn = [line.get_color() for line in axes.lines if len(line.get_xdata()) == 30]
    assert drawn == style.arm_colours(arms)[2:]


def test_the_bound_of_equivalence_is_drawn_at_its_size(results, table, axes_of):
    colours = style.arm_colours(results.arms)
    axes = axes_of(outcome_table, "outcome_differences", table, colours)
    boxes = [
        (p.get_x(), p.get_width()) for p in axes.patches if to_rgb(p.get_facecolor()) == to_rgb(style.BOUND)
    ]
    wanted = [
        (-e.bound, 2 * e.bound)
        for e in (line.equivalence for line in table.lines if line.paired)
        if e.bound == e.bound
    ]
    assert len(wanted) > 10 and np.allclose(sorted(boxes), sorted(wanted))


def test_a_map_needs_no_finite_value():
    with style.figure(heat_map.height(arms_of(1))) as (fig, axes):
        heat_map.heat_map(fig, axes, arms_of(1), np.full((3, 4), np.nan), "scale")
    assert group_effects.heat_map is heat_map.heat_map
