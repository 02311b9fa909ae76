"""The search as a LightningModule: alpha steps on ``val`` batches alternate with weight steps on ``train`` batches."""

import copy
import logging
from collections.abc import Iterable
from typing import Any, cast

import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler

from nas_lightning.cost.budget import Budget
from nas_lightning.cost.exact import MEASURES
from nas_lightning.errors import InputError
from nas_lightning.kernels.choice import describe, warn_if_slow
from nas_lightning.search.arch_step import AlphaLoss, Batch
from nas_lightning.search.derivation import Found
from nas_lightning.search.moment import Moment, generator_of
from nas_lightning.search.penalties import Objective
from nas_lightning.search.strategy import Strategy
from nas_lightning.space.base import Choice, Path, Projected, SearchSpace
from nas_lightning.space.choices import limit_free, strongest
from nas_lightning.space.stem import set_constants
from nas_lightning.training.means import CountingModule

log = logging.getLogger("nas_lightning")


class SearchModule(CountingModule):
    """Searches a space (DARTS, arXiv 1806.09055, algorithm 1, with the parts of a strategy in the place of its own).

    A checkpoint holds weights and plain values, so ``load_from_checkpoint`` is given space, strategy and budget again.

    >>> from nas_lightning import CellSpace, Classification
    >>> search = SearchModule(CellSpace("s", Classification(1, 32, 2)))
    >>> search.found().architecture.num_nodes
    4

    Args:
        space: that is searched; its supernet is fresh, and its first weights follow from the seed of PyTorch.
        strategy: the choices of the search; None for first-order DARTS.
        num_epochs: of the search.
        constants: mean and standard deviation ``[C]`` of the samples; None for 0 and 1.
        budget: what the network found must not exceed.
        measure: what becomes cheaper where no budget limits it.
        kernels: what computes the supernet: ``native``, ``torch`` or ``auto``.
        seed: of what the strategy draws.
    """

    automatic_optimization = False
    off_the_bar = ("/alphas_",)
    stage = "search"

    def __init__(
        self,
        space: SearchSpace[Any],
        strategy: Strategy | None = None,
        num_epochs: int = 10,
        *,
        constants: tuple[Tensor, Tensor] | None = None,
        budget: Budget | None = None,
        measure: str = "params",
        kernels: str = "auto",
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters("num_epochs", "measure", "kernels", "seed", logger=False)  # plain values alone
        self.strategy, self.num_epochs, self.seed = strategy or Strategy(), num_epochs, seed
        self.objective = Objective(space, measure, budget or Budget({}))
        alphas = self.strategy.relaxation.new_alphas(space)
        self.supernet = space.supernet(alphas, self.strategy.partial_channels, kernels)
        if constants is not None:
            set_constants(self.supernet, *constants)
        run_pass: Any = space.training_pass(self.supernet)
        self.run_pass = run_pass.__call__  # never a second module of the same weights
        self.arch_step = copy.deepcopy(self.strategy.arch_step)  # what it remembers goes into the checkpoints
        self.num_steps = 0
        self.max_free: int | None = None  # decisions of a table that may keep an option without parameters

    @property
    def space(self) -> SearchSpace[Any]:
        """That is searched."""
        return self.objective.space

    def configure_optimizers(self) -> Any:
        """SGD for the weights with its schedule, Adam for the alphas: every parameter is in exactly one of them."""
        weight_optimizer = self.strategy.weight_optimizer(self.supernet.weights().values())
        alpha_optimizer = self.strategy.alpha_optimizer(self.supernet.alphas.values())
        return [weight_optimizer, alpha_optimizer], [self.strategy.new_scheduler(weight_optimizer, self.num_epochs)]

    def on_fit_start(self) -> None:
        """Say what searches, and on what; forget what a fit that was stopped has left."""
        super().on_fit_start()
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
        return Moment(self.progress, generator_of(self.seed, self.num_steps, stage), self.space)

    def _alpha_step(self, train_batch: Batch, val_batch: Batch) -> None:
        weight_optimizer, alpha_optimizer = self._optimizers()
        assert self.arch_step is not None  # nosec B101 # for mypy: without one there are no alpha steps
        alpha_optimizer.zero_grad()
        at = AlphaLoss(
            supernet=self.supernet,
            run=self.run_pass,
            relaxation=self.strategy.relaxation,
            penalties=self.strategy.penalties.values(),
            regularisers=self.strategy.regularisers.values(),
            objective=self.objective,
            moment=self.moment(0),
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
                f"search: diverged in epoch {self.current_epoch + 1}; lower `weight_optimizer.lr` or "
                "`alpha_optimizer.lr`, or give the Trainer more bits of precision"
            )
        self._count_batch("alphas", loss, logits, val_batch[1])

    def _weight_step(self, batch: Batch) -> None:
        weight_optimizer, _ = self._optimizers()
        x, y = batch
        weight_optimizer.zero_grad()
        with self.toggled_optimizer(weight_optimizer):
            logits = self.run_pass(x, self.strategy.relaxation(self._alphas, self.moment(1)))
            loss = self.supernet.task.loss(logits, y)
            self.manual_backward(loss)
        self.clip_gradients(weight_optimizer.optimizer, self.strategy.clip_norm, "norm")
        weight_optimizer.step()
        self._count_batch("weights", loss, logits, y)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``[B, K]`` of what is judged on ``val``: the mixture by settled op weights, or the strongest path."""
        return self.supernet(x, self.judged())

    def judged(self) -> Choice:
        """What the alphas stand for now: op weights, or a path if the strategy trains paths."""
        op_weights = self.op_weights()
        if not self.strategy.draws_paths:
            return op_weights
        return Path(strongest(op_weights, self.space))

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Count for loss and reward of the supernet on ``val``."""
        x, y = batch
        logits = self(x)
        self._count_batch("val", self.supernet.task.loss(logits, y), logits, y)

    def on_train_epoch_end(self) -> None:
        """Log learning rates and expected cost, and step the schedule: manual optimization never steps it."""
        weight_optimizer, alpha_optimizer = self._optimizers()
        self.log("search/lr_weights", weight_optimizer.param_groups[0]["lr"])
        self.log("search/lr_alphas", alpha_optimizer.param_groups[0]["lr"])
        op_weights = self.op_weights()
        for measure in MEASURES:
            self.log(f"search/expected_{measure}", self.objective.expected(op_weights, measure).float())
        for name, weights in op_weights.items():
            self.log(f"search/entropy_{name}", torch.special.entr(weights).sum(1).mean())
        cast(LRScheduler, self.lr_schedulers()).step()

    def op_weights(self) -> dict[str, Tensor]:
        """The present op weights by table ``[rows, options]``, without gradient."""
        with torch.no_grad():
            return self.strategy.relaxation.settled(self._alphas, self.space)

    def found(self) -> Projected[Any]:
        """What the present op weights describe, within the limits.

        Raises:
            BudgetError: if no network of the space meets them.
        """
        return self.space.project(self.choosable(), self.objective.budget)

    def derive(self, train_batches: Iterable[Batch], val_batches: Iterable[Batch], count: int) -> list[Any]:
        """Up to ``count`` different architectures within the limits, the best first, by the strategy's derivation.

        Raises:
            BudgetError: if no network of the space meets the limits.
        """
        batches = train_batches, val_batches
        found = Found(self.supernet, self.choosable(), self.objective.budget, self.moment(2), *batches, self.max_free)
        return self.strategy.derivation(found, count)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the count of steps, and the answer to a collapse."""
        checkpoint["num_steps"], checkpoint["max_free"] = self.num_steps, self.max_free

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take them back."""
        self.num_steps, self.max_free = checkpoint["num_steps"], checkpoint["max_free"]

    def _optimizers(self) -> list[LightningOptimizer]:
        return cast(list[LightningOptimizer], self.optimizers())

    @property
    def _alphas(self) -> dict[str, Tensor]:
        return dict(self.supernet.alphas.items())

    def choosable(self) -> dict[str, Tensor]:
        """The op weights that an architecture is read from."""
        op_weights = self.op_weights()
        return op_weights if self.max_free is None else limit_free(op_weights, self.space, self.max_free)

    def _count_batch(self, level: str, loss: Tensor, logits: Tensor, y: Tensor) -> None:
        task = self.supernet.task
        values = {f"search/{level}_loss": loss, f"search/{level}_{task.monitor}": task.rewards(logits, y).mean()}
        self.means["val" if level == "val" else "train"].add(values, len(y))
