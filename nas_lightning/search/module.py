"""The search as a LightningModule: alpha steps on ``val`` batches alternate with weight steps on ``train`` batches."""

from collections.abc import Mapping
from typing import Any, cast

import lightning as L
import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.utilities.combined_loader import CombinedLoader
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

from nas_lightning.cost.exact import MEASURES
from nas_lightning.cost.expected import ExpectedCost
from nas_lightning.cost.projection import Projected, project
from nas_lightning.search.arch_step import Batch, first_order_loss, unrolled_loss
from nas_lightning.search.strategy import Strategy
from nas_lightning.space.supernet import Supernet


class SearchModule(L.LightningModule):
    """Searches a supernet by gradient (DARTS, algorithm 1).

    Args:
        supernet: its ``alphas`` get their own optimizer, all other parameters are weights.
        strategy: the choices of the search.
        expected_cost: what the penalties weigh, and the limits that the network found must meet.
    """

    automatic_optimization = False

    def __init__(self, supernet: Supernet, strategy: Strategy, expected_cost: ExpectedCost) -> None:
        super().__init__()
        self.supernet, self.strategy, self.expected_cost = supernet, strategy, expected_cost
        self.num_steps = 0

    def configure_optimizers(self) -> Any:
        """SGD for the weights with its schedule, Adam for the alphas: every parameter is in exactly one of them."""
        weight_optimizer = self.strategy.weight_optimizer(self.supernet.weights().values())
        alpha_optimizer = self.strategy.alpha_optimizer(self.supernet.alphas.values())
        return [weight_optimizer, alpha_optimizer], [self.strategy.weight_scheduler(weight_optimizer)]

    def training_step(self, batch: dict[str, Batch], batch_idx: int) -> None:
        """One alpha step on ``batch["alphas"]``, then one weight step on ``batch["weights"]``."""
        self._alpha_step(batch["weights"], batch["alphas"])
        self._weight_step(batch["weights"])
        self.num_steps += 1

    def _alpha_step(self, train_batch: Batch, val_batch: Batch) -> None:
        weight_optimizer, alpha_optimizer = self._optimizers()
        alpha_optimizer.zero_grad()
        if self.strategy.unrolled:
            loss, logits = unrolled_loss(
                self.supernet,
                train_batch,
                val_batch,
                self.strategy.op_weights,
                self._penalty,
                weight_optimizer.optimizer,
            )
            alphas = list(self.supernet.alphas.values())
            for alpha, gradient in zip(alphas, torch.autograd.grad(loss, alphas), strict=True):
                alpha.grad = gradient
        else:
            with self.toggled_optimizer(alpha_optimizer):
                loss, logits = first_order_loss(self.supernet, val_batch, self.strategy.op_weights, self._penalty)
                self.manual_backward(loss)
        alpha_optimizer.step()
        self._log_batch("alphas", loss, logits, val_batch[1])

    def _weight_step(self, batch: Batch) -> None:
        weight_optimizer, _ = self._optimizers()
        x, y = batch
        weight_optimizer.zero_grad()
        with self.toggled_optimizer(weight_optimizer):
            logits = self(x)
            loss = nn.functional.cross_entropy(logits, y)
            self.manual_backward(loss)
        self.clip_gradients(weight_optimizer.optimizer, self.strategy.clip_norm, "norm")
        weight_optimizer.step()
        self._log_batch("weights", loss, logits, y)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``[B, K]`` of the supernet under the present op weights."""
        return self.supernet(x, self.strategy.op_weights(dict(self.supernet.alphas.items())))

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log loss and accuracy of the supernet on ``val``."""
        x, y = batch
        logits = self(x)
        self._log_batch("val", nn.functional.cross_entropy(logits, y), logits, y)

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
            return self.strategy.op_weights(dict(self.supernet.alphas.items()))

    def found(self) -> Projected:
        """What the present op weights describe, within the limits.

        Raises:
            BudgetError: if no network of the space meets them.
        """
        return project(self.op_weights(), self.expected_cost.space_cost, self.expected_cost.limits)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the count of steps."""
        checkpoint["num_steps"] = self.num_steps

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take back the count of steps."""
        self.num_steps = checkpoint["num_steps"]

    def _optimizers(self) -> list[LightningOptimizer]:
        return cast(list[LightningOptimizer], self.optimizers())

    def _penalty(self, op_weights: Mapping[str, Tensor]) -> Tensor:
        return self.strategy.penalty(op_weights, self.expected_cost)

    def _log_batch(self, level: str, loss: Tensor, logits: Tensor, y: Tensor) -> None:
        accuracy = (logits.argmax(1) == y).float().mean()
        values = {f"search/{level}_loss": loss.detach(), f"search/{level}_accuracy": accuracy}
        self.log_dict(values, on_step=False, on_epoch=True, prog_bar=level != "alphas", batch_size=len(y))


def search_loader(weights_loader: Any, alphas_loader: Any) -> CombinedLoader:
    """Both levels in step: as many steps as the longer loader has batches; the shorter one starts over when it ends."""
    return CombinedLoader({"weights": weights_loader, "alphas": alphas_loader}, "max_size_cycle")
