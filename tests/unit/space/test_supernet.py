import copy

import pytest
import torch
from oracle.textbook import TextbookSupernet
from torch import nn

from nas_lightning.space.cells.genotype import KINDS, Genotype
from nas_lightning.space.cells.network import Network
from nas_lightning.space.cells.size import Size, edges
from nas_lightning.space.cells.supernet import Supernet
from nas_lightning.tasks import Classification

SIZE, TASK = Size(4, 3, 2, 3, 2, post_reduction_stride=2), Classification(3, 33, 4)


def softmax(supernet):
    return {kind: alpha.softmax(-1) for kind, alpha in supernet.alphas.items()}


def test_accepts_a_trailing_axis_of_one():
    supernet = Supernet(SIZE, TASK).eval()
    x = torch.randn(2, 3, 33)
    assert torch.equal(supernet(x, softmax(supernet)), supernet(x[..., None], softmax(supernet)))


def test_alphas_have_a_row_per_edge_and_a_column_per_operation():
    assert {kind: tuple(a.shape) for kind, a in Supernet(SIZE, TASK).alphas.items()} == dict.fromkeys(KINDS, (6, 7))


def test_batch_norm_has_no_affine_parameters():
    """Every parameter is a kernel, an alpha, or of the head."""
    supernet = Supernet(SIZE, TASK)
    norms = [m for m in supernet.modules() if isinstance(m, nn.BatchNorm1d)]
    assert norms
    assert all(norm.weight is None for norm in norms)
    others = {name: p.dim() for name, p in supernet.named_parameters() if not name.startswith(("alphas", "head"))}
    assert all(dim == (4 if "stacks" in name else 3) for name, dim in others.items())


def test_every_alpha_gets_a_gradient():
    supernet = Supernet(SIZE, TASK)
    nn.functional.cross_entropy(supernet(torch.randn(8, 3, 33), softmax(supernet)), torch.arange(8) % 4).backward()
    for alpha in supernet.alphas.values():
        assert (alpha.grad.abs().sum(1) > 0).all()


@pytest.mark.parametrize("fanout", [1, 2, 3])
def test_with_one_hot_weights_the_supernet_is_the_network_of_the_genotype(fanout):
    """The fixed network is given the supernet's weights; both must then compute the same."""
    size = Size(4, 3, 2, 3, fanout, post_reduction_stride=2)
    genotype = Genotype(
        (("conv_bn_relu_5x1", 0), ("max_pool_3x1", 0), ("skip_connect", 1)),
        (("skip_connect", 0), ("conv_bn_relu_3x1", 1), ("avg_pool_3x1", 0)),
    )
    torch.manual_seed(0)
    supernet, network = TextbookSupernet(size, TASK).eval(), Network(genotype, size, TASK).eval()
    randomize_statistics(supernet)
    network.stem.load_state_dict(supernet.stem.state_dict(), strict=False)
    network.head.load_state_dict(supernet.head.state_dict())
    for plan, search_cell, cell in zip(size.plan(), supernet.cells, network.cells, strict=True):
        cell.preprocess.load_state_dict(search_cell.preprocess.state_dict(), strict=False)
        for name, op in cell.nodes.items():
            choice, source = genotype.cell(plan.kind)[int(name) - 1]
            mixed = search_cell.mixed_ops[edges(3).index((source, int(name)))]
            op.load_state_dict(mixed.ops[supernet.op_names.index(choice)].state_dict(), strict=False)
    x = torch.randn(5, 3, 33)
    torch.testing.assert_close(network(x), supernet(x, one_hot(genotype, supernet.op_names)))


def one_hot(genotype, ops):
    weights = {kind: torch.zeros(6, len(ops)) for kind in KINDS}
    for kind in KINDS:
        weights[kind][:, ops.index("none")] = 1
        for node, (op, source) in enumerate(genotype.cell(kind), start=1):
            row = edges(3).index((source, node))
            weights[kind][row] = 0
            weights[kind][row, ops.index(op)] = 1
    return weights


def randomize_statistics(network):
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)


def test_half_precision_and_copies_of_the_module_work():
    """`half` and the like are methods of every module; nothing may hide them."""
    supernet = copy.deepcopy(Supernet(SIZE, TASK)).half().float().to(torch.bfloat16)
    assert supernet(torch.randn(4, 3, 33).to(torch.bfloat16), softmax(supernet)).dtype == torch.bfloat16


def test_a_single_value_per_channel_cannot_be_normalised():
    """The textbook raises for it too; two reductions leave one step of four."""
    supernet = Supernet(Size(3, 1, 1, 1, 1), Classification(1, 4, 2))
    with pytest.raises(ValueError, match="more than one value per channel"):
        supernet(torch.randn(1, 1, 4), softmax(supernet))


def test_the_seed_decides_the_start():
    def start(seed):
        torch.manual_seed(seed)
        return torch.cat([p.flatten() for p in Supernet(SIZE, TASK).parameters()])

    assert torch.equal(start(0), start(0))
    assert not torch.equal(start(0), start(1))


def test_weights_start_as_those_of_the_textbook_do():
    """The same distribution: a kernel of k taps on C channels is uniform in +-1 / sqrt(k C)."""
    supernet = Supernet(Size(3, 4, 8, 3, 4), TASK)
    for name, stack in supernet.state_dict().items():
        if "conv_bn_relu_" in name:
            bound = (stack.shape[2] * stack.shape[3]) ** -0.5
            assert 0.9 * bound < float(stack.abs().max()) <= bound
            assert float(stack.std()) == pytest.approx(bound / 3**0.5, rel=0.1)
