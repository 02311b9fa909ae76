"""Where the trainings of a run are done, by its configuration."""

import math

import pytest

from nas_lightning.config.compose import compose_config
from nas_lightning.config.settings import check_settings
from nas_lightning.errors import InputError
from nas_lightning.runs import crew
from nas_lightning.runs.crew import num_workers, warm_up_workers
from nas_lightning.runs.pools import pool_of
from nas_lightning.workers import server
from nas_lightning.workers.base import Here


def kind_of(*overrides, jobs=4, steps=math.inf, shared=None):
    with pool_of(compose_config(list(overrides)), shared, jobs, steps) as pool:
        return type(pool).__name__


def test_workers_are_as_many_as_asked_for_or_as_there_are_cores(monkeypatch):
    monkeypatch.setattr(crew, "cores", lambda: 6)
    assert num_workers(compose_config([])) == 6
    assert num_workers(compose_config(["run.workers=3"])) == 3
    assert num_workers(compose_config(["run.backend=here"])) == 1


def test_the_memory_bounds_their_number(monkeypatch):
    """Of 4 GB this process has 1, and a worker takes 0.4."""
    monkeypatch.setattr(crew, "_own_gb", lambda: 1.0)
    assert num_workers(compose_config(["run.workers=100", "run.max_memory_gb=4"])) == 7
    assert num_workers(compose_config(["run.workers=3", "run.max_memory_gb=4"])) == 3
    assert num_workers(compose_config(["run.workers=3", "run.max_memory_gb=0.5"])) == 1


def test_this_process_has_some_memory():
    assert 0.1 < crew._own_gb() < 50


def test_workers_are_started_where_they_are_worth_it():
    assert kind_of("run.workers=2") == "Processes"
    assert kind_of("run.workers=2", jobs=1) == "Here"
    assert kind_of("run.workers=2", steps=999) == "Here"
    assert kind_of("run.workers=1") == "Here"
    assert kind_of("run.backend=here") == "Here"


def test_workers_are_prepared_before_the_data_only_where_there_may_be_some(monkeypatch):
    prepared = []
    monkeypatch.setattr(crew, "warm_up", prepared.append)
    for overrides in (["logger=mlflow"], ["run.backend=here", "run.workers=1"], ["training.training_epochs=20"]):
        warm_up_workers(compose_config(["run.workers=2", *overrides]))
    assert prepared == []
    warm_up_workers(compose_config(["run.workers=2"]))
    assert prepared == ["nas_lightning.runs.trainings"]


@pytest.mark.parametrize("logger", ["mlflow", "wandb"])
def test_a_logger_that_keeps_its_run_in_this_process_keeps_the_trainings_here(logger, caplog):
    with caplog.at_level("INFO", "nas_lightning"):
        assert kind_of(f"logger={logger}", "run.workers=2") == "Here"
    assert "workers: none, because" in caplog.text
    assert num_workers(compose_config([f"logger={logger}", "run.workers=2"])) == 1
    assert kind_of("logger=tensorboard_csv", "run.workers=2") == "Processes"


def test_another_device_than_the_cpu_keeps_them_here(caplog):
    with caplog.at_level("INFO", "nas_lightning"):
        assert kind_of("trainer.accelerator=gpu", "run.workers=2") == "Here"
    assert "workers: none, because trainer.accelerator is gpu" in caplog.text


def test_what_cannot_be_sent_is_done_here_and_said(caplog):
    assert kind_of("run.workers=2", shared=lambda: 1) == "Here"
    assert "the run cannot be sent to another process" in caplog.text


def test_a_worker_has_no_workers(monkeypatch):
    monkeypatch.setattr(server, "_serves", True)
    config = compose_config(["run.workers=2"])
    assert num_workers(config) == 1
    with pool_of(config, None, 4, math.inf) as pool:
        assert isinstance(pool, Here)


@pytest.mark.parametrize(
    ("overrides", "text"),
    [
        (["run.backend=threads"], "run.backend: found 'threads'; allowed: processes, ray, here"),
        (["run.backend=here", "run.workers=2"], "run.workers: found 2; allowed: 1, or null"),
        (["run.backend=ray", "run.ray_address=auto", "run.workers=2"], "run.workers: found 2; allowed: null"),
        (["run.workers=0"], "run.workers: found 0; allowed: 1 to 1024, or null"),
        (["run.max_minutes=0"], "run.max_minutes: found 0"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(overrides, text):
    with pytest.raises(InputError, match=text):
        check_settings(compose_config(overrides))


def test_a_ray_where_nobody_answers_is_a_mistake():
    pytest.importorskip("ray", reason="needs the extra ray")
    with pytest.raises(InputError, match=r"run\.ray_address: nobody answers at 127\.0\.0\.1:9"):
        kind_of("run.backend=ray", "run.ray_address=127.0.0.1:9")
