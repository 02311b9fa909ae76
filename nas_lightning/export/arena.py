"""One static arena for all values of a network: what lies where, planned by when each value is alive."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from nas_lightning.graph.liveness import Buffer, least_size

_TRIES = 500


@dataclass(frozen=True)
class Place:
    """Where a buffer lies from a step on, until its next place."""

    first: int
    offset: int


def plan_moving(buffers: Sequence[Buffer]) -> tuple[list[list[Place]], int]:
    """The places of each buffer, and the size of the arena, in elements.

    In a few networks no plan reaches ``least_size``, because what is left free lies in pieces. Then a buffer is moved
    between two steps: until then it is one buffer, from then on another, and only these two may overlap. At most one is
    moved between the same two steps.
    """
    least, pieces, owners = least_size(buffers), list(buffers), list(range(len(buffers)))
    offsets, size = plan(pieces)
    while size > least:
        taken = {piece.first for piece, owner in zip(pieces, owners, strict=True) if piece.first > buffers[owner].first}
        found: tuple[int, list[Buffer], list[int]] | None = None
        for i, piece in enumerate(pieces):
            for step in set(range(piece.first + 1, piece.last + 1)) - taken:
                split = [*pieces, replace(piece, first=step)]
                split[i] = replace(piece, last=step - 1)
                tried = plan(split, _TRIES // 10)[1]
                if tried < (size if found is None else found[0]):
                    found = tried, split, [*owners, owners[i]]
        if found is None:
            break
        size, pieces, owners = found
        offsets, size = plan(pieces, _TRIES // 10)
    places: list[list[Place]] = [[] for _ in buffers]
    for piece, owner, offset in zip(pieces, owners, offsets, strict=True):
        places[owner].append(Place(piece.first, offset))
    return [sorted(of_one, key=lambda place: place.first) for of_one in places], size


def plan(buffers: Sequence[Buffer], tries: int = _TRIES) -> tuple[list[int], int]:
    """The offset of each buffer, and the size of the arena, in elements.

    Each buffer in turn is laid into the lowest gap that holds it, the largest first. While that wastes memory, the
    first buffer that lies too high takes an earlier turn, and all are laid anew; the best of all is kept.
    """
    least, rng = least_size(buffers), random.Random(0)  # nosec B311 # an order to try, the same each time; no secret
    order = sorted(range(len(buffers)), key=lambda i: (-buffers[i].size, buffers[i].first))
    best: tuple[list[int], int] | None = None
    for _ in range(tries):
        offsets = _place(buffers, order)
        size = max(offsets[i] + buffers[i].size for i in order)
        if best is None or size < best[1]:
            best = [offsets[i] for i in range(len(buffers))], size
        if size == least:
            break
        turn = next(turn for turn, i in enumerate(order) if offsets[i] + buffers[i].size > least)
        order.insert(rng.randrange(turn) if turn else 0, order.pop(turn))
    assert best is not None  # nosec B101 # for mypy: the loop runs at least once
    return best


def _place(buffers: Sequence[Buffer], order: Sequence[int]) -> dict[int, int]:
    offsets: dict[int, int] = {}
    for i in order:
        offset = 0
        for j in sorted((j for j in offsets if buffers[j].meets(buffers[i])), key=lambda j: offsets[j]):
            if offset + buffers[i].size <= offsets[j]:
                break
            offset = max(offset, offsets[j] + buffers[j].size)
        offsets[i] = offset
    return offsets
