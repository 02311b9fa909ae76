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
        best, loss = best_of(self, outputs, target)
        self.means["val"].add({"training/val_loss": loss}, len(target))
        self.metric.update(outputs[:, best], target)
        super().on_validation_epoch_end()


def best_of(module: TrainModule, outputs: Tensor, target: Tensor) -> tuple[int, Tensor]:
    """The head with the least loss on ``val``, and that loss, from outputs ``[N, R, K]``."""
    losses = torch.stack([module.loss(outputs[:, i], target) for i in range(outputs.shape[1])])
    best = int(losses.nan_to_num(torch.inf).argmin())  # one that diverged is no better than others
    return best, losses[best]


def kept_of(
    module: TrainModule, blueprint: Blueprint, val: Iterable[tuple[Tensor, Tensor]]
) -> tuple[Blueprint, nn.Module]:
    """What is kept of a training: of a network that heads share, it with the head of the least loss on ``val``."""
    if not isinstance(blueprint, SharedBlueprint):
        return blueprint, module.network
    network: Any = module.network
    outputs, target = predict(network, val)
    best, _ = best_of(module.eval(), outputs, target)
    return blueprint.alone(best), network.alone(best)
