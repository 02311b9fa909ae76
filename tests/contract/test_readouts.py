"""Every readout that can be deployed is the same network in every form: ONNX, int8 and C, at any length."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from nas_lightning.cost.exact import Numbers, cost_of
from nas_lightning.export import host
from nas_lightning.export.contract import InputDescription
from nas_lightning.export.equalise import equalise
from nas_lightning.export.firmware import Sources, Vectors, write_firmware
from nas_lightning.export.int8 import quantize, to_qdq
from nas_lightning.export.onnx import run_onnx, to_onnx
from nas_lightning.graph.norm import InputNorm
from nas_lightning.space.cells.genotype import Genotype
from nas_lightning.space.cells.size import Size
from nas_lightning.space.cells.space import CellSpace
from nas_lightning.space.ops import conv_bn_relu
from nas_lightning.space.readouts import DEPLOYABLE, READOUTS
from nas_lightning.space.trunk import Block, Trunk, TrunkBlueprint, listed_trunk
from nas_lightning.tasks import Classes, Classification
from nas_lightning.training.fake_quant import fake_quantized, observe

NAMES = ("a", "b", "c")


def trunk_of(readout, length):
    """With channels of different range, and statistics that go with it."""
    torch.manual_seed(0)
    network = Trunk(Classification(2, length, 3), [Block("full", 5, 5), Block("pool", 5, 3, 2)], readout)
    network.blocks[0][1].weight.data *= torch.tensor([0.1, 1.0, 10.0, 1.0, 3.0])
    x = torch.randn(300, 2, length)
    with torch.no_grad():
        network.train()(x)
    return network.eval(), x


@pytest.mark.parametrize("length", [32, 61])
@pytest.mark.parametrize("readout", DEPLOYABLE)
def test_every_form_gives_the_same(readout, length, tmp_path):
    network, x = trunk_of(readout, length)
    expected, floats = network(x).detach(), to_onnx(network, (2, length))
    assert [dim.dim_value for dim in floats.graph.output[0].type.tensor_type.shape.dim] == [1, 3]
    torch.testing.assert_close(run_onnx(floats.SerializeToString(), [x]), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(equalise(network, x)(x), expected, rtol=1e-4, atol=1e-4)
    integer = quantize(floats, [x])
    logits = [run_onnx(model.SerializeToString(), [x]) for model in (floats, integer)]
    assert torch.equal(run_onnx(to_qdq(integer).SerializeToString(), [x]), logits[1])
    mimic = fake_quantized(network, 2, length)
    observe(mimic, [x])
    step = (logits[1].unique().diff()).min()  # between two values of int8
    assert (mimic(x) - logits[1]).abs().median() < step / 2
    sources = Sources(InputDescription("test", readout, Classes(NAMES)))
    write_firmware(tmp_path, floats, integer, Vectors(None, x.numpy(), *(each.numpy() for each in logits)), sources)
    assert host.check_int8(tmp_path, integer, [x]) == len(x)
    assert host.check_float(tmp_path, floats, [x]) < host.TOLERANCE


@pytest.mark.parametrize("readout", [name for name in DEPLOYABLE if name != "mean"])
def test_a_readout_is_priced_and_a_wider_one_more(readout):
    for bits in (8, 32):
        numbers = Numbers(bits, bits)
        mean, found = (cost_of(trunk_of(name, 64)[0], 2, 64, numbers) for name in ("mean", readout))
        columns = 5 * int(readout.removeprefix("means_")) if readout.startswith("means") else 5
        assert found.params - mean.params == 3 * (columns - 5)
        assert found.macs - mean.macs == 3 * (columns - 5)
        rows = {row.kind: row for row in found.layers}
        assert rows["AvgPool1d" if readout.startswith("means") else "MaxPool1d"].instructions > 0
        assert found.flash_bytes > mean.flash_bytes - 700  # the code of the mean is gone, that of the pool is there


@pytest.mark.parametrize("readout", DEPLOYABLE)
def test_a_space_of_cells_takes_it_and_prices_it(readout):
    size = Size(3, 2, 2, 1, 1, readout=readout)
    space = CellSpace(size, Classification(1, 40, 3))
    genotype = Genotype((("conv_bn_relu_3x1", 0), ("max_pool_3x1", 1)), (("conv_bn_relu_5x1", 0), ("skip_connect", 0)))
    network = space.blueprint(genotype).build()
    cost = cost_of(network, 1, 40)
    assert space.cost(genotype) == {measure: getattr(cost, measure) for measure in space.cost(genotype)}
    alphas = nn.ParameterDict(
        {k: nn.Parameter(torch.zeros(len(t.rows), len(t.options))) for k, t in space.decisions.items()}
    )
    supernet, x = space.supernet(alphas).double(), torch.randn(4, 1, 40, dtype=torch.float64)
    weights = {name: alpha.double().softmax(1) for name, alpha in alphas.items()}
    torch.testing.assert_close(space.training_pass(supernet)(x, weights), supernet(x, weights), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("readout", READOUTS)
def test_a_trunk_is_read_back(readout):
    blocks = [["full", 4, 7, 2], ["separable", 6, 5, 1, 3], ["pool", 6, 3]]
    found = replace(listed_trunk(blocks, Classification(1, 20, 2)), readout=readout)
    assert TrunkBlueprint.from_dict(found.to_dict()) == found
    assert found.blocks[1] == Block("separable", 6, 5, dilation=3)
    assert found.total_stride == 2


class Perceptron(nn.Module):
    """Two linear layers on what is flattened, as a user may write them."""

    def __init__(self):
        super().__init__()
        self.norm, self.conv = InputNorm(2, affine=True), conv_bn_relu(2, 4, 3, 2, affine=True)
        self.head = nn.Sequential(
            nn.AvgPool1d(4), nn.Flatten(), nn.ReLU(), nn.Linear(16, 6), nn.ReLU(), nn.Linear(6, 3)
        )

    def forward(self, x):
        return self.head(self.conv(self.norm(x)))


def test_a_flattening_may_be_followed_by_more_than_one_layer(tmp_path):
    torch.manual_seed(0)
    network, x = Perceptron(), torch.randn(100, 2, 32)
    with torch.no_grad():
        network.train()(x)
    expected, floats = network.eval()(x).detach(), to_onnx(network, (2, 32))
    torch.testing.assert_close(equalise(network, x)(x), expected, rtol=1e-4, atol=1e-4)
    integer = quantize(floats, [x])
    logits = run_onnx(integer.SerializeToString(), [x])
    torch.testing.assert_close(logits, expected, rtol=0.05, atol=0.05)
    sources = Sources(InputDescription("test", "perceptron", Classes(NAMES)))
    write_firmware(tmp_path, floats, integer, Vectors(None, x.numpy(), expected.numpy(), logits.numpy()), sources)
    assert host.check_int8(tmp_path, integer, [x]) == len(x)
    assert host.check_float(tmp_path, floats, [x]) < host.TOLERANCE
