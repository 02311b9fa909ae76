"""What a supernet computes with in a step of training, made of alphas; and what an architecture is read from.

A relaxation is called with the alphas and the ``Moment``, and gives op weights for a mixture or one ``Path``. Its
method ``settled`` gives the op weights of the alphas alone: positive, comparable within a decision. The architecture,
the expected cost and the figures on ``val`` come from these.

Shapes are those of a table of decisions, ``[rows, options]``; of cells these are the edges and the operations. A random
choice is drawn on the CPU from ``Moment.generator``.
"""

from typing import Any, Protocol, final

import torch
from torch import Tensor, distributions, nn
from torch.nn import functional as F

from nas_lightning.errors import InputError
from nas_lightning.search.moment import Alphas, Moment
from nas_lightning.space.base import Choice, Decisions, DecisionSpace, Path
from nas_lightning.space.choices import draw, new_alphas, strongest, uniform, without_nothing


class Relaxation(Protocol):
    """The first part of a strategy.

    Attributes:
        draws_paths: whether it gives one path a step, and not a mixture.
    """

    draws_paths: bool

    def new_alphas(self, space: DecisionSpace[Any]) -> nn.ParameterDict:
        """The alphas at the start of a search."""

    def __call__(self, alphas: Alphas, moment: Moment) -> Choice:
        """What the supernet computes with in a step of training."""

    def settled(self, alphas: Alphas, space: DecisionSpace[Any]) -> dict[str, Tensor]:
        """The op weights by table that an architecture is read from."""


def row_shares(alphas: Alphas, space: DecisionSpace[Any]) -> dict[str, Tensor]:
    """A softmax over the options of each row: weights that sum to 1 there."""
    return {name: alphas[name].softmax(-1) for name in space.decisions}


def decision_shares(alphas: Alphas, space: DecisionSpace[Any]) -> dict[str, Tensor]:
    """A softmax over all that a decision can keep: the probability that it does.

    An option for no connection has no share, because no decision keeps it.
    """
    return {
        name: _per_decision(without_nothing(alphas[name], table), table).exp()
        for name, table in space.decisions.items()
    }


@final
class Softmax:
    """A softmax over the operations of each edge (DARTS, arXiv 1806.09055, equation 2)."""

    draws_paths = False
    new_alphas, settled = staticmethod(new_alphas), staticmethod(row_shares)

    def __call__(self, alphas: Alphas, moment: Moment) -> Choice:
        """The settled weights."""
        return row_shares(alphas, moment.space)


@final
class EdgeNormalised:
    """A softmax over the options of each row, times one over the rows of each decision (PC-DARTS, equation 4).

    arXiv 1907.05737, section 3.3, where rows are edges. Their own alphas are ``[rows]``, by the table's name and
    ``_edges``.
    """

    draws_paths = False

    def new_alphas(self, space: DecisionSpace[Any]) -> nn.ParameterDict:
        """Near zero, also those of the edges."""
        alphas = new_alphas(space)
        for name, table in space.decisions.items():
            alphas[f"{name}_edges"] = nn.Parameter(1e-3 * torch.randn(len(table.rows)))
        return alphas

    def __call__(self, alphas: Alphas, moment: Moment) -> Choice:
        """The settled weights."""
        return self.settled(alphas, moment.space)

    def settled(self, alphas: Alphas, space: DecisionSpace[Any]) -> dict[str, Tensor]:
        """Weights that sum to 1 over all rows of a decision."""
        return {
            name: alphas[name].softmax(-1) * _per_decision(alphas[f"{name}_edges"][:, None], table).exp()
            for name, table in space.decisions.items()
        }


@final
class AuxiliarySkip:
    """A softmax, and beside it a skip connection on every edge whose weight falls to zero (DARTS-, arXiv 2009.01027).

    Equation 6 with beta falling linearly from ``start`` to 0 over the search. The auxiliary skip is not part of what is
    derived. At stride 1 it is the identity; at stride 2 it shares the weights of the operation ``skip_connect``.

    Args:
        start: beta at the start.
    """

    draws_paths = False
    settled = staticmethod(row_shares)

    def __init__(self, start: float = 1.0) -> None:
        if start < 0:
            raise InputError(f"`start`: found {start}; allowed: 0 or more")
        self.start = start

    def new_alphas(self, space: DecisionSpace[Any]) -> nn.ParameterDict:
        """Near zero.

        Raises:
            InputError: if there is no ``skip_connect``.
        """
        if not all("skip_connect" in table.options for table in space.decisions.values()):
            raise InputError("`ops`: AuxiliarySkip needs skip_connect")
        return new_alphas(space)

    def __call__(self, alphas: Alphas, moment: Moment) -> Choice:
        """The settled weights, and beta on ``skip_connect``."""
        found = self.settled(alphas, moment.space)
        for name, table in moment.space.decisions.items():
            extra = found[name].new_zeros(len(table.options))
            extra[table.options.index("skip_connect")] = self.start * (1 - moment.progress)
            found[name] = found[name] + extra
        return found


@final
class Dirichlet:
    """Op weights drawn from a Dirichlet distribution on each edge, with pathwise gradients (DrNAS, arXiv 2006.10355).

    Section 3.1: the concentration is ``elu(alpha) + 1``, and the mean of the distribution is what is derived.
    """

    draws_paths = False
    new_alphas = staticmethod(new_alphas)

    def __call__(self, alphas: Alphas, moment: Moment) -> Choice:
        """A draw."""
        concentrations = {name: self.concentration(alphas[name]).cpu() for name in moment.space.decisions}
        with torch.random.fork_rng(devices=[]):  # the distribution takes no generator
            torch.manual_seed(int(torch.randint(2**62, (), generator=moment.generator)))
            draws = {
                name: distributions.Dirichlet(of_table.to(torch.promote_types(of_table.dtype, torch.float32))).rsample()
                for name, of_table in concentrations.items()
            }
        return {name: weights.to(alphas[name]) for name, weights in draws.items()}

    def settled(self, alphas: Alphas, space: DecisionSpace[Any]) -> dict[str, Tensor]:
        """The means."""
        means = {}
        for name in space.decisions:
            concentration = self.concentration(alphas[name])
            means[name] = concentration / concentration.sum(-1, keepdim=True)
        return means

    @staticmethod
    def concentration(alphas: Tensor) -> Tensor:
        """The concentrations, positive."""
        return F.elu(alphas) + 1 + 1e-4  # of 0 there is no Dirichlet distribution


@final
class NodeSoftmax:
    """One path a step, drawn by the probabilities of its decisions: the policy of TuNAS (arXiv 2008.06120, sec. 3)."""

    draws_paths = True
    new_alphas, settled = staticmethod(new_alphas), staticmethod(decision_shares)

    def __call__(self, alphas: Alphas, moment: Moment) -> Choice:
        """A path, without gradient."""
        return Path(draw(decision_shares(alphas, moment.space), moment.space, moment.generator))


@final
class GumbelPath:
    """One path a step, by hard Gumbel softmax with straight-through gradients (GDAS, arXiv 1910.04465).

    Section 3.2, equations 3 to 6.

    GDAS keeps an operation on every edge; here the draw is over all that a decision can keep. The temperature falls
    linearly from the first to the second of ``temperatures`` over the search.

    Args:
        temperatures: above 0.
    """

    draws_paths = True
    new_alphas, settled = staticmethod(new_alphas), staticmethod(decision_shares)

    def __init__(self, temperatures: tuple[float, float] = (10.0, 0.1)) -> None:
        if min(temperatures) <= 0:
            raise InputError(f"`temperatures`: found {temperatures}; allowed: more than 0")
        self.first, self.last = temperatures

    def __call__(self, alphas: Alphas, moment: Moment) -> Choice:
        """A path, whose gates are 1 and have the gradient of the soft choice."""
        temperature = self.first + (self.last - self.first) * moment.progress
        soft, gates = {}, {}
        for name, table in moment.space.decisions.items():
            logits = without_nothing(alphas[name], table)
            noise = torch.empty(logits.shape).exponential_(generator=moment.generator).log().neg().to(logits)
            soft[name] = _per_decision(logits + noise, table, temperature).exp()
        architecture = strongest(soft, moment.space)
        for name, places in moment.space.picks(architecture).items():
            kept = torch.stack([soft[name][place] for place in places])
            gates[name] = 1 - kept.detach() + kept
        return Path(architecture, gates)


@final
class UniformPath:
    """One path a step, drawn with equal probability from all architectures (SPOS, arXiv 1904.00420, section 3.3)."""

    draws_paths = True
    new_alphas, settled = staticmethod(new_alphas), staticmethod(decision_shares)

    def __call__(self, alphas: Alphas, moment: Moment) -> Choice:
        """A path."""
        return Path(draw(uniform(moment.space), moment.space, moment.generator))


@final
class BalancedPath:
    """One path a step, drawn with a probability in proportion to its number of parameters.

    Balanced training of a shared supernet (Luo et al., arXiv 1909.10815, section 4.2): what is larger needs more steps.
    Drawn by rejection from the uniform distribution.
    """

    draws_paths = True
    new_alphas, settled = staticmethod(new_alphas), staticmethod(decision_shares)

    def __call__(self, alphas: Alphas, moment: Moment) -> Choice:
        """A path."""
        largest, weights = moment.space.largest("params"), uniform(moment.space)
        while True:
            architecture = draw(weights, moment.space, moment.generator)
            share = moment.space.num_params(architecture) / largest
            if float(torch.rand((), generator=moment.generator)) < share:
                return Path(architecture)


def _per_decision(logits: Tensor, table: Decisions, temperature: float = 1.0) -> Tensor:
    """A log-softmax over all entries of each decision, of logits ``[rows, options]``."""
    parts = (logits[rows] for rows in table.of)
    return torch.cat([(part / temperature).flatten().log_softmax(0).unflatten(0, part.shape) for part in parts])
