"""What an operation that nobody thought of needs: one entry in ``OPS``; its kinds of layer have their rows already.

A residual convolution, a depthwise one that is dilated and one that is strided (at stride 2) are searched, trained,
priced, exported and quantized. Where something cannot be done for one of them a sentence says so.
"""

from dataclasses import dataclass
from functools import partial

import onnx
import pytest
import torch
from onnx import ModelProto, numpy_helper
from onnx_count import Counter
from torch import Tensor, nn

from nas_lightning.cost.exact import Numbers, cost_of
from nas_lightning.cost.npu import PROFILES, npu_report
from nas_lightning.errors import InputError
from nas_lightning.export.emx import compile_network
from nas_lightning.export.equalise import equalise
from nas_lightning.export.int8 import integer_core, quantize, to_qdq
from nas_lightning.export.onnx import check_parity, run_onnx, to_onnx
from nas_lightning.kernels.build import why_not_native
from nas_lightning.space.cells.compiled import compile_network as compile_training
from nas_lightning.space.cells.genotype import KINDS, Genotype
from nas_lightning.space.cells.network import Network
from nas_lightning.space.cells.size import Size
from nas_lightning.space.cells.supernet import Supernet
from nas_lightning.space.cells.tables import SpaceCost
from nas_lightning.space.ops import OPS, _depthwise
from nas_lightning.tasks import Classification
from nas_lightning.training.fake_quant import fake_quantized, finetune_int8, observe

SIZE, TASK = Size(3, 3, 4, 1, 2), Classification(2, 21, 3)


class Residual(nn.Module):
    """``relu(x + BatchNorm(convolution(x)))`` (He et al. 2016, arXiv 1512.03385, eq. 1)."""

    def __init__(self, channels, kernel_size, affine):
        super().__init__()
        conv = nn.Conv1d(channels, channels, kernel_size, 1, kernel_size // 2, bias=False)
        self.body, self.relu = nn.Sequential(conv, nn.BatchNorm1d(channels, affine=affine)), nn.ReLU()

    def forward(self, x):
        return self.relu(self.body(x) + x)


def residual(channels, stride, affine, *, kernel_size):
    block = Residual(channels, kernel_size, affine)
    strided = _depthwise(channels, stride, affine, kernel_size=kernel_size)
    return block if stride == 1 else nn.Sequential(strided, block)


NEW_OPS = {
    "residual_3x1": partial(residual, kernel_size=3),
    "dilated_depthwise_3x1": partial(_depthwise, kernel_size=3, dilation=2),
    "strided_depthwise_9x1": partial(_depthwise, kernel_size=9),
}


@dataclass(frozen=True)
class Trained:
    op: str
    genotype: Genotype
    network: nn.Module
    x: Tensor
    y: Tensor
    floats: ModelProto
    integer: ModelProto


@pytest.fixture(scope="module", params=NEW_OPS)
def made(request):
    """A network of one of them only, in all cells, trained until it tells three waves apart."""
    op = request.param
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(OPS, op, NEW_OPS[op])
        torch.manual_seed(0)
        cell = ((op, 0), (op, 0), (op, 1))
        genotype = Genotype(cell, cell)
        network = Network(genotype, SIZE, TASK)
        y = torch.arange(96) % 3
        x = torch.sin((y + 1)[:, None, None] * torch.linspace(0, 6, 21)) + 0.5 * torch.randn(96, 2, 21)
        optimizer = torch.optim.Adam(network.parameters(), 0.02)
        for _ in range(40):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(x), y).backward()
            optimizer.step()
        network.eval()
        floats = to_onnx(network, (2, 21))
        yield Trained(op, genotype, network, x, y, floats, quantize(floats, [x]))


def accuracy(logits, y):
    return float((logits.argmax(1) == y).float().mean())


def test_a_supernet_chooses_it(made):
    supernet = Supernet(SIZE, TASK, ("none", "skip_connect", made.op))
    weights = {kind: supernet.alphas[kind].softmax(-1) for kind in KINDS}
    nn.functional.cross_entropy(supernet(made.x, weights), made.y).backward()
    assert all((supernet.alphas[kind].grad[:, 2].abs() > 0).all() for kind in KINDS)


def test_it_costs_what_the_file_says(made, tmp_path):
    path = tmp_path / "model.onnx"
    onnx.save(to_onnx(made.network, (2, 21)), path)
    with torch.no_grad():
        check_parity(path, [made.x], made.network.double()(made.x.double()))
    made.network.float()
    counter, cost = Counter(path), cost_of(made.network, 2, 21)
    assert (cost.params, cost.macs) == (counter.params(), counter.macs())
    bound = counter.bound_of_the_file()
    assert cost.ram_bytes == -(-bound // 8) * 8
    assert bound == counter.bound_of_all_orders()


@pytest.mark.parametrize("bits", [8, 32])
def test_a_search_knows_what_it_costs(made, bits):
    numbers = Numbers(bits, bits)
    found = SpaceCost(SIZE, TASK, ("none", made.op), numbers).cost(made.genotype)
    cost = cost_of(made.network, 2, 21, numbers)
    assert found == {measure: getattr(cost, measure) for measure in found}


def test_int8_runs_and_is_as_good(made):
    found = run_onnx(made.integer.SerializeToString(), [made.x])
    torch.testing.assert_close(run_onnx(to_qdq(made.integer).SerializeToString(), [made.x]), found, rtol=0, atol=0)
    assert accuracy(made.network(made.x), made.y) > 0.9
    assert accuracy(found, made.y) > accuracy(made.network(made.x), made.y) - 0.05


def test_fake_quantization_rounds_as_int8_does(made):
    (scale,) = (numpy_helper.to_array(t) for t in made.integer.graph.initializer if t.name == "head.steps_scale")
    model = fake_quantized(made.network, 2, 21)
    observe(model, [made.x])
    with torch.no_grad():
        steps = (model(made.x) - run_onnx(made.integer.SerializeToString(), [made.x])).abs() / float(scale)
    assert float(steps.max()) < 2.5
    assert float(steps.mean()) < 0.2


def test_the_remedies_of_int8_take_it(made):
    even = equalise(made.network.double(), made.x.double())
    torch.testing.assert_close(even(made.x.double()), made.network(made.x.double()))
    tuned = finetune_int8(made.network.float(), TASK, [(made.x, made.y)], 2, 1e-3)
    assert accuracy(tuned(made.x), made.y) > 0.9


def test_the_c_has_it_or_says_why_not(made):
    core, _ = integer_core(made.integer)
    for bits, model in ((8, core), (32, made.floats)):
        if "residual" in made.op and bits == 8:
            with pytest.raises(
                InputError, match=r"^C: found the int8 operator QLinearAdd \(.*\), which cannot be written; "
            ):
                compile_network(model)
            continue
        arena = compile_network(model).arena_bytes
        assert -(-arena // 8) * 8 == cost_of(made.network, 2, 21, Numbers(bits, bits)).ram_bytes


def test_an_npu_has_it_or_says_why_not(made):
    found = {row.reason for row in npu_report(made.network, 2, 21, PROFILES["strict"]) if not row.accelerated}
    expected = {"residual_3x1": "Add is not a layer of the NPU", "dilated_depthwise_3x1": "dilation 2; allowed: 1"}
    assert expected.get(made.op, "9 taps; allowed: up to 7") in found


@pytest.mark.skipif(why_not_native() is not None, reason=str(why_not_native()))
def test_the_training_kernel_has_it_or_leaves_it_to_pytorch(made):
    compiled = compile_training(made.network, TASK, "native")
    assert (compiled is None) == ("residual" in made.op)
