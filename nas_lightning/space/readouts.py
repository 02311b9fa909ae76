"""Readouts: what of a network's last value its linear head sees.

Shapes: B batch, C channels, L time steps. Every readout maps ``[B, C, L]`` to ``[B, columns(C)]``; the columns of a
channel lie side by side. To add one, add an entry to ``READOUTS``.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from nas_lightning.errors import InputError
from nas_lightning.graph.layers import WholeLayer
from nas_lightning.kernels.network_ops import Measure, Planes, Program


class Mean(nn.Module):
    """The mean over time."""

    def columns(self, channels: int) -> int:
        """One a channel."""
        return channels

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, C, L]`` to ``[B, C]``."""
        return x.mean(2)

    def write(self, program: Program, planes: Planes) -> None:
        """The same in a program."""
        program.mean(planes)


class SegmentMeans(nn.Sequential):
    """Means over segments of equal length, of which the last may be shorter.

    A segment has ``ceil(L / segments)`` steps, so there are fewer segments than asked for where L is short.

    Args:
        segments: at most how many.
        length: time steps of what is read.
    """

    def __init__(self, segments: int, length: int) -> None:
        taps = -(-length // segments)
        super().__init__(nn.AvgPool1d(taps, taps, ceil_mode=True, count_include_pad=False), nn.Flatten())
        self.segments = -(-length // taps)

    def columns(self, channels: int) -> int:
        """One a segment of a channel."""
        return channels * self.segments

    def write(self, program: Program, planes: Planes) -> None:
        """The same in a program."""
        program.read(Measure.SEGMENTS, planes, self.segments)


class Maximum(nn.Sequential):
    """The largest value over time; of equal ones the first gets the gradient.

    Args:
        length: time steps of what is read.
    """

    def __init__(self, length: int) -> None:
        super().__init__(nn.MaxPool1d(length), nn.Flatten())

    def columns(self, channels: int) -> int:
        """One a channel."""
        return channels

    def write(self, program: Program, planes: Planes) -> None:
        """The same in a program."""
        program.read(Measure.LARGEST, planes)


class PositiveShare(WholeLayer):
    """The share of time steps at which a channel is above zero.

    The share itself is a step function, so its gradient is that of another one: the mean of ``(x + 1) / 2``, cut off at
    0 and 1. A value with ``|x| < 1`` gets ``1 / (2 L)`` of what the share gets, any other nothing. Behind a BatchNorm
    that is most values, and behind a ReLU those from 0 to 1 that it lets through.
    """

    def columns(self, channels: int) -> int:
        """One a channel."""
        return channels

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, C, L]`` to ``[B, C]``."""
        return cast(Tensor, _Share.apply(x))

    def write(self, program: Program, planes: Planes) -> None:
        """The same in a program."""
        program.read(Measure.POSITIVE_SHARE, planes)


class PositiveMean(WholeLayer):
    """The mean of the values above zero; 0 where there are none."""

    def columns(self, channels: int) -> int:
        """One a channel."""
        return channels

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, C, L]`` to ``[B, C]``."""
        return x.relu().sum(2) / (x > 0).sum(2).clamp(min=1)

    def write(self, program: Program, planes: Planes) -> None:
        """The same in a program."""
        program.read(Measure.POSITIVE_MEAN, planes)


class Together(nn.Module):
    """Several readouts of the same value, one behind the other.

    Args:
        readouts: at least one.
    """

    def __init__(self, readouts: Sequence[nn.Module]) -> None:
        super().__init__()
        self.readouts = nn.ModuleList(readouts)

    def columns(self, channels: int) -> int:
        """The sum of theirs."""
        return sum(readout.columns(channels) for readout in self.parts())

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, C, L]`` to ``[B, columns(C)]``."""
        return torch.cat([readout(x) for readout in self.parts()], dim=1)

    def write(self, program: Program, planes: Planes) -> None:
        """The same in a program."""
        for readout in self.parts():
            readout.write(program, planes)

    def parts(self) -> list[Any]:
        """The readouts, in order."""
        return list(self.readouts)


class _Share(torch.autograd.Function):
    """Differentiable again: its gradient is linear in that of the share."""

    @staticmethod
    def forward(ctx, x):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(x)
        return (x > 0).to(x.dtype).mean(2)

    @staticmethod
    def backward(ctx, g):  # type: ignore[no-untyped-def]
        (x,) = ctx.saved_tensors
        return (g / (2 * x.shape[2])).unsqueeze(2) * (x.abs() < 1)


Readout = Mean | SegmentMeans | Maximum | PositiveShare | PositiveMean | Together

READOUTS: dict[str, Callable[[int], Readout]] = {
    "mean": lambda length: Mean(),
    "means_2": partial(SegmentMeans, 2),
    "means_4": partial(SegmentMeans, 4),
    "means_8": partial(SegmentMeans, 8),
    "maximum": Maximum,
    "positive_share": lambda length: PositiveShare(),
    "positive_mean": lambda length: PositiveMean(),
}
"""Name to builder, which gets the time steps of what is read; the only list of readouts."""

DEPLOYABLE = ("mean", "means_2", "means_4", "means_8", "maximum")
"""Those that are layers of a network as it is deployed; ``graph.trace`` names the others."""


def build_readout(name: str, length: int) -> Readout:
    """The readout of a name, or of several that are joined by ``+``.

    >>> build_readout("mean+means_2", 4)(torch.arange(4.0).reshape(1, 1, 4))
    tensor([[1.5000, 0.5000, 2.5000]])

    Args:
        name: of one in ``READOUTS``, or several.
        length: time steps of what is read.

    Raises:
        InputError: for a name that is not in the list.
    """
    names = name.split("+")
    unknown = [each for each in names if each not in READOUTS]
    if unknown:
        raise InputError(
            f"`readout`: found {', '.join(unknown)}; allowed: {', '.join(READOUTS)}, and several joined by +"
        )
    readouts = [READOUTS[each](length) for each in names]
    return readouts[0] if len(readouts) == 1 else Together(readouts)


def keeps_position(name: str) -> bool:
    """Whether a readout tells the head where in the window something is.

    >>> keeps_position("means_4"), keeps_position("mean+maximum")
    (True, False)
    """
    return any(each.startswith("means_") for each in name.split("+"))
