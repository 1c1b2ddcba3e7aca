"""Arms as their specs state them."""

import pytest

from rvsweep.data.arms import Arm, controls_of

KV = "entry=hold_last growth=append align=rerotate what=kv positions=all heads=all alpha=1 direction={}"
FORWARD, BACK = (KV.format(direction) for direction in ("source_to_base", "base_to_source"))


def arm(spec, index=0):
    return Arm(index, spec[:20], spec.split()[0], spec)


@pytest.mark.parametrize(
    ("layers", "ranges", "band"),
    [
        ("24", ((24, 25),), (24, 25)),
        ("16:32", ((16, 32),), (16, 32)),
        ("0:8+24:32", ((0, 8), (24, 32)), None),
        ("3+7:9", ((3, 4), (7, 9)), None),
        ("most", (), None),
    ],
)
def test_layers(layers, ranges, band):
    found = arm(f"kv_cache layers={layers} {FORWARD}")
    assert (found.ranges, found.band) == (ranges, band)


def test_unpatched_and_unknown_arms_have_no_layers():
    assert arm("base").ranges == () and not arm("base").patched
    assert arm("new_kind some words").settings == {} and arm("new_kind").band is None


def test_settings_direction_and_control():
    found = arm(f"kv_cache layers=2:4 {BACK} control=wrong_band of=4:6")
    assert found.donor_is_base and found.control == "wrong_band" and found.settings["align"] == "rerotate"
    assert found.without("layers") == arm(f"kv_cache layers=5 {BACK} control=wrong_band of=4:6").without(
        "layers"
    )


def test_each_control_goes_to_its_arm():
    specs = [
        "base",
        "source",
        f"kv_cache layers=4:8 {FORWARD}",
        f"kv_cache layers=4:8 {BACK}",
        "v_proj layers=4 decode=prefill window=16 window_policy=refuse heads=all alpha=1 direction=source_to_base",
        f"kv_cache layers=4:8 {FORWARD} control=self",
        f"kv_cache layers=4:8 {BACK} control=self",
        f"kv_cache layers=4:8 {BACK} control=reverse",
        f"kv_cache layers=0:4 {FORWARD} control=wrong_band of=4:8",
        f"kv_cache layers=0:12 {FORWARD} control=full_swap",
        "v_proj layers=4 decode=prefill window=16 window_policy=refuse heads=all alpha=1 direction=source_to_base control=zero",
        f"kv_cache layers=0:4 {FORWARD} control=zero",
        f"kv_cache layers=4:8 {FORWARD} control=other_base",
        f"kv_cache layers=4:8 {FORWARD} control=other_base:2",
        f"kv_cache layers=0+3+6:8 {FORWARD} control=random_layers:2 of=4:8",
    ]
    arms = [arm(spec, index) for index, spec in enumerate(specs)]
    found = {index: [control.index for control in controls] for index, controls in controls_of(arms).items()}
    assert found == {2: [5, 7, 8, 9, 12, 13, 14], 3: [6], 4: [10]}  # of 11 the arm is not in the file


JOINT = "kv_cache layers=4:8 entry=hold_last & v_proj layers=2 decode=persist direction=source_to_base"


def test_settings_of_each_patch_of_a_joint_arm():
    found = Arm(0, "joint", "kv_cache & v_proj", JOINT)
    assert found.settings["layers"] == "4:8" and found.settings["layers.2"] == "2"
    assert found.settings["direction"] == "source_to_base" and "direction.2" not in found.settings
    assert found.ranges == ((2, 3), (4, 8)) and found.band is None


@pytest.mark.parametrize(
    ("layers", "ranges"),
    [
        ("3", ((3, 4),)),
        ("8:12+0:4+4:6+5", ((0, 6), (8, 12))),
        ("5:5", ()),
        ("0:9+2:4", ((0, 9),)),
        ("all", ()),
    ],
)
def test_ranges_are_joined_where_they_meet(layers, ranges):
    assert Arm(0, "", "kv_cache", f"kv_cache layers={layers} entry=refeed").ranges == ranges


def test_controls_of_one_patch_belong_to_their_joint_arm():
    moved = JOINT.replace("layers=2 ", "layers=5 ")
    specs = [
        JOINT,
        moved,
        f"{JOINT} control=other_source",
        f"{JOINT} control=other_source patch=2",
        f"{JOINT.replace('4:8', '0:4')} control=wrong_band patch=1 of=4:8",
        f"{JOINT.replace('4:8', '0:4').replace('layers=2 ', 'layers=7 ')} control=wrong_band of=4:8/2",
        f"{JOINT.replace('layers=2 ', 'layers=7 ')} control=random_layers:3 patch=2 of=2",
    ]
    arms = [Arm(index, str(index), "kv_cache & v_proj", spec) for index, spec in enumerate(specs)]
    assert {of: [c.index for c in controls] for of, controls in controls_of(arms).items()} == {
        0: [2, 3, 4, 5, 6]
    }
    assert [arm.control for arm in arms[2:]] == [
        "other_source",
        "other_source of patch 2",
        "wrong_band of patch 1",
        "wrong_band",
        "random_layers:3 of patch 2",
    ]


def test_arms_of_some_pairs_have_controls_of_their_own():
    here, there = (f"{FORWARD} pairs={pairs}" for pairs in ("sea~desk", "sky~desk"))
    specs = [
        f"kv_cache layers=4:8 {here}",
        f"kv_cache layers=4:8 {there}",
        f"kv_cache layers=4:8 {there} control=self",
        f"kv_cache layers=0:12 {here} control=full_swap",
    ]
    arms = [arm(spec, index) for index, spec in enumerate(specs)]
    assert controls_of(arms) == {1: [arms[2]], 0: [arms[3]]}
    joint = arm(f"v_proj layers=4 & kv_cache layers=4:8 {here}")
    assert joint.settings["pairs"] == "sea~desk" and "pairs.2" not in joint.settings
