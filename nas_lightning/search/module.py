"""The search as a LightningModule: alpha steps on ``val`` batches alternate with weight steps on ``train`` batches."""

import logging
from collections.abc import Iterable
from functools import cache
from typing import Any, Self, cast

import lightning as L
import numpy as np
import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler

from nas_lightning.cost.budget import Budget
from nas_lightning.cost.exact import MEASURES
from nas_lightning.cost.expected import ExpectedCost
from nas_lightning.cost.projection import Projected, project
from nas_lightning.cost.tables import SpaceCost
from nas_lightning.errors import InputError
from nas_lightning.kernels.choice import describe, warn_if_slow
from nas_lightning.search.arch_step import AlphaLoss, Batch
from nas_lightning.search.derivation import Found
from nas_lightning.search.moment import Moment
from nas_lightning.search.strategy import Strategy
from nas_lightning.space.compiled import training_pass
from nas_lightning.space.genotype import Genotype, derive, limit_free
from nas_lightning.space.supernet import Choice, Path, Supernet

log = logging.getLogger("nas_lightning")


class SearchModule(L.LightningModule):
    """Searches a supernet (DARTS, arXiv 1806.09055, algorithm 1, with the parts of a strategy in the place of its own).

    Args:
        supernet: its ``alphas`` get their own optimizer, all other parameters are weights.
        strategy: the choices of the search.
        expected_cost: what the penalties weigh, and the limits that the network found must meet.
        num_epochs: of the search.
        seed: of what the strategy draws.
    """

    automatic_optimization = False

    def __init__(
        self, supernet: Supernet, strategy: Strategy, expected_cost: ExpectedCost, num_epochs: int, seed: int = 0
    ) -> None:
        super().__init__()
        self.supernet, self.strategy, self.expected_cost, self.seed = supernet, strategy, expected_cost, seed
        self.num_epochs, self.run_pass = num_epochs, training_pass(supernet)
        self.arch_step = strategy.arch_step  # what it remembers goes into the checkpoints
        self.num_steps = 0
        self.max_free: int | None = None  # nodes of a cell that may keep an operation without parameters

    @classmethod
    def of_space(
        cls,
        space_cost: SpaceCost,
        strategy: Strategy | None = None,
        num_epochs: int = 10,
        *,
        constants: tuple[Tensor, Tensor] | None = None,
        budget: Budget | None = None,
        measure: str = "params",
        kernels: str = "auto",
        seed: int = 0,
    ) -> Self:
        """A search with a fresh supernet.

        >>> from nas_lightning import Classification
        >>> from nas_lightning.space.ops import DEFAULT_OPS
        >>> from nas_lightning.space.size import SIZES
        >>> search = SearchModule.of_space(SpaceCost(SIZES["s"], Classification(1, 32, 2), DEFAULT_OPS))
        >>> search.found().genotype.num_nodes
        4

        Args:
            space_cost: of the size, the task and the operations.
            strategy: of the search; None for first-order DARTS.
            num_epochs: of the search.
            constants: mean and standard deviation ``[C]`` of the samples; None for 0 and 1.
            budget: what the network found must not exceed.
            measure: what becomes cheaper where no budget limits it.
            kernels: what computes the supernet, see ``Supernet``.
            seed: of what the strategy draws; the first weights follow from the seed of PyTorch.
        """
        strategy, budget = strategy or Strategy(), budget or Budget({})
        alphas = strategy.relaxation.new_alphas(space_cost.size, space_cost.ops)
        parts = space_cost.size, space_cost.task, space_cost.ops, kernels, alphas, strategy.partial_channels
        supernet = Supernet(*parts)
        if constants is not None:
            supernet.stem.norm.set_constants(*constants)
        return cls(supernet, strategy, ExpectedCost(space_cost, measure, budget, budget.targets), num_epochs, seed)

    def configure_optimizers(self) -> Any:
        """SGD for the weights with its schedule, Adam for the alphas: every parameter is in exactly one of them."""
        weight_optimizer = self.strategy.weight_optimizer(self.supernet.weights().values())
        alpha_optimizer = self.strategy.alpha_optimizer(self.supernet.alphas.values())
        return [weight_optimizer, alpha_optimizer], [self.strategy.new_scheduler(weight_optimizer, self.num_epochs)]

    def on_fit_start(self) -> None:
        """Say what searches, and on what."""
        warn_if_slow(self.supernet.kernels, self.device)
        kernels = describe(self.supernet.kernels, self.device)
        log.info("search: %s, seed %d, %d epochs, %s", self.strategy.name, self.seed, self.num_epochs, kernels)

    def training_step(self, batch: dict[str, Batch], batch_idx: int) -> None:
        """One alpha step on ``batch["alphas"]``, unless the strategy has none now, and one weight step."""
        if self.arch_step is not None and self.progress >= self.strategy.warmup:
            self._alpha_step(batch["weights"], batch["alphas"])
        self._weight_step(batch["weights"])
        self.num_steps += 1

    @property
    def progress(self) -> float:
        """The share of the epochs that is over."""
        return self.current_epoch / self.num_epochs

    def moment(self, stage: int) -> Moment:
        """Where the search stands; what it draws differs between stages: 0 for alphas, 1 for weights, 2 for the end."""
        # A generator takes but 32 bits of a seed.
        (mixed,) = np.random.SeedSequence([self.seed, self.num_steps, stage]).generate_state(1)
        generator = torch.Generator().manual_seed(int(mixed))
        return Moment(self.progress, generator, self.expected_cost.space_cost)

    def _alpha_step(self, train_batch: Batch, val_batch: Batch) -> None:
        weight_optimizer, alpha_optimizer = self._optimizers()
        assert self.arch_step is not None  # nosec B101 # for mypy: without one there are no alpha steps
        alpha_optimizer.zero_grad()
        at = AlphaLoss(
            supernet=self.supernet,
            run=self.run_pass,
            relax=lambda: self._relax(0),
            settled=cache(self._settled),
            penalty=lambda op_weights: self.strategy.penalty(op_weights, self.expected_cost),
            regulariser=lambda: self.strategy.regulariser(dict(self.supernet.alphas.items()), self.progress),
            weight_optimizer=weight_optimizer.optimizer,
        )
        if self.arch_step.through_weights:
            loss, logits = self.arch_step(at, train_batch, val_batch)
            alphas = list(self.supernet.alphas.values())
            for alpha, gradient in zip(alphas, torch.autograd.grad(loss, alphas), strict=True):
                alpha.grad = gradient
        else:
            with self.toggled_optimizer(alpha_optimizer):
                loss, logits = self.arch_step(at, train_batch, val_batch)
                self.manual_backward(loss)
        alpha_optimizer.step()
        if not all(alpha.isfinite().all() for alpha in self.supernet.alphas.values()):
            raise InputError(
                f"search: diverged in epoch {self.current_epoch + 1}; lower search.weight_optimizer.lr or "
                "search.alpha_optimizer.lr, or give trainer.precision more bits"
            )
        self._log_batch("alphas", loss, logits, val_batch[1])

    def _weight_step(self, batch: Batch) -> None:
        weight_optimizer, _ = self._optimizers()
        x, y = batch
        weight_optimizer.zero_grad()
        with self.toggled_optimizer(weight_optimizer):
            logits = self.run_pass(x, self._relax(1))
            loss = self.supernet.task.loss(logits, y)
            self.manual_backward(loss)
        self.clip_gradients(weight_optimizer.optimizer, self.strategy.clip_norm, "norm")
        weight_optimizer.step()
        self._log_batch("weights", loss, logits, y)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``[B, K]`` of what is judged on ``val``: the mixture by settled op weights, or the strongest path."""
        return self.supernet(x, self.judged())

    def judged(self) -> Choice:
        """What the alphas stand for now: op weights, or a path if the strategy trains paths."""
        op_weights = self.op_weights()
        if not self.strategy.draws_paths:
            return op_weights
        return Path(derive(op_weights, self.supernet.op_names, self.supernet.size.nodes_per_layer))

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log loss and reward of the supernet on ``val``."""
        x, y = batch
        logits = self(x)
        self._log_batch("val", self.supernet.task.loss(logits, y), logits, y)

    def on_train_epoch_end(self) -> None:
        """Log learning rates and expected cost, and step the schedule: manual optimization never steps it."""
        weight_optimizer, alpha_optimizer = self._optimizers()
        self.log("search/lr_weights", weight_optimizer.param_groups[0]["lr"])
        self.log("search/lr_alphas", alpha_optimizer.param_groups[0]["lr"])
        op_weights = self.op_weights()
        for measure in MEASURES:
            self.log(f"search/expected_{measure}", self.expected_cost(op_weights, measure).float())
        for kind, weights in op_weights.items():
            self.log(f"search/entropy_{kind}", torch.special.entr(weights).sum(1).mean())
        cast(LRScheduler, self.lr_schedulers()).step()

    def op_weights(self) -> dict[str, Tensor]:
        """The present op weights ``[E, O]`` per kind of cell, without gradient."""
        with torch.no_grad():
            return self._settled()

    def found(self) -> Projected:
        """What the present op weights describe, within the limits.

        Raises:
            BudgetError: if no network of the space meets them.
        """
        return project(self.choosable(), self.expected_cost.space_cost, self.expected_cost.limits)

    def derive(self, train_batches: Iterable[Batch], val_batches: Iterable[Batch], count: int) -> list[Genotype]:
        """Up to ``count`` different genotypes within the limits, the best first, by the strategy's derivation.

        Raises:
            BudgetError: if no network of the space meets the limits.
        """
        limits, moment = self.expected_cost.limits, self.moment(2)
        found = Found(self.supernet, self.choosable(), limits, moment, train_batches, val_batches, self.max_free)
        return self.strategy.derivation(found, count)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the count of steps, and the answer to a collapse."""
        checkpoint["num_steps"], checkpoint["max_free"] = self.num_steps, self.max_free

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take them back."""
        self.num_steps, self.max_free = checkpoint["num_steps"], checkpoint["max_free"]

    def _optimizers(self) -> list[LightningOptimizer]:
        return cast(list[LightningOptimizer], self.optimizers())

    def _relax(self, stage: int) -> Choice:
        return self.strategy.relaxation(dict(self.supernet.alphas.items()), self.moment(stage))

    def _settled(self) -> dict[str, Tensor]:
        return self.strategy.relaxation.settled(dict(self.supernet.alphas.items()), self.supernet.op_names)

    def choosable(self) -> dict[str, Tensor]:
        """The op weights that a genotype is read from."""
        op_weights, ops = self.op_weights(), self.supernet.op_names
        if self.max_free is None:
            return op_weights
        return limit_free(op_weights, ops, self.supernet.size.nodes_per_layer, self.max_free)

    def _log_batch(self, level: str, loss: Tensor, logits: Tensor, y: Tensor) -> None:
        task = self.supernet.task
        reward = task.rewards(logits, y).mean()
        values = {f"search/{level}_loss": loss.detach(), f"search/{level}_{task.monitor}": reward}
        self.log_dict(values, on_step=False, on_epoch=True, prog_bar=level != "alphas", batch_size=len(y))
