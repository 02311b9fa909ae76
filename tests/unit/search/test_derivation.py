"""Genotypes at the end of a search, against brute force over tiny spaces."""

import copy
import itertools
import math

import pytest
import torch
from oracle.convert import to_textbook
from oracle.textbook import TextbookSupernet
from torch import nn

from nas_lightning.errors import BudgetError, InputError
from nas_lightning.search.derivation import Found, Perturbation, Ranked, Strongest, Uniform, draw_within, judge
from nas_lightning.search.moment import Moment
from nas_lightning.space.base import Path
from nas_lightning.space.cells.genotype import KINDS, Genotype, live_nodes
from nas_lightning.space.cells.size import Size, edges
from nas_lightning.space.cells.space import CellSpace
from nas_lightning.space.cells.supernet import Supernet
from nas_lightning.space.ops import DEFAULT_OPS
from nas_lightning.tasks import Classification

OPS = ("none", "skip_connect", "max_pool_3x1", "conv_bn_relu_3x1")
SIZE, TASK = Size(3, 2, 1, 1, 2), Classification(1, 16, 2)
SPACE = CellSpace(SIZE, TASK, OPS)


def moment(seed=0, space=SPACE):
    return Moment(1.0, torch.Generator().manual_seed(seed), space)


def all_genotypes(num_nodes, ops):
    choices = [
        [(op, source) for source in range(node) for op in ops if op != "none"] for node in range(1, num_nodes + 1)
    ]
    return [Genotype(*cells) for cells in itertools.product(itertools.product(*choices), repeat=2)]


def random_weights(size, num_ops, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {kind: torch.randn(size.num_edges, num_ops, generator=generator).double().softmax(-1) for kind in KINDS}


def log_weight(genotype, weights, ops):
    rows = edges(genotype.num_nodes)
    return sum(
        math.log(weights[kind][rows.index((source, node)), ops.index(op)])
        for kind in KINDS
        for node, (op, source) in enumerate(genotype.cell(kind), start=1)
    )


def network_of(genotype, fanout):
    """What is built of a genotype: without the nodes that no output sees."""
    found = []
    for kind in KINDS:
        live = live_nodes(genotype.cell(kind), fanout)
        found += [node if i in live else None for i, node in enumerate(genotype.cell(kind), start=1)]
    return tuple(found)


def meets(cost, limits):
    return all(cost[measure] <= limit for measure, limit in limits.items())


@pytest.mark.parametrize("fanout", [1, 2])
@pytest.mark.parametrize("limited", [(), ("params",), ("ram_bytes",), ("flash_bytes", "macs")])
def test_the_best_genotype_is_that_of_brute_force(fanout, limited):
    size = Size(3, 2, 1, 1, fanout)
    space, weights = CellSpace(size, TASK, OPS), random_weights(size, len(OPS))
    every = all_genotypes(2, OPS)
    costs = {genotype: space.cost(genotype) for genotype in every}
    limits = {m: sorted(cost[m] for cost in costs.values())[len(every) // 3] for m in limited}
    within = [genotype for genotype in every if meets(costs[genotype], limits)]
    best = max(within, key=lambda genotype: log_weight(genotype, weights, OPS))
    found = space.project(weights, limits)
    assert found.log_weight == pytest.approx(log_weight(best, weights, OPS), abs=1e-9)
    assert network_of(found.architecture, fanout) == network_of(best, fanout)
    assert found.cost == costs[found.architecture]


@pytest.fixture(scope="module")
def batches():
    """Noise, and noise that is slow."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(48, 1, 16, generator=generator)
    x[::2] = x[::2].cumsum(2)
    y = torch.arange(48) % 2
    return [(x[i : i + 12], y[i : i + 12]) for i in range(0, 48, 12)]


@pytest.fixture
def found(batches):
    torch.manual_seed(0)
    supernet = Supernet(SIZE, TASK, OPS, "torch")
    sgd = torch.optim.SGD(supernet.weights().values(), 0.1, 0.9)
    weights = {kind: weight.float() for kind, weight in random_weights(SIZE, len(OPS)).items()}
    for x, y in batches * 3:
        sgd.zero_grad()
        nn.functional.cross_entropy(supernet(x, weights), y).backward()
        sgd.step()
    return Found(supernet, weights, {}, moment(), batches[:2], batches[2:])


def test_first_comes_the_strongest_and_then_what_is_drawn(found):
    limits = {"params": 60}

    def derived(count, seed=0):
        return Strongest()(Found(found.supernet, found.op_weights, limits, moment(seed), [], []), count)

    first = SPACE.project(found.op_weights, limits).architecture
    assert derived(1) == [first] == derived(5)[:1] == derived(5, seed=1)[:1]
    assert derived(5) == derived(5) != derived(5, seed=1)
    assert len(set(derived(5))) == 5


def test_candidates_are_drawn_in_proportion_to_the_op_weights():
    """Convolutions have nine tenths of what can be kept; ``none``, which has most of all, is never kept."""
    size = Size(3, 4, 1, 1, 4)
    space = CellSpace(size, TASK, OPS)
    weights = {kind: torch.tensor([5.0, 0.05, 0.05, 0.9]).repeat(size.num_edges, 1) for kind in KINDS}
    derived = Strongest()(Found(None, weights, {}, moment(space=space), [], []), 100)
    kept = [op for genotype in derived[1:] for kind in KINDS for op, _ in genotype.cell(kind)]
    assert len(kept) == 99 * 8
    assert kept.count("none") == 0
    deviation = (0.9 * 0.1 / len(kept)) ** 0.5
    assert kept.count("conv_bn_relu_3x1") / len(kept) == pytest.approx(0.9, abs=4 * deviation)


def test_uniform_draws_follow_from_the_moment(found):
    def drawn(seed):
        return Uniform()(Found(found.supernet, found.op_weights, {}, moment(seed), [], []), 5)

    assert drawn(1) == drawn(1) != drawn(2)
    assert len(set(drawn(1))) == 5
    assert drawn(1)[:2] == Uniform()(Found(found.supernet, found.op_weights, {}, moment(1), [], []), 2)


@pytest.mark.parametrize("measure", ["params", "ram_bytes", "flash_bytes"])
@pytest.mark.parametrize("share", [0.05, 0.5])
def test_what_is_drawn_never_exceeds_a_limit(measure, share):
    costs = {genotype: SPACE.cost(genotype) for genotype in all_genotypes(2, OPS)}
    values = sorted(cost[measure] for cost in costs.values())
    limits = {measure: values[int(share * len(values))]}
    drawn = draw_within(moment(), limits, 30)
    assert len(set(drawn)) == len(drawn)
    assert all(costs[genotype][measure] <= limits[measure] for genotype in drawn)
    assert len(drawn) == min(30, sum(value <= limits[measure] for value in values))


def test_a_needle_in_a_haystack_is_drawn_by_projection():
    """One network of 11 million is small enough; a thousand draws do not find it."""
    size = Size(3, 4, 1, 1, 4)
    space = CellSpace(size, TASK, ("none", "skip_connect", *(f"conv_bn_relu_{k}x1" for k in (1, 3, 5, 7))))
    skips = Genotype((("skip_connect", 0),) * 4, (("skip_connect", 0), *(("skip_connect", 1),) * 3))
    limits = {"params": space.cost(skips)["params"]}
    for genotype in draw_within(moment(space=space), limits, 2):
        assert space.cost(genotype)["params"] <= limits["params"]


def test_limits_that_nothing_meets_are_refused(found):
    with pytest.raises(BudgetError, match="no network of this space meets params 3"):
        draw_within(moment(), {"params": 3}, 1)
    for derivation in (Strongest(), Uniform(), Ranked(2), Perturbation(0, 0.01)):
        with pytest.raises(BudgetError, match="no network of this space meets params 3"):
            derivation(Found(found.supernet, found.op_weights, {"params": 3}, moment(), [], found.val_batches), 1)


@torch.no_grad()
def accuracy_and_loss(supernet, choice, batches):
    """On a copy, whose statistics may move."""
    supernet = copy.deepcopy(supernet).train()
    logits = torch.cat([supernet(x, choice) for x, _ in batches])
    y = torch.cat([y for _, y in batches])
    return float((logits.argmax(1) == y).float().mean()), float(nn.functional.cross_entropy(logits, y))


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("is_path", [True, False])
def test_judging_takes_batch_statistics_and_leaves_everything_as_it_is(found, train, is_path):
    genotype = Genotype((("conv_bn_relu_3x1", 0), ("skip_connect", 1)), (("conv_bn_relu_3x1", 0),) * 2)
    choice = Path(genotype) if is_path else found.op_weights
    supernet = found.supernet.train(train)
    before = {name: tensor.clone() for name, tensor in supernet.state_dict().items()}
    judged = judge(supernet, choice, found.val_batches)
    assert judged == pytest.approx(accuracy_and_loss(supernet, choice, found.val_batches), rel=1e-5)
    assert supernet.training == train
    assert all(torch.equal(before[name], tensor) for name, tensor in supernet.state_dict().items())
    assert all(parameter.grad is None or parameter.requires_grad for parameter in supernet.parameters())


def test_ranked_orders_by_accuracy_then_by_loss(found):
    ranked = Ranked(25)(found, 25)
    assert set(ranked) == set(draw_within(moment(), {}, 25))
    figures = [accuracy_and_loss(found.supernet, Path(genotype), found.val_batches) for genotype in ranked]
    assert len({accuracy for accuracy, _ in figures}) > 2
    assert len({accuracy for accuracy, _ in figures}) < 25, "there must be ties"
    keys = [(-round(accuracy, 6), loss) for accuracy, loss in figures]
    assert all(a[0] < b[0] or (a[0] == b[0] and a[1] <= b[1] + 1e-5) for a, b in itertools.pairwise(keys))


def test_ranked_keeps_the_best_of_what_it_looks_at(found):
    ranked = Ranked(25)(Found(**{**vars(found), "moment": moment()}), 25)
    assert Ranked(25)(Found(**{**vars(found), "moment": moment()}), 3) == ranked[:3]
    few = Ranked(4)(Found(**{**vars(found), "moment": moment()}), 9)
    assert len(few) == 4


def test_the_numbers_of_samples_and_steps_are_checked():
    with pytest.raises(InputError, match=r"^`num_samples`: found 0; allowed: 1 or more$"):
        Ranked(0)
    with pytest.raises(InputError, match=r"^`num_steps`: found -1; allowed: 0 or more$"):
        Perturbation(-1, 0.01)


def test_perturbation_is_the_algorithm_of_the_paper(found):
    """A second reading of it, on the supernet of the textbook, without steps in between."""
    scores = Perturbation(0, 0.01).scores(found)
    reference = TextbookSupernet(SIZE, TASK, OPS).train()
    reference.load_state_dict(to_textbook(found.supernet))

    @torch.no_grad()
    def loss_of(weights):
        logits = torch.cat([reference(x, weights) for x, _ in found.val_batches])
        return float(nn.functional.cross_entropy(logits, torch.cat([y for _, y in found.val_batches])))

    weights, expected = {kind: found.op_weights[kind].clone() for kind in KINDS}, {}
    for i in torch.randperm(6, generator=torch.Generator().manual_seed(0)).tolist():
        kind, row = KINDS[i // 3], i % 3
        whole = loss_of(weights)
        for column in range(len(OPS)):
            without = {name: of_kind.clone() for name, of_kind in weights.items()}
            without[kind][row, column] = 0
            expected[kind, row, column] = loss_of(without) - whole
        kept = max(range(1, len(OPS)), key=lambda column: expected[kind, row, column])
        weights[kind][row] = torch.eye(len(OPS))[kept]
    for kind, row in itertools.product(KINDS, range(3)):
        without = {name: of_kind.clone() for name, of_kind in weights.items()}
        without[kind][row] = 0
        for column in range(len(OPS)):
            rise = expected[kind, row, column] + loss_of(without) - loss_of(weights)
            assert float(scores[kind][row, column]) == pytest.approx(rise, abs=2e-5)
    assert max(float(of_kind.std()) for of_kind in scores.values()) > 1e-2


def test_perturbation_without_steps_leaves_the_supernet_and_with_steps_trains_it(found):
    before = {name: tensor.clone() for name, tensor in found.supernet.state_dict().items()}
    Perturbation(0, 0.01)(found, 1)
    assert all(torch.equal(before[name], tensor) for name, tensor in found.supernet.state_dict().items())
    first = Perturbation(3, 0.01)(Found(**{**vars(found), "moment": moment()}), 4)
    assert not torch.equal(before["head.weight"], found.supernet.head.weight)
    assert torch.equal(before["alphas.normal"], found.supernet.alphas["normal"])
    assert len(set(first)) == 4


def test_perturbation_keeps_the_limits(found):
    limits = {"params": 60}
    limited = Found(**{**vars(found), "limits": limits, "moment": moment()})
    for genotype in Perturbation(0, 0.01)(limited, 6):
        assert SPACE.cost(genotype)["params"] <= limits["params"]


def test_the_space_of_default_operations_can_be_drawn_from():
    space = CellSpace(Size(3, 4, 1, 3, 4), TASK, DEFAULT_OPS)
    drawn = draw_within(moment(space=space), {}, 10)
    assert len(set(drawn)) == 10
