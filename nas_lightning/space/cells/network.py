"""The fixed network: what a genotype describes, and nothing else."""

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor, nn

from nas_lightning.space.cells.genotype import Genotype, live_nodes
from nas_lightning.space.cells.order import CellGraph, best_order
from nas_lightning.space.cells.size import CellPlan, Size, edge_stride
from nas_lightning.space.ops import OPS, conv_bn_relu
from nas_lightning.space.readouts import Readout, build_readout
from nas_lightning.space.stem import Stem
from nas_lightning.tasks import Task


class Cell(nn.Module):
    """One fixed cell: ``[B, in_channels, L]`` to ``[B, channels * fanout_concat, L_out]``.

    Args:
        plan: its place in the network.
        size: the outline.
        genotype: what each node computes.
        lengths: time steps of node 0 and of the other nodes; they decide the order of the nodes, which is the one with
            the smallest peak of memory.
    """

    def __init__(self, plan: CellPlan, size: Size, genotype: Genotype, lengths: tuple[int, int]) -> None:
        super().__init__()
        self.sources = [source for _, source in genotype.cell(plan.kind)]
        self.concat = range(genotype.num_nodes - size.fanout_concat + 1, genotype.num_nodes + 1)
        self.preprocess = conv_bn_relu(plan.in_channels, plan.channels, 1, plan.in_stride, affine=True)
        graph = cell_graph(genotype.cell(plan.kind), size.fanout_concat, plan.is_reduction)
        _, order = best_order(graph, *(plan.channels * length for length in lengths))
        self.nodes = nn.ModuleDict()
        for node in order:
            op, source = genotype.cell(plan.kind)[node - 1]
            self.nodes[str(node)] = OPS[op](plan.channels, edge_stride(plan.is_reduction, source), True)

    def forward(self, x: Tensor) -> Tensor:
        """Run the nodes in order and concatenate the last ones, if there are several."""
        values = {0: self.preprocess(x)}
        for name, op in self.nodes.items():
            node = int(name)
            values[node] = op(values[self.sources[node - 1]])
        last = [values[node] for node in self.concat]
        return torch.cat(last, dim=1) if len(last) > 1 else last[0]


def cell_graph(cell: Sequence[tuple[str, int]], fanout_concat: int, is_reduction: bool) -> CellGraph:
    """What decides the memory of a cell of ``(operation, source)`` for nodes 1 to n."""
    live = live_nodes(cell, fanout_concat)
    makes = tuple(
        makes_value(op, edge_stride(is_reduction, source)) if node in live else None
        for node, (op, source) in enumerate(cell, start=1)
    )
    return CellGraph(tuple(source for _, source in cell), makes, fanout_concat)


@cache
def makes_value(op: str, stride: int) -> bool:
    """Whether an operation makes a value of its own in memory: all do but the identity."""
    with torch.device("meta"):  # draws no random numbers, so that a network's weights do not depend on the cache
        return not isinstance(OPS[op](1, stride, True), nn.Identity)


def readout_of(size: Size, length: int) -> Readout:
    """What the linear head of a size sees, for samples of so many time steps.

    Raises:
        InputError: for a readout that is unknown.
    """
    return build_readout(size.readout, size.lengths(length)[-1][1])


class Network(nn.Module):
    """The network of a genotype: stem, cells, readout, linear.

    Args:
        genotype: what each node computes; its number of nodes is the size's.
        size: the outline.
        task: input channels, length and classes.
    """

    def __init__(self, genotype: Genotype, size: Size, task: Task) -> None:
        super().__init__()
        self.stem = Stem(task.in_channels, size.stem_channels, affine=True)
        cells = zip(size.plan(), size.lengths(task.length), strict=True)
        self.cells = nn.Sequential(*(Cell(plan, size, genotype, lengths) for plan, lengths in cells))
        self.readout = readout_of(size, task.length)
        self.task, self.head = task, task.head(self.readout.columns(size.out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, C_in, L]`` to logits ``[B, K]``."""
        return self.head(self.readout(self.cells(self.stem(x))))
