"""The supernet against the textbook: outputs, gradients and statistics in float64, for every size and operation."""

import copy

import pytest
import torch
from oracle import textbook
from oracle.convert import load_textbook, to_textbook
from oracle.textbook import TextbookSupernet
from torch import nn

from nas_lightning.config.compose import compose_config
from nas_lightning.kernels.build import why_not_native
from nas_lightning.runs.build import build_size
from nas_lightning.space import ops
from nas_lightning.space.cells import edge_group
from nas_lightning.space.cells.size import SIZES, Size
from nas_lightning.space.cells.supernet import Supernet
from nas_lightning.space.ops import DEFAULT_OPS, OPS
from nas_lightning.tasks import Classification

TOLERANCE = 1e-9
OP_LISTS = {
    "default": DEFAULT_OPS,
    "all": tuple(OPS),
    "no_convolution": ("none", "skip_connect", "avg_pool_3x1"),
    "no_pool": ("none", "conv_bn_relu_5x1"),
    "not_dense": ("sep_conv_5x1", "dil_conv_5x1", "depthwise_3x1", "max_pool_3x1"),
    "one": ("conv_bn_relu_1x1",),
}
KERNELS = [
    "torch",
    pytest.param("native", marks=pytest.mark.skipif(why_not_native() is not None, reason=str(why_not_native()))),
]


@pytest.fixture(params=KERNELS)
def kernels(request):
    return request.param


def make_pair(size, task, op_names, kernels):
    """Both supernets with the same weights, alphas and (random) running statistics, in float64."""
    torch.manual_seed(0)
    reference = TextbookSupernet(size, task, op_names).double()
    for module in reference.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.05, 0.2)
    for alpha in reference.alphas.values():
        nn.init.normal_(alpha)
    supernet = Supernet(size, task, op_names, kernels).double()
    load_textbook(supernet, reference.state_dict())
    return reference, supernet


def backward(supernet, batch):
    x, y = batch
    logits = supernet(x, {kind: alpha.softmax(-1) for kind, alpha in supernet.alphas.items()})
    nn.functional.cross_entropy(logits, y).backward()
    return logits.detach()


def gradients(supernet):
    """The gradients of a supernet in the layout of the textbook."""
    holder = copy.deepcopy(supernet)
    for mine, p in zip(supernet.parameters(), holder.parameters(), strict=True):
        p.data = mine.grad
    return to_textbook(holder)


def relative(found, expected):
    return float((found - expected).abs().max() / expected.abs().max().clamp(min=1e-6))


def assert_equal(size, task, op_names, kernels, train, batch_size=5):
    reference, supernet = (s.train(train) for s in make_pair(size, task, op_names, kernels))
    batch = torch.randn(batch_size, task.in_channels, task.length, dtype=torch.float64) * 2 + 1
    labels = torch.arange(batch_size) % task.num_classes
    expected, found = backward(reference, (batch, labels)), backward(supernet, (batch, labels))
    assert batch_size == 1 or float(expected.std(0).max()) > 1e-3, "the networks must not be constant"
    assert relative(found, expected) < TOLERANCE
    grads = gradients(supernet)
    for name, parameter in reference.named_parameters():
        assert relative(grads[name], parameter.grad) < TOLERANCE, name
    state = to_textbook(supernet)
    for key, value in reference.state_dict().items():
        assert relative(state[key].double(), value.double()) < TOLERANCE, key


@pytest.mark.parametrize("name", sorted(SIZES))
def test_every_size(name, kernels):
    config = compose_config([f"nas_model_size={name}"])
    assert_equal(build_size(config), Classification(1, 27, 3), DEFAULT_OPS, kernels, train=True)


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("length", [32, 33])
@pytest.mark.parametrize("name", OP_LISTS)
def test_every_list_of_operations(name, length, train, kernels):
    assert_equal(Size(4, 3, 2, 3, 2), Classification(2, length, 3), OP_LISTS[name], kernels, train)


@pytest.mark.parametrize("op", OPS)
def test_every_operation_alone(op, kernels):
    others = () if op != "none" else ("skip_connect",)
    assert_equal(Size(3, 2, 3, 2, 1), Classification(1, 15, 2), (op, *others), kernels, train=True)


@pytest.mark.parametrize(
    ("size", "length", "batch_size"),
    [
        (Size(3, 1, 1, 1, 1), 5, 3),
        (Size(5, 3, 2, 3, 3, post_reduction_stride=2), 40, 4),
        (Size(5, 3, 2, 3, 3, post_reduction_stride=2), 41, 1),
        (Size(3, 2, 5, 1, 2), 700, 2),
        (Size(3, 4, 1, 3, 4), 8, 600),
    ],
)
def test_odd_outlines_and_batches(size, length, batch_size, kernels):
    assert_equal(size, Classification(3, length, 2), DEFAULT_OPS, kernels, True, batch_size)


def test_an_operation_of_another_make_runs_as_the_module_that_it_is(kernels, monkeypatch):
    """With parameters (no BatchNorm behind it), and without (a pool of another width)."""
    monkeypatch.setitem(OPS, "plain", lambda channels, stride, affine: nn.Conv1d(channels, channels, 3, stride, 1))
    monkeypatch.setitem(OPS, "wide_pool", lambda channels, stride, affine: nn.AvgPool1d(5, stride, 2))
    assert ops.OPS is edge_group.OPS is textbook.OPS
    assert_equal(
        Size(3, 2, 2, 2, 2), Classification(1, 19, 2), (*DEFAULT_OPS, "plain", "wide_pool"), kernels, train=True
    )


def test_the_state_survives_the_way_there_and_back(kernels):
    _, supernet = make_pair(Size(4, 3, 2, 3, 2), Classification(2, 16, 3), tuple(OPS), kernels)
    other = Supernet(Size(4, 3, 2, 3, 2), Classification(2, 16, 3), tuple(OPS), kernels).double()
    load_textbook(other, to_textbook(supernet))
    assert all(
        torch.equal(a, b) for a, b in zip(supernet.state_dict().values(), other.state_dict().values(), strict=True)
    )


def test_a_state_of_another_size_is_refused():
    state = TextbookSupernet(Size(3, 2, 1, 1, 1), Classification(1, 16, 2)).state_dict()
    with pytest.raises(ValueError, match=r"alphas.normal: found \[3, 7\]; this supernet needs \[6, 7\]"):
        load_textbook(Supernet(Size(3, 3, 1, 1, 1), Classification(1, 16, 2)), state)


def test_float32_is_as_close_as_float32_allows(kernels):
    """Against float64: within a few times the textbook's own error (the largest of both is compared)."""
    config = compose_config(["nas_model_size=m"])
    reference, supernet = make_pair(build_size(config), Classification(1, 64, 3), DEFAULT_OPS, kernels)
    x = torch.randn(32, 1, 64, dtype=torch.float64)
    exact = reference(x, {kind: alpha.softmax(-1) for kind, alpha in reference.alphas.items()}).detach()

    def error(network):
        network.float()
        with torch.no_grad():
            op_weights = {kind: alpha.softmax(-1) for kind, alpha in network.alphas.items()}
            return float((network(x.float(), op_weights).double() - exact).abs().max())

    assert error(supernet) < max(1e-5, 4 * error(reference))
