import itertools
import random

import pytest

from nas_lightning.space.cells.order import CellGraph, best_order


def peak_of(graph, order, input_elements, node_elements, doubled=()):
    """The peak of one order, by keeping a set of values: another way than the package's."""
    holder = {0: 0}
    for node, (source, makes) in enumerate(zip(graph.sources, graph.makes_value, strict=True), start=1):
        if makes is not None:
            holder[node] = node if makes else holder[source]
    last = range(len(graph.sources) - graph.num_concat + 1, len(graph.sources) + 1)
    reads = [(node, holder[graph.sources[node - 1]]) for node in order if holder[node] == node]
    size = {node: input_elements if node == 0 else node_elements for node in range(len(graph.sources) + 1)}
    alive, peak = {0}, input_elements
    for step, (node, source) in enumerate(reads):
        needed = {holder[n] for n in last} | {s for _, s in reads[step + 1 :]}
        alive &= needed | {source}
        peak = max(peak, sum(size[v] for v in alive) + node_elements)
        if node in doubled:  # a second convolution reads what the first one made
            kept = (alive & needed) | {node}
            peak = max(peak, sum(size[v] for v in kept) + node_elements)
        alive = (alive & needed) | {node}
    alive &= {holder[n] for n in last}
    copied = graph.num_concat if graph.num_concat > 1 else 0
    return max(peak, sum(size[v] for v in alive) + copied * node_elements)


def random_graph(rng):
    num_nodes = rng.randint(1, 5)
    num_concat = rng.randint(1, num_nodes)
    sources = tuple(rng.randrange(node) for node in range(1, num_nodes + 1))
    live = set(range(num_nodes - num_concat + 1, num_nodes + 1))
    for node in range(num_nodes, 0, -1):
        if node in live:
            live.add(sources[node - 1])
    makes = tuple(rng.choice([False, True, True]) if node in live else None for node in range(1, num_nodes + 1))
    return CellGraph(sources, makes, num_concat)


@pytest.mark.parametrize("seed", range(40))
def test_it_is_the_best_of_all_orders(seed):
    rng = random.Random(seed)
    graph, sizes = random_graph(rng), (rng.choice([7, 13, 14]), 7)
    peak, order = best_order(graph, *sizes)
    built = [node for node, makes in enumerate(graph.makes_value, start=1) if makes is not None]
    orders = [
        order
        for order in itertools.permutations(built)
        if all(graph.sources[node - 1] in (0, *order[:i]) for i, node in enumerate(order))
    ]
    assert order in orders
    doubled = {node for node in built if rng.random() < 0.5}
    assert peak_of(graph, order, *sizes, doubled) == peak  # two convolutions in a row need no more than one
    assert peak == peak_of(graph, order, *sizes) == min(peak_of(graph, order, *sizes) for order in orders)


def test_cells_with_many_nodes_keep_the_order_of_their_numbers():
    graph = CellGraph(tuple(range(13)), (True,) * 13, 1)
    assert best_order(graph, 10, 10) == (20, tuple(range(1, 14)))
