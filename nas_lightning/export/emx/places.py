"""Where values lie in the arena, and the calls between which they move."""

from collections.abc import Sequence

from nas_lightning.export.arena import Place, plan_moving
from nas_lightning.export.emx.form import Array, Step
from nas_lightning.export.operators import FLOATS
from nas_lightning.graph.layers import LAYERS
from nas_lightning.graph.liveness import Step as Reading
from nas_lightning.graph.liveness import buffers_of

_IN_PLACE = {operator for name, kind in LAYERS.items() if kind.in_place for operator in FLOATS[name]}


def plan_places(
    values: dict[str, Array], steps: Sequence[Step], operators: dict[str, str]
) -> tuple[dict[str, list[Place]], int]:
    """Where each value lies in the arena, and the size of the arena, in elements.

    A value that is made in place of another shares that one's list of places, and has only those from its own step on.
    """
    reads = [Reading(step.arguments[:-1], step.arguments[-1], operators[step.function] in _IN_PLACE) for step in steps]
    buffers, owners = buffers_of({name: value.size for name, value in values.items()}, reads)
    found, size = plan_moving(list(buffers.values()))
    where = dict(zip(buffers, found, strict=True))
    uses = {name: [i for i, step in enumerate(steps) if name in step.arguments] for name in values}
    return {name: _within(where[owners[name]], uses[name][0], uses[name][-1]) for name in values}, size


def _within(places: Sequence[Place], first: int, last: int) -> list[Place]:
    """Those of a value that is there from one step to another."""
    before = [place for place in places if place.first <= first]
    return [before[-1], *(place for place in places if first < place.first <= last)]


def calls_between_moves(steps: Sequence[Step], values: dict[str, Array], places: dict[str, list[Place]]) -> list[str]:
    """The calls, and between them what moves a value to another place in the arena."""
    lines, at = [], {name: of_one[0].offset for name, of_one in places.items()}
    now = {name: name for name in values}
    for i, step in enumerate(steps):
        for name, of_one in places.items():
            for place in of_one[1:]:
                if place.first == i:
                    value, now[name] = values[name], f"{name}_at_{i}"
                    size = f"{value.size} * sizeof *arena"
                    lines.append(f"    memmove(arena + {place.offset}, arena + {at[name]}, {size});")
                    lines.append(pointer(now[name], value, f"arena + {place.offset}"))
                    at[name] = place.offset
        arguments = ", ".join(now.get(argument, argument) for argument in step.arguments)
        lines.append(f"    {step.function}({arguments});")
    return lines


def pointer(name: str, value: Array, address: str) -> str:
    """A declaration by which an address is used as an array."""
    rest = value.dims[value.dims.index("]") + 1 :]
    return f"    {value.type} (*const {name}){rest} = ({value.type} (*){rest})({address});"
