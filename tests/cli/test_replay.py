"""rvsweep replay: one row computed again, its bits compared with those of the segment."""

from __future__ import annotations

import json
import math
import re
import shutil

import h5py
import numpy as np
import pytest
import xxhash
from safetensors.torch import load_file, save_file

from processes import call, segments
from rvsweep_cli import read_results
from sweep_job import ARMS, make_sweep

USER_BLOCK = 512


def place_of(rows, arm: int, pair: int = 0, sample: int = 1) -> int:
    hits = np.flatnonzero((rows["arm"] == arm) & (rows["pair"] == pair) & (rows["sample"] == sample))
    return int(hits[0])


@pytest.mark.parametrize("arm", range(len(ARMS)))
def test_a_row_has_the_same_bits_again(sweep, finished, arm):
    rows = finished.results.rows
    place = place_of(rows, arm)
    said = sweep.call("replay", finished.out, "--row", f"{rows['row_id'][place]:016x}").stdout
    assert "identical in all" in said
    arms, pairs = finished.results.arms, finished.results.pairs
    assert f"pair {pairs['id'][0]}, arm {arms['label'][arm]}, sample 1" in said and arms["spec"][arm] in said
    steps = [line.split(maxsplit=3) for line in said.splitlines() if line.strip()[:1].isdigit()]
    tokens = finished.results.tokens(place)
    assert [int(step[0]) for step in steps] == list(range(1, len(tokens) + 1))
    assert [int(step[1]) for step in steps] == tokens
    special = set(sweep.tokenizer.get_added_tokens_decoder())
    for token, step in zip(tokens, steps):
        expected = "" if token in special else sweep.tokenizer.decode([token])
        text, end = json.JSONDecoder().raw_decode(step[3])
        assert text == expected
        likeliest = re.findall(r'("(?:[^"\\]|\\.)*") (-?\d+\.\d+)', step[3][end:])
        assert len(likeliest) == 5
        values = [float(value) for _, value in likeliest]
        assert values == sorted(values, reverse=True) and float(step[2]) <= values[0] + 1e-3
        assert math.fsum(map(math.exp, values)) <= 1.01
    assert f"ended     by {rows['stop_reason'][place]}" in said
    if rows["cells_changed"][place]:
        assert f"{rows['cells_changed'][place]} cells written" in said


def test_a_changed_bit_is_found_and_named(sweep, finished, copy_of_finished):
    rows = finished.results.rows
    place = place_of(rows, 3)
    with h5py.File(finished.out / "results.h5") as file:
        bundle = int(file["run/row_bundle"][place])
    segment = segments(copy_of_finished)[bundle]
    with h5py.File(segment, "r+") as file:
        item = list(file["rows/index"][:]).index(place)
        values = file["rows/columns/change_norm"]
        values[item] = np.nextafter(values[item], np.inf)
    data = segment.read_bytes()
    line = f"rvsweep segment xxh3 {xxhash.xxh3_64_hexdigest(data[USER_BLOCK:])}\n".encode()
    segment.write_bytes(line.ljust(USER_BLOCK, b"\0") + data[USER_BLOCK:])
    row_id = str(rows["row_id"][place])  # the decimal number does, too
    said = sweep.call("replay", copy_of_finished, "--row", row_id, expect=5).stdout
    assert "differ in 1 of" in said and "change_norm[0]: stored" in said


def test_a_row_not_computed_yet_and_rows_that_cannot_be(sweep, finished, copy_of_finished, tmp_path):
    rows = finished.results.rows
    place = place_of(rows, 0)
    for segment in segments(copy_of_finished):
        segment.unlink()
    row_id = f"{rows['row_id'][place]:016x}"
    assert "not computed this row yet" in sweep.call("replay", copy_of_finished, "--row", row_id).stdout
    refused = int(np.flatnonzero(rows["status"] == "refused")[0])
    result = sweep.call("replay", finished.out, "--row", f"{rows['row_id'][refused]:016x}", expect=2)
    assert rows["reason"][refused] in result.stderr
    for odd, told in (("0123456789abcdef", "has no row"), ("pair-1", "is no row id"), ("-5", "is no row id")):
        assert told in sweep.call("replay", finished.out, f"--row={odd}", expect=2).stderr
    assert "row is missing" in sweep.call("replay", finished.out, expect=2).stderr


def test_a_row_of_an_extended_sweep(sweep, finished, copy_of_finished):
    sweep.run(copy_of_finished, "--extend", "--set", "generation.samples=3")
    with h5py.File(copy_of_finished / "results.h5") as file:
        ids, samples = file["rows/row_id"][:], file["rows/sample"][:]
    for sample in (0, 2):  # of the first generation and of the second
        said = sweep.call("replay", copy_of_finished, "--row", f"{ids[samples == sample][0]:016x}").stdout
        assert "identical in all" in said


def test_a_row_that_generates_nothing(sweep, tmp_path):
    out = tmp_path / "out"
    sweep.run(out, "--set", "generation.max_new_tokens=0", "--set", "readouts.reencode=false", "--set", "sweep.arm=source")
    rows = read_results(out / "results.h5").rows
    row = rows["row_id"][rows["status"] == "ok"][0]
    assert "identical in all" in sweep.call("replay", out, "--row", f"{row:016x}").stdout


def test_a_generated_nul_is_compared_as_it_is_stored(rvsweep, tiny_model, tmp_path):
    """Of qwen2's 640 logits 40 have no token; the tokenizer gets one for the NUL byte, which then wins often."""
    model = shutil.copytree(tiny_model("qwen2"), tmp_path / "model")
    tokenizer = json.loads((model / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"]["\u0100"] = 600
    (model / "tokenizer.json").write_text(json.dumps(tokenizer))
    weights = load_file(model / "model.safetensors")
    weights["model.embed_tokens.weight"][600] *= 20
    save_file(weights, model / "model.safetensors")
    sweep = make_sweep(rvsweep, model, tmp_path)
    sweep.run(tmp_path / "out")
    rows = read_results(tmp_path / "out" / "results.h5").rows
    place = next(n for n, tokens in enumerate(rows["tokens"]) if 600 in tokens)
    assert "\u2400" in rows["text"][place]
    said = sweep.call("replay", tmp_path / "out", "--row", f"{rows['row_id'][place]:016x}").stdout
    assert "identical in all" in said


def test_another_model_is_refused(sweep, finished, tiny_model):
    row_id = f"{finished.results.rows['row_id'][0]:016x}"
    words = ["replay", finished.out, "--row", row_id, "--model", tiny_model("llama31")]
    result = call([sweep.binary, *words])
    assert result.returncode == 2 and "is not the model of the sweep" in result.stderr
