"""A private Slurm on this machine: munged, slurmctld and two slurmd ("nodes" n0 and n1), all below one folder.

Everything listens on ports of its own and is ended by process id. Needs root: slurmd starts jobs as their user.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd")
CLIENTS = ("sbatch", "srun", "scontrol", "scancel", "squeue", "sinfo")
NODES = ("n0", "n1")
CPUS = 4  # of each node, whatever the machine has

CONFIG = """
ClusterName=private
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
TmpFS={folder}/tmp-%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=pmix
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SchedulerParameters=sched_min_interval=200000,sched_interval=1,bf_interval=1
GresTypes=gpu
KillWait=5
ReturnToService=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
NodeName=n0 NodeHostname={host} NodeAddr=127.0.0.1 Port={port_0} CPUs={cpus} Gres=gpu:4
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={port_1} CPUs={cpus} Gres=gpu:4
PartitionName=normal Nodes=n0,n1 Default=YES PriorityTier=1 PreemptMode=REQUEUE
PartitionName=urgent Nodes=n0,n1 PriorityTier=10 PreemptMode=OFF
"""


def missing() -> str:
    """Why no private Slurm can be started here; empty where one can."""
    if os.geteuid() != 0:
        return "a private Slurm needs root"
    path = os.environ.get("PATH", "") + ":/usr/sbin"
    absent = [name for name in DAEMONS + CLIENTS if not shutil.which(name, path=path)]
    return f"not installed: {', '.join(absent)} (Debian: slurm-wlm munge)" if absent else ""


def free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in held]
    for server in held:
        server.close()
    return ports


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"this did not come within {seconds:.0f} s: {what}")
        time.sleep(0.1)


class PrivateSlurm:
    """Context manager; within it `call` runs Slurm's commands against this installation."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = os.environ | {
            "PATH": os.environ.get("PATH", "") + ":/usr/sbin",
            "SLURM_CONF": str(folder / "slurm.conf"),
            "OMPI_ALLOW_RUN_AS_ROOT": "1",
            "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
            # Two nodes on one machine would take each other's shared-memory files for their own.
            "OMPI_MCA_btl": "self,tcp",
            "OMPI_MCA_pml": "ob1",
        }
        self.daemons: list[subprocess.Popen] = []

    def __enter__(self) -> PrivateSlurm:
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in ("state", *(f"{kind}-{node}" for kind in ("spool", "tmp") for node in NODES)):
            (self.folder / name).mkdir()
        controller, port_0, port_1 = free_ports(3)
        (self.folder / "slurm.conf").write_text(
            CONFIG.format(
                host=socket.gethostname(),
                folder=self.folder,
                controller_port=controller,
                port_0=port_0,
                port_1=port_1,
                cpus=CPUS,
            )
        )
        (self.folder / "gres.conf").write_text("Name=gpu File=/dev/null,/dev/zero,/dev/full,/dev/random\n")
        (self.folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        try:
            self._start("munged", "--foreground", "--force", *self._munge_files())
            wait_until(lambda: (self.folder / "munge.socket").exists(), "munged's socket")
            self._start("slurmctld", "-D", "-f", self.folder / "slurm.conf")
            for node in NODES:
                self._start("slurmd", "-D", "-N", node, "-f", self.folder / "slurm.conf")
            wait_until(lambda: self.call("sinfo", "-hN", "-p", "normal", "-o", "%T").split() == ["idle", "idle"], "two idle nodes")
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_) -> None:
        self._stop()

    def call(self, *words: str | Path) -> str:
        """What a command writes to stdout; empty when it fails."""
        return subprocess.run(
            [str(word) for word in words], capture_output=True, text=True, env=self.environment, timeout=60
        ).stdout

    def submit(self, folder: Path, *words: str | Path, **environment: str) -> str:
        """Job id of an sbatch from `folder`."""
        result = subprocess.run(
            ["sbatch", "--parsable", *map(str, words)],
            capture_output=True,
            text=True,
            cwd=folder,
            env=self.environment | environment,
            timeout=60,
        )
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    def job(self, job: str) -> dict[str, str]:
        """Fields of `scontrol show job`."""
        text = self.call("scontrol", "show", "job", "--oneliner", job)
        return dict(word.split("=", 1) for word in text.split() if "=" in word)

    def wait_for_state(self, job: str, *states: str, seconds: float = 60) -> dict[str, str]:
        try:
            wait_until(lambda: self.job(job).get("JobState") in states, f"job {job} {' or '.join(states)}", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.job(job)}\n{self.logs()}") from None
        return self.job(job)

    def logs(self) -> str:
        return "\n".join(f"== {log.name}\n{log.read_text()[-2000:]}" for log in sorted(self.folder.glob("*.log")))

    def _munge_files(self) -> list[str]:
        kinds = {"key": "key", "log": "log", "pid": "pid", "seed": "seed"}
        files = [f"--{kind}-file={self.folder}/munge.{name}" for kind, name in kinds.items()]
        return [*files, f"--socket={self.folder}/munge.socket"]

    def _start(self, *words: str | Path) -> None:
        with open(self.folder / f"start-{len(self.daemons)}.log", "w") as log:
            self.daemons.append(
                subprocess.Popen([str(word) for word in words], stdout=log, stderr=log, env=self.environment)
            )

    def _stop(self) -> None:
        """Jobs first, so that nothing they started outlives the daemons."""
        if len(self.daemons) > 1:
            self.call("scancel", "--user=root")
            try:
                wait_until(lambda: self.call("squeue", "-h") == "", "an empty queue", 30)
            except AssertionError:
                self.call("scancel", "--signal=KILL", "--full", "--user=root")
        for daemon in reversed(self.daemons):
            daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
