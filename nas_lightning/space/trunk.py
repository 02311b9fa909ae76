"""A network of convolutions in a row, of any kind, reach and stride, before a readout."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from torch import Tensor, nn

from nas_lightning.errors import InputError
from nas_lightning.graph.norm import InputNorm
from nas_lightning.kernels.network_ops import STRIDES
from nas_lightning.space.readouts import build_readout
from nas_lightning.tasks import Task

BlockKind = Literal["full", "depthwise", "separable"]


@dataclass(frozen=True)
class Block:
    """Convolution, BatchNorm and ReLU: ``[B, C_in, L]`` to ``[B, channels, ceil(L / stride)]``.

    Attributes:
        kind: ``full``; ``depthwise``, each channel alone; or ``separable``, depthwise and then 1x1.
        channels: of its output; for ``depthwise`` those of its input.
        kernel_size: odd.
        stride: 1, 2 or 4.
        dilation: steps between taps.
    """

    kind: BlockKind
    channels: int
    kernel_size: int
    stride: int = 1
    dilation: int = 1

    def __post_init__(self) -> None:
        if self.kind not in get_args(BlockKind):
            raise InputError(f"block: found the kind {self.kind}; allowed: {', '.join(get_args(BlockKind))}")
        if self.kernel_size < 1 or self.kernel_size % 2 == 0:
            raise InputError(f"block: found {self.kernel_size} taps; allowed: an odd number of 1 or more")
        if self.stride not in STRIDES:
            raise InputError(f"block: found the stride {self.stride}; allowed: {', '.join(map(str, STRIDES))}")
        if min(self.channels, self.dilation) < 1:
            raise InputError(f"block: found {self.channels} channels, dilation {self.dilation}; allowed: 1 or more")

    def build(self, in_channels: int) -> nn.Sequential:
        """Its layers.

        Raises:
            InputError: for a depthwise one that is to change the number of channels.
        """
        if self.kind == "depthwise" and self.channels != in_channels:
            raise InputError(f"block: found {self.channels} channels; allowed: {in_channels}, for depthwise keeps them")
        groups = 1 if self.kind == "full" else in_channels
        first = self.channels if self.kind == "full" else in_channels
        half = self.dilation * (self.kernel_size // 2)
        layers: list[nn.Module] = [
            nn.Conv1d(in_channels, first, self.kernel_size, self.stride, half, self.dilation, groups, bias=False)
        ]
        if self.kind == "separable":
            layers.append(nn.Conv1d(first, self.channels, 1, bias=False))
        return nn.Sequential(*layers, nn.BatchNorm1d(self.channels), nn.ReLU())


class Trunk(nn.Module):
    """Input normalisation, blocks in a row, a readout and the task's head.

    >>> import torch
    >>> from nas_lightning.tasks import Classification
    >>> blocks = [Block("full", 4, 41, stride=2), Block("separable", 6, 21, dilation=2)]
    >>> Trunk(Classification(1, 50, 3), blocks, "mean+means_2")(torch.randn(2, 1, 50)).shape
    torch.Size([2, 3])

    Args:
        task: input channels, length and classes.
        blocks: at least one.
        readout: see ``build_readout``.
    """

    def __init__(self, task: Task, blocks: Sequence[Block], readout: str = "mean") -> None:
        super().__init__()
        self.norm = InputNorm(task.in_channels, affine=True)
        channels = [task.in_channels, *(block.channels for block in blocks)]
        self.blocks = nn.Sequential(*(block.build(before) for block, before in zip(blocks, channels, strict=False)))
        self.readout = build_readout(readout)
        self.task, self.head = task, task.head(self.readout.columns(channels[-1]))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, C_in, L]`` to logits ``[B, K]``."""
        return self.head(self.readout(self.blocks(self.norm(x))))
