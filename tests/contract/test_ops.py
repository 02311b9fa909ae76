"""Every operation of the space, found in the list: shape, gradient, cost and export, at both strides and parities."""

import math

import onnxruntime
import pytest
import torch
from torch import nn

from nas_lightning.cost.exact import cost_of
from nas_lightning.export.onnx import export_onnx
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


class AllOps(nn.Module):
    """Every operation at both strides on one input, one output each."""

    def __init__(self):
        super().__init__()
        self.ops = nn.ModuleList(OPS[name](4, stride, True) for name, stride in CASES)

    def forward(self, x):
        x = 2 * x  # the identity may not hand the input of the graph through as an output
        return [op(x) for op in self.ops]


@pytest.fixture(scope="module", params=LENGTHS)
def exported(request, tmp_path_factory):
    """The outputs of torch and of ONNX Runtime, by case."""
    torch.manual_seed(0)
    network = AllOps()
    with torch.no_grad():
        for _ in range(3):
            network(torch.randn(8, 4, request.param) * 2 + 1)
    network.eval()
    path = tmp_path_factory.mktemp("onnx") / "ops.onnx"
    export_onnx(network, (4, request.param), path)
    x = torch.randn(1, 4, request.param)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    found = session.run(None, {"x": x.numpy()})
    assert len(found) == len(CASES)
    return {case: pair for case, *pair in zip(CASES, network(x), found, strict=True)}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_export_agrees(exported, case):
    expected, found = exported[case]
    torch.testing.assert_close(torch.from_numpy(found), expected.detach(), rtol=0, atol=1e-4)
