"""One static arena for all values of a network: what lies where, planned by when each value is alive."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

_TRIES = 500


@dataclass(frozen=True)
class Buffer:
    """A value in memory.

    Attributes:
        size: in elements.
        first: the step that makes it.
        last: the last step that reads it; at both steps it lies in memory.
    """

    size: int
    first: int
    last: int

    def meets(self, other: "Buffer") -> bool:
        """Whether both are alive at one step."""
        return self.first <= other.last and other.first <= self.last


def least_size(buffers: Sequence[Buffer]) -> int:
    """The most elements alive at one step; no arena can be smaller."""
    return max(sum(b.size for b in buffers if b.first <= step <= b.last) for step in {b.first for b in buffers})


def plan(buffers: Sequence[Buffer]) -> tuple[list[int], int]:
    """The offset of each buffer, and the size of the arena, in elements.

    Each buffer in turn is laid into the lowest gap that holds it, the largest first. While that wastes memory, the
    first buffer that lies too high takes an earlier turn, and all are laid anew; the best of all is kept.
    """
    least, rng = least_size(buffers), random.Random(0)
    order = sorted(range(len(buffers)), key=lambda i: (-buffers[i].size, buffers[i].first))
    best: tuple[list[int], int] | None = None
    for _ in range(_TRIES):
        offsets = _place(buffers, order)
        size = max(offsets[i] + buffers[i].size for i in order)
        if best is None or size < best[1]:
            best = [offsets[i] for i in range(len(buffers))], size
        if size == least:
            break
        turn = next(turn for turn, i in enumerate(order) if offsets[i] + buffers[i].size > least)
        order.insert(rng.randrange(turn) if turn else 0, order.pop(turn))
    assert best is not None
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
