"""The genotype: what a search found, and how it is read off the op weights."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from nas_lightning.errors import InputError
from nas_lightning.space.ops import OPS
from nas_lightning.space.size import edges, rows_into

KINDS = ("normal", "reduce")
"""The kinds of cell; all cells of a kind share one set of alphas."""


@dataclass(frozen=True)
class Genotype:
    """One ``(operation, input node)`` per node, for both kinds of cell.

    Node 0 is the cell's input; entry i describes node i + 1.

    >>> Genotype((("skip_connect", 0),), (("conv_bn_relu_3x1", 0),)).num_nodes
    1

    Raises:
        InputError: if the kinds differ in length, an operation is unknown, or a node reads a node that is not earlier.
    """

    normal: tuple[tuple[str, int], ...]
    reduce: tuple[tuple[str, int], ...]

    def __post_init__(self) -> None:
        if not 0 < len(self.normal) == len(self.reduce):
            raise InputError(
                f"genotype: normal has {len(self.normal)} nodes and reduce {len(self.reduce)}; "
                "both need the same number, at least 1"
            )
        for kind in KINDS:
            for node, (op, source) in enumerate(self.cell(kind), start=1):
                if op not in OPS or op == "none":
                    raise InputError(f"genotype: unknown operation {op!r} in {kind} node {node}")
                if not 0 <= source < node:
                    raise InputError(f"genotype: {kind} node {node} reads node {source}; allowed: 0 to {node - 1}")

    @property
    def num_nodes(self) -> int:
        """Nodes of a cell besides its input."""
        return len(self.normal)

    def cell(self, kind: str) -> tuple[tuple[str, int], ...]:
        """The nodes of one kind of cell, ``"normal"`` or ``"reduce"``."""
        return self.normal if kind == "normal" else self.reduce


def live_nodes(cell: Sequence[tuple[str, int]], fanout_concat: int) -> set[int]:
    """Nodes whose value reaches the output of a cell of ``(operation, source)``; the others are not built."""
    live: set[int] = set()
    for node in range(len(cell), 0, -1):
        read = any(source == node and later in live for later, (_, source) in enumerate(cell, start=1))
        if read or node > len(cell) - fanout_concat:
            live.add(node)
    return live


def derive(op_weights: Mapping[str, Tensor], ops: Sequence[str], num_nodes: int) -> Genotype:
    """Read the genotype off the op weights: each node keeps its one strongest ``(input, operation)`` pair.

    Args:
        op_weights: per kind of cell a tensor ``[E, O]``: the alphas after relaxation.
        ops: names of the O columns; ``none`` is never kept.
        num_nodes: nodes of a cell.
    """
    visible = {kind: without_none(op_weights[kind].detach(), ops) for kind in KINDS}
    return pick(visible, ops, num_nodes, lambda weights: int(weights.argmax()))


def without_none(op_weights: Tensor, ops: Sequence[str]) -> Tensor:
    """Op weights ``[E, O]`` in which ``none`` has the least there is."""
    hidden = torch.tensor([op == "none" for op in ops], device=op_weights.device)
    return op_weights.masked_fill(hidden, -torch.inf)


def pick(
    op_weights: Mapping[str, Tensor], ops: Sequence[str], num_nodes: int, choose: Callable[[Tensor], int]
) -> Genotype:
    """The genotype whose nodes keep what ``choose`` takes of the op weights of all pairs into a node, by its index."""
    cells: dict[str, tuple[tuple[str, int], ...]] = {}
    for kind in KINDS:
        picked = (choose(op_weights[kind][rows_into(node)].flatten()) for node in range(1, num_nodes + 1))
        cells[kind] = tuple((ops[index % len(ops)], index // len(ops)) for index in picked)
    return Genotype(cells["normal"], cells["reduce"])


def places_of(cell: Sequence[tuple[str, int]], ops: Sequence[str]) -> list[tuple[int, int]]:
    """Row and column in op weights ``[E, O]`` of the pair that each node of a cell keeps.

    >>> places_of([("skip", 0), ("conv", 1)], ["conv", "skip"])
    [(0, 1), (2, 0)]
    """
    return [(rows_into(node)[source], ops.index(op)) for node, (op, source) in enumerate(cell, start=1)]


@cache
def is_parameter_free(op: str) -> bool:
    """Whether an operation is a skip or a pool: without parameters at stride 1.

    >>> is_parameter_free("skip_connect"), is_parameter_free("conv_bn_relu_3x1")
    (True, False)
    """
    with torch.device("meta"):  # draws no random numbers
        return not list(OPS[op](1, 1, True).parameters())


def limit_free(op_weights: Mapping[str, Tensor], ops: Sequence[str], num_nodes: int, most: int) -> dict[str, Tensor]:
    """Op weights by which at most ``most`` nodes of a cell keep an operation without parameters, if a budget lets.

    Of the nodes that would keep one, the ``most`` strongest go on; the others' weights of such operations become the
    smallest number (P-DARTS, arXiv 1904.12760, section 3.3, where it is the number of skips).
    """
    found = {kind: weights.clone() for kind, weights in op_weights.items()}
    columns = [column for column, op in enumerate(ops) if op != "none" and is_parameter_free(op)]
    if all(op == "none" or is_parameter_free(op) for op in ops):
        return found
    genotype = derive(op_weights, ops, num_nodes)
    for kind in KINDS:
        free = [node for node, (op, _) in enumerate(genotype.cell(kind), start=1) if is_parameter_free(op)]
        strongest = sorted(free, key=lambda node: -float(op_weights[kind][rows_into(node)][:, columns].max()))
        for node in set(range(1, num_nodes + 1)) - set(strongest[:most]):
            for row in rows_into(node):
                found[kind][row, columns] = torch.finfo(found[kind].dtype).tiny
    return found


def one_hot(genotype: Genotype, ops: Sequence[str]) -> dict[str, Tensor]:
    """Op weights ``[E, O]`` per kind of cell: 1 at what the genotype keeps, and at ``none`` on all other edges."""
    found = {}
    for kind in KINDS:
        weights = torch.zeros(len(edges(genotype.num_nodes)), len(ops))
        if "none" in ops:
            weights[:, ops.index("none")] = 1
        for row, column in places_of(genotype.cell(kind), ops):
            weights[row] = 0
            weights[row, column] = 1
        found[kind] = weights
    return found
