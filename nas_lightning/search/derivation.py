"""The end of a search: architectures within the budget, the best first."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.func import functional_call

from nas_lightning.errors import InputError
from nas_lightning.search.arch_step import Batch
from nas_lightning.search.moment import Moment
from nas_lightning.space.base import Choice, Limits, OpWeights, Path, PricedSpace, Supernet, meets
from nas_lightning.space.choices import draw, limit_free, uniform

_TRIES = 1000
"""Draws after which a network within the budget is no longer looked for by chance."""


@dataclass(frozen=True)
class Found:
    """What a derivation works with.

    Attributes:
        supernet: trained; a derivation may train it further.
        op_weights: settled.
        limits: by measure, what an architecture must not exceed.
        moment: at the end of the search.
        train_batches: of the weights; each pass starts over.
        val_batches: of the alphas.
        max_free: decisions of a table that may keep an option without parameters; None for all.
    """

    supernet: Supernet
    op_weights: OpWeights
    limits: Limits
    moment: Moment
    train_batches: Iterable[Batch]
    val_batches: Iterable[Batch]
    max_free: int | None = None


class Derivation(Protocol):
    """The last part of a strategy."""

    def __call__(self, found: Found, count: int) -> list[Any]:
        """Up to ``count`` different architectures within the limits, the best first.

        Raises:
            BudgetError: if no architecture meets the limits.
        """


class Strongest:
    """The architecture with the largest total log op-weight (without limits DARTS, arXiv 1806.09055, section 2.4)."""

    def __call__(self, found: Found, count: int) -> list[Any]:
        """It comes first; the others are drawn in proportion to the op weights."""
        return _strongest_and_drawn(found.op_weights, found, count)


def _strongest_and_drawn(weights: OpWeights, found: Found, count: int) -> list[Any]:
    """The next best differ from the best in one decision, and would share its faults; so they are drawn."""
    space = found.moment.space
    first = space.project(weights, found.limits).architecture
    if count == 1:
        return [first]
    can_be_kept = uniform(space)
    allowed = {name: of_table.detach().cpu() * can_be_kept[name] for name, of_table in weights.items()}
    drawn = draw_within(found.moment, found.limits, count, allowed)
    return list(dict.fromkeys([first, *drawn]))[:count]


class Uniform:
    """Architectures drawn with equal probability from all within the limits: random search (Li and Talwalkar 2019)."""

    def __call__(self, found: Found, count: int) -> list[Any]:
        """In the order in which they are drawn."""
        return draw_within(found.moment, found.limits, count)


class Ranked:
    """Random architectures within the limits, ranked by their reward on ``val`` with the supernet's weights.

    Random search with weight sharing (Li and Talwalkar, arXiv 1902.07638, section 3). BatchNorms use the statistics of
    the batch, because the running ones are of all paths together.

    Args:
        num_samples: how many are ranked, at least 1.
    """

    def __init__(self, num_samples: int = 100) -> None:
        if num_samples < 1:
            raise InputError(f"`num_samples`: found {num_samples}; allowed: 1 or more")
        self.num_samples = num_samples

    def __call__(self, found: Found, count: int) -> list[Any]:
        """By falling reward; equal ones by rising loss."""
        drawn = draw_within(found.moment, found.limits, self.num_samples)
        judged = []
        for place, architecture in enumerate(drawn):
            reward, loss = judge(found.supernet, Path(architecture), found.val_batches)
            judged.append((-reward, loss, place))
        return [drawn[place] for _, _, place in sorted(judged)[:count]]


class Perturbation:
    """What the supernet misses most (DARTS-PT, Wang et al., arXiv 2108.04392, algorithm 1).

    Edges are visited in a random order. On each that operation is kept whose removal raises the loss on ``val`` most;
    the others go, and the weights are trained for ``num_steps`` steps to get over it. In the end the same question is
    asked of the edges into each node. Two changes: the loss is looked at where the paper takes the accuracy, which on a
    small ``val`` often is the same for all; and the rises are the scores that the projection onto the budget adds up.

    Args:
        num_steps: of SGD after each edge, 0 or more.
        learning_rate: of these steps.
    """

    def __init__(self, num_steps: int = 20, learning_rate: float = 0.01) -> None:
        if num_steps < 0:
            raise InputError(f"`num_steps`: found {num_steps}; allowed: 0 or more")
        self.num_steps, self.learning_rate = num_steps, learning_rate

    def __call__(self, found: Found, count: int) -> list[Any]:
        """First that with the largest total of the rises of loss; the others are drawn by their exponentials."""
        weights = {name: of_table.exp() for name, of_table in self.scores(found).items()}
        if found.max_free is not None:
            weights = limit_free(weights, found.moment.space, found.max_free)
        return _strongest_and_drawn(weights, found, count)

    def scores(self, found: Found) -> dict[str, Tensor]:
        """By table ``[rows, options]``: by how much the loss rises without an option, and without its row."""
        decisions = found.moment.space.decisions
        weights = {name: found.op_weights[name].detach().clone() for name in decisions}
        scores = {name: torch.zeros(weights[name].shape, dtype=torch.float64) for name in decisions}
        tuning = _Tuning(found, self.num_steps, self.learning_rate)
        places = [(name, row) for name, table in decisions.items() for row in range(len(table.rows))]
        for i in torch.randperm(len(places), generator=found.moment.generator).tolist():
            name, row = places[i]
            nothing, columns = decisions[name].nothing, range(len(decisions[name].options))
            rises = _rises(found, weights, name, [(row, [column]) for column in columns])
            scores[name][row] = rises
            if nothing is not None:
                rises[nothing] = -torch.inf
            kept = int(rises.argmax())
            weights[name][row] = 0
            weights[name][row, kept] = 1
            tuning.train(weights)
        for name, table in decisions.items():
            every = list(range(len(table.options)))
            for rows in table.of:
                rises = _rises(found, weights, name, [(row, every) for row in rows])
                scores[name][rows] += rises[:, None]
        return scores


def _rises(found: Found, weights: OpWeights, table: str, removals: list[tuple[int, list[int]]]) -> Tensor:
    """By how much the loss on ``val`` rises if some columns of a row of op weights are set to 0, for each removal."""
    _, whole = judge(found.supernet, weights, found.val_batches)
    rises = []
    for row, columns in removals:
        without = {name: of_table.clone() for name, of_table in weights.items()}
        without[table][row, columns] = 0
        rises.append(judge(found.supernet, without, found.val_batches)[1] - whole)
    return torch.tensor(rises, dtype=torch.float64)


class _Tuning:
    """Steps of SGD on ``train`` that go on where the ones before have stopped."""

    def __init__(self, found: Found, num_steps: int, learning_rate: float) -> None:
        self.found, self.num_steps = found, num_steps
        self.optimizer = torch.optim.SGD(found.supernet.weights().values(), learning_rate, 0.9)
        self.batches = self._endless()

    def train(self, choice: Choice) -> None:
        supernet, own = self.found.supernet.train(), next(self.found.supernet.parameters())
        for _ in range(self.num_steps):
            x, y = next(self.batches)
            logits = supernet(x.to(own.device, own.dtype), choice)
            loss = supernet.task.loss(logits, y.to(own.device))
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()

    def _endless(self) -> Iterator[Batch]:
        while True:
            yield from self.found.train_batches


@torch.no_grad()
def judge(supernet: Supernet, choice: Choice, batches: Iterable[Batch]) -> tuple[float, float]:
    """Mean reward and loss of a choice; BatchNorms take the statistics of each batch and keep theirs."""
    reward, loss, count = 0.0, 0.0, 0
    own = next(supernet.parameters())
    with _batch_statistics(supernet) as run:
        for x, y in batches:
            logits, y = run(x.to(own.device, own.dtype), choice), y.to(own.device)
            reward += float(supernet.task.rewards(logits, y).sum())
            loss += float(supernet.task.loss(logits, y, reduction="sum"))
            count += len(y)
    return reward / count, loss / count


@contextmanager
def _batch_statistics(supernet: Supernet) -> Iterator[Callable[[Tensor, Choice], Tensor]]:
    was_training = supernet.training
    buffers = {name: buffer.clone() for name, buffer in supernet.named_buffers()}
    supernet.train()
    try:
        yield lambda x, choice: functional_call(supernet, buffers, (x, choice))
    finally:
        supernet.train(was_training)


def draw_within(
    moment: Moment, limits: Limits, count: int, op_weights: Mapping[str, Tensor] | None = None
) -> list[Any]:
    """``draw_from`` the space of a moment, by its generator."""
    return draw_from(moment.space, moment.generator, limits, count, op_weights)


def draw_from(
    space: PricedSpace[Any],
    generator: torch.Generator,
    limits: Limits,
    count: int,
    op_weights: Mapping[str, Tensor] | None = None,
) -> list[Any]:
    """Up to ``count`` different architectures within limits, drawn in proportion to op weights, uniformly without them.

    If a thousand draws in a row find no further one, op weights times random numbers are projected onto the limits
    instead: in other proportions, but within. Fewer than ``count`` if that finds none either.

    Raises:
        BudgetError: if no architecture meets the limits.
    """
    found: dict[Any, None] = {}
    weights = dict(op_weights or uniform(space))
    while len(found) < count:
        architecture = _draw_one(weights, space, generator, limits, found)
        if architecture is None:
            noise = {name: torch.rand(w.shape, generator=generator) * w for name, w in weights.items()}
            architecture = space.project(noise, limits).architecture
        if architecture in found:
            break
        found[architecture] = None
    return list(found)


def _draw_one(
    weights: OpWeights, space: PricedSpace[Any], generator: torch.Generator, limits: Limits, known: dict[Any, None]
) -> Any:
    for _ in range(_TRIES):
        architecture = draw(weights, space, generator)
        cost = space.cost(architecture) if limits else {}
        if architecture not in known and meets(cost, limits):
            return architecture
    return None
