"""Runs whose searches and trainings are done side by side: their files are those of a run that does them in turn."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import yaml
from programs import ended
from torture import without_times

WORK = (
    *("training.nas_epochs=3", "training.training_epochs=120", "selection.candidates=4", "control.num_random=2"),
    *("search.num_seeds=2", "export.int8=false", "hydra.run.dir=run"),
)
KILLER = """
import os
import signal
from pathlib import Path

import lightning as L

from nas_lightning.workers.server import is_worker


class KillOnce(L.Callback):
    def __init__(self, mark):
        self.mark = Path(mark)

    def on_train_epoch_end(self, trainer, pl_module):
        if is_worker() and trainer.max_epochs > 50 and trainer.current_epoch == 40 and not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
"""

pytestmark = pytest.mark.slow


@pytest.fixture
def own_program(program, tmp_path):
    """The program with a callback of a user's own that kills a worker: ``--config-dir mine callbacks=kill``."""
    (tmp_path / "killer.py").write_text(KILLER)
    options = tmp_path / "mine/callbacks"
    options.mkdir(parents=True)
    (options / "kill.yaml").write_text(yaml.safe_dump({"kill": {"_target_": "killer.KillOnce", "mark": "killed"}}))
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    return partial(program, environment={**os.environ, "PYTHONPATH": path})


def succeeded(process):
    status, out, err = ended(process)
    assert status == 0, err
    return out, err


def outcome(folder):
    """What a run found, times apart: figures, networks and bytes of weights."""
    names = ("metrics.json", "cost.json", "genotype.json", "searches.json", "contest.json", "genotype_history.json")
    files = {name: without_times(json.loads((folder / name).read_text())) for name in names}
    weights = hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()
    return files, weights, sorted(path.name for path in (folder / "checkpoints").iterdir())


@pytest.fixture(scope="module")
def in_turn(tmp_path_factory):
    """The outcome of the run of which the others must be copies."""
    folder = tmp_path_factory.mktemp("in_turn")
    subprocess.run([sys.executable, "-m", "nas_lightning", *WORK, "run.backend=here"], cwd=folder, check=True)
    return outcome(folder / "run")


def said(folder, text):
    return (folder / "run/run.log").read_text().count(text)


def test_two_processes_give_the_run_of_one_though_one_of_them_is_killed(own_program, tmp_path, in_turn):
    succeeded(own_program("--config-dir", str(tmp_path / "mine"), "callbacks=kill", *WORK, "run.workers=2"))
    assert (tmp_path / "killed").exists()
    assert outcome(tmp_path / "run") == in_turn
    assert said(tmp_path, "workers: 2 processes") == said(tmp_path, "done in") == 1
    assert said(tmp_path, "training: seed") == said(tmp_path, "selection: accuracy") == 4


def test_a_ray_of_two_workers_gives_the_same_though_one_of_them_is_killed(own_program, tmp_path, in_turn):
    pytest.importorskip("ray", reason="needs the extra ray")
    on_ray = ("run.backend=ray", "run.workers=2")
    succeeded(own_program("--config-dir", str(tmp_path / "mine"), "callbacks=kill", *WORK, *on_ray))
    assert (tmp_path / "killed").exists()
    assert outcome(tmp_path / "run") == in_turn


def children_of(pid):
    """All processes below one."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = path.read_text().rpartition(")")
        except (FileNotFoundError, ProcessLookupError):
            continue
        parents[int(name.split()[0])] = int(rest.split()[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def test_an_interrupt_ends_all_workers_and_resume_gives_the_same_run(program, tmp_path, in_turn):
    process = program(*WORK, "run.workers=2")
    run = tmp_path / "run"
    while not (run / "checkpoints/training_1/last.ckpt").exists():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)
    children = children_of(process.pid)
    assert len(children) >= 3  # the one that starts workers, and two of them
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "interrupted; go on with: nas-lightning resume=" in err
    deadline = time.monotonic() + 10
    while children_of(1) & children and time.monotonic() < deadline:
        time.sleep(0.02)
    alive = [child for child in children if Path(f"/proc/{child}").exists()]
    assert alive == []
    succeeded(program("resume=run"))
    assert outcome(run) == in_turn


def test_a_program_without_a_main_guard_is_not_run_again_by_its_workers(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import nas_lightning\nprint('begun', flush=True)\n"
        "data = nas_lightning.TimeSeriesData('BasicMotions')\n"
        "nas_lightning.search_and_get_model(data=data, training_epochs=150, nas_epochs=2, folder='run',\n"
        "    overrides=['run.workers=2', 'export.int8=false', 'control.num_random=0'])\n"
    )
    found = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert found.returncode == 0, found.stderr
    assert found.stdout.count("begun") == 1
    assert said(tmp_path, "workers: 2 processes") == 1


def test_front_ends_side_by_side_are_those_in_turn(program, tmp_path):
    short = ("training.nas_epochs=2", "training.training_epochs=2", "selection.candidates=1", "control.num_random=0")
    front_ends = ("search_features=true", "features_candidates=[none,Generic_8Input_ABS_8Feature_1Frame]")
    for name, where in (("a", "run.backend=here"), ("b", "run.workers=2")):
        (tmp_path / name).mkdir()
        place = tmp_path / name
        succeeded(program(*short, *front_ends, "export.int8=false", "hydra.run.dir=run", where, folder=place))
    tables = [(tmp_path / name / "run/front_ends.csv").read_text() for name in "ab"]
    assert tables[0] == tables[1]
    assert "none" in tables[0]
    weights = [(tmp_path / name / "run/model.onnx").read_bytes() for name in "ab"]
    assert weights[0] == weights[1]
