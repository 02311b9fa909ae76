"""The LightningModule that trains a fixed network."""

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from nas_lightning.errors import InputError
from nas_lightning.space.cells.compiled import CompiledNetwork
from nas_lightning.space.cells.network import Network
from nas_lightning.space.trunk import Trunk
from nas_lightning.tasks import Task
from nas_lightning.training.means import CountingModule


@torch.no_grad()
def open_relus(network: nn.Module, bias: float | None = None) -> None:
    """Set the biases of all BatchNorms that a ReLU follows.

    From 0, every ReLU starts with half of its values cut off, and through ten cells in a row that are one channel wide
    hardly anything comes; see docs/decisions/norm_bias.md.

    Args:
        network: that is fresh.
        bias: None for 1, and 0 in a ``Trunk``, which is wider and gains nothing by it.
    """
    if bias is None:
        bias = 0.0 if isinstance(network, Trunk) else 1.0
    for sequence in network.modules():
        if isinstance(sequence, nn.Sequential):
            for norm, after in pairwise(sequence):
                if isinstance(norm, nn.BatchNorm1d) and isinstance(after, nn.ReLU) and norm.affine:
                    norm.bias.fill_(bias)


def learning_rate(network: nn.Module) -> float:
    """A rate at which a network trains well by AdamW: 0.02, and less for one that is both deep and large.

    Of more than three cells and 2,000 parameters it falls with the square root of the parameters; for a ``Trunk`` it is
    0.01. See docs/notebook/learning_rate.md and docs/notebook/recipes.md.
    """
    if isinstance(network, Trunk):
        return 0.01
    if not isinstance(network, Network) or len(network.cells) <= 3:
        return 0.02
    params = sum(parameter.numel() for parameter in network.parameters())
    return 0.02 * min(1.0, (2000 / params) ** 0.5)


class TrainModule(CountingModule):
    """Trains a network for a task.

    A checkpoint holds weights and plain values, so ``load_from_checkpoint`` is given the other arguments again.

    Args:
        network: maps ``[B, C, L]`` to outputs ``[B, num_outputs]``.
        optimizer: makes the optimizer from the parameters.
        scheduler: makes its scheduler, stepped once an epoch.
        task: what the outputs are held against; None for that of the network.
        loss: of outputs and targets, a scalar; None for that of the task. In eval mode it is that of ``val``.
        clip_norm: largest norm of the gradient; None for any.
        pace: how often the schedule is stepped an epoch, on average: above 1 a shorter training plays all of it.
        compiled: what computes the network in training, where it serves; None for the network itself.

    Raises:
        InputError: if neither ``task`` is given nor the network has one.
    """

    stage = "train"

    def __init__(
        self,
        network: nn.Module,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        scheduler: Callable[[Optimizer], LRScheduler],
        task: Task | None = None,
        loss: Callable[[Tensor, Tensor], Tensor] | None = None,
        clip_norm: float | None = None,
        pace: float = 1.0,
        compiled: CompiledNetwork | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters("clip_norm", "pace", logger=False)  # what is no plain value would be pickled
        found = task or getattr(network, "task", None)
        if found is None:
            raise InputError("TrainModule: the network has no task; give one, for example a Classification")
        self.task: Task = found
        self.network, self.make_optimizer, self.make_scheduler = network, optimizer, scheduler
        self.loss, self.metric = loss or self.task.loss, self.task.metric()
        self.clip_norm, self.pace, self.compiled = clip_norm, pace, compiled

    def train(self, mode: bool = True) -> Self:
        """Training mode, but for parts of the network of which nothing is trained: these keep their statistics."""
        super().train(mode)
        for module in self.network.modules() if mode else ():
            own = list(module.parameters())
            if own and not any(parameter.requires_grad for parameter in own):
                module.train(False)
        return self

    def configure_optimizers(self) -> Any:
        """One optimizer, one schedule."""
        optimizer = self.make_optimizer(self.network.parameters())
        return [optimizer], [self.make_scheduler(optimizer)]

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """Scale the gradient down to ``clip_norm``, or do what the Trainer was told."""
        if gradient_clip_val is None:
            gradient_clip_val, gradient_clip_algorithm = self.clip_norm, "norm"
        self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        """As many steps of the schedule as are due after this epoch."""
        for _ in range(int((self.current_epoch + 1) * self.pace) - int(self.current_epoch * self.pace)):
            scheduler.step()

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``[B, K]``."""
        if self.training and self.compiled is not None and self.compiled.serves(x):
            return self.compiled(x)
        return self.network(x)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """The loss of one batch."""
        x, target = batch
        outputs, target = self._judged(self(x), target)
        loss, reward = self.loss(outputs, target), self.task.rewards(outputs, target).mean()
        values = {"training/train_loss": loss, f"training/train_{self.task.monitor}": reward}
        self.means["train"].add(values, len(target))
        return loss

    def _judged(self, outputs: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """The outputs of a step ``[N, K]`` that its loss sees, and a target for each."""
        return outputs, target

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Count for loss and metrics."""
        x, target = batch
        outputs = self(x)
        self.means["val"].add({"training/val_loss": self.loss(outputs, target)}, len(target))
        self.metric.update(outputs, target)

    def on_validation_epoch_end(self) -> None:
        """Log the loss on ``val``, and all metrics of the task."""
        super().on_validation_epoch_end()
        self._log_metrics("training/val_")

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Log the loss, and count for the metrics."""
        x, target = batch
        outputs = self(x)
        self.metric.update(outputs, target)
        self.log("test/loss", self.task.loss(outputs, target), on_epoch=True, batch_size=len(target))

    def on_test_epoch_end(self) -> None:
        """Log all metrics of the task."""
        self._log_metrics("test/")

    def predict_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """The outputs ``[B, K]`` of one batch, whose targets are not looked at."""
        return self(batch[0])

    def on_train_epoch_end(self) -> None:
        """Log the learning rate."""
        self.log("training/lr", self.trainer.optimizers[0].param_groups[0]["lr"])

    def _log_metrics(self, prefix: str) -> None:
        """What was counted over a split; then the count begins anew."""
        for name, value in self.metric.compute().items():
            self.log(prefix + name, value, prog_bar=name == self.task.monitor)
        self.metric.reset()
