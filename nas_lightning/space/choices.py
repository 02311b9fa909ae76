"""From op weights to architectures and back, in any space."""

from collections.abc import Callable, Mapping

import torch
from torch import Generator, Tensor, nn

from nas_lightning.space.base import A, Decisions, DecisionSpace, OpWeights


def new_alphas(space: DecisionSpace[A]) -> nn.ParameterDict:
    """Alphas near zero: every option starts with almost the same weight."""
    shapes = {name: (len(table.rows), len(table.options)) for name, table in space.decisions.items()}
    return nn.ParameterDict({name: nn.Parameter(1e-3 * torch.randn(shape)) for name, shape in shapes.items()})


def strongest(op_weights: OpWeights, space: DecisionSpace[A]) -> A:
    """The architecture whose decisions keep their largest op weight (DARTS, arXiv 1806.09055, section 2.4)."""
    visible = {name: without_nothing(op_weights[name].detach(), table) for name, table in space.decisions.items()}
    return pick(visible, space, lambda weights: int(weights.argmax()))


def without_nothing(op_weights: Tensor, table: Decisions) -> Tensor:
    """Op weights of a table in which what no decision keeps has the least there is."""
    hidden = torch.tensor([column == table.nothing for column in range(len(table.options))], device=op_weights.device)
    return op_weights.masked_fill(hidden, -torch.inf)


def pick(op_weights: OpWeights, space: DecisionSpace[A], choose: Callable[[Tensor], int]) -> A:
    """The architecture whose decisions keep what ``choose`` takes of their op weights, by its index among them all."""
    picks = {}
    for name, table in space.decisions.items():
        indices = [choose(op_weights[name][rows].flatten()) for rows in table.of]
        places = (divmod(index, len(table.options)) for index in indices)
        picks[name] = tuple((rows[row], column) for rows, (row, column) in zip(table.of, places, strict=True))
    return space.architecture(picks)


def uniform(space: DecisionSpace[A]) -> dict[str, Tensor]:
    """Equal op weights for all that a decision can keep."""
    return {
        name: torch.tensor([float(column != table.nothing) for column in range(len(table.options))]).repeat(
            len(table.rows), 1
        )
        for name, table in space.decisions.items()
    }


def draw(op_weights: OpWeights, space: DecisionSpace[A], generator: Generator) -> A:
    """An architecture whose decisions are drawn in proportion to op weights."""
    weights = {name: of_table.detach().cpu() for name, of_table in op_weights.items()}
    return pick(weights, space, lambda of: int(of.multinomial(1, generator=generator)))


def one_hot(architecture: A, space: DecisionSpace[A]) -> dict[str, Tensor]:
    """Op weights that are 1 at what an architecture keeps, and at ``nothing`` in all other rows."""
    found = {}
    for name, places in space.picks(architecture).items():
        table = space.decisions[name]
        weights = torch.zeros(len(table.rows), len(table.options))
        if table.nothing is not None:
            weights[:, table.nothing] = 1
        for row, column in places:
            weights[row] = 0
            weights[row, column] = 1
        found[name] = weights
    return found


def num_free(architecture: A, space: DecisionSpace[A]) -> dict[str, int]:
    """By table, how many decisions keep an option without parameters."""
    return {
        name: sum(column in space.decisions[name].free for _, column in places)
        for name, places in space.picks(architecture).items()
    }


def limit_free(op_weights: OpWeights, space: DecisionSpace[A], most: int) -> dict[str, Tensor]:
    """Op weights by which at most ``most`` decisions of a table keep an option without parameters, if a budget lets.

    Of the decisions that would keep one, the ``most`` strongest go on; the others' weights of such options become the
    smallest number (P-DARTS, arXiv 1904.12760, section 3.3, where it is the number of skips).
    """
    found: dict[str, Tensor] = {name: weights.clone() for name, weights in op_weights.items()}
    picks: Mapping[str, tuple[tuple[int, int], ...]] = space.picks(strongest(op_weights, space))
    for name, table in space.decisions.items():
        columns = sorted(table.free)
        if len(columns) + (table.nothing is not None) == len(table.options):
            continue
        free = [i for i, (_, column) in enumerate(picks[name]) if column in table.free]
        kept = sorted(free, key=lambda i: -float(op_weights[name][table.of[i]][:, columns].max()))[:most]
        for i in set(range(len(table.of))) - set(kept):
            for row in table.of[i]:
                found[name][row, columns] = torch.finfo(found[name].dtype).tiny
    return found
