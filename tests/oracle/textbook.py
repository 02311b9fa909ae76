"""The supernet as the textbook has it: one module per operation and edge (DARTS, arXiv 1806.09055, equation 2).

The readable reference: tests and benchmarks hold ``supernet.Supernet`` against it.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from nas_lightning.space.cells.genotype import Genotypes
from nas_lightning.space.cells.size import CellPlan, Size, edge_stride, edges
from nas_lightning.space.choices import new_alphas
from nas_lightning.space.ops import DEFAULT_OPS, OPS, conv_bn_relu
from nas_lightning.space.stem import Stem
from nas_lightning.tasks import Task


class MixedOp(nn.Module):
    """One edge: the weighted sum of all operations, ``[B, C, L]`` to ``[B, C, ceil(L / stride)]``."""

    def __init__(self, ops: Sequence[str], channels: int, stride: int) -> None:
        super().__init__()
        self.ops = nn.ModuleList(OPS[op](channels, stride, False) for op in ops)

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        """Mix with ``weights`` of shape ``[O]``."""
        return sum((weight * op(x) for weight, op in zip(weights, self.ops, strict=True)), torch.zeros(()).to(x))


class TextbookCell(nn.Module):
    """A cell with all edges: ``[B, in_channels, L]`` to ``[B, channels * fanout_concat, L_out]``."""

    def __init__(self, plan: CellPlan, size: Size, ops: Sequence[str]) -> None:
        super().__init__()
        self.fanout_concat = size.fanout_concat
        self.edges = edges(size.nodes_per_layer)
        self.preprocess = conv_bn_relu(plan.in_channels, plan.channels, 1, plan.in_stride, affine=False)
        self.mixed_ops = nn.ModuleList(
            MixedOp(ops, plan.channels, edge_stride(plan.is_reduction, source)) for source, _ in self.edges
        )

    def forward(self, x: Tensor, op_weights: Tensor) -> Tensor:
        """Run the cell with ``op_weights`` of shape ``[E, O]``."""
        nodes = [self.preprocess(x)]
        edge = 0
        for node in range(1, self.edges[-1][1] + 1):
            incoming = [self.mixed_ops[edge + j](nodes[j], op_weights[edge + j]) for j in range(node)]
            nodes.append(torch.stack(incoming).sum(0))
            edge += node
        return torch.cat(nodes[-self.fanout_concat :], dim=1)


class TextbookSupernet(nn.Module):
    """All networks of a size at once, with the alphas that choose among them.

    The alphas are the parameters ``alphas.normal`` and ``alphas.reduce``, each ``[E, O]``; all other parameters are
    weights. BatchNorm has no affine parameters, so that an operation's strength shows in its op weight alone.

    >>> from nas_lightning.tasks import Classification
    >>> net = TextbookSupernet(Size(3, 2, 1, 3, 2), Classification(1, 16, 2))
    >>> net(torch.randn(4, 1, 16), {kind: a.softmax(-1) for kind, a in net.alphas.items()}).shape
    torch.Size([4, 2])
    """

    def __init__(self, size: Size, task: Task, ops: Sequence[str] = DEFAULT_OPS) -> None:
        super().__init__()
        self.size, self.task, self.op_names = size, task, tuple(ops)
        self.stem = Stem(task.in_channels, size.stem_channels, affine=False)
        self.cells = nn.ModuleList(TextbookCell(plan, size, ops) for plan in size.plan())
        self.kinds = [plan.kind for plan in size.plan()]
        self.head = task.head(size.out_channels)
        self.alphas = new_alphas(Genotypes(ops, size.nodes_per_layer))

    def weights(self) -> dict[str, nn.Parameter]:
        """The named parameters that are not alphas."""
        return {name: p for name, p in self.named_parameters() if not name.startswith("alphas.")}

    def forward(self, x: Tensor, op_weights: Mapping[str, Tensor]) -> Tensor:
        """Map ``[B, C_in, L]`` to logits ``[B, K]``; ``op_weights`` holds ``[E, O]`` per kind of cell."""
        x = self.stem(x)
        for cell, kind in zip(self.cells, self.kinds, strict=True):
            x = cell(x, op_weights[kind])
        return self.head(x.mean(2))
