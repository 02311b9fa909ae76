"""The parts of the strategies against independent computations: plain loops, enumerations, closed forms."""

import itertools
import math

import pytest
import torch
from alpha_steps import Given, alpha_loss
from oracle.convert import load_textbook, to_textbook
from oracle.textbook import TextbookSupernet
from scipy import stats
from torch import nn
from torch.nn import functional as F

from nas_lightning.kernels.build import why_not_native
from nas_lightning.search.arch_step import PolicyGradient
from nas_lightning.search.derivation import Found, Perturbation
from nas_lightning.search.moment import Moment
from nas_lightning.search.relaxation import (
    AuxiliarySkip,
    BalancedPath,
    Dirichlet,
    EdgeNormalised,
    GumbelPath,
    NodeSoftmax,
    UniformPath,
)
from nas_lightning.space.base import Path
from nas_lightning.space.cells.genotype import KINDS, Genotype, Genotypes
from nas_lightning.space.cells.size import Size, edge_stride, edges
from nas_lightning.space.cells.space import CellSpace
from nas_lightning.space.cells.supernet import Supernet
from nas_lightning.space.ops import DEFAULT_OPS, OPS
from nas_lightning.tasks import Classification

TINY_OPS = ("none", "skip_connect", "conv_bn_relu_3x1")
TINY = CellSpace(Size(3, 2, 1, 1, 2), Classification(1, 16, 2), TINY_OPS)
KERNELS = [
    "torch",
    pytest.param("native", marks=pytest.mark.skipif(why_not_native() is not None, reason=str(why_not_native()))),
]


def moment(progress=0.0, seed=0, space=TINY):
    return Moment(progress, torch.Generator().manual_seed(seed), space)


def random_alphas(num_edges, num_ops, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {kind: torch.randn(num_edges, num_ops, generator=generator).double().requires_grad_() for kind in KINDS}


def genotypes(num_nodes=2, ops=TINY_OPS):
    choices = [
        [(op, source) for source in range(node) for op in ops if op != "none"] for node in range(1, num_nodes + 1)
    ]
    return [Genotype(*cells) for cells in itertools.product(itertools.product(*choices), repeat=2)]


# Partial channels


class LoopOfPartialChannels:
    """PC-DARTS as one would write it: each edge by itself, each channel moved by hand."""

    def __init__(self, supernet, partial):
        self.supernet, self.partial = supernet, partial
        self.state = to_textbook(supernet)

    def op(self, cell, row, column, channels, stride):
        module = OPS[self.supernet.op_names[column]](channels, stride, False).double()
        prefix = f"cells.{cell}.mixed_ops.{row}.ops.{column}."
        module.load_state_dict(
            {key.removeprefix(prefix): value for key, value in self.state.items() if key.startswith(prefix)}
        )
        return module

    def edge(self, cell, row, stride, x, weights):
        """One edge: ``[B, C, L]`` to ``[B, C, ceil(L / stride)]``."""
        channels = x.shape[1]
        mixed = max(1, channels // self.partial)
        length = -(-x.shape[2] // stride)
        out = [torch.zeros(x.shape[0], length, dtype=x.dtype) for _ in range(channels)]
        for column in range(len(self.supernet.op_names)):
            value = self.op(cell, row, column, mixed, stride)(x[:, :mixed])
            for channel in range(mixed):
                out[channel] = out[channel] + weights[column] * value[:, channel]
        for channel in range(mixed, channels):
            steps = [x[:, channel, stride * t : stride * (t + 1)].max(1).values for t in range(length)]
            out[channel] = weights.sum() * torch.stack(steps, dim=1)
        if channels % mixed == 0:
            out = [out[channel] for first in range(mixed) for channel in range(first, channels, mixed)]
        return torch.stack(out, dim=1)

    def __call__(self, x, op_weights):
        size = self.supernet.size
        x = self.supernet.stem(x)
        for i, (cell, plan) in enumerate(zip(self.supernet.cells, size.plan(), strict=True)):
            nodes = [cell.preprocess(x)]
            for node in range(1, size.nodes_per_layer + 1):
                terms = [
                    self.edge(i, row, edge_stride(plan.is_reduction, source), nodes[source], op_weights[plan.kind][row])
                    for row, (source, target) in enumerate(edges(size.nodes_per_layer))
                    if target == node
                ]
                nodes.append(sum(terms))
            x = torch.cat(nodes[-size.fanout_concat :], dim=1)
        return self.supernet.head(x.mean(2))


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize(
    ("channels", "partial", "length"),
    [(4, 2, 32), (4, 4, 33), (3, 2, 29), (8, 4, 30), (2, 4, 31), (5, 2, 17)],
)
def test_partial_channels_are_a_plain_loop(channels, partial, length, kernels):
    """Also where the channels cannot be shared out evenly, or are fewer than the parts."""
    torch.manual_seed(0)
    size = Size(4, 3, channels, 1, 2)
    supernet = Supernet(size, Classification(2, length, 3), DEFAULT_OPS, kernels, partial=partial).double()
    loop = LoopOfPartialChannels(supernet, partial)
    alphas = random_alphas(size.num_edges, len(DEFAULT_OPS))
    alphas |= {f"{kind}_edges": torch.randn(size.num_edges).double().requires_grad_() for kind in KINDS}
    weights = EdgeNormalised().settled(alphas, Genotypes(DEFAULT_OPS, 3))
    x, y = torch.randn(5, 2, length).double() * 2, torch.arange(5) % 3
    results = []
    for network in (supernet, loop):
        logits = network(x, weights)
        gradients = torch.autograd.grad(F.cross_entropy(logits, y), list(alphas.values()), retain_graph=True)
        results.append([logits, *gradients])
    assert float(results[1][0].detach().std(0).max()) > 1e-3
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-9)
        assert float(expected.detach().abs().max()) > 1e-6


def test_one_part_is_the_supernet_of_darts():
    torch.manual_seed(0)
    whole = Supernet(Size(3, 2, 2, 2, 2), Classification(1, 16, 2), partial=1)
    torch.manual_seed(0)
    plain = Supernet(Size(3, 2, 2, 2, 2), Classification(1, 16, 2))
    assert whole.state_dict().keys() == plain.state_dict().keys()
    weights = {kind: alpha.softmax(-1) for kind, alpha in plain.alphas.items()}
    x = torch.randn(3, 1, 16)
    torch.testing.assert_close(whole(x, weights), plain(x, weights))


# The auxiliary skip


@pytest.mark.parametrize("progress", [0.0, 0.4, 1.0])
def test_the_auxiliary_skip_adds_the_identity_at_stride_1(progress):
    """And at stride 2, where there is no identity, what ``skip_connect`` computes."""
    torch.manual_seed(0)
    size, task = Size(4, 3, 2, 3, 2), Classification(2, 33, 3)
    reference = TextbookSupernet(size, task, DEFAULT_OPS).double()
    supernet = Supernet(size, task, DEFAULT_OPS, "torch").double()
    load_textbook(supernet, reference.state_dict())
    alphas, beta = random_alphas(size.num_edges, len(DEFAULT_OPS)), 1.5 * (1 - progress)
    space = CellSpace(size, task, DEFAULT_OPS)
    x = torch.randn(4, 2, 33).double()
    found = supernet(x, AuxiliarySkip(1.5)(alphas, moment(progress, space=space)))
    value = reference.stem(x)
    for cell, plan in zip(reference.cells, size.plan(), strict=True):
        nodes = [cell.preprocess(value)]
        for node in range(1, 4):
            total = 0
            for row, (source, target) in enumerate(cell.edges):
                if target != node:
                    continue
                mixed = cell.mixed_ops[row]
                total = total + mixed(nodes[source], alphas[plan.kind][row].softmax(-1))
                if plan.is_reduction and source == 0:
                    total = total + beta * mixed.ops[DEFAULT_OPS.index("skip_connect")](nodes[source])
                else:
                    total = total + beta * nodes[source]
            nodes.append(total)
        value = torch.cat(nodes[-2:], dim=1)
    torch.testing.assert_close(found, reference.head(value.mean(2)), rtol=1e-9, atol=1e-9)


# Dirichlet


def test_dirichlet_draws_have_the_moments_and_gradients_of_the_closed_form():
    """``E[w_i] = c_i / S`` and ``E[w_i w_j] = c_i (c_j + [i = j]) / (S (S + 1))``, by 40,000 edges alike."""
    raw = torch.tensor([0.8, -0.6, 0.1], dtype=torch.float64, requires_grad=True)
    rows = raw.expand(40_000, 3)
    draws = torch.cat(list(Dirichlet()(dict.fromkeys(KINDS, rows), moment(seed=1)).values()))
    concentration = torch.where(raw > 0, raw + 1, raw.exp()) + 1e-4
    total = concentration.sum()
    torch.testing.assert_close(draws.mean(0), concentration / total, rtol=0, atol=4e-3)
    settled = Dirichlet().settled(dict.fromkeys(KINDS, rows[:1]), TINY)
    torch.testing.assert_close(settled["normal"][0], concentration / total)
    cost = torch.tensor([[1.0, -2.0, 0.5], [-2.0, 3.0, 1.0], [0.5, 1.0, -1.0]], dtype=torch.float64)
    sampled = torch.einsum("ni,ij,nj->n", draws, cost, draws).mean()
    outer = (torch.outer(concentration, concentration) + concentration.diag()) / (total * (total + 1))
    exact = (cost * outer).sum()
    assert float(sampled.detach()) == pytest.approx(float(exact.detach()), abs=0.02)
    (found,), (expected,) = (torch.autograd.grad(value, raw, retain_graph=True) for value in (sampled, exact))
    torch.testing.assert_close(found, expected, rtol=0, atol=0.01)
    assert float(expected.abs().min()) > 0.03


def test_a_dirichlet_draw_is_that_of_torch():
    """The same draw and the same gradient as the distribution itself gives from the same state."""
    alphas = random_alphas(3, 3)
    drawn = Dirichlet()(alphas, moment(seed=4))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**62, (), generator=torch.Generator().manual_seed(4))))
        for kind in KINDS:
            own = alphas[kind].detach().clone().requires_grad_()
            expected = torch.distributions.Dirichlet(F.elu(own) + 1 + 1e-4).rsample()
            torch.testing.assert_close(drawn[kind], expected)
            (gradient,) = torch.autograd.grad(drawn[kind][:, 0].sum(), alphas[kind])
            torch.testing.assert_close(gradient, torch.autograd.grad(expected[:, 0].sum(), own)[0])


# What is drawn


def frequencies(relaxation, alphas, count, seed=0):
    """How often each genotype is drawn."""
    found = dict.fromkeys(genotypes(), 0)
    state = moment(seed=seed)
    for _ in range(count):
        found[relaxation(alphas, state).architecture] += 1
    return list(found.values())


def chances_of_nodes(alphas, temperature=1.0):
    """Of every genotype, by plain arithmetic."""
    rows, found = edges(2), []
    for genotype in genotypes():
        chance = 1.0
        for kind, node in itertools.product(KINDS, (1, 2)):
            odds = {
                (op, source): math.exp(float(alphas[kind][row, column].detach()) / temperature)
                for row, (source, target) in enumerate(rows)
                for column, op in enumerate(TINY_OPS)
                if target == node and op != "none"
            }
            chance *= odds[genotype.cell(kind)[node - 1]] / sum(odds.values())
        found.append(chance)
    assert sum(found) == pytest.approx(1)
    return found


def p_value(counts, chances):
    return float(stats.chisquare(counts, [chance * sum(counts) for chance in chances]).pvalue)


ALPHAS = {kind: 0.7 * alpha.detach() for kind, alpha in random_alphas(3, 3, seed=2).items()}


def test_uniform_paths_are_uniform():
    counts = frequencies(UniformPath(), ALPHAS, 3200)
    assert 0.01 < p_value(counts, [1 / 64] * 64) < 0.99
    assert p_value(counts, chances_of_nodes(ALPHAS)) < 1e-6


def test_balanced_paths_are_drawn_in_proportion_to_their_parameters():
    params = [TINY.cost(genotype)["params"] for genotype in genotypes()]
    assert max(params) > 1.5 * min(params)
    counts = frequencies(BalancedPath(), ALPHAS, 3200)
    assert 0.01 < p_value(counts, [count / sum(params) for count in params]) < 0.99
    assert p_value(counts, [1 / 64] * 64) < 1e-6


@pytest.mark.parametrize("relaxation", [NodeSoftmax(), GumbelPath((5.0, 5.0))], ids=["softmax", "gumbel"])
def test_paths_are_drawn_by_the_softmax_over_each_node(relaxation):
    """The strongest of logits with Gumbel noise is a draw by the softmax, at any temperature."""
    counts = frequencies(relaxation, ALPHAS, 3200)
    assert 0.01 < p_value(counts, chances_of_nodes(ALPHAS)) < 0.99
    assert p_value(counts, [1 / 64] * 64) < 1e-6


# GDAS


@pytest.mark.parametrize("progress", [0.0, 0.5, 1.0])
def test_gumbel_gates_are_one_with_the_gradient_of_the_soft_choice(progress):
    alphas = random_alphas(3, 3, seed=3)
    path = GumbelPath((4.0, 1.0))(alphas, moment(progress, seed=7))
    generator, temperature = torch.Generator().manual_seed(7), 4.0 - 3.0 * progress
    factors = torch.tensor([2.0, -3.0], dtype=torch.float64)
    for kind in KINDS:
        own = alphas[kind].detach().clone().requires_grad_()
        gumbel = -torch.empty(3, 3).exponential_(generator=generator).log().double()
        kept = []
        for node, rows in ((1, [0]), (2, [1, 2])):
            pairs = [(row, column) for row in rows for column in (1, 2)]  # without none
            logits = torch.stack([own[pair] + gumbel[pair] for pair in pairs]) / temperature
            hard = max(range(len(pairs)), key=lambda i: float(logits[i].detach()))
            row, column = pairs[hard]
            assert path.architecture.cell(kind)[node - 1] == (TINY_OPS[column], edges(2)[row][0])
            kept.append(logits.softmax(0)[hard])
        assert torch.equal(path.gates[kind].detach(), torch.ones(2, dtype=torch.float64))
        (found,) = torch.autograd.grad((path.gates[kind] * factors).sum(), alphas[kind])
        (expected,) = torch.autograd.grad((torch.stack(kept) * factors).sum(), own)
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)
        assert float(expected.abs().max()) > 1e-3


# TuNAS


@pytest.fixture(scope="module")
def rewarding():
    """A supernet whose paths differ in accuracy, a batch, and its alphas."""
    torch.manual_seed(1)
    supernet = Supernet(TINY.size, TINY.task, TINY_OPS, "torch").double()
    for alpha in supernet.alphas.values():
        nn.init.normal_(alpha)
    x, y = torch.randn(40, 1, 16).double(), torch.arange(40) % 2
    return supernet, (x.cumsum(2) * y[:, None, None] + x, y)


def penalty(op_weights, objective):
    return 0.2 * sum(weights[:, TINY_OPS.index("conv_bn_relu_3x1")].sum() for weights in op_weights.values())


def of_path(supernet, path):
    given = Given(path, lambda alphas: NodeSoftmax().settled(alphas, TINY))
    return alpha_loss(supernet, given, TINY, [penalty])


def exact_gradient(supernet, batch):
    """Of minus the expected reward, by the probabilities and rewards of all paths."""
    leaves = {kind: supernet.alphas[kind].detach().clone().requires_grad_() for kind in KINDS}
    x, y = batch
    expected = 0
    for genotype in genotypes():
        chance = 1
        for kind, node in itertools.product(KINDS, (1, 2)):
            rows = [row for row, (_, target) in enumerate(edges(2)) if target == node]
            op, source = genotype.cell(kind)[node - 1]
            shares = leaves[kind][rows][:, 1:].flatten().softmax(0)
            chance = chance * shares[2 * source + TINY_OPS.index(op) - 1]
        with torch.no_grad():
            accuracy = float((supernet(x, Path(genotype)).argmax(1) == y).double().mean())
        num_convs = sum(op == "conv_bn_relu_3x1" for kind in KINDS for op, _ in genotype.cell(kind))
        expected = expected - chance * (accuracy - 0.2 * num_convs)
    return expected, torch.autograd.grad(expected, list(leaves.values()))


def gradient_of(step, problem):
    alphas = list(problem.supernet.alphas.values())
    loss, _ = step
    return torch.autograd.grad(loss, alphas, retain_graph=True)


@pytest.mark.parametrize("baseline", [0.0, 0.6])
def test_the_expected_policy_gradient_is_that_of_the_reward(rewarding, baseline):
    """All paths, each weighted by its probability: whatever the baseline is."""
    supernet, batch = rewarding
    _, expected = exact_gradient(supernet, batch)
    total = [torch.zeros_like(gradient) for gradient in expected]
    for genotype, chance in zip(genotypes(), chances_of_nodes(supernet.alphas), strict=True):
        step = PolicyGradient(0.5)
        step.baseline.fill_(baseline)
        step.num_rewards.fill_(1)
        problem = of_path(supernet, Path(genotype))
        for sum_, gradient in zip(total, gradient_of(step(problem, batch, batch), problem), strict=True):
            sum_ += chance * gradient
    for found, exact in zip(total, expected, strict=True):
        torch.testing.assert_close(found, exact, rtol=1e-5, atol=1e-6)
        assert float(exact.abs().max()) > 1e-3


def test_the_mean_of_many_policy_gradients_is_the_expected_one(rewarding):
    supernet, batch = rewarding
    _, expected = exact_gradient(supernet, batch)
    step = PolicyGradient(0.9)
    problem = alpha_loss(supernet, NodeSoftmax(), TINY, [penalty], moment=moment(seed=3))
    gradients = [torch.cat(gradient_of(step(problem, batch, batch), problem)) for _ in range(700)]
    samples = torch.stack(gradients[20:])  # the baseline has come near the mean by then
    mean, error = samples.mean(0), samples.std(0) / len(samples) ** 0.5
    distance = (mean - torch.cat(expected)).abs() / (error + 1e-9)
    assert float(distance.max()) < 4
    assert float((mean.abs() / (error + 1e-9)).max()) > 8, "it must be told from nothing"


# DARTS-PT


@pytest.fixture(scope="module")
def one_op_counts():
    """Only one operation of each kind of cell lets anything through; the kernels of the others are 0, and stay so."""
    ops, size = ("none", "conv_bn_relu_1x1", "conv_bn_relu_3x1"), Size(3, 2, 2, 2, 1)
    torch.manual_seed(0)
    supernet = Supernet(size, Classification(1, 24, 2), ops, "torch")
    signal = {"normal": (1, "conv_bn_relu_3x1"), "reduce": (1, "conv_bn_relu_1x1")}  # of the edge (0, 2)
    with torch.no_grad():
        for cell, kind in zip(supernet.cells, supernet.kinds, strict=True):
            row, op = signal[kind]
            for group in cell.groups:
                for name, stack in group.stacks.items():
                    for edge, own in enumerate(group.rows):
                        if (own, name.partition("/")[0]) != (row, op):
                            stack[edge] = 0
    x, y = torch.randn(48, 1, 24), torch.arange(48) % 2
    x[::2] = x[::2].cumsum(2)
    batches = [(x[i : i + 16], y[i : i + 16]) for i in range(0, 48, 16)]
    weights = {kind: torch.full((3, 3), 1 / 3) for kind in KINDS}
    sgd = torch.optim.SGD(supernet.weights().values(), 0.05, 0.9)
    for x, y in batches * 20:
        sgd.zero_grad()
        F.cross_entropy(supernet(x, weights), y).backward()
        sgd.step()
    return supernet, CellSpace(size, supernet.task, ops), weights, batches


@pytest.mark.parametrize("seed", range(2))
def test_perturbation_finds_the_one_operation_that_counts(one_op_counts, seed):
    supernet, space, weights, batches = one_op_counts
    found = Found(supernet, weights, {}, moment(1.0, seed, space), batches, batches)
    scores = Perturbation(0, 0.01).scores(found)
    for kind, column in (("normal", 2), ("reduce", 1)):
        assert float(scores[kind][1, column]) > 0.2
        assert int(scores[kind].argmax()) == 3 + column
        # Other rows: nothing is missed; in this row the others miss what the whole edge does.
        torch.testing.assert_close(scores[kind][[0, 2]], torch.zeros(2, 3, dtype=torch.float64), atol=1e-6, rtol=0)
        assert float(scores[kind][1, column]) > float(scores[kind][1].sort().values[1]) + 0.05
    (genotype,) = Perturbation(0, 0.01)(found, 1)
    assert genotype.normal[1] == ("conv_bn_relu_3x1", 0)
    assert genotype.reduce[1] == ("conv_bn_relu_1x1", 0)
