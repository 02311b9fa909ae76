"""How fixed networks are trained."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from nas_lightning.data.protocol import TrainingData
from nas_lightning.space.base import Blueprint
from nas_lightning.space.cells.compiled import compile_network
from nas_lightning.space.shared import SharedTrunk
from nas_lightning.space.stem import set_constants
from nas_lightning.training.module import TrainModule, learning_rate, open_relus
from nas_lightning.training.shared import SharedModule


def quiet_trainer(epochs: int) -> L.Trainer:
    """A Trainer that leaves nothing behind and shows nothing."""
    return L.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


@dataclass(frozen=True)
class Recipe:
    """What makes a fixed network into a trained one.

    Attributes:
        epochs: of a final training.
        seed: of the first weights of the first final training.
        optimizers: from the network to what makes its optimizer and its scheduler; None for AdamW with a cosine.
        loss: of outputs and targets, a scalar; None for that of the task.
        norm_bias: of the BatchNorms before a ReLU, at the start; None for that of ``open_relus``.
        clip_norm: largest norm of the gradient; None for any.
        kernels: what computes the network in training: ``native``, ``torch`` or ``auto``.
        short_trainer: from a number of epochs to the Trainer of a short training.
        start: gives a fresh network the weights that it starts from, and may hold some of them.
    """

    epochs: int = 200
    seed: int = 0
    optimizers: Callable[[nn.Module], tuple[Any, Any]] | None = None
    loss: Callable[[Tensor, Tensor], Tensor] | None = None
    norm_bias: float | None = None
    clip_norm: float | None = None
    kernels: str = "auto"
    short_trainer: Callable[[int], L.Trainer] = quiet_trainer
    start: Callable[[nn.Module], None] | None = None

    def module(self, blueprint: Blueprint, data: TrainingData, seed: int, pace: float = 1.0) -> TrainModule:
        """A fresh network with the constants of the data, to be trained; sets all seeds.

        Args:
            blueprint: of the network.
            data: whose mean and deviation the network takes off.
            seed: of the first weights; the order of batches and the augmentation follow from the seed of the data.
            pace: see ``TrainModule``.
        """
        L.seed_everything(seed, workers=True, verbose=False)
        network = blueprint.build()
        set_constants(network, data.mean, data.std)
        open_relus(network, self.norm_bias)
        if self.start is not None:
            self.start(network)
        is_whole = all(parameter.requires_grad for parameter in network.parameters())
        compiled = compile_network(network, blueprint.task, self.kernels if is_whole else "torch")
        optimizers = (self.optimizers or self._adamw)(network)
        kind = SharedModule if isinstance(network, SharedTrunk) else TrainModule
        module = kind(network, *optimizers, blueprint.task, self.loss, self.clip_norm, pace, compiled)
        return module if is_whole else module.train()  # a Trainer leaves the mode of each part as it is

    def _adamw(self, network: nn.Module) -> tuple[Any, Any]:
        rate = learning_rate(network)
        return partial(torch.optim.AdamW, lr=rate), partial(CosineAnnealingLR, T_max=self.epochs)
