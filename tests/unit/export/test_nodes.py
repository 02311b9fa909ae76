"""What is written for each setting of a layer; ONNX Runtime computes what PyTorch does, or a sentence says no."""

import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from nas_lightning.errors import InputError
from nas_lightning.export.onnx import run_onnx, to_onnx

SETTINGS = {
    "same, odd": nn.Conv1d(2, 3, 3, padding="same"),
    "same, even": nn.Conv1d(2, 3, 4, padding="same"),
    "same, even and dilated": nn.Conv1d(2, 3, 4, padding="same", dilation=3),
    "valid": nn.Conv1d(2, 3, 4, padding="valid"),
    "strided": nn.Conv1d(2, 3, 5, stride=3, padding=2),
    "dilated": nn.Conv1d(2, 3, 3, dilation=4, padding=4),
    "grouped": nn.Conv1d(2, 4, 3, groups=2),
    "without bias": nn.Conv1d(2, 3, 3, bias=False),
    "maximum, dilated": nn.MaxPool1d(3, 2, 1, dilation=2),
    "maximum, last part": nn.MaxPool1d(4, 3, ceil_mode=True),
    "average, with zeros": nn.AvgPool1d(4, 2, 1),
    "average, without zeros": nn.AvgPool1d(3, 2, 1, count_include_pad=False),
    "average, last part": nn.AvgPool1d(4, 3, ceil_mode=True),
}


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")  # PyTorch's, which copies there
@pytest.mark.parametrize("layer", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("length", [21, 22])
def test_onnx_runtime_computes_what_pytorch_does(layer, length):
    x, network = torch.randn(3, 2, length), nn.Sequential(layer).eval()
    expected = network(x).detach()
    torch.testing.assert_close(run_onnx(to_onnx(network, (2, length)).SerializeToString(), [x]), expected)


class Twice(nn.Module):
    """One convolution and one linear layer without bias; the convolution is called twice."""

    def __init__(self):
        super().__init__()
        self.conv, self.relu, self.linear = nn.Conv1d(2, 2, 3, padding=1), nn.ReLU(), nn.Linear(4, 3, bias=False)

    def forward(self, x):
        first = self.relu(self.conv(x))
        return self.linear(torch.cat([first, self.relu(self.conv(first)) + x], dim=-2).mean(-1))


def test_a_layer_that_is_called_twice_has_its_weights_once():
    network, x = Twice().eval(), torch.randn(3, 2, 9)
    model = to_onnx(network, (2, 9))
    torch.testing.assert_close(run_onnx(model.SerializeToString(), [x]), network(x).detach())
    weights = [tensor for tensor in model.graph.initializer if tensor.name != "time"]
    assert sorted(numpy_helper.to_array(tensor).shape for tensor in weights) == [(2,), (2, 2, 3), (3, 4)]
    onnx.checker.check_model(model, full_check=True)


@pytest.mark.parametrize(
    ("network", "text"),
    [
        (
            nn.Conv1d(2, 3, 3, padding=1, padding_mode="circular"),
            r"padding_mode='circular' of the Conv1d .*; allowed: ",
        ),
        (nn.Linear(8, 3), r"the Linear .* of values \[1, 2, 8\]; allowed: \[B, C\]"),
        (nn.Identity(), "network: found no layer; allowed: one or more"),
    ],
)
def test_what_has_no_form_is_refused(network, text):
    with pytest.raises(InputError, match=text):
        to_onnx(nn.Sequential(network), (2, 8))
