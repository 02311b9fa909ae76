"""Which of several trainings is kept: the rule alone, with trainings that are given."""

import math
from types import SimpleNamespace

import pytest

from nas_lightning.errors import InputError
from nas_lightning.files import plain
from nas_lightning.runs import trainings
from nas_lightning.runs.trainings import FinalTrainings, Trained, best_of, score_of
from nas_lightning.space.reference import ReferenceBlueprint
from nas_lightning.tasks import Classification
from nas_lightning.workers.base import Here

TASK = Classification(1, 8, 2)


def trained(index, accuracy, macro_f1, loss, blueprint=None):
    val = {"accuracy": accuracy, "macro_f1": macro_f1, "loss": loss}
    return Trained(blueprint, 100 + index, None, val, "training", 10.0 + index, 2, 2, 1, None)


def kept(*results, metric="accuracy"):
    return best_of([trained(i, *result) for i, result in enumerate(results)], metric)


def test_the_most_accurate_is_kept_and_of_equal_ones_that_with_the_smaller_loss():
    assert kept((0.5, 0.9, 0.1), (0.7, 0.1, 0.9), (0.6, 0.5, 0.2)) == 1
    assert kept((0.7, 0.9, 0.3), (0.7, 0.1, 0.2), (0.7, 0.5, 0.4)) == 1


def test_the_figure_that_counts_is_the_configured_one():
    results = [(0.5, 0.9, 0.1), (0.7, 0.1, 0.9)]
    assert [kept(*results, metric=name) for name in ("accuracy", "macro_f1")] == [1, 0]


def test_by_the_loss_alone_the_accuracy_does_not_count():
    assert kept((0.5, 0.9, 0.1), (0.7, 0.1, 0.9), (0.6, 0.5, 0.2), metric="loss") == 0


def test_the_score_is_a_key_and_by_itself_the_loss_of_outlines(short_config):
    outlines = ("nas_model_size=auto", "budget.params=900")

    def score(*overrides):
        return score_of(short_config(*overrides), TASK)

    assert [score(*more) for more in ((), outlines)] == ["accuracy", "loss"]
    assert score("selection.score=loss") == "loss"
    assert score(*outlines, "testing.metric=macro_f1") == "macro_f1"
    assert score(*outlines, "selection.score=metric") == "accuracy"


def test_a_training_that_diverged_is_not_kept():
    assert kept((0.9, 0, math.nan), (0.2, 0, 1.0), (0.8, 0, math.inf)) == 1
    assert kept((0.9, 0, math.nan)) is None


@pytest.fixture
def train(monkeypatch, short_config):
    """Train candidates whose results on ``val`` are given in order; returns what is kept, and what was trained."""

    def call(results, *overrides, num_networks=1, first=None):
        run = SimpleNamespace(task=TASK, config=short_config(f"selection.candidates={len(results)}", *overrides))
        networks, done = [ReferenceBlueprint((2 + i,), 3, Classification(1, 8, 2)) for i in range(num_networks)], []

        def train_one(run, blueprint, index):
            done.append((networks.index(blueprint), index))
            return trained(index, *results[index], blueprint)

        monkeypatch.setattr(trainings, "train_one", train_one)
        final = FinalTrainings(run, Here(run))
        if first is not None:
            final.begin([networks[first], *networks[:first], *networks[first + 1 :]])
        return final.train(networks), done

    return call


def test_networks_are_trained_in_turn_and_every_training_is_told(train):
    found, done = train([(0.1, 0, 1.0), (0.2, 0, math.nan), (0.3, 0, 1.0)], num_networks=2)
    assert done == [(0, 0), (1, 1), (0, 2)]
    shared = [{"words": f"hand-made widths [{width}], kernel 3"} for width in (2, 3, 2)]
    rows = [{"network": 0, "params": 100, "value": 0.1, "seconds": 10.0, "loss": 1.0}]
    rows += [{"network": 1, "params": 101, "value": None, "seconds": 11.0}]
    rows += [{"network": 0, "params": 102, "value": 0.3, "seconds": 12.0, "loss": 1.0}]
    told = [row | words for row, words in zip(rows, shared, strict=True)]
    assert plain(found.selection) == {"metric": "accuracy", "trainings": told, "kept": 2, "score": "accuracy"}
    assert plain(found.summary) == {"seconds": 33.0, "epochs": 2, "best_epoch": 1}
    assert found.best.params == 102


def test_the_first_is_not_trained_twice_unless_another_network_comes_first(train):
    results = [(0.1, 0, 1.0), (0.2, 0, 1.0)]
    assert train(results, num_networks=2, first=0)[1] == [(0, 0), (1, 1)]
    assert train(results, num_networks=2, first=1)[1] == [(1, 0), (0, 0), (1, 1)]


def test_if_all_trainings_diverge_the_run_ends_with_one_sentence(train):
    with pytest.raises(InputError, match=r"training.learning_rate: the training diverged at 0.02; lower it"):
        train([(0.9, 0, math.nan), (0.8, 0, math.nan)])
