"""The order in which the nodes of a fixed cell run: the one that needs the least memory for values.

A value lies in memory from the step that makes it to the last step that reads it. The identity makes no value of its
own. All sizes are numbers of elements.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

_MOST_NODES = 12
"""Of a cell whose orders are all considered; their number of states is 2 to this power."""


@dataclass(frozen=True)
class CellGraph:
    """What decides how much memory a cell needs.

    Attributes:
        sources: for nodes 1 to n the node that each reads.
        makes_value: for nodes 1 to n whether its operation makes a value, as all do but the identity; None for a node
            that is not built.
        num_concat: how many of the last nodes are concatenated.
    """

    sources: tuple[int, ...]
    makes_value: tuple[bool | None, ...]
    num_concat: int


@lru_cache(maxsize=2**16)
def best_order(graph: CellGraph, input_elements: int, node_elements: int) -> tuple[int, tuple[int, ...]]:
    """The least peak of elements in memory, and the order of the nodes that has it.

    Counted from the time that node 0 is there up to and including the concatenation, which copies. Of all orders if the
    cell has at most 12 nodes, else the order of the numbers.

    >>> best_order(CellGraph((0, 0), (True, True), 2), 10, 10)
    (40, (1, 2))

    Args:
        graph: the cell.
        input_elements: of node 0.
        node_elements: of every other node.
    """
    cell = _Cell(graph, input_elements, node_elements)
    runs = range(len(cell.parents))
    if len(graph.sources) > _MOST_NODES:
        peak, done = cell.live(0), 0
        for i in runs:
            peak, done = max(peak, cell.step(done, i)), done | 1 << i
        return max(peak, cell.at_concat(done)), cell.with_aliases(runs)
    best: dict[int, tuple[int, tuple[int, ...]]] = {0: (cell.live(0), ())}  # what has run: peak so far, order
    for done in range(1 << len(runs)):
        if done not in best:
            continue
        peak, order = best[done]
        for i in runs:
            if not done >> i & 1 and cell.is_ready(done, i):
                found = (max(peak, cell.step(done, i)), (*order, i))
                after = done | 1 << i
                best[after] = min(best.get(after, found), found)
    peak, order = best[(1 << len(runs)) - 1]
    return max(peak, cell.at_concat((1 << len(runs)) - 1)), cell.with_aliases(order)


class _Cell:
    """The nodes that make values, numbered from 0; a set of them is an integer with one bit each."""

    def __init__(self, graph: CellGraph, input_elements: int, node_elements: int) -> None:
        self.graph, self.node_elements, self.input_elements = graph, node_elements, input_elements
        self.built = [node for node, makes in enumerate(graph.makes_value, start=1) if makes is not None]
        self.makers = [node for node in self.built if graph.makes_value[node - 1]]
        position = {node: i for i, node in enumerate(self.makers)}
        self.holder = {0: -1}  # which maker's value a node is; -1 for the value of node 0
        for node in self.built:
            self.holder[node] = position.get(node, self.holder[graph.sources[node - 1]])
        self.parents = [self.holder[graph.sources[node - 1]] for node in self.makers]
        last = range(len(graph.sources) - graph.num_concat + 1, len(graph.sources) + 1)
        self.kept = {self.holder[node] for node in last}

    def is_ready(self, done: int, i: int) -> bool:
        return self.parents[i] < 0 or bool(done >> self.parents[i] & 1)

    def live(self, done: int) -> int:
        """Elements that are there and still needed when ``done`` have run."""
        needed = self.kept | {parent for i, parent in enumerate(self.parents) if not done >> i & 1}
        return sum(
            self.input_elements if holder < 0 else self.node_elements
            for holder in needed
            if holder < 0 or done >> holder & 1
        )

    def step(self, done: int, i: int) -> int:
        """The elements in memory while maker i runs after ``done``.

        Two convolutions in a row, with a value between them, need no more: if what they read is gone by the second,
        that value has its place; if it is still needed, its next reader needs as much, or the concatenation does.
        """
        return self.live(done) + self.node_elements

    def at_concat(self, done: int) -> int:
        copied = self.graph.num_concat if self.graph.num_concat > 1 else 0  # a single value is the output as it is
        return self.live(done) + copied * self.node_elements

    def with_aliases(self, order: Sequence[int]) -> tuple[int, ...]:
        """The makers in this order, and every identity right behind what it reads."""
        nodes: list[int] = []

        def add(node: int) -> None:
            if node:
                nodes.append(node)
            for alias in self.built:
                if self.graph.sources[alias - 1] == node and not self.graph.makes_value[alias - 1]:
                    add(alias)

        add(0)
        for i in order:
            add(self.makers[i])
        return tuple(nodes)
