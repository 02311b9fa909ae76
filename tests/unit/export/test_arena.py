"""Plans of one arena: what is alive at once lies apart, in as little memory as possible."""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_networks import random_size, random_task

from nas_lightning.export.arena import plan
from nas_lightning.graph.liveness import Buffer, least_size

SPANS = st.tuples(st.integers(1, 40), st.integers(0, 12), st.integers(0, 6))
BUFFERS = st.lists(SPANS.map(lambda span: Buffer(span[0], span[1], span[1] + span[2])), min_size=1, max_size=12)


def check(buffers):
    """The size of a plan in which nothing that is alive at once overlaps."""
    offsets, size = plan(buffers)
    assert len(offsets) == len(buffers)
    assert min(offsets) >= 0
    assert max(offset + buffer.size for offset, buffer in zip(offsets, buffers, strict=True)) == size
    for (a, at_a), (b, at_b) in itertools.combinations(zip(buffers, offsets, strict=True), 2):
        if a.first <= b.last and b.first <= a.last:
            assert at_a + a.size <= at_b or at_b + b.size <= at_a
    assert size >= least_size(buffers)
    return size


@given(BUFFERS)
def test_what_is_alive_at_once_lies_apart(buffers):
    check(buffers)
    assert plan(buffers) == plan(buffers)


@given(BUFFERS)
def test_the_least_size_is_the_most_that_is_alive_at_one_step(buffers):
    assert least_size(buffers) == max(
        sum(b.size for b in buffers if b.first <= step <= b.last) for step in range(max(b.last for b in buffers) + 1)
    )


@pytest.mark.parametrize(
    ("first", "second", "meet"),
    [
        (Buffer(1, 0, 1), Buffer(1, 1, 2), True),  # a step reads one and makes the other
        (Buffer(1, 0, 1), Buffer(1, 2, 3), False),
        (Buffer(1, 0, 9), Buffer(1, 3, 4), True),
        (Buffer(1, 2, 2), Buffer(1, 2, 2), True),
    ],
)
def test_buffers_meet_if_they_share_a_step(first, second, meet):
    assert first.meets(second) is second.meets(first) is meet


def test_memory_is_used_again():
    assert plan([Buffer(4, 0, 1), Buffer(2, 1, 2), Buffer(4, 2, 3)]) == ([0, 4, 0], 6)
    assert plan([Buffer(3, 0, 2), Buffer(2, 0, 0), Buffer(2, 1, 2)]) == ([0, 3, 3], 5)
    assert plan([Buffer(7, 0, 0)]) == ([0], 7)


WASTED = [Buffer(3, 0, 1), Buffer(4, 3, 3), Buffer(3, 1, 2), Buffer(2, 2, 3)]


def largest_first(buffers):
    """The size if each in turn, the largest first, is laid into the lowest gap that holds it."""
    placed = []
    for buffer in sorted(buffers, key=lambda buffer: (-buffer.size, buffer.first)):
        taken = sorted((at, at + other.size) for other, at in placed if other.meets(buffer))
        at = 0
        for start, end in taken:
            if at + buffer.size <= start:
                break
            at = max(at, end)
        placed.append((buffer, at))
    return max(at + buffer.size for buffer, at in placed)


def test_another_order_is_taken_where_the_largest_first_wastes_memory():
    assert least_size(WASTED) == 6
    assert largest_first(WASTED) == 8
    assert check(WASTED) == 6


@given(BUFFERS)
def test_it_is_never_worse_than_the_largest_first(buffers):
    assert plan(buffers)[1] <= largest_first(buffers)


def chain_of_cells(rng):
    """Values of a network: a stem, and cells of an input, nodes that read a random earlier one, and a copy of all."""
    size, task = random_size(rng), random_task(rng)
    values = [[size.stem_channels * task.length, 0, 0]]  # elements, the step that makes it, the last that reads it
    for cell, lengths in zip(size.plan(), size.lengths(task.length), strict=True):
        before, nodes = values[-1], []
        for node in range(size.nodes_per_layer + 1):
            source = rng.choice(nodes) if nodes else before
            source[2] = len(values)
            nodes.append([cell.channels * lengths[node > 0], len(values), len(values)])
            values.append(nodes[-1])
        for node in nodes[1:]:
            node[2] = len(values)
        values.append([cell.channels * lengths[1] * size.nodes_per_layer, len(values), len(values)])
    return [Buffer(*value) for value in values]


@pytest.mark.parametrize("seed", range(20))
def test_chains_of_cells_need_no_more_than_what_is_alive(seed):
    buffers = chain_of_cells(random.Random(seed))
    assert check(buffers) == least_size(buffers)
