"""The plain description of a network of cells, which a run folder keeps."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from nas_lightning.errors import InputError
from nas_lightning.files import plain
from nas_lightning.space.base import SCHEMA_VERSION
from nas_lightning.space.cells.genotype import KINDS, Genotype
from nas_lightning.space.cells.network import Network
from nas_lightning.space.cells.size import Size
from nas_lightning.tasks import Task, task_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, kw_only=True)
class GenotypeFile:
    """The content of ``genotype.json``.

    Attributes:
        schema_version: of this description.
        normal: for each node of a normal cell its operation, and the node that it reads; node 0 is the cell's input.
        normal_concat: the nodes whose values are the output of a normal cell.
        reduce: the same for a reduction cell.
        reduce_concat: the same for a reduction cell.
        size: the outline of the network.
        task: what the data ask of it: the shape of a sample, and the number of classes.
        class_names: the class of each output; None where nobody named them.
    """

    schema_version: int
    normal: tuple[tuple[str, int], ...]
    normal_concat: tuple[int, ...]
    reduce: tuple[tuple[str, int], ...]
    reduce_concat: tuple[int, ...]
    size: Size
    task: dict[str, int]
    class_names: tuple[str, ...] | None = None


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

    @property
    def readout(self) -> str:
        """What the linear head sees of the last cell."""
        return self.size.readout

    def build(self) -> Network:
        """The network with fresh weights."""
        return Network(self.genotype, self.size, self.task)

    def to_dict(self) -> dict[str, Any]:
        """Plain types only, ready for JSON."""
        concat = tuple(range(self.genotype.num_nodes - self.size.fanout_concat + 1, self.genotype.num_nodes + 1))
        content: dict[str, Any] = plain(
            GenotypeFile(
                schema_version=SCHEMA_VERSION,
                normal=self.genotype.normal,
                normal_concat=concat,
                reduce=self.genotype.reduce,
                reduce_concat=concat,
                size=self.size,
                task=self.task.to_dict(),
            )
        )
        return content

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

    def picture(self) -> "Figure":
        """Both kinds of cell as graphs."""
        from nas_lightning.space.cells.pictures import genotype_drawing  # at need: whoever builds a network draws none

        return genotype_drawing(self.genotype, self.size.fanout_concat)

    def summary(self) -> list[tuple[str, str]]:
        """What the nodes of each kind of cell compute."""
        cells = {kind: enumerate(self.genotype.cell(kind), start=1) for kind in KINDS}
        return [
            (f"{kind} cell", ", ".join(f"{node}: {op} of {source}" for node, (op, source) in nodes))
            for kind, nodes in cells.items()
        ]
