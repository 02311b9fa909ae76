"""When a value lies in memory: from the step that makes it to the last step that reads it."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from nas_lightning.graph.trace import LayerGraph

Value = TypeVar("Value", bound=Hashable)


@dataclass(frozen=True)
class Buffer:
    """A piece of memory.

    Attributes:
        size: in elements.
        first: the step that writes it first.
        last: the last step that reads it; at both steps it is taken.
    """

    size: int
    first: int
    last: int

    def meets(self, other: "Buffer") -> bool:
        """Whether both are taken at one step."""
        return self.first <= other.last and other.first <= self.last


def least_size(buffers: Sequence[Buffer]) -> int:
    """The most elements taken at one step; no arena can be smaller."""
    return max(sum(b.size for b in buffers if b.first <= step <= b.last) for step in {b.first for b in buffers})


@dataclass(frozen=True)
class Step:
    """What one step reads and makes, and whether what it makes can take the place of the first that it reads."""

    reads: Sequence[Hashable]
    makes: Hashable
    in_place: bool = False


def buffers_of(sizes: Mapping[Value, int], steps: Sequence[Step]) -> tuple[dict[Value, Buffer], dict[Value, Value]]:
    """The buffers that values need, by the value that each is made for, and for every value whose buffer it has.

    A value takes the place of another only if no later step reads that one.

    Args:
        sizes: elements of each value; what is not in it lies elsewhere.
        steps: in order.
    """
    uses: dict[Hashable, list[int]] = {}
    for i, step in enumerate(steps):
        for value in {*step.reads, step.makes}:
            uses.setdefault(value, []).append(i)
    found = {value: Buffer(size, uses[value][0], uses[value][-1]) for value, size in sizes.items()}
    owners = {value: value for value in sizes}
    for i, step in enumerate(steps):
        if step.in_place and step.makes in owners and step.reads[0] in owners and uses[step.reads[0]][-1] == i:
            owner = owners[step.makes] = owners[step.reads[0]]
            found[owner] = replace(found[owner], last=found.pop(step.makes).last)
    return found, owners


def peak_elements(graph: LayerGraph) -> int:
    """The most elements of a network's values in memory at one step.

    A sample that is only normalised lies in the memory of who calls the network.
    """
    sizes = {i: layer.out_shape.numel() for i, layer in enumerate(graph.layers, start=1)}
    if set(graph.reading_kinds(0)) != {"affine"}:
        sizes = {0: graph.in_shape.numel()} | sizes
    steps = [Step(layer.inputs, i, layer.kind.in_place) for i, layer in enumerate(graph.layers, start=1)]
    buffers, _ = buffers_of(sizes, [*steps, Step((graph.output,), "the end")])
    return least_size(list(buffers.values()))
