"""Hand-made networks: what a search is held against."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from nas_lightning.errors import InputError
from nas_lightning.graph.norm import InputNorm
from nas_lightning.space.base import SCHEMA_VERSION
from nas_lightning.space.ops import conv_bn_relu
from nas_lightning.space.stem import Stem
from nas_lightning.tasks import Task, task_of

_MOST_BLOCKS = 20  # each but the last halves the length
_MOST_WEIGHTS = 100_000_000


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
        for before, after in pairwise(widths):
            blocks += [nn.MaxPool1d(3, 2, 1), conv_bn_relu(before, after, kernel_size, 1, affine=True)]
        self.blocks = nn.Sequential(*blocks)
        self.task, self.head = task, task.head(widths[-1])

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, C_in, L]`` to logits ``[B, K]``."""
        return self.head(self.blocks(self.stem(x)).mean(2))


@dataclass(frozen=True)
class ReferenceBlueprint:
    """A hand-made network; ``to_dict`` is the content of ``model.json``."""

    file: ClassVar[str] = "model.json"
    widths: tuple[int, ...]
    kernel_size: int
    task: Task

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))
        if not 1 <= len(self.widths) <= _MOST_BLOCKS or min(self.widths) < 1:
            raise InputError(f"`widths`: found {list(self.widths)}; allowed: 1 to {_MOST_BLOCKS} widths of 1 or more")
        if self.kernel_size < 1 or self.kernel_size % 2 == 0:
            raise InputError(f"`kernel_size`: found {self.kernel_size}; allowed: an odd number of 1 or more")
        weights = self.kernel_size * sum(a * b for a, b in pairwise([self.task.in_channels, *self.widths]))
        if weights > _MOST_WEIGHTS:
            raise InputError(
                f"`widths` {list(self.widths)} and `kernel_size` {self.kernel_size} make a network of {weights:,} "
                f"weights; allowed: up to {_MOST_WEIGHTS:,}"
            )

    @property
    def total_stride(self) -> int:
        """Steps of the input behind one step of the last block."""
        return 2 ** (len(self.widths) - 1)

    def build(self) -> ConvNet:
        """The network with fresh weights."""
        return ConvNet(self.task, self.widths, self.kernel_size)

    def to_dict(self) -> dict[str, Any]:
        """Plain types only, ready for JSON."""
        return {
            "schema_version": SCHEMA_VERSION,
            "widths": list(self.widths),
            "kernel_size": self.kernel_size,
            "task": self.task.to_dict(),
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "ReferenceBlueprint":
        """The inverse of ``to_dict``.

        Raises:
            InputError: if a part is missing.
        """
        try:
            return cls(tuple(map(int, content["widths"])), int(content["kernel_size"]), task_of(content["task"]))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"model: cannot be made of this ({error!r})") from error

    def summary(self) -> list[tuple[str, str]]:
        """Its widths and its kernel."""
        return [("hand-made", f"widths {list(self.widths)}, kernel {self.kernel_size}")]


@dataclass(frozen=True)
class OwnBlueprint:
    """A network of the user's own, behind the normalisation of all; ``to_dict`` is the content of ``model.json``.

    Attributes:
        record: the dotted name of its class as ``_target_``, and its arguments but for ``task``.
        make: makes it of ``task``.
        task: what the data ask of it.
    """

    record: dict[str, Any]
    make: Callable[..., nn.Module] = field(compare=False)
    task: Task
    file: ClassVar[str] = "model.json"
    total_stride: ClassVar[int] = 1  # what it needs is only known to itself

    def build(self) -> nn.Module:
        """The network with fresh weights.

        Raises:
            InputError: if it is no module, or gives other outputs than the task asks for.
        """
        own, task = self.make(task=self.task), self.task
        if not isinstance(own, nn.Module):
            raise InputError(f"`_target_`: found a {type(own).__name__}; allowed: what makes a torch.nn.Module")
        outputs = own.eval()(torch.zeros(1, task.in_channels, task.length))
        if outputs.shape != (1, task.num_outputs):
            raise InputError(
                f"`_target_`: found {type(own).__name__}, which makes {list(outputs.shape)} of "
                f"[1, {task.in_channels}, {task.length}]; allowed: [1, {task.num_outputs}]"
            )
        return nn.Sequential(InputNorm(task.in_channels, affine=True), own).train()

    def to_dict(self) -> dict[str, Any]:
        """Plain types only, ready for JSON."""
        return {"schema_version": SCHEMA_VERSION, "own": self.record, "task": self.task.to_dict()}

    def summary(self) -> list[tuple[str, str]]:
        """The name of its class."""
        return [("hand-made", self.record["_target_"])]
