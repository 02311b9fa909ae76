"""The training of a trunk that the heads of several readouts share."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from nas_lightning.space.base import Blueprint
from nas_lightning.space.shared import SharedBlueprint
from nas_lightning.training.evaluate import predict
from nas_lightning.training.module import TrainModule


class SharedModule(TrainModule):
    """Trains the heads of all readouts at once; figures on ``val`` are those of the head with the least loss there."""

    def _judged(self, outputs: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Those of all heads, sample by sample."""
        return outputs.flatten(0, 1), target.repeat_interleave(outputs.shape[1], 0)

    def on_validation_epoch_start(self) -> None:
        """Forget the outputs of the epoch before."""
        self._outputs: list[tuple[Tensor, Tensor]] = []

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Keep the outputs: which head counts is known at the end."""
        self._outputs.append((self(batch[0]), batch[1]))

    def on_validation_epoch_end(self) -> None:
        """Log loss and metrics of the best head."""
        outputs, target = (torch.cat(parts) for parts in zip(*self._outputs, strict=True))
        losses = losses_of(self, outputs, target)
        best = int(torch.stack(losses).argmin())
        self.means["val"].add({"training/val_loss": losses[best]}, len(target))
        self.metric.update(outputs[:, best], target)
        super().on_validation_epoch_end()


def losses_of(module: TrainModule, outputs: Tensor, target: Tensor) -> list[Tensor]:
    """The loss of each head on ``val``, from outputs ``[N, R, K]``."""
    return [module.loss(outputs[:, i], target) for i in range(outputs.shape[1])]


def kept_of(
    module: TrainModule, blueprint: Blueprint, val: Iterable[tuple[Tensor, Tensor]]
) -> tuple[Blueprint, nn.Module]:
    """What is kept of a training: of a network that heads share, it with the head of the least loss on ``val``."""
    if not isinstance(blueprint, SharedBlueprint):
        return blueprint, module.network
    network: Any = module.network
    outputs, target = predict(network, val)
    best = int(torch.stack(losses_of(module.eval(), outputs, target)).argmin())
    return blueprint.alone(best), network.alone(best)
