"""Signals to ranks, mpirun and the whole job at random moments. RVSWEEP_KILLS sets how many kill -9 there are."""

from __future__ import annotations

import os
import random
import signal
import time

import pytest

from jobs import END_LIMIT, Job, acknowledged, contents, journal
from sweep_job import assert_same_results

KILLS = int(os.environ.get("RVSWEEP_KILLS", "20"))
RANK_LIMIT = 3  # seconds of silence that the stopped jobs allow


class Hurt:
    """A job that gets one signal at a random moment of its life."""

    def __init__(self, sweep, finished, folder, seed: int, *options: str, ranks=(0, 1, 2, 3)) -> None:
        self.random = random.Random(seed)
        self.sweep, self.finished, self.out = sweep, finished, folder / "out"
        self.job = Job(sweep.words(self.out, *options), self.random.choice(ranks), folder / "log")

    def wait(self) -> None:
        """Up to a little longer than an undisturbed run takes."""
        time.sleep(self.random.uniform(0, 1.1 * self.finished.seconds))

    def wait_until_handed_out(self) -> None:
        """All ranks are in the sweep, or it is over."""
        given = lambda: {event["rank"] for event in journal(self.out) if event["event"] == "handed_out"}
        while self.job.process.poll() is None and len(given()) < max(1, self.job.n_ranks):
            time.sleep(0.005)

    def resume_and_compare(self) -> None:
        """On another number of ranks; what was acknowledged is there and stays as it is."""
        kept, said = contents(self.out), acknowledged(self.out)
        assert said <= kept.keys(), "an acknowledged bundle is lost"
        self.sweep.run(self.out, ranks=self.random.choice([0, 1, 2, 3]))
        now = contents(self.out)
        assert {name: now.get(name) for name in kept} == kept, "a committed bundle was computed again"
        assert_same_results(self.out, self.finished)
        assert list(self.out.rglob(".*")) == [], "temporary files were left behind"


@pytest.mark.parametrize("seed", range(KILLS))
def test_kill(sweep, finished, tmp_path, seed):
    hurt = Hurt(sweep, finished, tmp_path, seed)
    with hurt.job as job:
        hurt.wait()
        target = hurt.random.choice(["one rank", "mpirun", "all"])
        ranks = job.rank_pids()
        if target == "all" or job.n_ranks == 0:
            job.hurt(job.members(), signal.SIGKILL)
        elif target == "mpirun" or not ranks:
            job.hurt([job.process.pid], signal.SIGKILL)
        else:
            job.hurt([hurt.random.choice(ranks)], signal.SIGKILL)
        code = job.end_within(END_LIMIT)
    assert code != 0 or (hurt.out / "results.h5").exists()
    hurt.resume_and_compare()


@pytest.mark.parametrize("seed", range(5))
def test_several_kills_of_one_sweep(sweep, finished, tmp_path, seed):
    """No number of kills sets an innocent bundle aside, as long as some bundle is done each time."""
    generator = random.Random(1000 + seed)
    out = tmp_path / "out"
    for attempt in range(4):
        before = len(contents(out))
        with Job(sweep.words(out), generator.choice([0, 2, 3]), tmp_path / f"log{attempt}") as job:
            job.wait_until(lambda: len(contents(out)) >= before + 4)
            job.hurt(job.members(), signal.SIGKILL)
            job.end_within(END_LIMIT)
    assert not any(event["event"] == "set_aside" for event in journal(out))
    sweep.run(out, ranks=2)
    assert_same_results(out, finished)


@pytest.mark.parametrize("seed", range(5))
def test_stopped_process(sweep, finished, tmp_path, seed):
    """SIGSTOP to a rank: the job ends by itself, not with 0, once the rank was silent for too long."""
    hurt = Hurt(sweep, finished, tmp_path, seed, "--rank-timeout", f"{RANK_LIMIT}s", ranks=(2, 3))
    with hurt.job as job:
        hurt.wait_until_handed_out()
        time.sleep(hurt.random.uniform(0, 0.5 * hurt.finished.seconds))
        ranks = job.rank_pids()
        stopped = hurt.random.choice(ranks) if ranks else None
        if stopped is not None:
            job.hurt([stopped], signal.SIGSTOP)
        try:
            code = job.end_within(RANK_LIMIT + END_LIMIT)
        except AssertionError:  # stopped after its last word: nobody misses it but mpirun
            assert (hurt.out / "results.h5").exists()
            job.hurt([stopped], signal.SIGCONT)
            code = job.end_within(END_LIMIT)
    assert code != 0 or stopped is None or (hurt.out / "results.h5").exists()
    if code != 0:
        assert "gave no sign of life for more than 3 s" in job.log.read_text() or "alarm" in job.log.read_text().lower()
    hurt.resume_and_compare()


@pytest.mark.parametrize("seed", range(5))
def test_user_signal(sweep, finished, tmp_path, seed):
    """SIGUSR1 to mpirun or to a run alone: 75, nothing in flight is lost."""
    hurt = Hurt(sweep, finished, tmp_path, seed)
    with hurt.job as job:
        hurt.wait_until_handed_out()
        time.sleep(hurt.random.uniform(0, 0.8 * hurt.finished.seconds))
        job.hurt([job.process.pid], signal.SIGUSR1)
        code = job.end_within(END_LIMIT)
    assert code in (0, 75), job.log.read_text()
    events = journal(hurt.out)
    open_bundles = {event["bundle"] for event in events if event["event"] == "handed_out"}
    open_bundles -= {event["bundle"] for event in events if event["event"] in ("done", "returned")}
    assert open_bundles == set()
    assert (code == 0) == (hurt.out / "results.h5").exists()
    hurt.resume_and_compare()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("ranks", [0, 2])
def test_termination(sweep, finished, tmp_path, number, ranks):
    """Alone a run drains and ends with 75; mpirun ends its ranks at once."""
    hurt = Hurt(sweep, finished, tmp_path, ranks, ranks=(ranks,))
    with hurt.job as job:
        job.wait_until(lambda: len(contents(hurt.out)) >= 3)
        job.hurt([job.process.pid], number)
        code = job.end_within(END_LIMIT)
    assert code == 75 if ranks == 0 else code != 0
    hurt.resume_and_compare()
    suspects = [event["died_in"] for event in journal(hurt.out) if event["event"] == "launch"][-1]
    assert suspects == [], "ranks that were asked to end died of no bundle"


def test_a_second_signal_ends_it_at_once(sweep, finished, tmp_path):
    hurt = Hurt(sweep, finished, tmp_path, 0, ranks=(0,))
    with hurt.job as job:
        job.wait_until(lambda: len(contents(hurt.out)) >= 2)
        job.hurt(job.members(), signal.SIGSTOP)  # both are pending when it goes on
        job.hurt(job.members(), signal.SIGTERM)
        job.hurt(job.members(), signal.SIGUSR1)
        job.hurt(job.members(), signal.SIGCONT)
        assert job.end_within(END_LIMIT) in (-signal.SIGTERM, -signal.SIGUSR1)
    hurt.resume_and_compare()


@pytest.mark.parametrize("ranks", [0, 2])
def test_kill_during_the_merge(sweep, finished, copy_of_finished, tmp_path, ranks):
    """Runs of a computed folder do nothing but merge, which is killed as soon as its temporary file is seen."""
    results = copy_of_finished / "results.h5"
    hits = 0
    for attempt in range(10):
        results.unlink(missing_ok=True)
        with Job(sweep.words(copy_of_finished), ranks, tmp_path / f"log{attempt}") as job:
            while job.process.poll() is None and not list(copy_of_finished.glob(".results.h5.*")):
                time.sleep(0.0005)
            job.hurt(job.members(), signal.SIGKILL)
            job.end_within(END_LIMIT)
        hits += not results.exists()
        if hits == 3:
            break
    assert hits > 0, "no kill came before the end of the merge"
    results.unlink(missing_ok=True)
    sweep.run(copy_of_finished, ranks=ranks)
    assert_same_results(copy_of_finished, finished)
    assert list(copy_of_finished.rglob(".*")) == []
