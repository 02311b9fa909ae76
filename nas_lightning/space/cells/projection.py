"""The best network within a budget: exact, by integer programming."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from nas_lightning.cost.code import Signature
from nas_lightning.cost.exact import ADDITIVE
from nas_lightning.errors import BudgetError
from nas_lightning.space.base import Limits, Projected, meets
from nas_lightning.space.cells.genotype import KINDS, Genotype, places_of
from nas_lightning.space.cells.network import makes_value
from nas_lightning.space.cells.size import edge_stride, edges
from nas_lightning.space.cells.tables import SpaceCost
from nas_lightning.space.choices import strongest


def project(op_weights: Mapping[str, Tensor], space_cost: SpaceCost, limits: Limits) -> Projected[Genotype]:
    """The genotype with the largest total log op-weight among all that meet every limit.

    Args:
        op_weights: per kind of cell ``[E, O]``.
        space_cost: what everything costs.
        limits: by measure; none means the free choice.

    Raises:
        BudgetError: if no genotype meets them.
    """
    free = strongest(op_weights, space_cost)
    score = _Score(op_weights, space_cost)
    free_cost = space_cost.cost(free)
    genotype = free if meets(free_cost, limits) else _Program(space_cost, limits).best(score)
    if genotype is None:
        raise BudgetError("no network of this space meets", limits, *_nearest(space_cost, limits))
    return Projected(genotype, space_cost.cost(genotype), score(genotype), free_cost, score(free))


def least(measure: str, space_cost: SpaceCost, limits: Limits) -> int | None:
    """The smallest value of a measure that a network within the other limits has; None if there is no such network."""
    others = {name: limit for name, limit in limits.items() if name != measure}
    if measure in ADDITIVE:
        genotype = _Program(space_cost, others).cheapest(measure)
        return None if genotype is None else space_cost.cost(genotype)[measure]

    def found(ram_bytes: int) -> int | None:
        genotype = _Program(space_cost, others | {"ram_bytes": ram_bytes}).any()
        return None if genotype is None else space_cost.cost(genotype)["ram_bytes"]

    genotype = _Program(space_cost, others).any()
    if genotype is None:
        return None
    low, high = space_cost.fixed_ram_bytes, space_cost.cost(genotype)["ram_bytes"]  # the answer is from low to high
    while low < high:
        reached = found((low + high) // 2)
        low, high = (low, reached) if reached is not None else ((low + high) // 2 + 1, high)
    return high


def _nearest(space_cost: SpaceCost, limits: Limits) -> tuple[list[str], dict[str, int]]:
    """Which limits bind, and limits that a network meets."""
    nearest = dict(limits)
    binding = []
    for measure in limits:
        alone = least(measure, space_cost, {})
        assert alone is not None  # nosec B101 # for mypy: without limits there is always a network
        if alone > limits[measure]:
            binding.append(measure)
            nearest[measure] = alone
    if is_feasible(space_cost, nearest):
        return binding, nearest
    for measure in nearest:
        value = least(measure, space_cost, nearest)
        if value is not None:
            return list(dict.fromkeys([*binding, measure])), nearest | {measure: value}
    first = next(iter(nearest))  # to raise one limit is not enough
    genotype = _Program(space_cost, {first: nearest[first]}).any()
    assert genotype is not None  # nosec B101 # for mypy: this limit alone can be met
    cost = space_cost.cost(genotype)
    return [m for m in nearest if cost[m] > limits[m]], {m: max(nearest[m], cost[m]) for m in nearest}


def is_feasible(space_cost: SpaceCost, limits: Limits) -> bool:
    """Whether any network of a space meets the limits."""
    return _Program(space_cost, limits).any() is not None


def check_feasible(space_cost: SpaceCost, limits: Limits) -> None:
    """Refuse limits that no network of a space meets.

    Raises:
        BudgetError: with the limits that bind, and the nearest that can be met.
    """
    if limits and not is_feasible(space_cost, limits):
        raise BudgetError("no network of this space meets", limits, *_nearest(space_cost, limits))


class _Score:
    """The log op-weight of each choice, never below that of 1e-30."""

    def __init__(self, op_weights: Mapping[str, Tensor], space_cost: SpaceCost) -> None:
        self.ops = space_cost.ops
        self.of = {kind: w.detach().cpu().double().clamp(min=1e-30).log().numpy() for kind, w in op_weights.items()}

    def __call__(self, genotype: Genotype) -> float:
        return sum(float(self.of[kind][place]) for kind in KINDS for place in places_of(genotype.cell(kind), self.ops))


@dataclass(frozen=True)
class _Choice:
    """One variable: ``node`` of the cells of ``kind`` computes ``op`` of ``source``."""

    kind: str
    node: int
    source: int
    op: str
    row: int
    column: int
    makes_value: bool


class _Program:
    """The integer program of a space and its limits.

    Variables, all 0 or 1: x for every choice; for every node that is not concatenated whether it is live; and z for
    each of its choices, which is x where the node is live. Sums of costs are linear in x and z, and so is what
    lies in memory at a concatenation (``_add_concat_rows``), which is nearly always the peak. Whatever else a solution
    violates is forbidden by another row, and the program solved again. The exact model decides in the end.
    """

    def __init__(self, space_cost: SpaceCost, limits: Limits) -> None:
        self.space_cost, self.limits = space_cost, dict(limits)
        self.num_nodes, self.fanout = space_cost.size.nodes_per_layer, space_cost.size.fanout_concat
        self.choices = self._all_choices()
        optional = range(1, self.num_nodes - self.fanout + 1)
        self.live = {key: len(self.choices) + i for i, key in enumerate(product(KINDS, optional))}
        inner = [i for i, choice in enumerate(self.choices) if (choice.kind, choice.node) in self.live]
        first = len(self.choices) + len(self.live)
        self.paid = {i: first + j for j, i in enumerate(inner)}  # z
        self.num_variables = first + len(inner)
        self.called: dict[Signature, int] = {}
        self.rows: list[dict[int, float]] = []
        self.lower: list[float] = []
        self.upper: list[float] = []
        self._add_structure()
        for measure in ADDITIVE:
            if measure in self.limits:
                self._add_limit(measure)
        if "ram_bytes" in self.limits:
            self._add_concat_rows()

    def _all_choices(self) -> list[_Choice]:
        return [
            _Choice(kind, node, source, op, row, column, makes_value(op, edge_stride(kind == "reduce", source)))
            for kind in KINDS
            for row, (source, node) in enumerate(edges(self.num_nodes))
            for column, op in enumerate(self.space_cost.ops)
            if op != "none"
        ]

    def best(self, score: _Score) -> Genotype | None:
        """The genotype of the largest score within the limits, or None if there is none."""
        gain = np.zeros(self.num_variables)
        for i, choice in enumerate(self.choices):
            gain[i] = score.of[choice.kind][choice.row, choice.column]
        return self._solve(-gain)

    def cheapest(self, measure: str) -> Genotype | None:
        """The genotype with the least of an additive measure within the limits, or None if there is none."""
        if measure == "flash_bytes":
            self._add_functions()
        return self._solve(self._costs(measure))

    def any(self) -> Genotype | None:
        """A genotype within the limits, or None if there is none."""
        return self._solve(np.zeros(self.num_variables))

    def _solve(self, objective: NDArray[np.float64]) -> Genotype | None:
        if self.limits.get("ram_bytes", math.inf) < self.space_cost.fixed_ram_bytes:
            return None
        while True:
            values = self._solve_once(objective)
            if values is None:
                return None
            picked = [i for i in range(len(self.choices)) if values[i] > 0.5]
            genotype = self._genotype(picked)
            if not self._forbid_what_is_violated(genotype, picked):
                return genotype

    def _solve_once(self, objective: NDArray[np.float64]) -> NDArray[np.float64] | None:
        from scipy.optimize import Bounds, LinearConstraint, milp  # at need: their import takes long
        from scipy.sparse import csr_array

        entries = [(r, column, value) for r, row in enumerate(self.rows) for column, value in row.items()]
        r, c, v = zip(*entries, strict=True)
        matrix = csr_array((v, (r, c)), shape=(len(self.rows), self.num_variables))
        result = milp(
            objective / (np.abs(objective).max() or 1.0),
            integrality=np.ones(self.num_variables),
            bounds=Bounds(0, 1),
            constraints=LinearConstraint(matrix, self.lower, self.upper),
            options={"mip_rel_gap": 0.0},
        )
        if result.status == 2:  # infeasible
            return None
        if result.x is None:
            raise RuntimeError(f"projection: the solver ended with {result.message}")
        return np.asarray(result.x)

    def _genotype(self, picked: Sequence[int]) -> Genotype:
        cells: dict[str, list[tuple[str, int]]] = {kind: [] for kind in KINDS}
        for i in sorted(picked, key=lambda i: self.choices[i].node):
            cells[self.choices[i].kind].append((self.choices[i].op, self.choices[i].source))
        return Genotype(tuple(cells["normal"]), tuple(cells["reduce"]))

    def _add(self, row: dict[int, float], lower: float, upper: float) -> None:
        self.rows.append(row)
        self.lower.append(lower)
        self.upper.append(upper)

    def _add_structure(self) -> None:
        for kind, node in product(KINDS, range(1, self.num_nodes + 1)):
            self._add(dict.fromkeys(self._where(kind, node), 1.0), 1, 1)
        for (kind, source), live in self.live.items():
            for node in range(source + 1, self.num_nodes + 1):  # live if a live node reads it
                row = dict.fromkeys(self._where(kind, node, source), 1.0) | {live: -1.0}
                reader = self.live.get((kind, node))
                if reader is not None:
                    row[reader] = 1.0
                self._add(row, -np.inf, 0 if reader is None else 1)
        for i, z in self.paid.items():
            live = self.live[self.choices[i].kind, self.choices[i].node]
            self._add({i: 1.0, live: 1.0, z: -1.0}, -np.inf, 1)

    def _costs(self, measure: str) -> NDArray[np.float64]:
        costs = np.zeros(self.num_variables)
        for i, choice in enumerate(self.choices):
            table = self.space_cost.tables[measure][choice.kind]
            costs[self.paid.get(i, i)] = float(table[choice.row, choice.column])
        if measure == "flash_bytes":
            for signature, variable in self.called.items():
                costs[variable] = self.space_cost.functions[signature]
        return costs

    def _add_functions(self) -> None:
        """A function is called if a live node keeps a choice that calls it."""
        if self.called:
            return
        self.called = {signature: self._new_variable() for signature in self.space_cost.functions}
        for kind, node in product(KINDS, range(1, self.num_nodes + 1)):
            callers: dict[Signature, list[int]] = {}
            for i in self._where(kind, node):
                choice = self.choices[i]
                for signature in self.space_cost.calls[kind, choice.row, choice.column]:
                    callers.setdefault(signature, []).append(self.paid.get(i, i))
            for signature, calling in callers.items():
                self._add(dict.fromkeys(calling, 1.0) | {self.called[signature]: -1.0}, -np.inf, 0)

    def _add_limit(self, measure: str) -> None:
        # The solver takes a row as met within 1e-6 of its scale; in shares of the limit that is less than one unit
        # up to a million, and what passes above is caught by the exact model.
        if measure == "flash_bytes":
            self._add_functions()
        scale = max(self.limits[measure], 1)
        costs = self._costs(measure) / scale
        row = {int(i): float(costs[i]) for i in costs.nonzero()[0]}
        self._add(row, -np.inf, (self.limits[measure] - self.space_cost.fixed[measure]) / scale)

    def _add_concat_rows(self) -> None:
        """At the concatenation the copy, and all values that the concatenated nodes are, lie in memory."""
        outside = range(self.num_nodes - self.fanout + 1)  # node 0 and the nodes that are not concatenated
        for kind in KINDS:
            held = {node: self._new_variable() for node in outside}  # whether a concatenated node is its value
            for node, source in product(range(1, self.num_nodes + 1), outside):
                same = self._where(kind, node, source, makes_value=False)
                if same and node in held:
                    self._add(dict.fromkeys(same, 1.0) | {held[node]: 1.0, held[source]: -1.0}, -np.inf, 1)
                elif same:
                    self._add(dict.fromkeys(same, 1.0) | {held[source]: -1.0}, -np.inf, 0)
            values = {held[0]: 1.0}
            for node in range(1, self.num_nodes + 1):
                own = self._where(kind, node, makes_value=True)
                if node in held:
                    both = self._new_variable()
                    self._add(dict.fromkeys(own, 1.0) | {held[node]: 1.0, both: -1.0}, -np.inf, 1)
                    own = [both]
                values |= dict.fromkeys(own, 1.0)
            node_bytes = max(
                self.space_cost.numbers.activation_bytes(plan.channels * length)
                for plan, (_, length) in self.space_cost.cells
                if plan.kind == kind
            )
            self._add(values, -np.inf, self.limits["ram_bytes"] // node_bytes - self.space_cost.size.num_copied)

    def _where(self, kind: str, node: int, source: int | None = None, makes_value: bool | None = None) -> list[int]:
        """The choices of a node, of one source or of all, and of operations that make a value or not."""
        return [
            i
            for i, c in enumerate(self.choices)
            if (c.kind, c.node) == (kind, node) and source in (None, c.source) and makes_value in (None, c.makes_value)
        ]

    def _new_variable(self) -> int:
        self.num_variables += 1
        return self.num_variables - 1

    def _forbid_what_is_violated(self, genotype: Genotype, picked: Sequence[int]) -> bool:
        """Add a row that excludes this solution if it breaks a limit; whether one was added."""
        for kind in KINDS:
            if self.space_cost.ram_of_cell(kind, genotype.cell(kind)) > self.limits.get("ram_bytes", math.inf):
                # With them all that need the same memory, as choices do that differ in nothing else.
                chosen = [self.choices[i] for i in picked if self.choices[i].kind == kind]
                self._forbid([self._where(kind, c.node, c.source, c.makes_value) for c in chosen])
                return True
        if not meets(self.space_cost.cost(genotype), self.limits):
            self._forbid([[i] for i in picked])
            return True
        return False

    def _forbid(self, groups: Sequence[Sequence[int]]) -> None:
        self._add({i: 1.0 for group in groups for i in group}, -np.inf, len(groups) - 1)
