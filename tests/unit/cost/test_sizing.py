import itertools
import math
import random
from dataclasses import replace
from functools import cache

import pytest

from nas_lightning.cost.exact import Numbers, cost_of
from nas_lightning.errors import BudgetError, InputError
from nas_lightning.space.cells.genotype import Genotype
from nas_lightning.space.cells.network import Network
from nas_lightning.space.cells.size import Size
from nas_lightning.space.cells.sizing import choose_size, nearest_size
from nas_lightning.space.cells.tables import SpaceCost
from nas_lightning.space.ops import DEFAULT_OPS
from nas_lightning.tasks import Classification

CANDIDATES = [Size(layers, 4, channels, 3, 4) for layers in (3, 5, 10) for channels in (1, 2, 4, 8)]
TASK = Classification(1, 96, 2)


def choose(limits, task=TASK):
    return choose_size(CANDIDATES, task, DEFAULT_OPS, Numbers(), limits)


def test_a_larger_budget_gives_a_larger_size_that_uses_it():
    found = [choose({"params": limit}) for limit in (400, 2_000, 20_000)]
    sizes = [size.init_channels * size.layers for size, _ in found]
    assert sizes == sorted(set(sizes))
    assert all(0.4 < share <= 1 for _, share in found)


def test_every_limit_counts():
    free, _ = choose({"params": 20_000})
    held, _ = choose({"params": 20_000, "ram_bytes": 1_600})
    assert held.init_channels < free.init_channels


def test_if_the_average_of_every_size_is_too_large_the_smallest_is_taken():
    size, share = choose({"params": 235})
    assert (size, share > 1) == (CANDIDATES[0], True)


def test_a_budget_below_every_size_says_so():
    with pytest.raises(BudgetError, match="no network of this space meets params 40; params binds"):
        choose({"params": 40})


def test_sizes_that_are_too_deep_for_the_data_are_left_out():
    deep = Size(3, 4, 8, 3, 4, post_reduction_stride=2)
    shallow = Size(3, 4, 1, 3, 4)
    size, _ = choose_size([deep, shallow], Classification(1, 8, 2), DEFAULT_OPS, Numbers(), {"params": 20_000})
    assert size == shallow


def test_data_that_are_too_short_for_every_size_are_refused():
    with pytest.raises(
        InputError, match="data: the samples have 4 time steps, too few for any of the sizes to choose from"
    ):
        choose({"params": 400}, Classification(1, 4, 2))


@cache
def random_params(size):
    """Mean parameters of 40 random genotypes of a size without ``none``; every tenth is counted in its network too."""
    ops, rng = [op for op in DEFAULT_OPS if op != "none"], random.Random(0)

    def cell():
        return tuple((rng.choice(ops), rng.randrange(node)) for node in range(1, 5))

    space_cost, genotypes = SpaceCost(size, TASK, DEFAULT_OPS), [Genotype(cell(), cell()) for _ in range(40)]
    found = [space_cost.num_params(genotype) for genotype in genotypes]
    assert found[::10] == [cost_of(Network(genotype, size, TASK), 1, 96).params for genotype in genotypes[::10]]
    return sum(found) / len(found)


@pytest.mark.parametrize(("layers", "channels", "expected"), [(10, 1, 2), (12, 4, 8), (3, 2, 2), (3, 1, 1)])
def test_a_wide_size_has_about_the_parameters_of_the_deep_one(layers, channels, expected):
    wide = (Size(3, 4, width, 3, 4) for width in itertools.count(1))
    size = Size(layers, 4, channels, 3, 4)
    found = nearest_size(size, wide, TASK, DEFAULT_OPS, Numbers())
    assert (found.layers, found.init_channels) == (3, expected)
    wanted, params = random_params(size), [random_params(replace(found, init_channels=expected + d)) for d in (0, 1)]
    assert abs(math.log(params[0] / wanted)) < math.log(params[1] / wanted)
    if expected > 1:
        assert abs(math.log(params[0] / wanted)) < math.log(
            wanted / random_params(replace(found, init_channels=expected - 1))
        )
