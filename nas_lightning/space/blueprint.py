"""Blueprints: the plain description of a fixed network that a run folder keeps, and the network built from it."""

from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from nas_lightning.errors import InputError
from nas_lightning.space.genotype import Genotype
from nas_lightning.space.network import ConvNet, Network
from nas_lightning.space.size import Size
from nas_lightning.tasks import Task, task_of

SCHEMA_VERSION = 1

_MOST_BLOCKS = 20  # each but the last halves the length
_MOST_WEIGHTS = 100_000_000


@dataclass(frozen=True)
class SearchedBlueprint:
    """A searched network; ``to_dict`` is the content of ``genotype.json``."""

    genotype: Genotype
    size: Size
    task: Task

    def build(self) -> Network:
        """The network with fresh weights."""
        return Network(self.genotype, self.size, self.task)

    def to_dict(self) -> dict[str, Any]:
        """Plain types only, ready for JSON."""
        concat = list(range(self.genotype.num_nodes - self.size.fanout_concat + 1, self.genotype.num_nodes + 1))
        return {
            "schema_version": SCHEMA_VERSION,
            "normal": [list(node) for node in self.genotype.normal],
            "normal_concat": concat,
            "reduce": [list(node) for node in self.genotype.reduce],
            "reduce_concat": concat,
            "size": asdict(self.size),
            "task": self.task.to_dict(),
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "SearchedBlueprint":
        """The inverse of ``to_dict``.

        Raises:
            InputError: if a part is missing or cannot be a network.
        """
        try:
            cells = {
                kind: tuple((str(op), int(source)) for op, source in content[kind]) for kind in ("normal", "reduce")
            }
            size, task = Size(**content["size"]), task_of(content["task"])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"genotype: cannot be made of this ({error!r})") from error
        genotype = Genotype(**cells)
        if genotype.num_nodes != size.nodes_per_layer:
            raise InputError(
                f"genotype: {genotype.num_nodes} nodes are described, the size says {size.nodes_per_layer}"
            )
        return cls(genotype, size, task)


@dataclass(frozen=True)
class ReferenceBlueprint:
    """A hand-made network; ``to_dict`` is the content of ``model.json``."""

    widths: tuple[int, ...]
    kernel_size: int
    task: Task

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))
        if not 1 <= len(self.widths) <= _MOST_BLOCKS or min(self.widths) < 1:
            raise InputError(
                f"model.widths: found {list(self.widths)}; allowed: 1 to {_MOST_BLOCKS} widths of 1 or more"
            )
        if self.kernel_size < 1 or self.kernel_size % 2 == 0:
            raise InputError(f"model.kernel_size: found {self.kernel_size}; allowed: an odd number of 1 or more")
        weights = self.kernel_size * sum(a * b for a, b in pairwise([self.task.in_channels, *self.widths]))
        if weights > _MOST_WEIGHTS:
            raise InputError(
                f"model: widths {list(self.widths)} and kernel_size {self.kernel_size} make a network of {weights:,} "
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


Blueprint = SearchedBlueprint | ReferenceBlueprint
