"""A run within a given time: what is planned from given paces, and a real run that keeps to its plan."""

import json
import time
from dataclasses import replace

import pytest

from nas_lightning.config.compose import compose_config
from nas_lightning.config.settings import value_at
from nas_lightning.errors import InputError
from nas_lightning.runs.finish import one_of_several
from nas_lightning.runs.modes import run
from nas_lightning.runs.plan import Pace, Situation, plan_of

FAST = Pace(0.005, 0.02)


def situation(seconds, *overrides, **more):
    config = compose_config(["nas_model_size=m", *overrides])
    values = {
        **{"config": config, "seconds": seconds, "workers": 2, "search": Pace(0.06, 0.5), "training": FAST},
        **{"batches": 170, "search_batches": 170, "num_seeds": 1, "export": 15.0},
    }
    return Situation(**values | more)


@pytest.mark.parametrize("seconds", [60, 120, 300, 900, 3600])
@pytest.mark.parametrize("workers", [1, 2, 16])
@pytest.mark.parametrize("pace", [FAST, Pace(0.05, 1.0)])
def test_a_plan_fits_into_its_time(seconds, workers, pace):
    plan = plan_of(situation(seconds, workers=workers, training=pace))
    total = sum(plan.seconds.values())
    assert total <= seconds or (plan.candidates, plan.num_random, plan.training_steps) == (1, 0, 1)
    assert plan.seconds["search"] <= 0.2 * seconds or plan.nas_steps == 1
    if plan.candidates < 16:
        assert total > 0.6 * seconds or plan.training_steps < 300  # what rounds of trainings leave is less than one


def test_where_time_is_short_the_trainings_are_fewer_before_they_are_too_short():
    found = {seconds: plan_of(situation(seconds)) for seconds in (17, 20, 23, 26, 300)}
    assert [plan.candidates for plan in found.values()] == sorted(plan.candidates for plan in found.values())
    assert found[300].candidates >= 4
    assert found[300].num_random == 3
    assert (found[17].candidates, found[17].num_random) == (1, 0)
    assert all(plan.training_steps >= 300 for seconds, plan in found.items() if seconds > 20)


def test_where_it_is_plenty_there_are_more_trainings_instead_of_longer_ones():
    plan = plan_of(situation(3600))
    assert plan.training_steps <= 8000
    assert 4 < plan.candidates <= 16
    assert plan.candidates % 2 == 0


def test_what_the_configuration_says_of_the_length_is_kept():
    """A training of 10 epochs of 170 batches takes 10 * (170 * 0.005 + 0.02) = 8.7 seconds."""
    plan = plan_of(situation(600, "training.training_epochs=10", "training.nas_epochs=1"))
    assert plan.seconds["search"] == pytest.approx(170 * 0.06 + 0.5)
    assert plan.seconds["trainings"] == pytest.approx(plan.candidates / 2 * 8.7)


GIVEN = ("selection.candidates=1", "control.num_random=0", "training.training_epochs=3", "training.nas_epochs=1")


def test_what_is_given_is_not_planned():
    """Its times by hand: an epoch of search of 170 steps, and one training of three epochs of 170 steps."""
    plan = plan_of(situation(3600, *GIVEN))
    assert (plan.candidates, plan.num_random) == (1, 0)
    assert plan.seconds["search"] == pytest.approx(170 * 0.06 + 0.5)
    assert plan.seconds["trainings"] == pytest.approx(3 * (170 * 0.005 + 0.02))
    config = compose_config([*GIVEN, "run.max_minutes=60"])
    applied = plan.applied(config)
    for key in ("selection", "control"):
        assert getattr(applied, key) == getattr(config, key)
    assert (applied.training.training_epochs, applied.training.nas_epochs) == (3, 1)


@pytest.mark.parametrize("seconds", [30, 60, 3600])
@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        ("selection.candidates", 4, "candidates"),  # the defaults, said aloud
        ("control.num_random", 3, "num_random"),
        ("training.nas_steps", 400, "nas_steps"),
        ("training.training_steps", 1700, "training_steps"),
        ("selection.candidates", 7, "candidates"),
        ("control.num_random", 0, "num_random"),
        ("training.nas_steps", 3000, "nas_steps"),
        ("training.training_steps", 9000, "training_steps"),
    ],
)
def test_each_given_number_stays_whatever_the_time(key, value, found, seconds):
    given = situation(seconds, f"{key}={value}")
    plan = plan_of(given)
    assert getattr(plan, found) == value
    applied = plan.applied(given.config)
    keys = "selection.candidates", "control.num_random", "training.nas_steps", "training.training_steps"
    values = {each: value_at(applied, each) for each in keys}
    assert values[key] == value
    assert None not in values.values()


def test_a_given_length_of_trainings_leaves_their_number_to_the_plan():
    """A training takes 10 * (170 * 0.005 + 0.02) = 8.7 seconds; of 40 seconds the search leaves about 20.

    Four of them in two workers and a control of (3 + 2) / 2 eighths of one are 20.1.
    """
    plan = plan_of(situation(600, "training.training_epochs=10"))
    assert plan.candidates == 16
    assert plan.seconds["trainings"] == pytest.approx(16 / 2 * 8.7)
    assert plan_of(situation(40, "training.training_epochs=10")).candidates == 2


def test_more_workers_and_searches_count():
    one, two = (plan_of(situation(120, workers=workers)) for workers in (1, 2))
    assert one.training_steps < two.training_steps
    three = situation(120, num_seeds=3)
    assert three.of_search(100) == pytest.approx(2 * replace(three, num_seeds=1).of_search(100))


def test_a_run_keeps_to_the_plan_in_its_folder(short_config, tmp_path):
    """As one that goes on does; nothing is timed again."""
    (tmp_path / "run").mkdir()
    seconds = {"search": 1.0, "trainings": 1.0, "control": 0.0, "export": 1.0}
    plan = {"nas_steps": 7, "training_steps": 9, "candidates": 2, "num_random": 1, "seconds": seconds}
    (tmp_path / "run/plan.json").write_text(json.dumps(plan))
    open_keys = ("training.nas_epochs", "training.training_epochs", "selection.candidates", "control.num_random")
    steps = [f"{key}=null" for key in open_keys]
    config = short_config(*steps, "logger=none", "run.max_minutes=1", "control.epochs=1")
    run(config, tmp_path / "run")
    metrics = json.loads((tmp_path / "run/metrics.json").read_text())
    assert metrics["search"]["steps"] == 10
    assert len(metrics["selection"]["trainings"]) == 2
    assert metrics["training"]["epochs"] == 20
    assert len(metrics["control"]["random"]) == 1
    log = (tmp_path / "run/run.log").read_text()
    assert "plan for 1 minute: a search of 10 steps (1 s), 2 trainings of up to " in log
    assert "run.max_minutes" not in log


def test_what_is_given_and_cannot_fit_is_named(short_config, tmp_path, caplog):
    given = ("training.nas_epochs=1", "training.training_epochs=2", "selection.candidates=1", "control.num_random=0")
    run(short_config(*given, "logger=none", "callbacks=none", "run.max_minutes=0.01"), tmp_path / "run")
    plan = json.loads((tmp_path / "run/plan.json").read_text())
    metrics = json.loads((tmp_path / "run/metrics.json").read_text())
    assert (plan["candidates"], plan["num_random"]) == (1, 0)
    assert len(metrics["selection"]["trainings"]) == 1
    assert (metrics["search"]["epochs"], metrics["training"]["epochs"]) == (1, 2)
    assert "control" not in metrics
    said = next(each for each in caplog.messages if each.startswith("run.max_minutes: found 0.01, and the run takes "))
    assert said.endswith("selection.candidates=1, control.num_random=0 stay as they are given")


def test_the_time_of_a_run_begins_when_its_process_does(short_config, tmp_path):
    """As the command line has it, which imports most of the package first: here an hour that is over."""
    config = short_config("logger=none", "callbacks=none", "run.max_minutes=30")
    run(config, tmp_path / "run", since=time.perf_counter() - 3600)
    plan = json.loads((tmp_path / "run/plan.json").read_text())
    assert (plan["candidates"], plan["training_steps"]) == (1, 1)


def test_a_damaged_plan_is_named(short_config, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/plan.json").write_text(json.dumps({"nas_steps": 0}))
    with pytest.raises(InputError, match=r"plan\.json: cannot be read"):
        run(short_config("logger=none", "run.max_minutes=1"), tmp_path / "run")


def test_a_plan_is_made_by_timing_some_steps(short_config, tmp_path):
    explicit = ("training.nas_epochs=2", "training.training_epochs=2", "selection.candidates=null")  # the rest is short
    run(short_config(*explicit, "logger=none", "run.max_minutes=5"), tmp_path / "run")
    plan = json.loads((tmp_path / "run/plan.json").read_text())
    assert plan["candidates"] == 16  # of two epochs each: there is time for many
    assert all(plan["seconds"][part] > 0 for part in ("search", "trainings", "export"))


def test_runs_one_after_the_other_share_the_time():
    config = compose_config(["run.max_minutes=7", "target_accuracy=0.9"])
    assert one_of_several(config, {"testing.enable": False}, 7).run.max_minutes == 1
    assert one_of_several(compose_config([]), {}, 7).run.max_minutes is None
