"""What every choice of a space costs, so that any network of it is priced without being built."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import cache, cached_property

import torch
from torch import Tensor, nn

from nas_lightning.cost.code import Signature, signature_of
from nas_lightning.cost.exact import ADDITIVE, Numbers, PartCost, part_cost
from nas_lightning.graph.layers import LAYERS
from nas_lightning.graph.trace import Layer
from nas_lightning.space.cells.genotype import KINDS, Genotype, Genotypes, live_nodes, places_of
from nas_lightning.space.cells.network import cell_graph, makes_value, readout_of
from nas_lightning.space.cells.order import best_order
from nas_lightning.space.cells.size import CellPlan, Size, edge_stride, edges, rows_into
from nas_lightning.space.ops import OPS, conv_bn_relu
from nas_lightning.space.stem import Stem
from nas_lightning.tasks import Task

Cell = tuple[tuple[str, int], ...]


class SpaceCost(Genotypes):
    """The exact costs of all networks of a space.

    A sum over layers splits into what every network of the size has (stem, 1x1 convolutions, concatenations, head) and
    one entry per edge and operation, summed over all cells of a kind. Peak RAM is the largest of the parts' peaks,
    because one part runs after the other: the stem, each 1x1 convolution, the nodes of each cell, the head. The flash
    of a function is there once, however many layers share it; so a choice also has the functions that it calls.

    A pool that two nodes take of one value is counted twice here, and once by ``cost_of`` and in the firmware: there
    flash, instructions and RAM of this class are above those of the network.

    Attributes:
        tables: per additive measure and kind of cell a float64 tensor ``[E, O]`` of whole numbers.
        fixed: per additive measure what every network has.
        functions: flash of each function that not every network has, by signature.
        calls: per kind of cell, edge and operation the signatures in ``functions`` that the choice calls.

    Args:
        size: the outline.
        task: input channels, length and classes.
        ops: names of the O columns.
        numbers: bits, core and allowances.
    """

    def __init__(self, size: Size, task: Task, ops: tuple[str, ...], numbers: Numbers | None = None) -> None:
        super().__init__(ops, size.nodes_per_layer)
        self.size, self.task, self.numbers = size, task, numbers or Numbers()
        self.tables = {
            measure: {kind: torch.zeros(size.num_edges, len(ops), dtype=torch.float64) for kind in KINDS}
            for measure in ADDITIVE
        }
        self.fixed: dict[str, int] = dict.fromkeys(ADDITIVE, 0) | {"flash_bytes": self.numbers.base_bytes}
        self.functions: dict[Signature, int] = {}
        self.calls: dict[tuple[str, int, int], set[Signature]] = {}
        self.cells = list(zip(size.plan(), size.lengths(task.length), strict=True))
        self.fixed_ram_bytes = 0
        always: dict[Signature, int] = {}
        for part in self._fixed_parts():
            for measure in ADDITIVE:
                self.fixed[measure] += part.sums[measure]
            self.fixed_ram_bytes = max(self.fixed_ram_bytes, part.ram_bytes)
            always |= part.functions
        self.fixed["flash_bytes"] += sum(always.values())
        for cell, (length_in, length_out) in self.cells:
            self._add_edges(cell, length_in, length_out)
        self.functions = {signature: size for signature, size in self.functions.items() if signature not in always}
        self.calls = {key: called & self.functions.keys() for key, called in self.calls.items()}

    def _fixed_parts(self) -> Iterator[PartCost]:
        size, length = self.size, self.task.length
        yield _stem_cost(self.task.in_channels, size.stem_channels, length, self.numbers)
        for cell, (_, length_out) in self.cells:
            yield _preprocess_cost(cell.in_channels, cell.channels, cell.in_stride, length, self.numbers)
            if size.num_copied:
                yield _concat_cost(cell.channels, size.num_copied, length_out, self.numbers)
            length = length_out
        yield _head_cost(size, self.task, length, self.numbers)

    def _add_edges(self, cell: CellPlan, length_in: int, length_out: int) -> None:
        for row, (source, _) in enumerate(edges(self.size.nodes_per_layer)):
            stride = edge_stride(cell.is_reduction, source)
            length = length_in if stride == 2 else length_out
            for column, op in enumerate(self.ops):
                if op == "none":
                    continue
                cost = _op_cost(op, cell.channels, length, stride, self.numbers)
                for measure in ADDITIVE:
                    self.tables[measure][cell.kind][row, column] += cost.sums[measure]
                self.functions |= cost.functions
                self.calls.setdefault((cell.kind, row, column), set()).update(cost.functions)

    def cost(self, architecture: Genotype) -> dict[str, int]:
        """All measures of one network, as ``cost_of`` counts them if no two nodes take the same pool of one value."""
        picks = {kind: self._picks(kind, architecture.cell(kind)) for kind in KINDS}
        found = {measure: self._sum(measure, picks) for measure in ADDITIVE}
        called = set().union(*(self.calls[kind, row, column] for kind in KINDS for row, column in picks[kind]))
        found["flash_bytes"] += sum(self.functions[signature] for signature in called)
        return found | {"ram_bytes": max(self.ram_of_cell(kind, architecture.cell(kind)) for kind in KINDS)}

    def num_params(self, architecture: Genotype) -> int:
        """The parameters of one network; the same number as in ``cost``, which counts everything."""
        return self._sum("params", {kind: self._picks(kind, architecture.cell(kind)) for kind in KINDS})

    def _sum(self, measure: str, picks: dict[str, list[tuple[int, int]]]) -> int:
        """An additive measure without functions."""
        tables = self.tables[measure]
        return self.fixed[measure] + int(
            sum(tables[kind][row, column] for kind in KINDS for row, column in picks[kind])
        )

    def _picks(self, kind: str, cell: Cell) -> list[tuple[int, int]]:
        """Row and column of what the live nodes of a cell compute."""
        live = live_nodes(cell, self.size.fanout_concat)
        return [place for node, place in enumerate(places_of(cell, self.ops), start=1) if node in live]

    def ram_of_cell(self, kind: str, cell: Cell) -> int:
        """Peak RAM of a network whose cells of this kind are ``cell`` and whose other cells need less."""
        found = self.fixed_ram_bytes
        for plan, lengths in self.cells:
            if plan.kind == kind:
                graph = cell_graph(cell, self.size.fanout_concat, plan.is_reduction)
                peak, _ = best_order(graph, *(plan.channels * length for length in lengths))
                found = max(found, self.numbers.arena_bytes(peak))
        return found

    def ram_without_identities(self) -> int:
        """Peak RAM of a network whose nodes all have a value of their own and read node 0."""
        op = next((op for op in self.ops if op != "none" and makes_value(op, 1)), "skip_connect")
        return max(self.ram_of_cell(kind, ((op, 0),) * self.size.nodes_per_layer) for kind in KINDS)

    def with_functions(self, measure: str, kind: str) -> Tensor:
        """A table ``[E, O]`` of a measure, with all functions that a choice calls, as if no other called them."""
        table = self.tables[measure][kind].clone()
        if measure == "flash_bytes":
            for (own_kind, row, column), called in self.calls.items():
                if own_kind == kind:
                    table[row, column] += sum(self.functions[signature] for signature in called)
        return table

    def largest(self, measure: str) -> float:
        """An additive measure of the network whose nodes all keep their dearest pair of an input and an operation.

        In flash it is a bound: as if no two nodes shared a function.
        """
        return self._largest[measure]

    @cached_property
    def _largest(self) -> dict[str, float]:
        nodes, found = range(1, self.size.nodes_per_layer + 1), {}
        for measure in ADDITIVE:
            tables = [self.with_functions(measure, kind) for kind in KINDS]
            dearest = sum(float(table[rows_into(node)].max()) for table in tables for node in nodes)
            found[measure] = self.fixed[measure] + dearest
        return found


class _Head(nn.Module):
    """Readout and linear layer."""

    def __init__(self, size: Size, task: Task) -> None:
        super().__init__()
        self.readout = readout_of(size, task.length)
        self.linear = task.head(self.readout.columns(size.out_channels))

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.readout(x))


def _no_draws() -> AbstractContextManager[None]:
    """In here random numbers are drawn in vain: what comes later must not depend on what is in a cache."""
    return torch.random.fork_rng(devices=[])


@cache
def _stem_cost(in_channels: int, channels: int, length: int, numbers: Numbers) -> PartCost:
    with _no_draws():
        return part_cost(Stem(in_channels, channels, True), in_channels, length, numbers)


@cache
def _preprocess_cost(in_channels: int, channels: int, stride: int, length: int, numbers: Numbers) -> PartCost:
    with _no_draws():
        return part_cost(conv_bn_relu(in_channels, channels, 1, stride, True), in_channels, length, numbers)


@cache
def _concat_cost(channels: int, num_inputs: int, length: int, numbers: Numbers) -> PartCost:
    """A concatenation; what lies in memory at it is the cell's."""
    shapes = (torch.Size([1, channels, length]), torch.Size([1, channels * num_inputs, length]))
    layer = Layer("cat", LAYERS["concat"], None, (0,) * num_inputs, *shapes)
    sums = dict.fromkeys(ADDITIVE, 0)
    sums |= {"flash_bytes": numbers.own_bytes(layer), "instructions": numbers.code.instructions_of(layer)}
    return PartCost(sums, {signature_of(layer): numbers.function_bytes(layer)}, 0)


@cache
def _head_cost(size: Size, task: Task, length: int, numbers: Numbers) -> PartCost:
    with _no_draws():
        return part_cost(_Head(size, task), size.out_channels, length, numbers)


@cache
def _op_cost(op: str, channels: int, length: int, stride: int, numbers: Numbers) -> PartCost:
    with _no_draws():
        return part_cost(OPS[op](channels, stride, True), channels, length, numbers)
