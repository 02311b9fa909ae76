"""Sweeps that are stopped, that fail in part, and that go on."""

import csv
import json
import os
import signal
import subprocess
import sys

import pytest
import yaml
from own_conf import own_conf

SMALL = (
    "experiment=quick", "callbacks=none", "training.nas_epochs=1", "training.training_epochs=2", "logger=none",
    "selection.candidates=1", "control.num_random=0", "export.int8=false",
)  # fmt: skip
TROUBLE = """
import os
import pathlib
import signal
import lightning as L
class Trouble(L.Callback):
    '''In the run of one seed: once, and not in its resume.'''
    def __init__(self, kind, marker):
        self.kind, self.marker = kind, pathlib.Path(marker)
    def on_train_epoch_start(self, trainer, module):
        if trainer.default_root_dir.endswith("/1") and not self.marker.exists():
            self.marker.touch()
            if self.kind == "stop":
                os.kill(os.getpid(), signal.SIGTERM)
            if self.kind == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise RuntimeError("trouble")
"""


def rows_of(sweep):
    return list(csv.DictReader((sweep / "table.csv").read_text().splitlines()))


@pytest.fixture
def swept(tmp_path, monkeypatch):
    """A sweep over three seeds in a process of its own, with trouble in the second."""
    (tmp_path / "trouble.py").write_text(TROUBLE)
    own_conf(tmp_path / "mine", "trouble.Trouble")
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}

    def call(*arguments, kind=None):
        trouble = f"+callbacks.own={{_target_: trouble.Trouble, kind: {kind}, marker: {tmp_path}/marker}}"
        command = [sys.executable, "-m", "nas_lightning", "--config-dir", "mine", *arguments]
        command += ["-m", "seed=0,1,2", *SMALL, "hydra.sweep.dir=sweep", trouble] if kind else []
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    return call


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["stop", "kill", "error"])
def test_a_sweep_goes_on_to_the_table_of_an_unbroken_one(swept, tmp_path, kind):
    done = swept(kind=kind)
    sweep = tmp_path / "sweep"
    if kind == "kill":
        assert done.returncode == -signal.SIGKILL
        assert not (sweep / "table.csv").exists()
    else:
        assert done.returncode == 1, done.stderr
        ended = [bool(row["accuracy"]) for row in rows_of(sweep)]
        if kind == "stop":
            assert f"interrupted; go on with: nas-lightning resume={sweep}" in done.stderr
            assert (ended, rows_of(sweep)[1]["error"]) == ([True, False], "has not ended")
        else:
            assert "error: 1 runs of the sweep have no result: run 1: unexpected RuntimeError: trouble" in done.stderr
            assert (ended, rows_of(sweep)[1]["error"]) == ([True, False, True], "unexpected RuntimeError: trouble")
            assert rows_of(sweep)[1]["settings"] == ""  # the seed has a column of its own
    refused = swept("resume=sweep", "seed=5")
    assert refused.returncode == 2
    assert "error: resume: of a sweep takes hydra/launcher and --config-dir alone, found ['seed=5']" in refused.stderr
    before = {name: (sweep / "0" / name).stat().st_mtime_ns for name in ("metrics.json", "config.yaml")}
    done = swept("resume=sweep")
    assert done.returncode == 0, done.stderr
    assert {name: (sweep / "0" / name).stat().st_mtime_ns for name in before} == before  # not done again
    rows = rows_of(sweep)
    assert [(row["seed"], row["error"]) for row in rows] == [("0", ""), ("1", ""), ("2", "")]
    assert not list(sweep.glob("*/error.txt"))
    (tmp_path / "marker").touch()
    sweep.rename(tmp_path / "stopped")
    assert swept(kind=kind).returncode == 0
    timeless = [{name: value for name, value in row.items() if name != "seconds"} for row in rows]
    assert [{name: value for name, value in row.items() if name != "seconds"} for row in rows_of(sweep)] == timeless
    for name in ("genotype.json", "model.onnx"):
        for run in "012":
            assert (sweep / run / name).read_bytes() == (tmp_path / "stopped" / run / name).read_bytes()


def test_all_reasons_are_said_at_the_end(cli, tmp_path):
    fixed = [*SMALL, "training.nas_enabled=false", "training.enable=true"]
    status, _, err = cli("-m", "training.batch_size=0,8,99", "hydra.sweep.dir=sweep", *fixed)
    assert status == 2
    assert "error: 2 runs of the sweep have no result: run 0: training.batch_size: found 0; allowed: " in err
    assert "; run 2: training.batch_size: 99 is larger than the train split" in err
    assert [row["settings"] for row in rows_of(tmp_path / "sweep")] == [f"training.batch_size={n}" for n in (0, 8, 99)]
    assert "| training.batch_size: found 0" in (tmp_path / "sweep" / "table.md").read_text()


def test_a_damaged_run_of_a_sweep_is_a_row_and_the_others_are_too(cli, tmp_path):
    fixed = [*SMALL, "training.nas_enabled=false"]
    status, _, err = cli("-m", "seed=0,1", "hydra.sweep.dir=sweep", *fixed)
    assert status == 0, err
    (tmp_path / "sweep" / "0" / "metrics.json").write_text("{")
    status, _, err = cli("resume=sweep")
    rows = rows_of(tmp_path / "sweep")
    assert (status, rows[0]["accuracy"], rows[1]["error"]) == (2, "", "")
    assert "0/metrics.json: cannot be read; it is damaged or another kind of file (Expecting" in rows[0]["error"]
    assert float(rows[1]["accuracy"]) > 0


def test_a_search_without_a_training_is_through(cli, tmp_path):
    arguments = ["-m", "seed=0,1", "hydra.sweep.dir=sweep", *SMALL, "training.enable=false"]
    status, _, err = cli(*arguments)
    assert status == 0, err
    assert [row["error"] for row in rows_of(tmp_path / "sweep")] == ["", ""]


@pytest.mark.slow
def test_two_runs_of_one_second_have_a_folder_each(tmp_path):
    """By their default name; they are started with the same time."""
    code = (
        "import datetime, hydra.core.utils as utils, nas_lightning.__main__ as main\n"
        "class Clock: now = lambda: datetime.datetime(2026, 1, 2, 3, 4, 5)\n"
        "utils.datetime = Clock\n"
        "main.main()\n"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, *SMALL, f"seed={seed}"], cwd=tmp_path, stderr=subprocess.PIPE)
        for seed in range(3)
    ]
    for process in processes:
        _, err = process.communicate()
        assert process.returncode == 0, err
    folders = sorted(path.parent for path in tmp_path.glob("outputs/*/*/metrics.json"))
    names = ("03-04-05", "03-04-05_1", "03-04-05_2")
    assert folders == [tmp_path / "outputs" / "2026-01-02" / name for name in names]
    assert sorted(json.loads((folder / "metrics.json").read_text())["seed"] for folder in folders) == [0, 1, 2]
    for folder in folders:
        assert f"\nseed: {json.loads((folder / 'metrics.json').read_text())['seed']}\n" in (
            "\n" + (folder / "config.yaml").read_text()
        )


@pytest.mark.slow
def test_the_second_of_two_in_one_folder_is_refused(tmp_path):
    """However close: twenty pairs, started together, and one that comes later."""
    command = [sys.executable, "-m", "nas_lightning", *SMALL, "training.enable=false", "hydra.run.dir=run"]
    processes = [subprocess.Popen([*command, f"seed={n}"], cwd=tmp_path, stderr=subprocess.PIPE) for n in range(3)]
    ends = [(process.communicate()[1].decode(), process.returncode) for process in processes]
    assert sorted(status for _, status in ends) == [0, 2, 2]
    winner = next(n for n, (_, status) in enumerate(ends) if status == 0)
    assert f"\nseed: {winner}\n" in "\n" + (tmp_path / "run" / "config.yaml").read_text()
    for err, status in ends:
        assert status == 0 or "run: another process works in it; " in err or "run: holds a run already; " in err
        assert "Traceback" not in err


@pytest.mark.slow
def test_a_sweeper_gets_the_figure_on_val(swept, tmp_path):
    """Of Optuna: some trials cannot run; of the others the one of the best value on val is the best."""
    asked = ("hydra.sweeper.n_trials=4", "hydra.sweeper.n_jobs=1", "hydra.sweeper.direction=maximize")
    asked += ("hydra/sweeper/sampler=random", "hydra.sweeper.sampler.seed=1", "hydra.sweeper.max_failure_rate=1")
    settings = ("hydra.sweep.dir=sweep", "training.training_epochs=choice(-1,2,8)", "testing.metric=macro_f1")
    done = swept("-m", "hydra/sweeper=optuna", *asked, *SMALL, *settings)
    best = yaml.safe_load((tmp_path / "sweep/optimization_results.yaml").read_text())
    values = {}
    for path in (tmp_path / "sweep").glob("*/metrics.json"):
        epochs = yaml.safe_load(path.with_name("config.yaml").read_text())["training"]["training_epochs"]
        values[epochs] = json.loads(path.read_text())["val"]["macro_f1"]
    assert values.keys() == {2, 8}
    assert best["best_value"] == max(values.values()) > min(values.values())
    assert best["best_params"] == {"training.training_epochs": max(values, key=values.get)}
    assert done.returncode == 2
    assert " of the sweep have no result: run " in done.stderr
    assert "training.training_epochs: found -1" in done.stderr
