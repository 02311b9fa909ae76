"""Every kind of layer has a row in every table that is kept by kind, if only one that says what cannot be done."""

import pytest
import torch
from torch import nn

from nas_lightning.cost import code, exact, npu
from nas_lightning.errors import InputError
from nas_lightning.export import equalise, nodes, operators
from nas_lightning.export.emx import edits
from nas_lightning.graph.layers import LAYERS
from nas_lightning.graph.norm import InputNorm
from nas_lightning.graph.trace import trace
from nas_lightning.kernels import network_ops
from nas_lightning.training import fake_quant

KINDS = list(LAYERS)
TABLES = {
    "multiply-accumulates": exact.MACS,
    "features of code": code.FEATURES,
    "rules of the NPU": npu.RULES,
    "fake quantization": fake_quant.FORMS,
    "equalisation": equalise.SCALES,
    "operators of ONNX, floats": operators.FLOATS,
    "writers of ONNX": nodes.NODES,
    "operators of ONNX, integers": operators.INTEGERS,
    "C": edits.CHANGES,
    "training kernel": network_ops.WRITERS,
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_table_has_a_row_for_every_kind_and_no_other(table):
    assert sorted(table) == sorted(KINDS)


class Every(nn.Module):
    """One layer of every kind, in the order of the list."""

    def __init__(self):
        super().__init__()
        self.norm = InputNorm(2, True)
        self.conv, self.pointwise = nn.Conv1d(2, 4, 3, padding=1), nn.Conv1d(4, 4, 1)
        self.depthwise, self.linear = nn.Conv1d(4, 4, 3, padding=1, groups=4), nn.Linear(8, 3)
        self.relu, self.max_pool, self.avg_pool = nn.ReLU(), nn.MaxPool1d(3, 1, 1), nn.AvgPool1d(3, 1, 1)
        self.segments, self.flatten = nn.Sequential(nn.MaxPool1d(2), nn.AvgPool1d(2)), nn.Flatten()

    def forward(self, x):
        x = self.depthwise(self.pointwise(self.conv(self.norm(x))))
        x = self.max_pool(self.relu(x)) + x
        return self.linear(self.flatten(self.segments(torch.cat([x, self.avg_pool(x)], dim=1)).mean(2)))


def test_every_kind_is_recognised_and_is_one_kind():
    graph = trace(Every(), 2, 8)
    assert sorted(layer.kind.name for layer in graph.layers) == sorted(KINDS)
    assert all(
        sum(kind.matches(layer.module) for kind in LAYERS.values()) == 1 for layer in graph.layers if layer.module
    )


def test_the_graph_computes_what_the_network_computes():
    network, x = Every().eval(), torch.randn(3, 2, 8)
    graph = trace(network, 2, 8)
    found = graph.run(x, lambda i, *values: graph.layers[i - 1](*values) if i else values[0])
    torch.testing.assert_close(found, network(x))


@pytest.mark.parametrize("call", [lambda x: x.mean(1), lambda x: x.mean(2, keepdim=True), lambda x: x.sigmoid()])
def test_a_call_that_is_not_in_the_list_is_named(call):
    class Calls(nn.Module):
        def forward(self, x):
            return call(x)

    with pytest.raises(
        InputError, match=r"network: found the layer (mean|sigmoid).*; allowed: ChannelAffine, Conv1d, "
    ):
        trace(Calls(), 2, 8)
