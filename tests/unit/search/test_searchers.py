"""Searchers, on the cells of the guide and on a second space that is nothing but a stack of convolutions."""

import itertools
import json

import pytest
import torch
from stack_space import StackSpace

from nas_lightning import CellSpace, SearchLoaders, SearchModule, TimeSeriesData
from nas_lightning.callbacks import CollapseAlarm, GenotypeHistory
from nas_lightning.cost.budget import Budget
from nas_lightning.cost.exact import cost_of
from nas_lightning.errors import BudgetError, InputError
from nas_lightning.export.onnx import run_onnx, to_onnx
from nas_lightning.search import strategies
from nas_lightning.search.base import Problem
from nas_lightning.search.gradient import GradientSearch
from nas_lightning.search.random import RandomSearch
from nas_lightning.space.outlines import OutlineSpace
from nas_lightning.training.evaluator import Evaluator
from nas_lightning.training.recipe import Recipe, quiet_trainer

SPACES = {
    "stack": StackSpace,
    "cells": lambda task: CellSpace("s", task),
    "outlines": lambda task: OutlineSpace(task, {"params": 500}),
}
WITHOUT = [("stack", "paths"), ("outlines", "gradient"), ("outlines", "paths")]
SEARCHERS = {
    "gradient": lambda: GradientSearch(num_epochs=2),
    "paths": lambda: GradientSearch(strategies.gdas(), num_epochs=2),
    "random": lambda: RandomSearch(num_evaluated=3),
}


pytestmark = pytest.mark.usefixtures("quiet_fits")


@pytest.fixture(scope="module")
def data():
    data = TimeSeriesData(batch_size=16)
    data.setup()
    return data


def problem_of(data, space, limit=500, seed=0):
    return Problem(space, data, Budget({"params": limit}, frozenset({"params"})), seed=seed)


@pytest.mark.parametrize(
    ("space", "searcher"), [pair for pair in itertools.product(SPACES, SEARCHERS) if pair not in WITHOUT]
)
def test_every_searcher_finds_networks_within_the_budget_in_every_space(data, tmp_path, space, searcher):
    """What is found costs what the space says, trains, and exports as what it is."""
    task = data.task
    problem = problem_of(data, SPACES[space](task))
    torch.manual_seed(0)
    evaluator = Evaluator(Recipe(epochs=2), data)
    result = SEARCHERS[searcher]().search(problem, evaluator, 3)
    assert len(set(result.architectures)) == len(result.architectures) == 3
    for architecture in result.architectures:
        blueprint = problem.space.blueprint(architecture)
        cost = cost_of(blueprint.build(), task.in_channels, task.length)
        assert cost.params == problem.space.cost(architecture)["params"] <= 500
    assert 0 <= evaluator(problem.space.blueprint(result.architectures[0]), 1)["accuracy"] <= 1
    network = problem.space.blueprint(result.architectures[0]).build().eval()
    x = next(iter(data.val_dataloader()))[0]
    found = run_onnx(to_onnx(network, [task.in_channels, task.length]).SerializeToString(), [x])
    torch.testing.assert_close(found, network(x).detach(), rtol=1e-4, atol=1e-4)
    if searcher == "random":
        assert (len(evaluator.rows), result.epochs, result.op_weights) == (3, 0, {})
    else:
        assert (result.epochs, result.op_weights.keys()) == (2, problem.space.decisions.keys())


@pytest.mark.parametrize("searcher", [GradientSearch(num_epochs=1), RandomSearch()])
def test_a_budget_that_nothing_meets_is_refused(data, searcher):
    problem = problem_of(data, StackSpace(data.task), limit=3)
    with pytest.raises(BudgetError, match="no network of this space meets params 3"):
        searcher.search(problem, Evaluator(Recipe(), data), 1)


def test_random_search_with_evaluations_puts_the_best_first(data):
    """By its own short trainings; without them the order is that of the draws."""
    problem = problem_of(data, StackSpace(data.task), limit=10_000)
    drawn = RandomSearch().search(problem, None, 5).architectures
    assert drawn == RandomSearch().search(problem, None, 5).architectures
    assert drawn != RandomSearch().search(problem_of(data, problem.space, 10_000, seed=1), None, 5).architectures
    values = dict(zip(drawn, [0.3, 0.5, 0.5, 0.9, 0.1], strict=True))
    losses = dict(zip(drawn, [1.0, 2.0, 1.0, 1.0, 1.0], strict=True))

    def evaluate(blueprint, epochs):
        assert epochs == 7
        return {"accuracy": values[blueprint.widths], "loss": losses[blueprint.widths]}

    found = RandomSearch(num_evaluated=5, epochs=7).search(problem, evaluate, 3).architectures
    assert found == tuple(drawn[i] for i in (3, 2, 1))
    with pytest.raises(InputError, match="RandomSearch: found -1 networks and 1 epochs"):
        RandomSearch(-1)


@pytest.mark.parametrize("strategy", [None, strategies.tunas()], ids=["darts", "tunas"])
def test_what_is_found_is_told_before_search_returns_and_follows_from_the_seed(data, strategy):
    """Whatever was searched before by the same searcher."""
    told, space = [], StackSpace(data.task) if strategy is None else CellSpace("s", data.task)
    searcher = GradientSearch(strategy, num_epochs=2, then=told.append)
    results = [searcher.search(problem_of(data, space, seed=seed), None, 2) for seed in (0, 1, 0)]
    assert told == results
    weights = [torch.cat(list(result.op_weights.values())) for result in results]
    assert torch.equal(weights[0], weights[2])
    assert not torch.equal(weights[0], weights[1])
    assert results[0].architectures == results[2].architectures


def test_the_callbacks_serve_a_search_of_any_space(data, tmp_path):
    module = SearchModule(StackSpace(data.task), num_epochs=2)
    assert {name.partition(".")[0] for name in module.state_dict()} == {"supernet"}
    trainer = quiet_trainer(2)
    trainer.callbacks += [GenotypeHistory(tmp_path / "history.json"), CollapseAlarm("warn", data.val_dataloader())]
    trainer.fit(module, SearchLoaders(data))
    rows = json.loads((tmp_path / "history.json").read_text())
    assert rows[-1] == {"epoch": 1, "architecture": list(module.found().architecture)}
    assert trainer.callback_metrics["search/free_share_layer_0"] == 0


def test_random_search_ranks_by_the_metric_that_it_is_told(data):
    problem = problem_of(data, StackSpace(data.task), limit=10_000)
    drawn = RandomSearch().search(problem, None, 2).architectures

    def evaluate(blueprint, epochs):
        is_first = blueprint.widths == drawn[0]
        return {"accuracy": 0.9 - is_first * 0.1, "macro_f1": 0.1 + is_first * 0.1, "loss": 1.0}

    by_f1 = RandomSearch(num_evaluated=2, metric="macro_f1").search(problem, evaluate, 2).architectures
    assert by_f1 == drawn == RandomSearch(num_evaluated=2).search(problem, evaluate, 2).architectures[::-1]


def test_short_trainings_are_known_again_from_the_file(data, tmp_path):
    """Also where a description has tuples, which JSON does not."""
    blueprint, path = StackSpace(data.task).blueprint((2, 4, 2)), tmp_path / "contest.json"
    first = Evaluator(Recipe(epochs=2), data, path=path)(blueprint, 1)
    again = Evaluator(Recipe(epochs=2), data, path=path)
    assert again(blueprint, 1) == first
    assert len(again.rows) == 1


def test_a_gradient_search_needs_a_supernet(data):
    space = OutlineSpace(data.task, {"params": 500})
    with pytest.raises(
        InputError, match="space: found OutlineSpace, which has no supernet; allowed: a SearchSpace, or"
    ):
        GradientSearch().search(problem_of(data, space), Evaluator(Recipe(epochs=1), data), 1)
