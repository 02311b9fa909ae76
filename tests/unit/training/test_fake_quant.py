import copy
import random

import pytest
import torch
from onnx import numpy_helper
from random_networks import random_genotype, random_size, random_task, scale_apart
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from nas_lightning.errors import InputError
from nas_lightning.export.int8 import quantize
from nas_lightning.export.onnx import run_onnx, to_onnx
from nas_lightning.graph.fold import fold
from nas_lightning.space.cells.genotype import Genotype
from nas_lightning.space.cells.network import Network
from nas_lightning.space.cells.size import Size
from nas_lightning.space.reference import ConvNet
from nas_lightning.tasks import Classification
from nas_lightning.training.fake_quant import FakeQuant, FakeQuantLayer, fake_quantized, finetune_int8, observe

SEPARABLE = Genotype(*[(("sep_conv_3x1", 0), ("dil_conv_3x1", 0), ("depthwise_3x1", 1))] * 2)


def random_network(seed):
    """A random network without a convolution that is 0 everywhere, and samples that it tells apart."""
    rng = random.Random(seed)
    torch.manual_seed(seed)
    size, task = random_size(rng), random_task(rng)
    network = Network(random_genotype(rng, size.nodes_per_layer), size, task)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.bias, 0.2, 1)
            nn.init.uniform_(module.weight, 1, 3)
    levels = 3 * torch.randn(100, task.in_channels, 1)
    return network.eval(), levels + torch.randn(100, task.in_channels, task.length)


@pytest.mark.parametrize("seed", range(6))
def test_it_computes_what_onnxruntime_computes(seed):
    network, x = random_network(seed)
    integer = quantize(to_onnx(network, x.shape[1:]), [x])
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in integer.graph.initializer}
    step = float(constants["head.steps_scale"])  # between two logits
    expected = run_onnx(integer.SerializeToString(), [x])
    model = fake_quantized(network, *x.shape[1:])
    observe(model, [x[:30], x[30:]])
    with torch.no_grad():
        found, floats = model(x), network(x)
    steps = (found - expected).abs() / step
    assert float(steps.max()) < 2.5
    assert float(steps.mean()) < 0.05
    assert float((found.argmax(1) == expected.argmax(1)).float().mean()) > 0.95
    assert float((found - floats).abs().max()) > 0.1 * step


def test_activations_by_hand():
    """Range -1 to 4.1: steps of 0.02, and 0 is -128 + 1 / 0.02 = -78."""
    quant = FakeQuant().eval()
    assert quant(torch.tensor([-1.0, 0.013, 4.1])).tolist() == pytest.approx([-1, 0.013, 4.1])
    quant.observing = False
    assert int(quant.zero_point) == -78
    found = quant(torch.tensor([-1.0, -0.009, 0, 0.013, 4.1, 7]))
    torch.testing.assert_close(found, torch.tensor([-1, 0, 0, 0.02, 4.1, 4.1]))


def test_a_range_includes_0():
    quant = FakeQuant().eval()
    quant(torch.tensor([3.0, 5.1]))
    assert (float(quant.low), float(quant.high)) == (0, pytest.approx(5.1))
    quant.observing = False
    assert int(quant.zero_point) == -128


def test_a_range_widens_at_once_and_shrinks_slowly_in_training_only():
    quant = FakeQuant()
    quant(torch.tensor([-1.0, 1]))
    quant.observing = False
    quant(torch.tensor([-0.5, 2]))
    assert -1 < float(quant.low) < -0.9
    assert float(quant.high) == 2
    for _ in range(2000):
        quant(torch.tensor([0.5, 2]))
    before = float(quant.low)
    assert -1e-6 < before <= 0
    quant.eval()(torch.tensor([-9.0, 9]))
    assert (float(quant.low), float(quant.high)) == (before, 2)


def test_observing_again_forgets_the_ranges():
    torch.manual_seed(0)
    x, model = torch.randn(8, 2, 16), fake_quantized(nn.Conv1d(2, 3, 3), 2, 16)
    first, second = [], []
    for found, scale in ((first, 1), (second, 100), (second, 1)):
        observe(model, [scale * x])
        found[:] = [(float(m.low), float(m.high)) for m in model.modules() if isinstance(m, FakeQuant)]
    assert len(first) == 2
    assert first == second


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_precision_of_the_network_stays(dtype):
    network, x = random_network(0)
    model = fake_quantized(network.to(dtype), *x.shape[1:])
    observe(model, [x])
    assert model(x.to(dtype)).dtype == dtype


def test_a_tensor_of_zeros_stays_so():
    quant = FakeQuant().eval()
    quant(torch.zeros(3))
    quant.observing = False
    assert quant(torch.tensor([0.0, -0.6])).tolist() == [0, 0]


def test_constants_by_hand():
    """The scale of an output channel is its largest weight / 127, that of its bias the same times that of the input."""
    source, layer = FakeQuant(), nn.Linear(2, 3)
    source(torch.tensor([0, 25.5]))
    layer.weight.data = torch.tensor([[1.27, 0.014], [127, 1.4], [0, 0]])
    layer.bias.data = torch.tensor([0.0104, 3.04, 0.34])
    quant = FakeQuantLayer(layer, source)
    torch.testing.assert_close(quant(torch.zeros(2)), layer.bias)
    quant.observing = False
    torch.testing.assert_close(quant(torch.zeros(2)), torch.tensor([0.01, 3, 0.3]))
    found = quant(torch.eye(2)).T - quant(torch.zeros(2))[:, None]
    torch.testing.assert_close(found, torch.tensor([[1.27, 0.01], [127, 1], [0, 0]]))


def test_gradients_pass_the_rounding():
    source, layer = FakeQuant(), nn.Linear(2, 3)
    source(torch.tensor([-1.0, 1]))
    quant = FakeQuantLayer(layer, source)
    quant.observing = False
    quant(torch.ones(5, 2)).sum().backward()
    assert layer.weight.grad.tolist() == [[5, 5]] * 3
    assert layer.bias.grad.tolist() == [5] * 3


def test_every_weight_has_a_gradient():
    torch.manual_seed(0)
    network, x = Network(SEPARABLE, Size(3, 3, 2, 3, 3), Classification(3, 32, 4)), torch.randn(16, 3, 32)
    network(x)
    model = fake_quantized(network, 3, 32)
    observe(model, [x])
    nn.functional.cross_entropy(model.train()(x), torch.arange(16) % 4).backward()
    weights = {name: weight for name, weight in model.named_parameters() if name.endswith("weight")}
    assert len(weights) == 1 + 3 + 3 * 5 + 1
    for weight in weights.values():
        assert bool(torch.isfinite(weight.grad).all())
        assert float(weight.grad.abs().sum()) > 0


def test_a_value_that_is_rounded_already_is_not_rounded_again():
    """The input, the ReLU and the last layer are; a convolution before a ReLU and the maximum have no scale."""
    model = fake_quantized(nn.Sequential(nn.Conv1d(2, 3, 3), nn.ReLU(), nn.MaxPool1d(2), nn.Conv1d(3, 1, 1)), 2, 16)
    assert sum(isinstance(module, FakeQuant) for module in model.modules()) == 3


def test_a_sum_has_its_own_scale():
    class Sum(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv1d(2, 2, 1)

        def forward(self, x):
            return self.conv(x) + x

    assert list(fake_quantized(Sum(), 2, 16).quants) == ["0", "1", "2"]


def test_an_unknown_layer_is_refused():
    with pytest.raises(InputError, match=r"found the layer Sigmoid \(1\); allowed: "):
        fake_quantized(nn.Sequential(nn.Conv1d(2, 3, 3), nn.Sigmoid()), 2, 16)


@pytest.fixture
def tensors(motions):
    return {name: torch.from_numpy(value) for name, value in vars(motions).items()}


@pytest.fixture
def loader(tensors):
    return DataLoader(TensorDataset(tensors["x_train"], tensors["y_train"]), 8, shuffle=True)


def trained_network(loader, epochs):
    network = ConvNet(Classification(6, 100, 4), (8, 8, 8), 5)
    x = loader.dataset.tensors[0]
    network.stem.norm.set_constants(x.mean((0, 2)), x.std((0, 2)))
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    for _ in range(epochs):
        for x, y in loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(x), y).backward()
            optimizer.step()
    return network.eval()


@torch.no_grad()
def accuracy(network, tensors):
    return float((network(tensors["x_test"]).argmax(1) == tensors["y_test"]).float().mean())


def int8_accuracy(network, tensors):
    model = fake_quantized(network, 6, 100)
    observe(model, [tensors["x_train"]])
    return accuracy(model, tensors)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_fine_tuning_wins_back_what_int8_loses(seed, tensors, loader):
    """Channels far apart in range: a network that int8 hurts. Training without the rounding reaches 0.74 on average."""
    torch.manual_seed(seed)
    network = trained_network(loader, 30)
    scale_apart(network, torch.logspace(-1.3, 1.3, 8))
    assert accuracy(network, tensors) > 0.95
    assert int8_accuracy(network, tensors) < 0.8
    assert int8_accuracy(finetune_int8(network, network.task, loader, 20, 1e-3), tensors) > 0.9


def test_it_returns_the_folded_network_with_other_weights(loader):
    torch.manual_seed(0)
    network = trained_network(loader, 1)
    before = copy.deepcopy(network.state_dict())
    found, start = finetune_int8(network.train(), network.task, loader, 1, 1e-3), fold(network)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not any(module.training for module in found.modules())
    assert [(name, type(module)) for name, module in found.named_modules()] == [
        (name, type(module)) for name, module in start.named_modules()
    ]
    assert list(found.state_dict()) == list(start.state_dict())
    for name, value in start.state_dict().items():
        assert torch.equal(found.state_dict()[name], value) == name.startswith("stem.norm")


def test_a_seed_decides_the_result(loader):
    network = trained_network(loader, 1)
    results = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        results.append(finetune_int8(network, network.task, loader, 2, 1e-3).head.weight)
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


@pytest.mark.parametrize("epochs", [1, 5])
def test_divergence_is_an_error(epochs, loader):
    """Also where the last step is the one that fails, which no loss shows."""
    torch.manual_seed(0)
    network = trained_network(loader, 1)
    batches = list(loader)[:1]
    with pytest.raises(FloatingPointError, match=r"lower `learning_rate`"):
        finetune_int8(network, network.task, batches, epochs, float("inf") if epochs == 1 else 1e30)
