"""A network of convolutions in a row, of any kind, reach and stride, before a readout."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from math import prod
from typing import Any, ClassVar, Literal, get_args

from torch import Tensor, nn

from nas_lightning.errors import InputError
from nas_lightning.files import plain
from nas_lightning.graph.norm import InputNorm
from nas_lightning.kernels.network_ops import STRIDES
from nas_lightning.space.base import SCHEMA_VERSION
from nas_lightning.space.readouts import DEPLOYABLE, build_readout
from nas_lightning.tasks import Task, task_of

BlockKind = Literal["full", "depthwise", "separable", "pool"]

_MOST_BLOCKS, _MOST_WEIGHTS = 50, 100_000_000
_POOL = 3  # steps


@dataclass(frozen=True)
class Block:
    """A part of a trunk: ``[B, C_in, L]`` to ``[B, channels, ceil(L / stride)]``.

    Attributes:
        kind: convolution, BatchNorm and ReLU, of which the convolution is ``full``; ``depthwise``, each channel alone;
            or ``separable``, depthwise and then 1x1. Or a maximum ``pool`` of three steps.
        channels: of its output; for ``depthwise`` and ``pool`` those of its input.
        kernel_size: odd; 3 for ``pool``.
        stride: 1, 2 or 4.
        dilation: steps between taps; 1 for ``pool``.
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
        if self.kind == "pool" and (self.kernel_size, self.dilation) != (_POOL, 1):
            raise InputError(
                f"block: found a pool of {self.kernel_size} taps, dilation {self.dilation}; allowed: {_POOL}, 1"
            )

    @property
    def keeps_channels(self) -> bool:
        """Whether its output has the channels of its input."""
        return self.kind in ("depthwise", "pool")

    def length(self, length: int) -> int:
        """Time steps of its output for so many of its input."""
        return -(-length // self.stride)

    def weights(self, in_channels: int) -> int:
        """The weights of its convolutions."""
        each = {
            "full": in_channels * self.channels * self.kernel_size,
            "depthwise": in_channels * self.kernel_size,
            "separable": in_channels * (self.kernel_size + self.channels),
            "pool": 0,
        }
        return each[self.kind]

    def build(self, in_channels: int) -> nn.Module:
        """Its layers.

        Raises:
            InputError: for one that keeps the number of channels and is to change it.
        """
        if self.keeps_channels and self.channels != in_channels:
            raise InputError(
                f"block: found {self.channels} channels; allowed: {in_channels}, for {self.kind} keeps them"
            )
        if self.kind == "pool":
            return nn.MaxPool1d(_POOL, self.stride, _POOL // 2)
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
    >>> Trunk(Classification(1, 50, 3), blocks, "means_4")(torch.randn(2, 1, 50)).shape
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
        self.readout = build_readout(readout, reduce(lambda steps, block: block.length(steps), blocks, task.length))
        self.task = task
        self.head = self._new_head(channels[-1])

    def _new_head(self, channels: int) -> nn.Module:
        return self.task.head(self.readout.columns(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, C_in, L]`` to logits ``[B, K]``."""
        return self.head(self.readout(self.blocks(self.norm(x))))


@dataclass(frozen=True)
class TrunkBlueprint:
    """A network of blocks in a row; ``to_dict`` is the content of ``model.json``.

    Attributes:
        blocks: at least one.
        task: what the data ask of it.
        readout: see ``build_readout``.
    """

    file: ClassVar[str] = "model.json"
    blocks: tuple[Block, ...]
    task: Task
    readout: str = "mean"

    def __post_init__(self) -> None:
        blocks = self.blocks
        if not 1 <= len(blocks) <= _MOST_BLOCKS:
            raise InputError(f"`blocks`: found {len(blocks)}; allowed: 1 to {_MOST_BLOCKS}")
        before = [self.task.in_channels, *(block.channels for block in blocks)]
        weights = sum(block.weights(channels) for block, channels in zip(blocks, before, strict=False))
        if weights > _MOST_WEIGHTS:
            raise InputError(f"`blocks` make a network of {weights:,} weights; allowed: up to {_MOST_WEIGHTS:,}")
        # The first one's are those of the data, which are not known where a configuration is checked.
        for block, channels in zip(blocks[1:], before[1:], strict=False):
            if block.keeps_channels and block.channels != channels:
                raise InputError(
                    f"`blocks`: found {block.kind} of {block.channels} channels; allowed: {channels}, for it keeps them"
                )
        build_readout(self.readout, 1)

    @property
    def total_stride(self) -> int:
        """Steps of the input behind one step of the last block."""
        return prod(block.stride for block in self.blocks)

    def build(self) -> Trunk:
        """The network with fresh weights."""
        return Trunk(self.task, self.blocks, self.readout)

    def to_dict(self) -> dict[str, Any]:
        """Plain types only, ready for JSON."""
        return {
            "schema_version": SCHEMA_VERSION,
            "blocks": plain(self.blocks),
            "readout": self.readout,
            "task": self.task.to_dict(),
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "TrunkBlueprint":
        """The inverse of ``to_dict``.

        Raises:
            InputError: if a part is missing or cannot be a network.
        """
        try:
            blocks = tuple(Block(**each) for each in content["blocks"])
            return cls(blocks, task_of(content["task"]), str(content["readout"]))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"model: cannot be made of this ({error!r})") from error

    def summary(self) -> list[tuple[str, str]]:
        """Its blocks in short, and what is read of the last one."""
        return [("blocks", ", ".join(map(_short, self.blocks))), ("readout", self.readout)]


def listed_trunk(blocks: list[list[Any]], task: Task, readout: str = "mean") -> TrunkBlueprint:
    """A network of blocks as a configuration lists them: kind, channels, taps, stride, dilation.

    Args:
        blocks: at least one; stride and dilation may be missing.
        task: what the data ask of it.
        readout: see ``build_readout``.

    Raises:
        InputError: for what is no block, or cannot follow the one before it, or a readout that cannot be deployed.
    """
    if readout not in DEPLOYABLE:
        raise InputError(f"`readout`: found {readout}; allowed: {', '.join(DEPLOYABLE)}")
    return TrunkBlueprint(tuple(map(_block_of, blocks)), task, readout)


def _block_of(given: list[Any]) -> Block:
    try:
        return Block(*given)
    except TypeError as error:
        raise InputError(
            f"`blocks`: found {given!r}; allowed: [kind, channels, kernel_size, stride, dilation], of which the last "
            "two may be missing"
        ) from error


def _short(block: Block) -> str:
    """One block: ``full 8 x 5 /2`` has 8 channels, 5 taps and stride 2."""
    more = f" /{block.stride}" * (block.stride > 1) + f" dilated by {block.dilation}" * (block.dilation > 1)
    return f"{block.kind} {block.channels} x {block.kernel_size}{more}"
