"""The exact cost against the exported ONNX graph, counted by code that shares nothing with the package's."""

import math
import random

import onnx
import pytest
from onnx import numpy_helper
from random_networks import ALL_OPS, random_genotype
from torch import nn

from nas_lightning.cost.exact import cost_of
from nas_lightning.export.onnx import export_onnx
from nas_lightning.space.cells.network import Network
from nas_lightning.space.cells.size import Size
from nas_lightning.space.reference import ConvNet
from nas_lightning.tasks import Classification

SAME_MEMORY = {"Relu", "Reshape", "Identity", "Flatten", "Squeeze"}


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


class Counter:
    """Reads everything off the file."""

    def __init__(self, path):
        graph = onnx.shape_inference.infer_shapes(onnx.load(path)).graph
        self.nodes = list(graph.node)
        self.weights = {w.name: numpy_helper.to_array(w) for w in graph.initializer}
        values = [*graph.input, *graph.output, *graph.value_info]
        self.elements = {
            v.name: math.prod(d.dim_value for d in v.type.tensor_type.shape.dim)
            for v in values
            if v.name not in self.weights
        }
        self.inputs = {v.name for v in graph.input}

    def params(self):
        return sum(w.size for w in self.weights.values() if w.dtype.kind == "f")

    def macs(self):
        total = 0
        for node in self.nodes:
            weights = [self.weights[name] for name in node.input if name in self.weights]
            if node.op_type == "Conv":
                kernel, out = weights[0], self.elements[node.output[0]]
                total += kernel.size * out // kernel.shape[0]
            elif node.op_type in ("Gemm", "MatMul"):
                total += max(w.size for w in weights)
            elif node.op_type == "Mul":
                total += self.elements[node.output[0]]
            else:
                free = {"Sub", "Add", "Concat", "MaxPool", "AveragePool", "ReduceMean", "GlobalAveragePool", "Constant"}
                assert node.op_type in free | SAME_MEMORY, node.op_type
        return total

    def steps(self):
        """(values read, value written) of each node that needs memory of its own."""
        same = {}
        users = {}
        for node in self.nodes:
            for name in node.input:
                users[name] = users.get(name, 0) + 1
        found = []
        for node in self.nodes:
            reads = {same.get(name, name) for name in node.input if name and name not in self.weights}
            is_shift = node.op_type in ("Mul", "Add") and len(reads) == 1  # of the input normalisation
            if (node.op_type in SAME_MEMORY or is_shift) and users.get(node.input[0]) == 1:
                same[node.output[0]] = reads.pop()
            elif reads:
                found.append((frozenset(reads), node.output[0]))
        return found

    def alive_after(self, steps, done):
        """What must be kept when the steps in ``done`` have run."""
        made = {steps[i][1] for i in done}  # without the sample, which lies with who hands it over
        last = steps[-1][1]
        needed = {name for i, (reads, _) in enumerate(steps) if i not in done for name in reads} | {last}
        return made & needed

    def peak(self, steps, done, i):
        alive = self.alive_after(steps, done) | {steps[i][1]}
        return sum(self.elements[name] for name in alive)

    def bound_of_the_file(self):
        steps = self.steps()
        return max(self.peak(steps, frozenset(range(i)), i) for i in range(len(steps)))

    def bound_of_all_orders(self):
        steps = self.steps()
        states = {frozenset(): 0}
        for _ in steps:
            after = {}
            for done, peak in states.items():
                made = self.inputs | {steps[i][1] for i in done}
                for i, (reads, _) in enumerate(steps):
                    if i not in done and reads <= made:
                        key, value = done | {i}, max(peak, self.peak(steps, done, i))
                        after[key] = min(after.get(key, value), value)
            states = after
        return min(states.values())


@pytest.mark.parametrize("index", range(4))
def test_costs_are_those_of_the_file(index, tmp_path):
    network, task = list(networks())[index]
    export_onnx(network, (task.in_channels, task.length), tmp_path / "model.onnx")
    counter, cost = Counter(tmp_path / "model.onnx"), cost_of(network, task.in_channels, task.length)
    assert cost.params == counter.params()
    assert cost.macs == counter.macs()
    bound = counter.bound_of_the_file()  # one byte an element
    assert cost.ram_bytes == math.ceil(bound / 8) * 8
    assert bound == counter.bound_of_all_orders()
