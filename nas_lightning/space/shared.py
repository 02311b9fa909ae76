"""A trunk under a head for each of several readouts: one training tries all of them, and the best is kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from nas_lightning.files import plain
from nas_lightning.space.readouts import Together
from nas_lightning.space.trunk import Block, Trunk, TrunkBlueprint
from nas_lightning.tasks import Task


class SharedTrunk(Trunk):
    """A trunk whose features several linear heads read, each through a readout of its own.

    ``forward`` maps ``[B, C_in, L]`` to outputs ``[B, R, K]``, of each of R readouts.

    >>> from nas_lightning.tasks import Classification
    >>> shared = SharedTrunk(Classification(1, 50, 3), [Block("full", 4, 7, stride=2)], ["mean", "means_4"])
    >>> shared(torch.randn(2, 1, 50)).shape, shared.alone(1)(torch.randn(2, 1, 50)).shape
    (torch.Size([2, 2, 3]), torch.Size([2, 3]))

    Args:
        task: input channels, length and outputs.
        blocks: at least one.
        readouts: two or more, see ``build_readout``.
    """

    readout: Together
    head: "Heads"

    def __init__(self, task: Task, blocks: Sequence[Block], readouts: Sequence[str]) -> None:
        super().__init__(task, blocks, "+".join(readouts))
        self.blueprint = SharedBlueprint(tuple(blocks), task, tuple(readouts))

    def _new_head(self, channels: int) -> "Heads":
        return Heads(self.task, [each.columns(channels) for each in self.readout.parts()])

    def alone(self, index: int) -> Trunk:
        """The network with one of the readouts, with the same weights."""
        network = self.blueprint.alone(index).build().to(next(self.parameters()))
        for name in ("norm", "blocks"):
            getattr(network, name).load_state_dict(getattr(self, name).state_dict())
        network.head.load_state_dict(self.head.heads[index].state_dict())
        return network.train(self.training)


class Heads(nn.Module):
    """A head for each of several readouts whose columns lie side by side.

    Args:
        task: of the outputs.
        columns: by readout.
    """

    def __init__(self, task: Task, columns: Sequence[int]) -> None:
        super().__init__()
        self.columns, self.heads = list(columns), nn.ModuleList(map(task.head, columns))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, columns of all]`` to ``[B, R, K]``."""
        return torch.stack([head(part) for head, part in zip(self.heads, x.split(self.columns, 1), strict=True)], 1)


@dataclass(frozen=True)
class SharedBlueprint:
    """A trunk whose readout is chosen by its training.

    Attributes:
        blocks: at least one.
        task: what the data ask of it.
        readouts: two or more to choose from, see ``build_readout``.
    """

    file: ClassVar[str] = TrunkBlueprint.file
    blocks: tuple[Block, ...]
    task: Task
    readouts: tuple[str, ...]

    def __post_init__(self) -> None:
        for index in range(len(self.readouts)):
            self.alone(index)  # refuses what cannot be built

    def alone(self, index: int) -> TrunkBlueprint:
        """The network with one of the readouts."""
        return TrunkBlueprint(self.blocks, self.task, self.readouts[index])

    def build(self) -> SharedTrunk:
        """The network in training, with fresh weights."""
        return SharedTrunk(self.task, self.blocks, self.readouts)

    def to_dict(self) -> dict[str, Any]:
        """Plain types only, ready for JSON."""
        return {**self.alone(0).to_dict(), "readout": plain(self.readouts)}

    def summary(self) -> list[tuple[str, str]]:
        """Its blocks in short, and the readouts."""
        blocks, _ = self.alone(0).summary()
        return [blocks, ("readouts", ", ".join(self.readouts))]
