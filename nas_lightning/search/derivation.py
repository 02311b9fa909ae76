"""The end of a search: genotypes within the budget, the best first."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.func import functional_call

from nas_lightning.cost.projection import Limits, meets, project
from nas_lightning.errors import InputError
from nas_lightning.search.arch_step import Batch
from nas_lightning.search.moment import Moment
from nas_lightning.search.relaxation import draw, uniform
from nas_lightning.space.genotype import KINDS, Genotype, limit_free
from nas_lightning.space.size import rows_into
from nas_lightning.space.supernet import Choice, OpWeights, Path, Supernet

_TRIES = 1000
"""Draws after which a network within the budget is no longer looked for by chance."""


@dataclass(frozen=True)
class Found:
    """What a derivation works with.

    Attributes:
        supernet: trained; a derivation may train it further.
        op_weights: settled.
        limits: by measure, what a genotype must not exceed.
        moment: at the end of the search.
        train_batches: of the weights; each pass starts over.
        val_batches: of the alphas.
        max_free: nodes of a cell that may keep an operation without parameters; None for all.
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

    def __call__(self, found: Found, count: int) -> list[Genotype]:
        """Up to ``count`` different genotypes within the limits, the best first.

        Raises:
            BudgetError: if no genotype meets the limits.
        """


class Strongest:
    """The genotype with the largest total log op-weight (without limits DARTS, arXiv 1806.09055, section 2.4)."""

    def __call__(self, found: Found, count: int) -> list[Genotype]:
        """It comes first; the others are drawn in proportion to the op weights."""
        return _strongest_and_drawn(found.op_weights, found, count)


def _strongest_and_drawn(weights: OpWeights, found: Found, count: int) -> list[Genotype]:
    """The next best genotypes differ from the best in one node, and would share its faults; so they are drawn."""
    first = project(weights, found.moment.space_cost, found.limits).genotype
    if count == 1:
        return [first]
    can_be_kept = uniform(found.moment)
    allowed = {kind: of_kind.detach().cpu() * can_be_kept[kind] for kind, of_kind in weights.items()}
    drawn = draw_within(found.moment, found.limits, count, allowed)
    return list(dict.fromkeys([first, *drawn]))[:count]


class Uniform:
    """Genotypes drawn with equal probability from all within the limits: random search (Li and Talwalkar 2019)."""

    def __call__(self, found: Found, count: int) -> list[Genotype]:
        """In the order in which they are drawn."""
        return draw_within(found.moment, found.limits, count)


class Ranked:
    """Random genotypes within the limits, ranked by their reward on ``val`` with the supernet's weights.

    Random search with weight sharing (Li and Talwalkar, arXiv 1902.07638, section 3). BatchNorms use the statistics of
    the batch, because the running ones are of all paths together.

    Args:
        num_samples: how many are ranked, at least 1.
    """

    def __init__(self, num_samples: int = 100) -> None:
        if num_samples < 1:
            raise InputError(f"search.derivation.num_samples: found {num_samples}; allowed: 1 or more")
        self.num_samples = num_samples

    def __call__(self, found: Found, count: int) -> list[Genotype]:
        """By falling reward; equal ones by rising loss."""
        drawn = draw_within(found.moment, found.limits, self.num_samples)
        judged = []
        for place, genotype in enumerate(drawn):
            reward, loss = judge(found.supernet, Path(genotype), found.val_batches)
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
            raise InputError(f"search.derivation.num_steps: found {num_steps}; allowed: 0 or more")
        self.num_steps, self.learning_rate = num_steps, learning_rate

    def __call__(self, found: Found, count: int) -> list[Genotype]:
        """First that with the largest total of the rises of loss; the others are drawn by their exponentials."""
        space_cost = found.moment.space_cost
        weights = {kind: of_kind.exp() for kind, of_kind in self.scores(found).items()}
        if found.max_free is not None:
            weights = limit_free(weights, space_cost.ops, space_cost.size.nodes_per_layer, found.max_free)
        return _strongest_and_drawn(weights, found, count)

    def scores(self, found: Found) -> dict[str, Tensor]:
        """Per kind of cell ``[E, O]``: by how much the loss rises without an operation, and without its edge."""
        ops, size = found.moment.space_cost.ops, found.moment.space_cost.size
        weights = {kind: found.op_weights[kind].detach().clone() for kind in KINDS}
        scores = {kind: torch.zeros(size.num_edges, len(ops), dtype=torch.float64) for kind in KINDS}
        tuning = _Tuning(found, self.num_steps, self.learning_rate)
        places = [(kind, row) for kind in KINDS for row in range(size.num_edges)]
        for i in torch.randperm(len(places), generator=found.moment.generator).tolist():
            kind, row = places[i]
            rises = _rises(found, weights, kind, [(row, [column]) for column in range(len(ops))])
            scores[kind][row] = rises
            rises[[column for column, op in enumerate(ops) if op == "none"]] = -torch.inf
            kept = int(rises.argmax())
            weights[kind][row] = 0
            weights[kind][row, kept] = 1
            tuning.train(weights)
        every = list(range(len(ops)))
        for kind in KINDS:
            for node in range(1, size.nodes_per_layer + 1):
                rows = rows_into(node)
                rises = _rises(found, weights, kind, [(row, every) for row in rows])
                scores[kind][rows] += rises[:, None]
        return scores


def _rises(found: Found, weights: OpWeights, kind: str, removals: list[tuple[int, list[int]]]) -> Tensor:
    """By how much the loss on ``val`` rises if some columns of a row of op weights are set to 0, for each removal."""
    _, whole = judge(found.supernet, weights, found.val_batches)
    rises = []
    for row, columns in removals:
        without = {name: of_kind.clone() for name, of_kind in weights.items()}
        without[kind][row, columns] = 0
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
) -> list[Genotype]:
    """Up to ``count`` different genotypes within limits, drawn in proportion to op weights, uniformly without them.

    If a thousand draws in a row find no further one, op weights times random numbers are projected onto the limits
    instead: in other proportions, but within. Fewer than ``count`` if that finds none either.

    Raises:
        BudgetError: if no genotype meets the limits.
    """
    found: dict[Genotype, None] = {}
    weights, space_cost = dict(op_weights or uniform(moment)), moment.space_cost
    while len(found) < count:
        genotype = _draw_one(weights, moment, limits, found)
        if genotype is None:
            noise = {kind: torch.rand(w.shape, generator=moment.generator) * w for kind, w in weights.items()}
            genotype = project(noise, space_cost, limits).genotype
        if genotype in found:
            break
        found[genotype] = None
    return list(found)


def _draw_one(
    weights: dict[str, Tensor], moment: Moment, limits: Limits, known: dict[Genotype, None]
) -> Genotype | None:
    for _ in range(_TRIES):
        genotype = draw(weights, moment)
        cost = moment.space_cost.of(genotype) if limits else {}
        if genotype not in known and meets(cost, limits):
            return genotype
    return None
