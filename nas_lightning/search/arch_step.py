"""The step of the alphas: the loss whose gradient they follow."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim import Optimizer

from nas_lightning.errors import InputError
from nas_lightning.search.moment import Alphas, Moment
from nas_lightning.search.penalties import Objective, Penalty, Regulariser
from nas_lightning.search.relaxation import Relaxation
from nas_lightning.space.base import A, Choice, DecisionSpace, OpWeights, Path, Supernet
from nas_lightning.space.choices import one_hot

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class AlphaLoss:
    """What a step of the alphas works with.

    Attributes:
        supernet: with the alphas as they are.
        run: the supernet in training, by what is fastest; differentiable once.
        relaxation: of the strategy.
        penalties: of the strategy.
        regularisers: of the strategy.
        objective: what the penalties weigh.
        moment: of this step.
        weight_optimizer: of the supernet's weights.
    """

    supernet: Supernet
    run: Callable[[Tensor, Choice], Tensor]
    relaxation: Relaxation
    penalties: Iterable[Penalty]
    regularisers: Iterable[Regulariser]
    objective: Objective
    moment: Moment
    weight_optimizer: Optimizer

    @property
    def alphas(self) -> Alphas:
        """As they are."""
        return dict(self.supernet.alphas.items())

    def relax(self) -> Choice:
        """What the supernet computes with now; a step calls it once, as it draws."""
        return self.relaxation(self.alphas, self.moment)

    @cached_property
    def settled(self) -> OpWeights:
        """The op weights that the alphas stand for."""
        return self.relaxation.settled(self.alphas, self.moment.space)

    def penalty(self, op_weights: OpWeights) -> Tensor:
        """The sum of all penalties, a scalar."""
        return sum((term(op_weights, self.objective) for term in self.penalties), torch.zeros(()))

    def regulariser(self) -> Tensor:
        """The sum of all regularisers, a scalar."""
        return sum((term(self.alphas, self.moment.progress) for term in self.regularisers), torch.zeros(()))

    def extra(self) -> Tensor:
        """Penalties and regularisers at the settled op weights."""
        return self.penalty(self.settled) + self.regulariser()


class ArchStep(Protocol):
    """The second part of a strategy."""

    through_weights: bool
    """Whether the loss is differentiated with respect to the weights, too."""

    needs_paths: bool
    """Whether it works with paths alone."""

    def __call__(self, at: AlphaLoss, train_batch: Batch, val_batch: Batch) -> tuple[Tensor, Tensor]:
        """The loss of the alphas, and logits ``[B, K]`` of the ``val`` batch."""


class FirstOrder:
    """The loss on ``val`` at the present weights (DARTS, arXiv 1806.09055, section 2.3 with xi = 0)."""

    through_weights, needs_paths = False, False

    def __call__(self, at: AlphaLoss, train_batch: Batch, val_batch: Batch) -> tuple[Tensor, Tensor]:
        """The loss, and the logits."""
        x, y = val_batch
        logits = at.run(x, at.relax())
        return at.supernet.task.loss(logits, y) + at.extra(), logits


class Unrolled:
    """The loss on ``val`` after one virtual SGD step of the weights (DARTS, arXiv 1806.09055, equations 5 and 6).

    The gradient of the returned loss with respect to the alphas is exact: it differentiates through the step
    ``w' = w - lr (momentum * buffer + dL_train/dw + weight_decay * w)`` with the optimizer's own numbers, where the
    original code takes a finite difference of the Hessian. Clipping is left out of the virtual step. The forward passes
    run on copies of the buffers, so that the BatchNorm statistics stay as they are.
    """

    through_weights, needs_paths = True, False

    def __call__(self, at: AlphaLoss, train_batch: Batch, val_batch: Batch) -> tuple[Tensor, Tensor]:
        """The loss, and the logits."""
        weights = at.supernet.weights()
        buffers = {name: buffer.clone() for name, buffer in at.supernet.named_buffers()}
        choice = at.relax()

        def logits_of(parameters: Mapping[str, Tensor], x: Tensor) -> Tensor:
            return functional_call(at.supernet, {**parameters, **buffers}, (x, choice))

        x, y = train_batch
        train_loss = at.supernet.task.loss(logits_of(weights, x), y)
        gradients = torch.autograd.grad(train_loss, list(weights.values()), create_graph=True)
        stepped = {
            name: weight - _sgd_step(at.weight_optimizer, weight, gradient)
            for (name, weight), gradient in zip(weights.items(), gradients, strict=True)
        }
        x, y = val_batch
        logits = logits_of(stepped, x)
        return at.supernet.task.loss(logits, y) + at.extra(), logits


def _sgd_step(sgd: Optimizer, weight: nn.Parameter, gradient: Tensor) -> Tensor:
    group = sgd.param_groups[0]
    step = gradient + group["weight_decay"] * weight
    buffer = sgd.state.get(weight, {}).get("momentum_buffer")
    return group["lr"] * (step if buffer is None else group["momentum"] * buffer + step)


class PolicyGradient(nn.Module):
    """REINFORCE on the reward of one path, and what it costs (TuNAS, arXiv 2008.06120, sections 3 and 3.1).

    The reward of a path is that of the task on the ``val`` batch less the penalties at that
    path; with ``BudgetPull`` it is the absolute reward ``reward - weight * abs(cost / limit - 1)``. The loss is
    ``-(reward - baseline) * log p(path)``, with a moving average of rewards as baseline.

    Args:
        baseline_decay: of the moving average, from 0 to less than 1.
    """

    through_weights, needs_paths = False, True
    baseline: Tensor
    num_rewards: Tensor

    def __init__(self, baseline_decay: float = 0.95) -> None:
        super().__init__()
        if not 0 <= baseline_decay < 1:
            raise InputError(f"`baseline_decay`: found {baseline_decay}; allowed: 0 to less than 1")
        self.baseline_decay = baseline_decay
        self.register_buffer("baseline", torch.zeros(()))
        self.register_buffer("num_rewards", torch.zeros(()))

    def __call__(self, at: AlphaLoss, train_batch: Batch, val_batch: Batch) -> tuple[Tensor, Tensor]:
        """The loss, and the logits."""
        x, y = val_batch
        path = at.relax()
        assert isinstance(path, Path)  # nosec B101 # for mypy: the strategy is checked to sample paths
        space = at.moment.space
        hot = {name: weights.to(x) for name, weights in one_hot(path.architecture, space).items()}
        with torch.no_grad():
            logits = at.supernet(x, path)
            reward = at.supernet.task.rewards(logits, y).mean() - at.penalty(hot)
        advantage = reward - self._updated_baseline(reward)
        chance = log_probability(path.architecture, at.settled, space)
        return -advantage * chance + at.regulariser(), logits

    def _updated_baseline(self, reward: Tensor) -> Tensor:
        """The average of the rewards before this one; the first reward is its own baseline."""
        if self.num_rewards == 0:
            self.baseline.copy_(reward)
        before = self.baseline.clone()
        self.baseline.lerp_(reward.to(self.baseline), 1 - self.baseline_decay)
        self.num_rewards.add_(1)
        return before


def log_probability(architecture: A, op_weights: OpWeights, space: DecisionSpace[A]) -> Tensor:
    """The logarithm of the probability of an architecture, drawn by op weights that sum to 1 at each decision."""
    chances = [op_weights[name][place] for name, places in space.picks(architecture).items() for place in places]
    return torch.stack(chances).log().sum()
