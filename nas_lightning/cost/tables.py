"""What every choice of a space costs, so that any network of it is priced without being built."""

from functools import cache

import torch
from torch import Tensor, nn

from nas_lightning.cost.exact import MEASURES, Numbers, cost_of
from nas_lightning.space.genotype import KINDS, Genotype, live_nodes
from nas_lightning.space.network import cell_graph, makes_value
from nas_lightning.space.ops import OPS, conv_bn_relu
from nas_lightning.space.order import best_order
from nas_lightning.space.size import CellPlan, Size, Task, edge_stride, edges, rows_into
from nas_lightning.space.stem import Stem

ADDITIVE = ("params", "macs", "flash_bytes")
"""The measures that are sums over layers; peak RAM is not."""

Cell = tuple[tuple[str, int], ...]


class SpaceCost:
    """The exact costs of all networks of a space.

    A sum over layers splits into what every network of the size has (stem, 1x1 convolutions, concatenations, head) and
    one entry per edge and operation, summed over all cells of a kind. Peak RAM is the largest of the parts' peaks,
    because one part runs after the other: the stem, each 1x1 convolution, the nodes of each cell, the head.

    Attributes:
        tables: per additive measure and kind of cell a float64 tensor ``[E, O]`` of whole numbers.
        fixed: per additive measure what every network has.

    Args:
        size: the outline.
        task: input channels, length and classes.
        ops: names of the O columns.
        numbers: bits and allowances.
    """

    def __init__(self, size: Size, task: Task, ops: tuple[str, ...], numbers: Numbers | None = None) -> None:
        self.size, self.task, self.ops, self.numbers = size, task, ops, numbers or Numbers()
        self.tables = {
            measure: {kind: torch.zeros(size.num_edges, len(ops), dtype=torch.float64) for kind in KINDS}
            for measure in ADDITIVE
        }
        self.fixed = dict.fromkeys(ADDITIVE, 0) | {"flash_bytes": self.numbers.code_bytes}
        self.cells = list(zip(size.plan(), size.lengths(task.length), strict=True))
        self.fixed_ram_bytes = 0
        self._add_fixed(_stem_cost(task.in_channels, size.stem_channels, task.length, self.numbers))
        length = task.length
        for cell, (length_in, length_out) in self.cells:
            sizes = (cell.in_channels, cell.channels, cell.in_stride)
            self._add_fixed(_preprocess_cost(*sizes, length, self.numbers))
            self.fixed["flash_bytes"] += self.numbers.layer_flash_bytes(0, 0, 0)  # the concatenation
            self._add_edges(cell, length_in, length_out)
            length = length_out
        self._add_fixed(_head_cost(size.out_channels, task.num_classes, length, self.numbers))

    def _add_fixed(self, cost: dict[str, int]) -> None:
        for measure in ADDITIVE:
            self.fixed[measure] += cost[measure]
        self.fixed_ram_bytes = max(self.fixed_ram_bytes, cost["ram_bytes"])

    def _add_edges(self, cell: CellPlan, length_in: int, length_out: int) -> None:
        for row, (source, _) in enumerate(edges(self.size.nodes_per_layer)):
            stride = edge_stride(cell.is_reduction, source)
            length = length_in if stride == 2 else length_out
            for column, op in enumerate(self.ops):
                if op == "none":
                    continue
                cost = _op_cost(op, cell.channels, length, stride, self.numbers)
                for measure in ADDITIVE:
                    self.tables[measure][cell.kind][row, column] += cost[measure]

    def of(self, genotype: Genotype) -> dict[str, int]:
        """All measures of one network, as ``cost_of`` counts them."""
        found = dict(self.fixed)
        for measure in ADDITIVE:
            found[measure] += sum(self.of_cell(kind, genotype.cell(kind), measure) for kind in KINDS)
        return found | {"ram_bytes": max(self.ram_of_cell(kind, genotype.cell(kind)) for kind in KINDS)}

    def of_cell(self, kind: str, cell: Cell, measure: str) -> int:
        """What all cells of a kind add to an additive measure."""
        table, rows = self.tables[measure][kind], {edge: row for row, edge in enumerate(edges(len(cell)))}
        live = live_nodes(cell, self.size.fanout_concat)
        picked = [
            table[rows[source, node], self.ops.index(op)] for node, (op, source) in enumerate(cell, 1) if node in live
        ]
        return int(sum(picked))

    def ram_of_cell(self, kind: str, cell: Cell) -> int:
        """Peak RAM of a network whose cells of this kind are ``cell`` and whose other cells need less."""
        found = self.fixed_ram_bytes
        for plan, lengths in self.cells:
            if plan.kind == kind:
                graph = cell_graph(cell, self.size.fanout_concat, plan.is_reduction)
                peak, _ = best_order(graph, *(plan.channels * length for length in lengths))
                found = max(found, self.numbers.activation_bytes(peak))
        return found

    def ram_without_identities(self) -> int:
        """Peak RAM of a network whose nodes all have a value of their own and read node 0."""
        op = next((op for op in self.ops if op != "none" and makes_value(op, 1)), "skip_connect")
        return max(self.ram_of_cell(kind, ((op, 0),) * self.size.nodes_per_layer) for kind in KINDS)

    def largest(self, measure: str) -> float:
        """An additive measure of the network whose nodes all keep their dearest pair of an input and an operation."""
        nodes, tables = range(1, self.size.nodes_per_layer + 1), self.tables[measure].values()
        return self.fixed[measure] + sum(float(table[rows_into(node)].max()) for table in tables for node in nodes)


class _Head(nn.Module):
    """Global average pool and linear layer."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x.mean(2))


def _cost(part: nn.Module, in_channels: int, length: int, numbers: Numbers) -> dict[str, int]:
    """All measures of a part; its flash without what every network has once."""
    cost = cost_of(part, in_channels, length, numbers)
    found = {measure: getattr(cost, measure) for measure in MEASURES}
    return found | {"flash_bytes": cost.flash_bytes - numbers.code_bytes}


@cache
def _stem_cost(in_channels: int, channels: int, length: int, numbers: Numbers) -> dict[str, int]:
    return _cost(Stem(in_channels, channels, True), in_channels, length, numbers)


@cache
def _preprocess_cost(in_channels: int, channels: int, stride: int, length: int, numbers: Numbers) -> dict[str, int]:
    return _cost(conv_bn_relu(in_channels, channels, 1, stride, True), in_channels, length, numbers)


@cache
def _head_cost(channels: int, num_classes: int, length: int, numbers: Numbers) -> dict[str, int]:
    return _cost(_Head(channels, num_classes), channels, length, numbers)


@cache
def _op_cost(op: str, channels: int, length: int, stride: int, numbers: Numbers) -> dict[str, int]:
    return _cost(OPS[op](channels, stride, True), channels, length, numbers)
