"""Every operation of the space, found in the list: shape, gradient, cost and export, at both strides and parities."""

import math

import onnx
import pytest
import torch
from torch import nn

from nas_lightning.cost.exact import cost_of
from nas_lightning.export.onnx import run_onnx, to_onnx
from nas_lightning.space.ops import OPS

CASES = [(name, stride) for name in OPS for stride in (1, 2)]
LENGTHS = (15, 16)


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize(("name", "stride"), CASES)
def test_length_out_is_ceil_of_length_over_stride(name, stride, length):
    op = OPS[name](4, stride, False)
    assert op(torch.randn(2, 4, length)).shape == (2, 4, math.ceil(length / stride))


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("name", OPS)
def test_affine_reaches_every_batch_norm(name, affine):
    norms = [m for m in OPS[name](4, 2, affine).modules() if isinstance(m, nn.BatchNorm1d)]
    assert all(norm.affine == affine for norm in norms)


@pytest.mark.parametrize(("name", "stride"), [case for case in CASES if case[0] != "none"])
def test_parameters_are_those_of_the_module_after_folding(name, stride):
    """Weights of convolutions, and one bias per output channel for each BatchNorm that was folded."""
    op = OPS[name](4, stride, True)
    weights = sum(m.weight.numel() for m in op.modules() if isinstance(m, nn.Conv1d))
    biases = sum(m.num_features for m in op.modules() if isinstance(m, nn.BatchNorm1d))
    assert cost_of(op, 4, 16).params == weights + biases


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize(("name", "stride"), [case for case in CASES if case[0] != "none"])
def test_the_export_agrees(name, stride, length):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv1d(2, 4, 1), OPS[name](4, stride, True))
    with torch.no_grad():
        for _ in range(3):
            network(torch.randn(8, 2, length) * 2 + 1)
    network.eval()
    model, x = to_onnx(network, (2, length)), torch.randn(5, 2, length)
    torch.testing.assert_close(run_onnx(model.SerializeToString(), [x]), network(x).detach(), rtol=0, atol=1e-5)
    checked = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    assert {info.name for info in checked.graph.value_info} == {info.name for info in model.graph.value_info}
