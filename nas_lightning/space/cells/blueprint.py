"""The plain description of a network of cells, which a run folder keeps."""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from nas_lightning.errors import InputError
from nas_lightning.space.base import SCHEMA_VERSION
from nas_lightning.space.cells.genotype import KINDS, Genotype
from nas_lightning.space.cells.network import Network
from nas_lightning.space.cells.size import Size
from nas_lightning.tasks import Task, task_of


@dataclass(frozen=True)
class CellBlueprint:
    """A searched network; ``to_dict`` is the content of ``genotype.json``."""

    file: ClassVar[str] = "genotype.json"
    genotype: Genotype
    size: Size
    task: Task

    @property
    def total_stride(self) -> int:
        """Steps of the input behind one step of the last cell."""
        return self.size.total_stride

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
    def from_dict(cls, content: dict[str, Any]) -> "CellBlueprint":
        """The inverse of ``to_dict``.

        Raises:
            InputError: if a part is missing or cannot be a network.
        """
        try:
            cells = {kind: tuple((str(op), int(source)) for op, source in content[kind]) for kind in KINDS}
            size, task = Size(**content["size"]), task_of(content["task"])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"genotype: cannot be made of this ({error!r})") from error
        genotype = Genotype(**cells)
        if genotype.num_nodes != size.nodes_per_layer:
            raise InputError(
                f"genotype: {genotype.num_nodes} nodes are described, the size says {size.nodes_per_layer}"
            )
        return cls(genotype, size, task)

    def summary(self) -> list[tuple[str, str]]:
        """What the nodes of each kind of cell compute."""
        cells = {kind: enumerate(self.genotype.cell(kind), start=1) for kind in KINDS}
        return [
            (f"{kind} cell", ", ".join(f"{node}: {op} of {source}" for node, (op, source) in nodes))
            for kind, nodes in cells.items()
        ]
