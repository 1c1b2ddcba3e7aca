"""The same file from any number of ranks, any order of dispatch and any resume, in every precision."""

from __future__ import annotations

import json
import random
import signal

import h5py
import pytest

from jobs import END_LIMIT, Job, contents
from processes import call, differing, outside_run


def words(sweep, out, dtype, *more):
    asked = sweep.words(out, *more)
    asked[asked.index("float32")] = dtype
    return asked


def run(sweep, out, dtype, *more, ranks=0):
    result = call(words(sweep, out, dtype, *more), ranks)
    assert result.returncode == 0, result.stderr
    return result


@pytest.fixture(scope="module", params=["float32", "bfloat16"])
def alone(request, sweep, tmp_path_factory):
    """Precision, folder and content of a run on one rank."""
    out = tmp_path_factory.mktemp(request.param) / "out"
    run(sweep, out, request.param)
    return request.param, out, outside_run(out / "results.h5")


@pytest.mark.parametrize("ranks", [1, 2, 3, 5])
def test_any_number_of_ranks(sweep, alone, tmp_path, ranks):
    dtype, _, content = alone
    run(sweep, tmp_path / "out", dtype, ranks=ranks)
    assert differing(outside_run(tmp_path / "out" / "results.h5"), content) == []


@pytest.mark.parametrize("seed", range(3))
def test_any_order_of_dispatch(sweep, alone, tmp_path, seed):
    dtype, _, content = alone
    out = tmp_path / "out"
    stopped = call(words(sweep, out, dtype, "--max-time", "0.001s"))
    assert stopped.returncode == 75, stopped.stderr
    for segment in (out / "segments").iterdir():
        segment.unlink()
    n_bundles = content_bundles(out)
    order_wanted = write_attempts(out, n_bundles, seed)
    run(sweep, out, dtype, "--max-attempts", "1000", ranks=seed)
    handed_out = [
        event["bundle"]
        for event in map(json.loads, (out / "journal.jsonl").read_text().splitlines())
        if event["event"] == "handed_out"
    ]
    assert handed_out == order_wanted and handed_out != sorted(handed_out)
    assert differing(outside_run(out / "results.h5"), content) == []


def content_bundles(out) -> int:
    with h5py.File(out / "plan.h5") as plan:
        return json.loads(plan["sweep"].asstr()[0])["n_bundles"]


def write_attempts(out, n_bundles: int, seed: int) -> list[int]:
    """A journal that gives every bundle a different number of failed attempts, which decides the order of dispatch
    before cost does; the order."""
    order = list(range(n_bundles))
    random.Random(seed).shuffle(order)
    launch = json.loads((out / "journal.jsonl").read_text().splitlines()[0])
    launches = [json.dumps(launch | {"died_in": order[done:]}) for done in range(1, n_bundles)]
    (out / "journal.jsonl").write_text("\n".join(launches) + "\n")
    return order


def test_resumed_on_other_numbers_of_ranks(sweep, alone, tmp_path):
    dtype, _, content = alone
    out = tmp_path / "out"
    for ranks in (3, 0, 5):
        before = len(contents(out))
        with Job(words(sweep, out, dtype), ranks, tmp_path / f"log{ranks}") as job:
            job.wait_until(lambda: len(contents(out)) >= before + 3)
            job.hurt([job.process.pid], signal.SIGUSR1)
            assert job.end_within(END_LIMIT) in (0, 75)
    run(sweep, out, dtype, ranks=2)
    assert differing(outside_run(out / "results.h5"), content) == []
