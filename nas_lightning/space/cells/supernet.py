"""The supernet: every operation on every edge, mixed by op weights (DARTS, arXiv 1806.09055, equation 2).

It computes what ``TextbookSupernet`` of ``tests/oracle/textbook.py`` computes, in fewer and larger steps: all
convolutions that leave a node run as one, with their BatchNorms folded into the kernels, and pools once per node.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas_lightning.space import base
from nas_lightning.space.base import Choice, OpWeights, Path
from nas_lightning.space.cells.dense import fused_conv_bn_relu
from nas_lightning.space.cells.edge_group import EdgeGroup, EdgeWeights
from nas_lightning.space.cells.genotype import KINDS, Genotype, Genotypes, live_nodes
from nas_lightning.space.cells.network import readout_of
from nas_lightning.space.cells.size import CellPlan, Size, edges, rows_into
from nas_lightning.space.choices import new_alphas
from nas_lightning.space.ops import DEFAULT_OPS, conv_bn_relu
from nas_lightning.space.stem import Stem
from nas_lightning.tasks import Task

CellWeights = list[EdgeWeights]
"""The op weights of a cell, by source node."""


class SearchCell(nn.Module):
    """A cell with all edges: ``[B, in_channels, L]`` to ``[B, channels * fanout_concat, L_out]``."""

    def __init__(self, plan: CellPlan, size: Size, ops: Sequence[str], channels: int | None = None) -> None:
        super().__init__()
        self.fanout_concat, self.num_nodes = size.fanout_concat, size.nodes_per_layer
        mixed = channels or plan.channels
        self.preprocess = conv_bn_relu(plan.in_channels, plan.channels, 1, plan.in_stride, affine=False)
        num_nodes = size.nodes_per_layer
        strides = [2] + [1] * (num_nodes - 1) if plan.is_reduction else [1] * num_nodes  # by source
        by_source = sorted(range(size.num_edges), key=lambda row: edges(num_nodes)[row])
        counts = range(num_nodes, 0, -1)
        num_strided = num_nodes if plan.is_reduction else 0
        self.groups = nn.ModuleList()
        for stride, rows in ((2, by_source[:num_strided]), (1, by_source[num_strided:])):
            if rows:
                its_counts = [count for count, s in zip(counts, strides, strict=True) if s == stride]
                self.groups.append(EdgeGroup(ops, mixed, stride, rows, its_counts))

    def split_weights(self, op_weights: Tensor) -> CellWeights:
        """The op weights ``[E, O]`` by source node; the same for all cells of a kind."""
        return [part for group in self._groups() for part in group.split_weights(op_weights)]

    def forward(self, x: Tensor, weights: CellWeights, kernels_choice: str) -> Tensor:
        """Run the cell."""
        value = fused_conv_bn_relu(self.preprocess, x, kernels_choice)
        nodes: list[Tensor] = []
        acc: Sequence[Tensor] | None = None
        for group in self._groups():
            for source, kernels in enumerate(group.kernels()):
                value, *acc = group(source, value, acc, weights[len(nodes)], kernels, kernels_choice)
                nodes.append(value)
        # Not torch.cat: its second derivative would fill one tensor of this size for each node.
        return torch.stack(nodes[-self.fanout_concat :], dim=1).flatten(1, 2)

    def run_path(self, x: Tensor, nodes: Sequence[tuple[str, int]], gates: Tensor | None) -> Tensor:
        """Run only what one genotype needs of the cell: ``(operation, source)`` for each node."""
        values = {0: self.preprocess(x)}
        for node in sorted(live_nodes(nodes, self.fanout_concat)):
            op, source = nodes[node - 1]
            row = rows_into(node)[source]
            value = self.group_of(row).run_one(op, row, values[source])
            values[node] = value if gates is None else value * gates[node - 1]
        last = range(len(nodes) - self.fanout_concat + 1, len(nodes) + 1)
        return torch.cat([values[node] for node in last], dim=1)

    def group_of(self, row: int) -> EdgeGroup:
        """The group that a row of the op weights belongs to."""
        return next(group for group in self._groups() if row in group.position)

    def _groups(self) -> list[EdgeGroup]:
        return cast(list[EdgeGroup], list(self.groups))


class PartialCell(SearchCell):
    """A cell in which a part of the channels passes by the operations (PC-DARTS, arXiv 1907.05737, equation 2).

    The first ``max(1, channels // partial)`` channels of a node go through the mixture. The others go on unchanged (at
    stride 2 through a maximum over 2 steps), weighted by the sum of the edge's op weights, and the channels of every
    node are shuffled, so that all of them meet the operations in time.
    """

    def __init__(self, plan: CellPlan, size: Size, ops: Sequence[str], partial: int) -> None:
        self.mixed = max(1, plan.channels // partial)
        super().__init__(plan, size, ops, self.mixed)

    def forward(self, x: Tensor, weights: CellWeights, kernels_choice: str) -> Tensor:
        """Run the cell."""
        value = fused_conv_bn_relu(self.preprocess, x, kernels_choice)
        nodes: list[Tensor] = []
        acc: Sequence[Tensor] | None = None
        past: Sequence[Tensor] | None = None
        for group in self._groups():
            for source, kernels in enumerate(group.kernels()):
                own = weights[len(nodes)]
                mixed, *acc = group(source, value[:, : self.mixed], acc, own, kernels, kernels_choice)
                rest = value[:, self.mixed :]
                rest = F.max_pool1d(rest, 2, 2, ceil_mode=True) if group.stride == 2 else rest
                through = [total * rest for total in own.total]
                through = through if past is None else [a + b for a, b in zip(past, through, strict=True)]
                passed, *past = through
                value = self._shuffle(torch.cat([mixed, passed], dim=1))
                nodes.append(value)
        return torch.cat(nodes[-self.fanout_concat :], dim=1)

    def run_path(self, x: Tensor, nodes: Sequence[tuple[str, int]], gates: Tensor | None) -> Tensor:
        """Not there: the operations of this cell have other shapes than those of the network."""
        raise NotImplementedError("partial channels: a path cannot be run alone")

    def _shuffle(self, value: Tensor) -> Tensor:
        """Channels in the order 0, g, 2g, ..., 1, g + 1, ... where g is the number of mixed ones."""
        groups = value.shape[1] // self.mixed
        if value.shape[1] % self.mixed or groups < 2:
            return value
        return value.unflatten(1, (groups, self.mixed)).transpose(1, 2).flatten(1, 2)


def new_cell(plan: CellPlan, size: Size, ops: Sequence[str], partial: int) -> SearchCell:
    """A cell of which one of ``partial`` channels is mixed."""
    return SearchCell(plan, size, ops) if partial == 1 else PartialCell(plan, size, ops, partial)


class Supernet(base.Supernet):
    """All networks of a size at once, with the alphas that choose among them.

    The alphas are the parameters ``alphas.normal`` and ``alphas.reduce``, each ``[E, O]``; all other parameters are
    weights. BatchNorm has no affine parameters, so that an operation's strength shows in its op weight alone.

    >>> from nas_lightning.tasks import Classification
    >>> net = Supernet(Size(3, 2, 1, 3, 2), Classification(1, 16, 2))
    >>> net(torch.randn(4, 1, 16), {kind: a.softmax(-1) for kind, a in net.alphas.items()}).shape
    torch.Size([4, 2])

    Args:
        size: the outline.
        task: input channels, length and classes.
        ops: names of the operations.
        kernels: what computes the mixed operations: ``native``, ``torch`` or ``auto`` (see ``kernels.choice``).
        alphas: other than ``new_alphas``; ``normal`` and ``reduce`` are among them.
        partial: one of this many channels of each node goes through the operations (see ``PartialCell``).
    """

    def __init__(
        self,
        size: Size,
        task: Task,
        ops: Sequence[str] = DEFAULT_OPS,
        kernels: str = "auto",
        alphas: nn.ParameterDict | None = None,
        partial: int = 1,
    ) -> None:
        super().__init__()
        self.size, self.task, self.op_names, self.kernels = size, task, tuple(ops), kernels
        self.stem = Stem(task.in_channels, size.stem_channels, affine=False)
        self.cells = nn.ModuleList(new_cell(plan, size, self.op_names, partial) for plan in size.plan())
        self.kinds = [plan.kind for plan in size.plan()]
        self.readout = readout_of(size, task.length)
        self.head = task.head(self.readout.columns(size.out_channels))
        self.alphas = new_alphas(Genotypes(ops, size.nodes_per_layer)) if alphas is None else alphas

    def forward(self, x: Tensor, choice: Choice) -> Tensor:
        """Map ``[B, C_in, L]`` to logits ``[B, K]``: of the mixture that op weights describe, or of one path."""
        x = self._run_path(x, choice) if isinstance(choice, Path) else self._run_mixture(x, choice)
        return self.head(self.readout(x))

    def _run_mixture(self, x: Tensor, op_weights: OpWeights) -> Tensor:
        x = fused_conv_bn_relu(self.stem.conv, self.stem.norm(x), self.kernels)
        first = {kind: cast(SearchCell, self.cells[self.kinds.index(kind)]) for kind in KINDS}
        weights = {kind: first[kind].split_weights(op_weights[kind]) for kind in KINDS}
        for cell, kind in zip(self.cells, self.kinds, strict=True):
            x = cell(x, weights[kind], self.kernels)
        return x

    def _run_path(self, x: Tensor, path: Path[Genotype]) -> Tensor:
        x = self.stem(x)
        for cell, kind in zip(self.cells, self.kinds, strict=True):
            gates = None if path.gates is None else path.gates[kind]
            x = cast(SearchCell, cell).run_path(x, path.architecture.cell(kind), gates)
        return x
