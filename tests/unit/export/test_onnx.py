import pytest
import torch
from torch import nn

from nas_lightning.export.onnx import ParityError, check_parity, export_onnx, run_onnx


def test_a_mismatch_is_an_error(tmp_path):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv1d(2, 3, 3), nn.Flatten(), nn.Linear(24, 2)).eval()
    path, x = tmp_path / "model.onnx", torch.randn(5, 2, 10)
    export_onnx(network, 2, 10, path)
    expected = network(x).detach()
    assert check_parity(path, [x[:3], x[3:]], expected) < 1e-5
    torch.testing.assert_close(run_onnx(path, [x]), expected)
    with pytest.raises(ParityError, match=r"model.onnx: differs from the network by 0.001; allowed: 0.0001"):
        check_parity(path, [x], expected + 1e-3 * expected.abs().clamp(min=1))
    with pytest.raises(ParityError, match="nan"):
        check_parity(path, [x], expected * float("nan"))
