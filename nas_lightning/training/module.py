"""The LightningModule that trains a fixed network."""

from collections.abc import Callable, Iterable
from typing import Any

import lightning as L
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler


class TrainModule(L.LightningModule):
    """Trains a network by cross entropy.

    Args:
        network: maps ``[B, C, L]`` to logits ``[B, K]``.
        optimizer: makes the optimizer from the parameters.
        scheduler: makes its scheduler, stepped once an epoch.
        pace: how often it is stepped an epoch, on average: above 1 a shorter training plays the whole schedule.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        scheduler: Callable[[Optimizer], LRScheduler],
        pace: float = 1.0,
    ) -> None:
        super().__init__()
        self.network, self.make_optimizer, self.make_scheduler = network, optimizer, scheduler
        self.pace = pace

    def configure_optimizers(self) -> Any:
        """One optimizer, one schedule."""
        optimizer = self.make_optimizer(self.network.parameters())
        return [optimizer], [self.make_scheduler(optimizer)]

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        """As many steps of the schedule as are due after this epoch."""
        for _ in range(int((self.current_epoch + 1) * self.pace) - int(self.current_epoch * self.pace)):
            scheduler.step()

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``[B, K]``."""
        return self.network(x)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Cross entropy of one batch."""
        return self._step("train", batch)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Log loss and accuracy on ``val``."""
        self._step("val", batch)

    def on_train_epoch_end(self) -> None:
        """Log the learning rate."""
        self.log("training/lr", self.trainer.optimizers[0].param_groups[0]["lr"])

    def _step(self, split: str, batch: tuple[Tensor, Tensor]) -> Tensor:
        x, y = batch
        logits = self(x)
        loss = nn.functional.cross_entropy(logits, y)
        accuracy = (logits.argmax(1) == y).float().mean()
        values = {f"training/{split}_loss": loss.detach(), f"training/{split}_accuracy": accuracy}
        self.log_dict(values, on_step=False, on_epoch=True, prog_bar=True, batch_size=len(y))
        return loss
