import copy

import pytest
import torch
from torch import nn

from nas_lightning.export.onnx import ParityError, check_parity, export_onnx, run_onnx


def test_a_mismatch_is_an_error(tmp_path):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv1d(2, 3, 3), nn.Flatten(), nn.Linear(24, 2)).eval()
    path, x = tmp_path / "model.onnx", torch.randn(5, 2, 10)
    export_onnx(network, (2, 10), path)
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
    network = nn.Sequential(nn.Conv1d(2, 64, 3), nn.Flatten(), nn.Linear(512, 8)).eval()
    for parameter in network.parameters():
        parameter.data *= 30
    path, x = tmp_path / "model.onnx", torch.randn(500, 2, 10)
    export_onnx(network, (2, 10), path)
    expected = copy.deepcopy(network).double()(x.double()).detach()
    single = (run_onnx(path, [x]) - expected).abs() / expected.abs().clamp(min=1)
    assert float(single.max()) > 1e-4 > check_parity(path, [x], expected)
