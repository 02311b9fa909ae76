"""What an exported network costs, counted on the ONNX graph by code that shares nothing with the package's."""

import math

import onnx
from onnx import numpy_helper

SAME_MEMORY = {"Relu", "Reshape", "Identity", "Flatten", "Squeeze"}


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
        """(values read, value written, value overwritten) of each node that needs memory of its own or reads two."""
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
                is_sum = node.op_type == "Add" and users[node.input[0]] == 1
                over = same.get(node.input[0], node.input[0]) if is_sum else None
                found.append((frozenset(reads), node.output[0], over))
        return found

    def alive_after(self, steps, done):
        """What must be kept when the steps in ``done`` have run."""
        made = {steps[i][1] for i in done}  # without the sample, which lies with who hands it over
        last = steps[-1][1]
        needed = {name for i, (reads, *_) in enumerate(steps) if i not in done for name in reads} | {last}
        return made & needed

    def peak(self, steps, done, i):
        alive = (self.alive_after(steps, done) | {steps[i][1]}) - {steps[i][2]}
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
                for i, (reads, *_) in enumerate(steps):
                    if i not in done and reads <= made:
                        key, value = done | {i}, max(peak, self.peak(steps, done, i))
                        after[key] = min(after.get(key, value), value)
            states = after
        return min(states.values())
