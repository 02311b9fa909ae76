"""The supernet: every operation on every edge, mixed by op weights (DARTS, arXiv 1806.09055, equation 2).

It computes what ``textbook.TextbookSupernet`` computes, in fewer and larger steps: all convolutions that leave a node
run as one, with their BatchNorms folded into the kernels, and pools once per node.
"""

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from nas_lightning.space.dense import fused_conv_bn_relu
from nas_lightning.space.edge_group import EdgeGroup, EdgeWeights
from nas_lightning.space.genotype import KINDS
from nas_lightning.space.ops import DEFAULT_OPS, conv_bn_relu
from nas_lightning.space.size import CellPlan, Size, Task, edges
from nas_lightning.space.stem import Stem

CellWeights = list[EdgeWeights]
"""The op weights of a cell, by source node."""


class SearchCell(nn.Module):
    """A cell with all edges: ``[B, in_channels, L]`` to ``[B, channels * fanout_concat, L_out]``."""

    def __init__(self, plan: CellPlan, size: Size, ops: Sequence[str]) -> None:
        super().__init__()
        self.fanout_concat = size.fanout_concat
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
                self.groups.append(EdgeGroup(ops, plan.channels, stride, rows, its_counts))

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

    def _groups(self) -> list[EdgeGroup]:
        return cast(list[EdgeGroup], list(self.groups))


class Supernet(nn.Module):
    """All networks of a size at once, with the alphas that choose among them.

    The alphas are the parameters ``alphas.normal`` and ``alphas.reduce``, each ``[E, O]``; all other parameters are
    weights. BatchNorm has no affine parameters, so that an operation's strength shows in its op weight alone.

    >>> net = Supernet(Size(3, 2, 1, 3, 2), Task(in_channels=1, length=16, num_classes=2))
    >>> net(torch.randn(4, 1, 16), {kind: a.softmax(-1) for kind, a in net.alphas.items()}).shape
    torch.Size([4, 2])

    Args:
        size: the outline.
        task: input channels, length and classes.
        ops: names of the operations.
        kernels: what computes the mixed operations: ``native``, ``torch`` or ``auto`` (see ``kernels.choice``).
    """

    def __init__(self, size: Size, task: Task, ops: Sequence[str] = DEFAULT_OPS, kernels: str = "auto") -> None:
        super().__init__()
        self.size, self.task, self.op_names, self.kernels = size, task, tuple(ops), kernels
        self.stem = Stem(task.in_channels, size.stem_channels, affine=False)
        self.cells = nn.ModuleList(SearchCell(plan, size, self.op_names) for plan in size.plan())
        self.kinds = [plan.kind for plan in size.plan()]
        self.head = nn.Linear(size.out_channels, task.num_classes)
        self.alphas = new_alphas(size, self.op_names)

    def weights(self) -> dict[str, nn.Parameter]:
        """The named parameters that are not alphas."""
        return {name: p for name, p in self.named_parameters() if not name.startswith("alphas.")}

    def forward(self, x: Tensor, op_weights: Mapping[str, Tensor]) -> Tensor:
        """Map ``[B, C_in, L]`` to logits ``[B, K]``; ``op_weights`` holds ``[E, O]`` per kind of cell."""
        x = fused_conv_bn_relu(self.stem.conv, self.stem.norm(x), self.kernels)
        first = {kind: cast(SearchCell, self.cells[self.kinds.index(kind)]) for kind in KINDS}
        weights = {kind: first[kind].split_weights(op_weights[kind]) for kind in KINDS}
        for cell, kind in zip(self.cells, self.kinds, strict=True):
            x = cell(x, weights[kind], self.kernels)
        return self.head(x.mean(2))


def new_alphas(size: Size, ops: Sequence[str]) -> nn.ParameterDict:
    """Alphas near zero: every operation starts with almost the same weight."""
    return nn.ParameterDict({kind: nn.Parameter(1e-3 * torch.randn(size.num_edges, len(ops))) for kind in KINDS})
