"""Alphas to op weights and paths: values worked out by hand."""

import pytest
import torch

from nas_lightning.errors import InputError
from nas_lightning.search.moment import Moment
from nas_lightning.search.relaxation import (
    AuxiliarySkip,
    BalancedPath,
    Dirichlet,
    EdgeNormalised,
    GumbelPath,
    NodeSoftmax,
    Softmax,
    UniformPath,
)
from nas_lightning.space.base import Path
from nas_lightning.space.cells.genotype import KINDS, Genotype, Genotypes
from nas_lightning.space.cells.size import Size
from nas_lightning.space.cells.space import CellSpace
from nas_lightning.space.choices import draw, one_hot, uniform
from nas_lightning.tasks import Classification

OPS = ("none", "skip_connect", "conv_bn_relu_3x1")
SIZE = Size(3, 2, 1, 1, 2)
SPACE = CellSpace(SIZE, Classification(1, 16, 2), OPS)
SAMPLERS = [NodeSoftmax(), GumbelPath((1.0, 0.5)), UniformPath(), BalancedPath()]


def moment(progress=0.0, seed=0, space=SPACE):
    return Moment(progress, torch.Generator().manual_seed(seed), space)


def alphas(rows, **more):
    """The same rows for both kinds of cell."""
    return {kind: torch.tensor(rows) for kind in KINDS} | {key: torch.tensor(value) for key, value in more.items()}


ODDS = torch.tensor([[1.0, 1.0, 2.0], [5.0, 2.0, 3.0], [5.0, 1.0, 4.0]])
"""Of the edges (0, 1), (0, 2), (1, 2); the alphas are their logarithms."""
ALPHAS = {kind: ODDS.log() for kind in KINDS}


def test_softmax_is_the_share_on_each_edge():
    expected = torch.tensor([[0.25, 0.25, 0.5], [0.5, 0.2, 0.3], [0.5, 0.1, 0.4]])
    for found in (Softmax().settled(ALPHAS, SPACE), Softmax()(ALPHAS, moment(0.7))):
        assert found.keys() == set(KINDS)
        for kind in KINDS:
            torch.testing.assert_close(found[kind], expected)


def test_edge_normalised_weights_sum_to_one_into_each_node():
    raw = ALPHAS | {f"{kind}_edges": torch.tensor([7.0, 1.0, 3.0]).log() for kind in KINDS}
    found = EdgeNormalised().settled(raw, SPACE)["reduce"]
    expected = torch.tensor([[0.25, 0.25, 0.5], [0.125, 0.05, 0.075], [0.375, 0.075, 0.3]])
    torch.testing.assert_close(found, expected)
    assert [float(found[:1].sum()), float(found[1:].sum())] == pytest.approx([1, 1])


def test_edge_normalised_has_an_alpha_for_each_edge():
    shapes = {name: tuple(alpha.shape) for name, alpha in EdgeNormalised().new_alphas(SPACE).items()}
    assert shapes == {"normal": (3, 3), "reduce": (3, 3), "normal_edges": (3,), "reduce_edges": (3,)}


@pytest.mark.parametrize(("progress", "beta"), [(0.0, 2.0), (0.25, 1.5), (0.5, 1.0), (1.0, 0.0)])
def test_the_auxiliary_skip_falls_linearly_to_nothing(progress, beta):
    relaxation = AuxiliarySkip(2.0)
    found, settled = relaxation(ALPHAS, moment(progress)), relaxation.settled(ALPHAS, SPACE)
    for kind in KINDS:
        torch.testing.assert_close(settled[kind], ALPHAS[kind].softmax(-1))
        torch.testing.assert_close(found[kind] - settled[kind], torch.tensor([0.0, beta, 0.0]).expand(3, 3))


def test_an_auxiliary_skip_needs_a_skip_and_a_start():
    with pytest.raises(InputError, match=r"^`start`: found -1; allowed: 0 or more$"):
        AuxiliarySkip(-1)
    with pytest.raises(InputError, match=r"^`ops`: AuxiliarySkip needs skip_connect$"):
        AuxiliarySkip(1.0).new_alphas(Genotypes(("none", "conv_bn_relu_3x1"), 2))


def test_dirichlet_concentrations_and_means_by_hand():
    """``elu(a) + 1`` is ``a + 1`` above zero and ``exp(a)`` below."""
    raw = alphas([[1.0, 0.0, float(torch.tensor(0.5).log())]] * 3)
    concentration = torch.tensor([2.0, 1.0, 0.5])
    torch.testing.assert_close(Dirichlet.concentration(raw["normal"])[0], concentration, atol=2e-4, rtol=0)
    found = Dirichlet().settled(raw, SPACE)["normal"]
    torch.testing.assert_close(found[2], concentration / 3.5, atol=1e-4, rtol=0)


def test_a_dirichlet_draw_follows_from_the_moment_alone():
    raw = alphas([[0.3, -0.2, 0.1]] * 3)
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first, again, other = (Dirichlet()(raw, moment(seed=seed)) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    for kind in KINDS:
        assert torch.equal(first[kind], again[kind])
        assert not torch.equal(first[kind], other[kind])
        assert (first[kind] > 0).all()
        torch.testing.assert_close(first[kind].sum(1), torch.ones(3))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_a_dirichlet_draw_has_the_precision_of_the_alphas(dtype):
    raw = {kind: of_kind.to(dtype) for kind, of_kind in alphas([[0.3, -0.2, 0.1]] * 3).items()}
    for weights in Dirichlet()(raw, moment()).values():
        assert weights.dtype == dtype
        torch.testing.assert_close(weights.sum(1).float(), torch.ones(3), atol=1e-2, rtol=0)


def test_node_softmax_gives_nothing_to_none():
    """Into node 1 the odds are 1 and 2, into node 2 they are 2, 3, 1 and 4."""
    expected = torch.tensor([[0.0, 1 / 3, 2 / 3], [0.0, 0.2, 0.3], [0.0, 0.1, 0.4]])
    for relaxation in SAMPLERS:
        torch.testing.assert_close(relaxation.settled(ALPHAS, SPACE)["normal"], expected)


@pytest.mark.parametrize("relaxation", SAMPLERS, ids=lambda relaxation: type(relaxation).__name__)
def test_what_is_drawn_follows_from_the_moment_alone(relaxation):
    torch.manual_seed(5)
    state = torch.get_rng_state()
    drawn = [
        [relaxation(ALPHAS, moment(seed=seed)).architecture for seed in range(first, first + 20)] for first in (0, 50)
    ]
    again = [relaxation(ALPHAS, moment(seed=seed)).architecture for seed in range(20)]
    assert drawn[0] == again != drawn[1]
    assert torch.equal(torch.get_rng_state(), state)
    assert {genotype.num_nodes for genotype in again} == {2}


def test_only_gumbel_paths_have_gates():
    raw = {kind: alpha.clone().requires_grad_() for kind, alpha in ALPHAS.items()}
    for relaxation in SAMPLERS:
        path = relaxation(raw, moment())
        assert isinstance(path, Path)
        if isinstance(relaxation, GumbelPath):
            assert all(torch.equal(path.gates[kind], torch.ones(2)) for kind in KINDS)
            assert all(path.gates[kind].requires_grad for kind in KINDS)
        else:
            assert path.gates is None


@pytest.mark.parametrize("temperatures", [(0.0, 1.0), (1.0, -0.1)])
def test_temperatures_are_above_zero(temperatures):
    with pytest.raises(InputError, match=r"^`temperatures`: found \(.*\); allowed: more than 0$"):
        GumbelPath(temperatures)


@pytest.mark.parametrize(("progress", "temperature"), [(0.0, 10.0), (0.25, 7.525), (1.0, 0.1)])
def test_the_temperature_falls_linearly(progress, temperature):
    """One node, two operations: the gate's gradient is that of a sigmoid of the difference over the temperature."""
    space = CellSpace(Size(3, 1, 1, 1, 1), Classification(1, 16, 2), OPS)
    raw = {kind: torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64, requires_grad=True) for kind in KINDS}
    path = GumbelPath((10.0, 0.1))(raw, moment(progress, 3, space))
    (slope,) = torch.autograd.grad(path.gates["normal"].sum(), raw["normal"])
    noise = -torch.empty(1, 3).exponential_(generator=torch.Generator().manual_seed(3)).log().double()
    share = torch.sigmoid((1 + noise[0, 2] - noise[0, 1]) / temperature)  # of the convolution
    expected = float(share * (1 - share)) / temperature
    sign = 1 if path.architecture.normal[0][0] == "conv_bn_relu_3x1" else -1
    assert (sign == 1) == (float(share) > 0.5)
    assert slope[0].tolist() == pytest.approx([0, -sign * expected, sign * expected], rel=1e-5, abs=1e-12)


def test_certain_op_weights_are_drawn_as_they_are():
    genotype = Genotype((("conv_bn_relu_3x1", 0), ("skip_connect", 1)), (("skip_connect", 0), ("conv_bn_relu_3x1", 0)))
    weights = {kind: of_kind.clone() for kind, of_kind in one_hot(genotype, SPACE).items()}
    for of_kind in weights.values():
        of_kind[:, OPS.index("none")] = 0
    assert {draw(weights, SPACE, torch.Generator().manual_seed(seed)) for seed in range(10)} == {genotype}


def test_uniform_op_weights_leave_none_out():
    for of_kind in uniform(SPACE).values():
        assert of_kind.tolist() == [[0, 1, 1]] * 3
