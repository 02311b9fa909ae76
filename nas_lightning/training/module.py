"""The LightningModule that trains a fixed network."""

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from nas_lightning.space.compiled import CompiledNetwork
from nas_lightning.space.network import Network

CLASS_WEIGHTS = ("none", "balanced", "sqrt")
"""How classes count in the loss, see ``class_weights``."""


def class_weights(counts: Tensor, how: str) -> Tensor | None:
    """Weights of classes ``[K]`` in the loss whose mean over all samples is 1; None for ``none``.

    >>> class_weights(torch.tensor([30, 10]), "balanced")
    tensor([0.6667, 2.0000])

    Args:
        counts: samples of each class, ``[K]``.
        how: ``balanced``: a class counts the same however many samples it has; ``sqrt``: half way, in proportion to the
            square root of their number.
    """
    if how == "none":
        return None
    weights = counts.float() ** (-1.0 if how == "balanced" else -0.5)
    return weights * counts.sum() / (weights * counts).sum()


def weighted_loss(logits: Tensor, y: Tensor, weights: Tensor | None, label_smoothing: float) -> Tensor:
    """The mean cross entropy of logits ``[N, K]`` and labels ``[N]``, each sample with the weight of its class.

    ``torch.nn.functional.cross_entropy`` gives its weights to the classes of a smoothed label, too: then the rarest
    class gets the larger part of every label, and a network learns to name no other.

    Args:
        logits: of a batch.
        y: of the batch.
        weights: of the classes, ``[K]``; None for 1.
        label_smoothing: the share of a label that is spread over all classes.
    """
    if weights is None:
        return nn.functional.cross_entropy(logits, y, label_smoothing=label_smoothing)
    losses = nn.functional.cross_entropy(logits, y, label_smoothing=label_smoothing, reduction="none")
    return (weights[y] * losses).mean()


@torch.no_grad()
def open_relus(network: nn.Module, bias: float) -> None:
    """Set the biases of all BatchNorms that a ReLU follows.

    From 0, every ReLU starts with half of its values cut off, and through ten cells in a row that are one channel wide
    hardly anything comes; see "Deep and narrow networks" in docs/benchmarks.md.
    """
    for sequence in network.modules():
        if isinstance(sequence, nn.Sequential):
            for norm, after in pairwise(sequence):
                if isinstance(norm, nn.BatchNorm1d) and isinstance(after, nn.ReLU) and norm.affine:
                    norm.bias.fill_(bias)


def learning_rate(network: nn.Module) -> float:
    """A rate at which a network trains well by AdamW: 0.02, and less for one that is both deep and large.

    Of more than three cells and 2,000 parameters it falls with the square root of the parameters. See "The learning
    rate by size" in docs/benchmarks.md.
    """
    if not isinstance(network, Network) or len(network.cells) <= 3:
        return 0.02
    params = sum(parameter.numel() for parameter in network.parameters())
    return 0.02 * min(1.0, (2000 / params) ** 0.5)


class TrainModule(L.LightningModule):
    """Trains a network by cross entropy.

    Args:
        network: maps ``[B, C, L]`` to logits ``[B, K]``.
        optimizer: makes the optimizer from the parameters.
        scheduler: makes its scheduler, stepped once an epoch.
        weights: of the classes in the loss, ``[K]``; None for 1.
        label_smoothing: the share of a label that is spread over all classes, in training only.
        clip_norm: largest norm of the gradient; None for any.
        pace: how often the schedule is stepped an epoch, on average: above 1 a shorter training plays all of it.
        compiled: what computes the network in training, where it serves; None for the network itself.
    """

    weights: Tensor | None

    def __init__(
        self,
        network: nn.Module,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        scheduler: Callable[[Optimizer], LRScheduler],
        weights: Tensor | None = None,
        label_smoothing: float = 0.0,
        clip_norm: float | None = None,
        pace: float = 1.0,
        compiled: CompiledNetwork | None = None,
    ) -> None:
        super().__init__()
        self.network, self.make_optimizer, self.make_scheduler = network, optimizer, scheduler
        self.register_buffer("weights", weights, persistent=False)
        self.label_smoothing, self.clip_norm, self.pace, self.compiled = label_smoothing, clip_norm, pace, compiled

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
        smoothing = self.label_smoothing if split == "train" else 0.0
        loss = weighted_loss(logits, y, self.weights, smoothing)
        accuracy = (logits.argmax(1) == y).float().mean()
        values = {f"training/{split}_loss": loss.detach(), f"training/{split}_accuracy": accuracy}
        self.log_dict(values, on_step=False, on_epoch=True, prog_bar=True, batch_size=len(y))
        return loss
