"""The fixed network: what a genotype describes, and nothing else."""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nas_lightning.space.genotype import Genotype
from nas_lightning.space.ops import OPS, conv_bn_relu
from nas_lightning.space.size import CellPlan, Size, Task
from nas_lightning.space.stem import Stem


class Cell(nn.Module):
    """One fixed cell: ``[B, in_channels, L]`` to ``[B, channels * fanout_concat, L_out]``."""

    def __init__(self, plan: CellPlan, size: Size, genotype: Genotype) -> None:
        super().__init__()
        self.sources = [source for _, source in genotype.cell(plan.kind)]
        self.concat = range(genotype.num_nodes - size.fanout_concat + 1, genotype.num_nodes + 1)
        self.preprocess = conv_bn_relu(plan.in_channels, plan.channels, 1, plan.in_stride, affine=True)
        self.nodes = nn.ModuleDict()
        for node in sorted(genotype.live_nodes(plan.kind, size.fanout_concat)):
            op, source = genotype.cell(plan.kind)[node - 1]
            self.nodes[str(node)] = OPS[op](plan.channels, 2 if plan.is_reduction and source == 0 else 1, True)

    def forward(self, x: Tensor) -> Tensor:
        """Run the nodes in order and concatenate the last ones."""
        values = {0: self.preprocess(x)}
        for name, op in self.nodes.items():
            node = int(name)
            values[node] = op(values[self.sources[node - 1]])
        return torch.cat([values[node] for node in self.concat], dim=1)


class Network(nn.Module):
    """The network of a genotype: stem, cells, global average pool, linear.

    Args:
        genotype: what each node computes; its number of nodes is the size's.
        size: the outline.
        task: input channels, length and classes.
    """

    def __init__(self, genotype: Genotype, size: Size, task: Task) -> None:
        super().__init__()
        self.stem = Stem(task.in_channels, size.stem_channels, affine=True)
        self.cells = nn.Sequential(*(Cell(plan, size, genotype) for plan in size.plan()))
        self.head = nn.Linear(size.out_channels, task.num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, C_in, L]`` to logits ``[B, K]``."""
        return self.head(self.cells(self.stem(x)).mean(2))


class ConvNet(nn.Module):
    """A hand-made reference network: blocks of convolution, BatchNorm, ReLU and max pool, then the same head.

    Args:
        task: input channels, length and classes.
        widths: channels of each block; every block but the last halves the length.
        kernel_size: odd.
    """

    def __init__(self, task: Task, widths: Sequence[int], kernel_size: int) -> None:
        super().__init__()
        self.stem = Stem(task.in_channels, widths[0], affine=True)
        blocks: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            blocks += [nn.MaxPool1d(3, 2, 1), conv_bn_relu(before, after, kernel_size, 1, affine=True)]
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(widths[-1], task.num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, C_in, L]`` to logits ``[B, K]``."""
        return self.head(self.blocks(self.stem(x)).mean(2))
