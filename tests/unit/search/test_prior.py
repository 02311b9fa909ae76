"""What is known of outlines before a search."""

import math

import torch

from nas_lightning.search.base import Problem
from nas_lightning.search.prior import known_points, prior
from nas_lightning.search.random import RandomSearch
from nas_lightning.space.outlines import FACTORS, OutlineSpace
from nas_lightning.tasks import Classification

TASK = Classification(1, 64, 3)


def test_what_is_known_is_of_factors_and_values_that_exist():
    assert known_points()
    for name, points in known_points().items():
        assert points.keys() <= set(map(str, FACTORS[name]))
        assert all(math.isfinite(value) and abs(value) < 10 for value in points.values())
    assert sum(map(len, known_points().values())) < 100


def test_three_tenths_of_a_point_more_are_e_times_as_likely_and_what_is_unknown_has_none():
    space = OutlineSpace(TASK, {"params": 2000})
    weights = prior(space, {"depth": {"2": 0.3, "3": -0.3}})
    assert all(torch.isclose(table.sum(), torch.tensor(1.0)) for table in weights.values())
    two, three, four = weights["depth"][0].tolist()
    assert math.isclose(two / four, math.e, rel_tol=1e-5)
    assert math.isclose(four / three, math.e, rel_tol=1e-5)
    assert len(set(weights["taps"][0].tolist())) == 1


def test_a_search_by_it_draws_the_likely_ones_more_often():
    space = OutlineSpace(TASK, {"params": 2000})
    problem = Problem(space, None, {"params": 2000}, seed=1)

    def strides(weights):
        found = RandomSearch(weights=weights).search(problem, None, 60).architectures
        return sum(outline.stride == 8 for outline in found)

    assert strides(lambda space: prior(space, {"stride": {"8": 1.5}})) > 50 > 30 > strides(None)
