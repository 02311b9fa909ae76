"""Sweeps on a Ray cluster and through submitit: the commands of the page, and workers that are killed."""

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from programs import ended

ROOT = Path(__file__).parents[2]
QUICK = ("experiment=quick", "callbacks=none", "export.int8=false")
LONGER = (*QUICK, "training.training_epochs=40")  # so that a run can be met in its middle
PAGE = (ROOT / "docs/howto/sweeps.md").read_text().replace("\\\n", " ")


def commands(word):
    """The commands of the page that have this word in them."""
    found = [
        shlex.split(line, comments=True) for line in re.findall(r"^    (nas-lightning -m .*)$", PAGE, re.MULTILINE)
    ]
    return [command[1:] for command in found if any(word in argument for argument in command)]


def folders(sweep):
    """Of the runs that the table has."""
    return [line.split(",")[6] for line in (sweep / "table.csv").read_text().splitlines()[1:]]


MACHINES = """
import sys
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
second = cluster.add_node(num_cpus=1)
print(cluster.address, flush=True)
if sys.stdin.readline():
    cluster.remove_node(second, allow_graceful=False)
    print("lost", flush=True)
    sys.stdin.readline()
cluster.shutdown()
"""


class Cluster:
    """A Ray of two machines with one CPU each, which asks for a token."""

    def __init__(self):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen([sys.executable, "-c", MACHINES], **pipes)
        self.address = self.process.stdout.readline().strip()

    def lose_a_machine(self):
        self.process.stdin.write("lose\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "lost\n"


@pytest.fixture
def cluster(monkeypatch):
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0123456789abcdef" * 2)
    cluster = Cluster()
    yield cluster
    cluster.process.communicate(timeout=60)


def process_of(run_folder, process):
    """Wait until a run trains, and return the id of its process: the one that holds its log open."""
    while not (run_folder / "checkpoints" / "training" / "last.ckpt").is_file():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    log = str(run_folder / "run.log")
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if str(link.readlink()) == log:
                return int(link.parts[2])
        except OSError:  # a process that ended meanwhile
            continue
    raise AssertionError("nobody holds run.log open")


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """The network of one run of the sweeps below, without a launcher."""
    folder = tmp_path_factory.mktemp("unbroken")
    command = [sys.executable, "-m", "nas_lightning", "seed=1", "hydra.run.dir=run", *LONGER]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return (folder / "run" / "model.onnx").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("lost", ["process", "machine"])
def test_a_run_that_lost_its_worker_goes_on(cluster, program, tmp_path, unbroken, lost):
    ray = ["hydra/launcher=ray", f"hydra.launcher.address={cluster.address}", "hydra.sweep.dir=sweep"]
    sweep = program("-m", "seed=0,1,2", *ray, *LONGER)
    victim = process_of(tmp_path / "sweep" / "1", sweep)
    if lost == "process":
        os.kill(victim, signal.SIGKILL)
    else:  # each has one of the first two runs; it may be that of run 0 that is lost
        cluster.lose_a_machine()
    status, out, err = ended(sweep)
    assert status == 0, err
    assert folders(tmp_path / "sweep") == ["0", "1", "2"]
    assert "of the sweep: its process or machine was lost" in out
    assert (tmp_path / "sweep" / "1" / "model.onnx").read_bytes() == unbroken


@pytest.mark.slow
def test_a_run_that_is_lost_for_good_has_failed_and_the_others_end(cluster, program, tmp_path, unbroken):
    ray = ["hydra/launcher=ray", f"hydra.launcher.address={cluster.address}", "hydra.launcher.retries=0"]
    sweep = program("-m", "seed=0,1,2", *ray, "hydra.sweep.dir=sweep", *LONGER)
    os.kill(process_of(tmp_path / "sweep" / "1", sweep), signal.SIGKILL)
    status, _, err = ended(sweep)
    assert status == 2
    assert "error: 1 runs of the sweep have no result: run 1: its process or machine was lost" in err
    assert folders(tmp_path / "sweep") == ["0", "1", "2"]
    status, _, err = ended(program("resume=sweep"))
    assert status == 0, err
    assert (tmp_path / "sweep" / "1" / "model.onnx").read_bytes() == unbroken


@pytest.mark.slow
def test_an_interrupted_sweep_says_how_its_runs_go_on(cluster, program, tmp_path):
    ray = ["hydra/launcher=ray", f"hydra.launcher.address={cluster.address}", "hydra.sweep.dir=sweep"]
    sweep = program("-m", "seed=0,1", *ray, *LONGER, "training.training_epochs=100000")
    process_of(tmp_path / "sweep" / "1", sweep)
    for _ in range(5):  # Ray does not hand on one that comes while it calls back
        sweep.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            sweep.wait(timeout=20)
            break
    status, _, err = ended(sweep)
    assert status == 1
    assert err.strip() == f"interrupted; go on with: nas-lightning resume={tmp_path / 'sweep'}"


@pytest.mark.slow
def test_the_command_for_ray_runs(cluster, program, monkeypatch, tmp_path):
    (command,) = commands("hydra/launcher=ray")
    assert "hydra.launcher.address=auto" in command
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    status, out, err = ended(program(*command, "hydra.sweep.dir=sweep", *QUICK))
    assert status == 0, err
    assert folders(tmp_path / "sweep") == ["0", "1", "2", "3"]
    assert "4 runs" in out


@pytest.mark.slow
def test_the_command_for_slurm_runs_with_the_local_executor(program, tmp_path):
    pytest.importorskip("submitit")
    (command,) = commands("hydra/launcher=submitit_slurm")
    local = [argument.replace("submitit_slurm", "submitit_local") for argument in command]
    status, out, err = ended(program(*local, "hydra.sweep.dir=sweep", *QUICK))
    assert status == 0, err
    assert folders(tmp_path / "sweep") == ["0", "1", "2", "3"]
    assert "4 runs" in out


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["ray", "submitit_local"])
def test_a_sweep_goes_on_past_a_run_that_fails(program, tmp_path, launcher):
    pytest.importorskip(launcher.partition("_")[0])
    sweep = ["-m", "training.batch_size=99,16", f"hydra/launcher={launcher}", "hydra.sweep.dir=sweep"]
    status, _, err = ended(program(*sweep, "training.nas_enabled=false", *QUICK))
    assert status == 2
    assert "have no result: run 0: training.batch_size: 99 is larger than the train split" in err
    assert folders(tmp_path / "sweep") == ["0", "1"]


MISTAKES = {
    "address=127.0.0.1:1": "hydra.launcher.address: nobody answers at 127.0.0.1:1 (",
    "retries=-1": "hydra.launcher.retries: found -1; allowed: a number from 0 up",
    "num_cpus=null": "hydra.launcher.num_cpus: found None; allowed: a number from 0 up",
}


def sentence_of(err):
    assert err.count("\n") == 1
    return err.removeprefix("error: ").strip()


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_ends_in_a_sentence(cli, tmp_path, mistake):
    pytest.importorskip("ray")
    status, _, err = cli("-m", "seed=0,1", "hydra/launcher=ray", f"hydra.launcher.{mistake}", "hydra.sweep.dir=x")
    assert status == 2
    assert sentence_of(err).startswith(MISTAKES[mistake])
    assert not (tmp_path / "x" / "0").exists()


def test_without_ray_a_sentence_says_what_to_install(cli, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    status, _, err = cli("-m", "seed=0,1", "hydra/launcher=ray", "hydra.sweep.dir=x")
    assert status == 2
    assert sentence_of(err) == "hydra/launcher=ray: Ray is not installed; pip install 'nas-lightning[ray]'"


@pytest.mark.slow
def test_a_run_larger_than_this_machine_is_refused(program):
    pytest.importorskip("ray")
    sweep = ["-m", "seed=0,1", "hydra/launcher=ray", "hydra.launcher.num_cpus=4096", "hydra.sweep.dir=x"]
    status, _, err = ended(program(*sweep))
    assert status == 2
    assert re.match(r"hydra.launcher.num_cpus: found 4096; allowed: up to \d+, which this", sentence_of(err))
