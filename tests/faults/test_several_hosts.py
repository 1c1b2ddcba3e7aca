"""Ranks on two hosts with their own addresses: network namespaces joined by a virtual cable, TCP between them."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from jobs import Job, contents
from processes import ENVIRONMENT
from sweep_job import assert_same_results

HOSTS = {"rvsweep-a": "10.97.31.1", "rvsweep-b": "10.97.31.2"}


def ip(*words: str) -> subprocess.CompletedProcess:
    return subprocess.run(["ip", *words], capture_output=True, text=True)


@pytest.fixture(scope="module")
def hosts(tmp_path_factory):
    """Words that start mpirun on the first host with ranks on both; the agent stands in for ssh."""
    if shutil.which("ip") is None:
        pytest.skip("ip (iproute2) is not installed")
    first, second = HOSTS
    steps = [
        ["netns", "add", first],
        ["netns", "add", second],
        ["link", "add", "rvsweep-va", "netns", first, "type", "veth", "peer", "name", "rvsweep-vb", "netns", second],
    ]
    for name, address, cable in zip(HOSTS, HOSTS.values(), ("rvsweep-va", "rvsweep-vb")):
        steps.append(["-n", name, "addr", "add", f"{address}/24", "dev", cable])
        steps += [["-n", name, "link", "set", device, "up"] for device in ("lo", cable)]
    try:
        for step in steps:
            done = ip(*step)
            if done.returncode != 0:
                pytest.skip(f"no network namespaces here: ip {' '.join(step)}: {done.stderr.strip()}")
        agent = tmp_path_factory.mktemp("agent") / "agent"
        cases = "".join(f"{address}) name={name} ;;\n" for name, address in HOSTS.items())
        agent.write_text(
            f'#!/bin/sh\ncase "$1" in\n{cases}*) echo "no host $1" >&2; exit 1 ;;\nesac\nshift\n'
            'exec ip netns exec "$name" unshare --uts sh -c "hostname $name; $*"\n'
        )
        agent.chmod(0o755)
        yield on_hosts(agent)
    finally:
        for name in HOSTS:
            ip("netns", "del", name)


def on_hosts(agent):
    first, second = HOSTS.values()
    name = next(iter(HOSTS))

    def words(ranks: int) -> list[str]:
        mca = ["plm_rsh_agent", str(agent)], ["btl", "tcp,self"], ["oob_tcp_if_include", "10.97.31.0/24"]
        mca += (["btl_tcp_if_include", "10.97.31.0/24"],)
        # mpirun itself waits five minutes for a host that is gone unless it is told otherwise.
        mca += ["oob_tcp_keepalive_time", "2"], ["oob_tcp_keepalive_intvl", "1"], ["oob_tcp_keepalive_probes", "3"]
        options = [word for key, value in mca for word in ("--mca", key, value)]
        inside = ["ip", "netns", "exec", name, "unshare", "--uts", "sh", "-c", f'hostname {name}; exec "$@"', "sh"]
        where = ["-n", str(ranks), "--host", f"{first}:{ranks},{second}:{ranks}", "--map-by", "node"]
        return [*inside, "mpirun", *where, "--oversubscribe", "--bind-to", "none", *options]

    return words


def test_two_hosts_give_the_same_file(sweep, finished, hosts, tmp_path):
    out = tmp_path / "out"
    command = [*hosts(4), *map(str, sweep.words(out))]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, env=ENVIRONMENT)
    assert result.returncode == 0, result.stderr
    assert_same_results(out, finished)
    ranks = sweep.status(out)["ranks"]
    assert {rank["host"] for rank in ranks} == set(HOSTS)
    for host in HOSTS:
        assert sum(rank["bundles_done"] for rank in ranks if rank["host"] == host) > 0, f"{host} computed nothing"


def test_a_cut_cable_is_noticed(sweep, finished, hosts, tmp_path):
    """No packet is answered any more: the ranks give up at the user's limit, and another run completes the sweep.

    How long mpirun itself outlasts them is a matter of its own connections, not of rvsweep's.
    """
    out, log = tmp_path / "out", tmp_path / "log"
    first = next(iter(HOSTS))
    words = [*hosts(2), *map(str, sweep.words(out, "--rank-timeout", "3s"))]
    with Job(words, 0, log) as job:
        job.wait_until(lambda: len(contents(out)) >= 3)
        ip("-n", first, "link", "set", "rvsweep-va", "down")
        try:
            job.wait_until(lambda: "gave no sign of life for more than 3 s" in log.read_text())
        finally:
            job.kill()
            ip("-n", first, "link", "set", "rvsweep-va", "up")
    lock = out / "lock"
    lock.unlink(missing_ok=True)  # its holder's host is gone
    sweep.run(out, ranks=2)
    assert_same_results(out, finished)
