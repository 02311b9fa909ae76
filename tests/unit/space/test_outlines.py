"""Outlines: priced as what they build, as wide as the limits let them be, and drawn and projected like any space."""

import itertools
import random

import pytest
import torch

from nas_lightning.cost.exact import MEASURES, Numbers, cost_of
from nas_lightning.errors import BudgetError, InputError
from nas_lightning.search.derivation import draw_from
from nas_lightning.space.choices import one_hot
from nas_lightning.space.outlines import FACTORS, Outline, OutlineSpace
from nas_lightning.space.trunk import TrunkBlueprint
from nas_lightning.tasks import Classification

TASK = Classification(2, 90, 4)
SMALL = {"first": [7], "depth": [2], "taps": [3, 5], "stride": [4], "growth": [1.0], "dilation": [1], "fill": [0.8]}


def true_cost(space, outline):
    found = cost_of(space.blueprint(outline).build(), space.task.in_channels, space.task.length, space.numbers)
    return {measure: getattr(found, measure) for measure in MEASURES}


@pytest.mark.parametrize(
    ("task", "limits", "numbers"),
    [
        (TASK, {"params": 10_000, "macs": 200_000}, Numbers()),
        (Classification(1, 250, 12), {"ram_bytes": 3000, "flash_bytes": 25_000}, Numbers()),
        (Classification(3, 24, 2), {"instructions": 500_000}, Numbers(32, 32)),
        (Classification(1, 61, 3), {"params": 40}, Numbers(core="cortex-m0plus")),
    ],
    ids=["two limits", "memories", "floats", "nothing fits"],
)
def test_the_price_is_that_of_the_network(task, limits, numbers):
    space = OutlineSpace(task, limits, numbers=numbers)
    for outline in random.Random(0).sample(list(space.every()), 12):
        assert space.cost(outline) == true_cost(space, outline)


def test_a_wider_trunk_would_exceed_its_share_of_a_limit():
    space, widths = OutlineSpace(TASK, {"params": 3000, "ram_bytes": 2000}), [width / 4 for width in range(4, 400)]
    for outline in random.Random(1).sample(list(space.every()), 25):
        cost, trunks = true_cost(space, outline), [outline.blocks(width) for width in widths]
        assert cost["params"] <= outline.fill * 3000
        assert cost["ram_bytes"] <= outline.fill * 2000
        last = max(i for i, blocks in enumerate(trunks) if blocks == space.blueprint(outline).blocks)
        wider = cost_of(TrunkBlueprint(trunks[last + 1], TASK, outline.readout).build(), 2, 90)
        assert wider.params > outline.fill * 3000 or wider.ram_bytes > outline.fill * 2000


def test_where_nothing_fits_the_narrowest_is_priced_and_not_drawn():
    space = OutlineSpace(TASK, {"params": 30}, SMALL)
    outline = next(space.every())
    assert {block.channels for block in space.blueprint(outline).blocks} == {1}
    assert space.cost(outline)["params"] > 30
    with pytest.raises(BudgetError, match="no outline meets params 30"):
        draw_from(space, torch.Generator().manual_seed(0), {"params": 30}, 1)


def test_outlines_of_a_device_with_an_npu_have_channels_of_its_multiple():
    space = OutlineSpace(TASK, {"params": 5000}, multiple=4)
    for outline in random.Random(2).sample(list(space.every()), 10):
        assert all(block.channels % 4 == 0 for block in space.blueprint(outline).blocks)


def test_the_projection_is_the_best_of_all_within_limits():
    space, generator = OutlineSpace(TASK, {"params": 4000}, SMALL), torch.Generator().manual_seed(0)
    every = [Outline(*values) for values in itertools.product(*space.factors.values())]
    for _ in range(5):
        weights = {
            name: torch.rand(1, len(table.options), generator=generator) for name, table in space.decisions.items()
        }
        limits = {"macs": 60_000, "ram_bytes": 2500}

        def score(outline, weights=weights):
            hot = one_hot(outline, space)
            return sum(float((hot[name] * weights[name].double().log()).sum()) for name in hot)

        within = [outline for outline in every if all(space.cost(outline)[name] <= limits[name] for name in limits)]
        found = space.project(weights, limits)
        assert 0 < len(within) < len(every)
        assert found.log_weight == pytest.approx(max(map(score, within)))
        assert found.architecture in within
        assert found.free_log_weight == pytest.approx(max(map(score, every)))
        assert found.cost == space.cost(found.architecture)


def test_decisions_make_outlines_and_back():
    space = OutlineSpace(TASK, {"params": 4000})
    assert set(space.decisions) == set(FACTORS)
    drawn = draw_from(space, torch.Generator().manual_seed(0), {"params": 4000}, 30)
    assert len(set(drawn)) == 30
    assert all(space.architecture(space.picks(outline)) == outline for outline in drawn)
    for name, values in FACTORS.items():
        assert {getattr(outline, name) for outline in drawn} == set(values)  # all values are drawn


def test_the_stride_of_all_is_not_exceeded():
    space = OutlineSpace(TASK, {"params": 4000})
    for outline in random.Random(4).sample(list(space.every()), 40):
        assert space.blueprint(outline).total_stride <= outline.stride
    assert space.blueprint(Outline("full", 7, 4, 2, 3, 2, 1.0, 1, 0.8, "mean")).blocks[0].stride == 2


@pytest.mark.parametrize("name", FACTORS)
def test_a_factor_can_be_fixed(name):
    for value in FACTORS[name][:2]:
        space = OutlineSpace(TASK, {"params": 4000}, {name: [value]})
        drawn = draw_from(space, torch.Generator().manual_seed(0), {"params": 4000}, 5)
        assert {getattr(outline, name) for outline in drawn} == {value}


def test_short_samples_have_fewer_outlines():
    short = OutlineSpace(Classification(1, 8, 2), {"params": 4000})
    assert {outline.stride for outline in short.every()} == {1, 2, 4}
    assert {outline.stride for outline in OutlineSpace(TASK, {"params": 4000}).every()} == {1, 2, 4, 8}


def test_the_reach_is_that_of_a_gradient():
    for outline in random.Random(3).sample(list(OutlineSpace(TASK, {"params": 10_000}).every()), 10):
        network = OutlineSpace(Classification(1, 2001, 2), {"params": 3000}).blueprint(outline).build().eval()
        x = torch.randn(1, 1, 2001, requires_grad=True)
        value = network.norm(x)
        for block in network.blocks:
            value = block[:-1](value)  # without ReLU, which may hide steps
        value[:, :, value.shape[2] // 2].sum().backward()
        seen = x.grad[0, 0].nonzero().flatten()
        assert int(seen[-1] - seen[0]) + 1 == outline.reach


@pytest.mark.parametrize(
    ("limits", "factors", "text"),
    [
        ({}, {}, "limits: found none; allowed: one or more"),
        ({"params": 9}, {"width": [3]}, r"factors: found \{'width': \[3\]\}; allowed: kind, first, "),
        ({"params": 9}, {"depth": []}, "with one value or more each"),
    ],
)
def test_what_cannot_be_is_refused(limits, factors, text):
    with pytest.raises(InputError, match=text):
        OutlineSpace(TASK, limits, factors)
