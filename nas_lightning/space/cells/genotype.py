"""The genotype: an architecture of the space of cells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import torch

from nas_lightning.errors import InputError
from nas_lightning.space.base import Decisions, Picks
from nas_lightning.space.cells.size import edges, rows_into
from nas_lightning.space.ops import OPS

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


class Genotypes:
    """All genotypes of some operations and a number of nodes, as a ``DecisionSpace``.

    A kind of cell is a table: rows are the edges, options the operations, and a decision is a node, which keeps one
    pair of an edge into it and an operation.

    Args:
        ops: names of the operations; ``none`` is never kept.
        num_nodes: nodes of a cell besides its input.
    """

    def __init__(self, ops: Sequence[str], num_nodes: int) -> None:
        self.ops = tuple(ops)
        table = Decisions(
            options=self.ops,
            rows=tuple(f"{source} → {target}" for source, target in edges(num_nodes)),
            of=tuple(map(rows_into, range(1, num_nodes + 1))),
            nothing=self.ops.index("none") if "none" in self.ops else None,
            free=frozenset(i for i, op in enumerate(self.ops) if op != "none" and is_parameter_free(op)),
        )
        self.decisions: Mapping[str, Decisions] = dict.fromkeys(KINDS, table)

    def architecture(self, picks: Picks) -> Genotype:
        """The genotype of rows and columns."""
        source_of = [source for source, _ in edges(len(self.decisions[KINDS[0]].of))]
        return Genotype(*(tuple((self.ops[column], source_of[row]) for row, column in picks[kind]) for kind in KINDS))

    def picks(self, architecture: Genotype) -> dict[str, tuple[tuple[int, int], ...]]:
        """Rows and columns of a genotype."""
        return {kind: tuple(places_of(architecture.cell(kind), self.ops)) for kind in KINDS}
