import copy
from pathlib import Path

import onnx
import pytest
import torch
from torch import nn

import nas_lightning
from nas_lightning.errors import ParityError
from nas_lightning.export.onnx import check_parity, relative_difference, run_onnx, to_onnx
from nas_lightning.space.reference import ConvNet
from nas_lightning.tasks import Classification


class Averaging(nn.Module):
    """A convolution, the mean over time, and a linear layer."""

    def __init__(self, conv, linear):
        super().__init__()
        self.conv, self.linear = conv, linear

    def forward(self, x):
        return self.linear(self.conv(x).mean(2))


def test_a_mismatch_is_an_error(tmp_path):
    torch.manual_seed(0)
    network = Averaging(nn.Conv1d(2, 3, 3), nn.Linear(3, 2)).eval()
    path, x = tmp_path / "model.onnx", torch.randn(5, 2, 10)
    onnx.save(to_onnx(network, (2, 10)), path)
    expected = copy.deepcopy(network).double()(x.double()).detach()
    assert check_parity(path, [x[:3], x[3:]], expected) < 1e-5
    torch.testing.assert_close(run_onnx(path, [x]), expected.float())
    with pytest.raises(ParityError, match=r"model.onnx: differs from the network by 0.001; allowed: 0.0001"):
        check_parity(path, [x], expected + 1e-3 * expected.abs().amax(1, keepdim=True).clamp(min=1))
    with pytest.raises(ParityError, match="nan"):
        check_parity(path, [x], expected * float("nan"))


def test_rounding_is_a_share_of_the_largest_logit(tmp_path):
    """Logits of several hundred round by more than the tolerance where one of them is near 0, and are not wrong."""
    torch.manual_seed(0)
    network = Averaging(nn.Conv1d(2, 64, 3), nn.Linear(64, 8)).eval()
    for parameter in network.parameters():
        parameter.data *= 100
    path, x = tmp_path / "model.onnx", torch.randn(500, 2, 10)
    onnx.save(to_onnx(network, (2, 10)), path)
    expected = copy.deepcopy(network).double()(x.double()).detach()
    single = (run_onnx(path, [x]) - expected).abs() / expected.abs().clamp(min=1)
    assert float(single.max()) > 1e-4 > check_parity(path, [x], expected)


def test_a_file_may_differ_by_what_float32_does_to_the_network(tmp_path):
    """Large values that cancel: float32 keeps few digits of what is left, and nothing is wrong with the file."""
    torch.manual_seed(0)
    network = Averaging(nn.Conv1d(1, 2, 1, bias=False), nn.Linear(2, 2)).eval()
    network.conv.weight.data[:] = torch.tensor([1.1, 1.3]).reshape(2, 1, 1)
    ratio = torch.rand(2, 1)
    network.linear.weight.data[:] = torch.cat([13 * ratio, -11 * ratio], dim=1)
    path, x = tmp_path / "model.onnx", 1000 + torch.randn(50, 1, 8) / 1000
    onnx.save(to_onnx(network, (1, 8)), path)
    expected = copy.deepcopy(network).double()(x.double()).detach()
    rounding = relative_difference(network(x).detach().numpy(), expected.numpy())
    assert rounding > 1e-3
    with pytest.raises(ParityError, match=r"allowed: 0.0001"):
        check_parity(path, [x], expected)
    assert check_parity(path, [x], expected, rounding) <= 4 * rounding
    with pytest.raises(ParityError, match=r"model.onnx: differs from the network by"):
        check_parity(path, [x], expected + 8 * rounding * expected.abs().amax(1, keepdim=True).clamp(min=1), rounding)


def test_a_file_holds_nothing_of_the_machine_that_wrote_it(tmp_path):
    """The exporter notes the lines of source and the places of their files at each node."""
    network = ConvNet(Classification(2, 16, 3), [4, 4], 3).eval()
    onnx.save(to_onnx(network, (2, 16)), tmp_path / "model.onnx")
    written = (tmp_path / "model.onnx").read_bytes()
    assert len(written) > 1000
    for text in (".py", "site-packages", str(Path(nas_lightning.__file__).parent), "forward"):
        assert text.encode() not in written
