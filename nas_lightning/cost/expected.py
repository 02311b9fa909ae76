"""The expected cost of the supernet, differentiable in the op weights."""

from collections.abc import Mapping
from functools import cache

import torch
from torch import Tensor, nn

from nas_lightning.cost.exact import cost_of
from nas_lightning.space.genotype import KINDS
from nas_lightning.space.ops import OPS, conv_bn_relu
from nas_lightning.space.size import Size, Task, edges
from nas_lightning.space.stem import Stem

MEASURES = ("params", "macs")
"""What can be expected: parameters (memory) or multiply-accumulates (compute)."""


class ExpectedCost:
    """Expected parameters or MACs of a supernet, summed over all cells with their true channels and lengths.

    With op weights w (shape ``[E, O]``) and the exact cost c of every operation on every edge, the expectation is
    ``fixed + sum_cells sum_edges live(target) * sum_ops w * c``: stem, 1x1 convolutions and head are ``fixed``, and
    ``live(node)`` is how surely a node reaches the cell's output: 1 for the concatenated ones, and
    ``1 - prod(1 - live(later) * (1 - w_none))`` over the edges that read it for the others. With one-hot op weights
    (one operation into each node, ``none`` elsewhere) this equals the exact cost of the network of that genotype.

    Args:
        size: the outline.
        task: input channels, length and classes.
        ops: names of the O columns.
        measure: ``"params"`` or ``"macs"``.
    """

    def __init__(self, size: Size, task: Task, ops: tuple[str, ...], measure: str) -> None:
        self.size, self.ops, self.measure = size, ops, measure
        tables = {kind: torch.zeros(size.num_edges, len(ops), dtype=torch.float64) for kind in KINDS}
        fixed = _cost(Stem(task.in_channels, size.stem_channels, True), task.in_channels, task.length, measure)
        length = task.length
        for cell in size.plan():
            preprocess = conv_bn_relu(cell.in_channels, cell.channels, 1, cell.in_stride, True)
            fixed += _cost(preprocess, cell.in_channels, length, measure)
            length = -(-length // cell.in_stride)
            length_out = -(-length // 2) if cell.is_reduction else length
            for row, (source, _) in enumerate(edges(size.nodes_per_layer)):
                strided = cell.is_reduction and source == 0
                length_in, stride = (length, 2) if strided else (length_out, 1)
                for column, op in enumerate(ops):
                    tables[cell.kind][row, column] += _op_cost(op, cell.channels, length_in, stride, measure)
            length = length_out
        fixed += _cost(nn.Linear(size.out_channels, task.num_classes), 1, size.out_channels, measure)
        self.tables, self.fixed = tables, fixed

    @property
    def largest(self) -> float:
        """Cost when every edge takes its dearest operation: the scale of the penalty."""
        return self.fixed + sum(float(table.amax(1).sum()) for table in self.tables.values())

    def __call__(self, op_weights: Mapping[str, Tensor]) -> Tensor:
        """Expected cost (a scalar) for ``[E, O]`` op weights per kind of cell."""
        return self.fixed + torch.stack([self._of_kind(kind, op_weights[kind]) for kind in KINDS]).sum()

    def _of_kind(self, kind: str, weights: Tensor) -> Tensor:
        per_edge = (weights * self.tables[kind].to(weights.dtype).to(weights.device)).sum(1)
        return (per_edge * self._live(weights)).sum()

    def _live(self, weights: Tensor) -> Tensor:
        """How surely each edge's target reaches the output of the cell, shape ``[E]``."""
        used = 1 - weights[:, self.ops.index("none")] if "none" in self.ops else torch.ones_like(weights[:, 0])
        num_nodes = self.size.nodes_per_layer
        rows = edges(num_nodes)
        live: dict[int, Tensor] = {}
        for node in range(num_nodes, 0, -1):
            unread = weights.new_ones(())
            for row, (source, target) in enumerate(rows):
                if source == node:
                    unread = unread * (1 - live[target] * used[row])
            live[node] = weights.new_ones(()) if node > num_nodes - self.size.fanout_concat else 1 - unread
        return torch.stack([live[target] for _, target in rows])


def _cost(module: nn.Module, in_channels: int, length: int, measure: str) -> int:
    return getattr(cost_of(module, in_channels, length), measure)


@cache
def _op_cost(op: str, channels: int, length: int, stride: int, measure: str) -> int:
    return 0 if op == "none" else _cost(OPS[op](channels, stride, True), channels, length, measure)
