"""Which of several trainings is kept: the rule alone, with trainings that are given."""

import math
from types import SimpleNamespace

import pytest
from torch import nn

from nas_lightning.errors import InputError
from nas_lightning.runs import pipeline


@pytest.fixture
def kept_of(monkeypatch, short_config):
    """Train candidates whose results on ``val`` are given in order; returns the index that is kept, and the section."""

    def call(results, *overrides, num_networks=1):
        config = short_config(f"selection.candidates={len(results)}", *overrides)
        run = SimpleNamespace(config=config)
        networks = [SimpleNamespace(name=i, build=lambda i=i: nn.Linear(i + 1, 1)) for i in range(num_networks)]
        ended = []

        def train_one(run, blueprint, index):
            val = dict(zip(("accuracy", "macro_f1", "loss"), results[index], strict=True))
            trainer = SimpleNamespace(current_epoch=2)
            return pipeline._Trained(blueprint, index, val, trainer, 10.0 + index, 1)

        monkeypatch.setattr(pipeline, "_train_one", train_one)
        monkeypatch.setattr(pipeline, "_cost", lambda run, network: {"params": 100 + network.in_features})
        monkeypatch.setattr(pipeline, "_finish", lambda run, trained, sections: ended.append((trained, sections)))
        pipeline.train(run, networks)
        ((trained, sections),) = ended
        assert sections["selection"]["kept"] == trained.network
        return trained, sections

    return call


def test_the_most_accurate_is_kept_and_of_equal_ones_that_with_the_smaller_loss(kept_of):
    assert kept_of([(0.5, 0.9, 0.1), (0.7, 0.1, 0.9), (0.6, 0.5, 0.2)])[0].network == 1
    assert kept_of([(0.7, 0.9, 0.3), (0.7, 0.1, 0.2), (0.7, 0.5, 0.4)])[0].network == 1


def test_the_figure_that_counts_is_the_configured_one(kept_of):
    results = [(0.5, 0.9, 0.1), (0.7, 0.1, 0.9)]
    assert [kept_of(results, f"testing.metric={name}")[0].network for name in ("accuracy", "macro_f1")] == [1, 0]


def test_networks_are_trained_in_turn_and_every_training_is_told(kept_of):
    trained, sections = kept_of([(0.1, 0, 1.0), (0.2, 0, 1.0), (0.3, 0, 1.0)], num_networks=2)
    assert trained.blueprint.name == 0
    rows = [{"network": 0, "params": 101, "value": 0.1, "seconds": 10.0}]
    rows += [{"network": 1, "params": 102, "value": 0.2, "seconds": 11.0}]
    rows += [{"network": 0, "params": 101, "value": 0.3, "seconds": 12.0}]
    assert sections["selection"] == {"metric": "accuracy", "trainings": rows, "kept": 2}
    assert sections["training"] == {"seconds": 33.0, "epochs": 2, "best_epoch": 1}


def test_a_training_that_diverged_is_not_kept(kept_of):
    trained, sections = kept_of([(0.9, 0, math.nan), (0.2, 0, 1.0), (0.8, 0, math.inf)])
    assert trained.network == 1
    assert [row["value"] for row in sections["selection"]["trainings"]] == [None, 0.2, None]


def test_if_all_trainings_diverge_the_run_ends_with_one_sentence(kept_of):
    with pytest.raises(InputError, match=r"training.learning_rate: the training diverged at 0.02; lower it"):
        kept_of([(0.9, 0, math.nan), (0.8, 0, math.nan)])
