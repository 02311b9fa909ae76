"""What a supernet computes with in a step of training, made of alphas; and what a genotype is read from.

A relaxation is called with the alphas and the ``Moment``, and gives op weights for a mixture or one ``Path``. Its
method ``settled`` gives the op weights ``[E, O]`` of the alphas alone: positive, comparable within a node. The
genotype, the expected cost and the figures on ``val`` come from these.

Letters: E edges, O operations. A random choice is drawn on the CPU from ``Moment.generator``.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, distributions, nn
from torch.nn import functional as F

from nas_lightning.errors import InputError
from nas_lightning.search.moment import Alphas, Moment
from nas_lightning.space.genotype import KINDS, Genotype, derive, pick, places_of, without_none
from nas_lightning.space.size import Size, rows_into
from nas_lightning.space.supernet import Choice, Path, new_alphas


class Relaxation(Protocol):
    """The first part of a strategy.

    Attributes:
        draws_paths: whether it gives one path a step, and not a mixture.
    """

    draws_paths: bool

    def new_alphas(self, size: Size, ops: Sequence[str]) -> nn.ParameterDict:
        """The alphas at the start of a search."""

    def __call__(self, alphas: Alphas, moment: Moment) -> Choice:
        """What the supernet computes with in a step of training."""

    def settled(self, alphas: Alphas, ops: Sequence[str]) -> dict[str, Tensor]:
        """The op weights ``[E, O]`` per kind of cell that a genotype is read from."""


class Softmax:
    """A softmax over the operations of each edge (DARTS, arXiv 1806.09055, equation 2)."""

    draws_paths = False

    def new_alphas(self, size: Size, ops: Sequence[str]) -> nn.ParameterDict:
        """Near zero."""
        return new_alphas(size, ops)

    def __call__(self, alphas: Alphas, moment: Moment) -> Choice:
        """The settled weights."""
        return self.settled(alphas, moment.space_cost.ops)

    def settled(self, alphas: Alphas, ops: Sequence[str]) -> dict[str, Tensor]:
        """Weights that sum to 1 on each edge."""
        return {kind: alphas[kind].softmax(-1) for kind in KINDS}


class EdgeNormalised(Softmax):
    """A softmax over the operations of each edge, times one over the edges into each node (PC-DARTS, equation 4).

    arXiv 1907.05737, section 3.3. The edges' own alphas are ``normal_edges`` and ``reduce_edges``, each ``[E]``.
    """

    def new_alphas(self, size: Size, ops: Sequence[str]) -> nn.ParameterDict:
        """Near zero, also those of the edges."""
        alphas = new_alphas(size, ops)
        for kind in KINDS:
            alphas[f"{kind}_edges"] = nn.Parameter(1e-3 * torch.randn(size.num_edges))
        return alphas

    def settled(self, alphas: Alphas, ops: Sequence[str]) -> dict[str, Tensor]:
        """Weights that sum to 1 over all edges into a node."""
        return {kind: alphas[kind].softmax(-1) * _per_node(alphas[f"{kind}_edges"][:, None]).exp() for kind in KINDS}


class AuxiliarySkip(Softmax):
    """A softmax, and beside it a skip connection on every edge whose weight falls to zero (DARTS-, arXiv 2009.01027).

    Equation 6 with beta falling linearly from ``start`` to 0 over the search. The auxiliary skip is not part of what is
    derived. At stride 1 it is the identity; at stride 2 it shares the weights of the operation ``skip_connect``.

    Args:
        start: beta at the start.
    """

    def __init__(self, start: float = 1.0) -> None:
        if start < 0:
            raise InputError(f"search.relaxation.start: found {start}; allowed: 0 or more")
        self.start = start

    def new_alphas(self, size: Size, ops: Sequence[str]) -> nn.ParameterDict:
        """Near zero.

        Raises:
            InputError: if there is no ``skip_connect``.
        """
        if "skip_connect" not in ops:
            raise InputError("search.relaxation: AuxiliarySkip needs skip_connect in space.ops")
        return super().new_alphas(size, ops)

    def __call__(self, alphas: Alphas, moment: Moment) -> Choice:
        """The settled weights, and beta on ``skip_connect``."""
        ops = moment.space_cost.ops
        settled = self.settled(alphas, ops)
        extra = settled["normal"].new_zeros(len(ops))
        extra[ops.index("skip_connect")] = self.start * (1 - moment.progress)
        return {kind: weights + extra for kind, weights in settled.items()}


class Dirichlet(Softmax):
    """Op weights drawn from a Dirichlet distribution on each edge, with pathwise gradients (DrNAS, arXiv 2006.10355).

    Section 3.1: the concentration is ``elu(alpha) + 1``, and the mean of the distribution is what is derived.
    """

    def __call__(self, alphas: Alphas, moment: Moment) -> Choice:
        """A draw."""
        concentrations = {kind: self.concentration(alphas[kind]).cpu() for kind in KINDS}
        with torch.random.fork_rng(devices=[]):  # the distribution takes no generator
            torch.manual_seed(int(torch.randint(2**62, (), generator=moment.generator)))
            draws = {
                kind: distributions.Dirichlet(of_kind.to(torch.promote_types(of_kind.dtype, torch.float32))).rsample()
                for kind, of_kind in concentrations.items()
            }
        return {kind: weights.to(alphas[kind]) for kind, weights in draws.items()}

    def settled(self, alphas: Alphas, ops: Sequence[str]) -> dict[str, Tensor]:
        """The means."""
        means = {}
        for kind in KINDS:
            concentration = self.concentration(alphas[kind])
            means[kind] = concentration / concentration.sum(-1, keepdim=True)
        return means

    @staticmethod
    def concentration(alphas: Tensor) -> Tensor:
        """The concentrations ``[E, O]``, positive."""
        return F.elu(alphas) + 1 + 1e-4  # of 0 there is no Dirichlet distribution


class NodeSoftmax(Softmax):
    """A softmax over all pairs of an edge and an operation into each node: the probability that the node keeps it.

    ``none`` has no share, because no node keeps it. The base of what samples paths; drawn without gradient by itself,
    it is the policy of TuNAS (arXiv 2008.06120, section 3).
    """

    draws_paths = True

    def __call__(self, alphas: Alphas, moment: Moment) -> Choice:
        """A path whose nodes are drawn by their probabilities."""
        return Path(draw(self.settled(alphas, moment.space_cost.ops), moment))

    def settled(self, alphas: Alphas, ops: Sequence[str]) -> dict[str, Tensor]:
        """Probabilities that sum to 1 over all pairs into a node."""
        return {kind: _per_node(without_none(alphas[kind], ops)).exp() for kind in KINDS}


class GumbelPath(NodeSoftmax):
    """One path a step, by hard Gumbel softmax with straight-through gradients (GDAS, arXiv 1910.04465).

    Section 3.2, equations 3 to 6.

    GDAS keeps an operation on every edge; here a node keeps one pair, so the draw is over all pairs into a node. The
    temperature falls linearly from the first to the second of ``temperatures`` over the search.

    Args:
        temperatures: above 0.
    """

    def __init__(self, temperatures: tuple[float, float] = (10.0, 0.1)) -> None:
        if min(temperatures) <= 0:
            raise InputError(f"search.relaxation.temperatures: found {temperatures}; allowed: more than 0")
        self.first, self.last = temperatures

    def __call__(self, alphas: Alphas, moment: Moment) -> Choice:
        """A path, whose gates are 1 and have the gradient of the soft choice."""
        temperature = self.first + (self.last - self.first) * moment.progress
        ops, soft = moment.space_cost.ops, {}
        for kind in KINDS:
            logits = without_none(alphas[kind], ops)
            noise = torch.empty(logits.shape).exponential_(generator=moment.generator).log().neg().to(logits)
            soft[kind] = _per_node(logits + noise, temperature).exp()
        genotype, gates = derive(soft, ops, moment.space_cost.size.nodes_per_layer), {}
        for kind in KINDS:
            kept = torch.stack([soft[kind][place] for place in places_of(genotype.cell(kind), ops)])
            gates[kind] = 1 - kept.detach() + kept
        return Path(genotype, gates)


class UniformPath(NodeSoftmax):
    """One path a step, drawn with equal probability from all genotypes (SPOS, arXiv 1904.00420, section 3.3)."""

    def __call__(self, alphas: Alphas, moment: Moment) -> Choice:
        """A path."""
        return Path(draw(uniform(moment), moment))


class BalancedPath(NodeSoftmax):
    """One path a step, drawn with a probability in proportion to its number of parameters.

    Balanced training of a shared supernet (Luo et al., arXiv 1909.10815, section 4.2): what is larger needs more steps.
    Drawn by rejection from the uniform distribution.
    """

    def __call__(self, alphas: Alphas, moment: Moment) -> Choice:
        """A path."""
        largest, weights = moment.space_cost.largest("params"), uniform(moment)
        while True:
            genotype = draw(weights, moment)
            share = moment.space_cost.num_params(genotype) / largest
            if float(torch.rand((), generator=moment.generator)) < share:
                return Path(genotype)


def uniform(moment: Moment) -> dict[str, Tensor]:
    """Equal op weights ``[E, O]`` for all that a node can keep."""
    ops, size = moment.space_cost.ops, moment.space_cost.size
    weights = torch.tensor([float(op != "none") for op in ops]).repeat(size.num_edges, 1)
    return dict.fromkeys(KINDS, weights)


def draw(op_weights: dict[str, Tensor], moment: Moment) -> Genotype:
    """A genotype whose nodes are drawn in proportion to op weights ``[E, O]``."""
    weights = {kind: of_kind.detach().cpu() for kind, of_kind in op_weights.items()}
    num_nodes, generator = moment.space_cost.size.nodes_per_layer, moment.generator
    return pick(weights, moment.space_cost.ops, num_nodes, lambda of: int(of.multinomial(1, generator=generator)))


def _per_node(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """A log-softmax over all entries into each node, of logits ``[E, O]``."""
    num_edges, parts, node = logits.shape[0], [], 1
    while node * (node - 1) // 2 < num_edges:
        part = logits[rows_into(node)]
        parts.append((part / temperature).flatten().log_softmax(0).unflatten(0, part.shape))
        node += 1
    return torch.cat(parts)
