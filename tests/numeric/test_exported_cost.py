"""The exact cost against the exported ONNX graph, as ``onnx_count`` counts it."""

import math
import random

import onnx
import pytest
from onnx_count import Counter
from random_networks import ALL_OPS, random_genotype
from torch import nn

from nas_lightning.cost.exact import cost_of
from nas_lightning.export.onnx import to_onnx
from nas_lightning.space.cells.network import Network
from nas_lightning.space.cells.size import Size
from nas_lightning.space.reference import ConvNet
from nas_lightning.tasks import Classification


def networks():
    rng = random.Random(0)
    for size, task in (
        (Size(3, 3, 2, 3, 2), Classification(1, 24, 3)),
        (Size(4, 2, 3, 1, 1, post_reduction_stride=2), Classification(3, 33, 2)),
        (Size(3, 4, 1, 3, 4), Classification(2, 31, 5)),
    ):
        yield as_trained(Network(random_genotype(rng, size.nodes_per_layer, ALL_OPS), size, task)), task
    yield as_trained(ConvNet(Classification(2, 40, 3), [4, 8, 8], 5)), Classification(2, 40, 3)


def as_trained(network):
    """The exporter leaves out biases that are zero, as those of a fresh network are."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.normal_(module.bias)
    return network


@pytest.mark.parametrize("index", range(4))
def test_costs_are_those_of_the_file(index, tmp_path):
    network, task = list(networks())[index]
    onnx.save(to_onnx(network, (task.in_channels, task.length)), tmp_path / "model.onnx")
    counter, cost = Counter(tmp_path / "model.onnx"), cost_of(network, task.in_channels, task.length)
    assert cost.params == counter.params()
    assert cost.macs == counter.macs()
    bound = counter.bound_of_the_file()  # one byte an element
    assert cost.ram_bytes == math.ceil(bound / 8) * 8
    assert bound == counter.bound_of_all_orders()
