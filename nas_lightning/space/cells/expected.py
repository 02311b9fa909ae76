"""The expected cost of the supernet, differentiable in the op weights."""

from collections.abc import Mapping

import torch
from torch import Tensor

from nas_lightning.space.base import OpWeights
from nas_lightning.space.cells.genotype import KINDS
from nas_lightning.space.cells.network import makes_value
from nas_lightning.space.cells.size import Size, edge_stride, edges, rows_into
from nas_lightning.space.cells.tables import SpaceCost


class ExpectedCost:
    """Expected costs of a supernet, summed over all cells with their true channels and lengths.

    A node keeps one pair of an input and an operation. With op weights w (shape ``[E, O]``) and the exact cost c of
    every operation on every edge, the expectation is that of a network whose nodes keep each pair with a probability
    proportional to its op weight, ``none`` left out: ``fixed + sum over nodes n of live(n) * sum q * c``, where
    ``q = w / sum of w`` over all pairs into n. Stem, 1x1 convolutions and head are ``fixed``, and ``live(n)`` is how
    surely a node reaches the cell's output: 1 for the concatenated ones, and ``1 - prod(1 - live(later) * q(edge))``
    over the edges out of it for the others. With one-hot op weights this is the exact cost of that genotype's network.

    The flash of a function is there once. A function s is called with the probability ``1 - prod over nodes n of
    (1 - live(n) * sum of q over the pairs into n that call s)``, as if nodes chose independently of each other.

    Peak RAM is not a sum. Its smooth form looks at one moment of each cell, the concatenation, when the concatenated
    values and their copy lie in memory: ``(num_concat + sum over concatenated nodes of 1 - a) * C * L`` where a is the
    share of the identity in the op weights that lead into a node, because an identity needs no memory of its own. The
    largest over all cells and the parts that every network has is taken by a log-sum-exp of the logarithms, that is the
    p-norm with p = 16: above the largest, by at most a factor of (number of parts) ** (1 / 16).

    Args:
        space_cost: of the size, the task and the operations.
    """

    def __init__(self, space_cost: SpaceCost) -> None:
        self.space_cost, self.size, self.ops = space_cost, space_cost.size, space_cost.ops
        self._into = _incidence(self.size)
        self._values = {kind: self._value_masks(is_reduction=kind == "reduce") for kind in KINDS}
        self._function_bytes = torch.tensor(list(space_cost.functions.values()), dtype=torch.float64)
        self._calls = self._call_masks()

    def __call__(self, op_weights: OpWeights, measure: str) -> Tensor:
        """The expectation (a scalar) of one measure for ``[E, O]`` op weights per kind of cell."""
        if measure == "ram_bytes":
            return self._ram(op_weights)
        tables = self.space_cost.tables[measure]
        picks = {kind: self._picks(kind, op_weights[kind]) for kind in KINDS}
        sums = [(picks[kind] * tables[kind].to(picks[kind])).sum() for kind in KINDS]
        total = self.space_cost.fixed[measure] + torch.stack(sums).sum()
        return total + self._functions(picks) if measure == "flash_bytes" else total

    def _picks(self, kind: str, weights: Tensor) -> Tensor:
        """How surely each pair is that of a live node: ``live(n) * q``, ``[E, O]``."""
        into, weights = self._into.to(weights), weights * self._values[kind][1].to(weights)
        mass = weights.sum(1)  # [E]
        total = into.T @ (into @ mass).clamp(min=1e-12)  # [E], of the node that an edge leads into
        live = into.T @ self._live(mass / total)
        return weights * (live / total)[:, None]

    def _functions(self, picks: Mapping[str, Tensor]) -> Tensor:
        """Flash of the functions that are expected to be called."""
        unused = picks[KINDS[0]].new_ones(len(self._function_bytes))  # [S]
        for kind in KINDS:
            called = torch.einsum("ne,eo,eos->ns", self._into.to(unused), picks[kind], self._calls[kind].to(unused))
            unused = unused * (1 - called).prod(0)
        return ((1 - unused) * self._function_bytes.to(unused)).sum()

    def _live(self, edge_share: Tensor) -> Tensor:
        """How surely each node reaches the output, ``[nodes]``, from each edge's share ``[E]`` at its target."""
        num_nodes = self.size.nodes_per_layer
        live: dict[int, Tensor] = {}
        for node in range(num_nodes, 0, -1):
            unread = edge_share.new_ones(())
            for row, (source, target) in enumerate(edges(num_nodes)):
                if source == node:
                    unread = unread * (1 - live[target] * edge_share[row])
            live[node] = edge_share.new_ones(()) if node > num_nodes - self.size.fanout_concat else 1 - unread
        return torch.stack([live[node] for node in range(1, num_nodes + 1)])

    def _ram(self, op_weights: OpWeights) -> Tensor:
        values = {kind: self._num_values(kind, op_weights[kind]) for kind in KINDS}
        peaks = [op_weights["normal"].new_tensor(float(self.space_cost.fixed_ram_bytes))]
        for plan, (_, length) in self.space_cost.cells:
            node_bytes = self.space_cost.numbers.activation_bytes(plan.channels * length)
            peaks.append((self.size.num_copied + values[plan.kind]) * node_bytes)
        return (torch.stack(peaks).log() * 16).logsumexp(0).div(16).exp()

    def _num_values(self, kind: str, weights: Tensor) -> Tensor:
        """How many of the concatenated nodes have a value of their own."""
        own, built = (mask.to(weights) for mask in self._values[kind])
        into = self._into.to(weights)
        share = (into @ (weights * own).sum(1)) / (into @ (weights * built).sum(1)).clamp(min=1e-12)  # [nodes]
        return share[-self.size.fanout_concat :].sum()

    def _call_masks(self) -> dict[str, Tensor]:
        """Per kind of cell, where in ``[E, O, S]`` a choice calls a function."""
        columns = {signature: i for i, signature in enumerate(self.space_cost.functions)}
        masks = {kind: torch.zeros(self.size.num_edges, len(self.ops), len(columns)) for kind in KINDS}
        for (kind, row, column), called in self.space_cost.calls.items():
            masks[kind][row, column, [columns[signature] for signature in called]] = 1
        return masks

    def _value_masks(self, is_reduction: bool) -> tuple[Tensor, Tensor]:
        """Where in ``[E, O]`` a choice makes a value, and where it is built at all."""
        own, built = torch.zeros(2, self.size.num_edges, len(self.ops))
        for row, (source, _) in enumerate(edges(self.size.nodes_per_layer)):
            for column, op in enumerate(self.ops):
                if op != "none":
                    built[row, column] = 1
                    own[row, column] = makes_value(op, edge_stride(is_reduction, source))
        return own, built


def _incidence(size: Size) -> Tensor:
    """``[nodes, E]``: which edges lead into each node."""
    found = torch.zeros(size.nodes_per_layer, size.num_edges)
    for node in range(1, size.nodes_per_layer + 1):
        found[node - 1, rows_into(node)] = 1
    return found
