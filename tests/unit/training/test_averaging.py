"""The moving average of the weights, in real fits."""

import functools

import lightning as L
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from nas_lightning.tasks import Classification
from nas_lightning.training.averaging import MovingAverage
from nas_lightning.training.module import TrainModule

DECAY = 0.6


def new_module():
    torch.manual_seed(0)
    network = nn.Sequential(nn.BatchNorm1d(2), nn.Flatten(), nn.Linear(32, 3))
    optimizer = functools.partial(torch.optim.SGD, lr=0.5)
    scheduler = functools.partial(torch.optim.lr_scheduler.ConstantLR, factor=1.0)
    return TrainModule(network, optimizer, scheduler, Classification(2, 16, 3))


def loader():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(12, 2, 16, generator=generator)
    return DataLoader(TensorDataset(x, torch.arange(12) % 3), 4)


class Watch(L.Callback):
    """Weights and running means after each step, and what is validated."""

    def __init__(self):
        self.steps, self.validated = [], []

    def on_train_batch_end(self, trainer, pl_module, *_):
        self.steps.append(self.values(pl_module))

    def on_validation_batch_start(self, trainer, pl_module, *_):
        self.validated.append(self.values(pl_module))

    @staticmethod
    def values(module):
        return torch.cat([module.network[2].weight.detach().flatten(), module.network[0].running_mean])


def fit(*callbacks, epochs=2, precision="32-true"):
    module = new_module()
    trainer = L.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        precision=precision,
        callbacks=list(callbacks),
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(module, loader(), loader())
    return module


pytestmark = pytest.mark.usefixtures("quiet_fits")


def average_of(steps):
    """By hand: the first values, then each step with the rest of the decay's share."""
    average = steps[0].clone()
    for count, values in enumerate(steps[1:], start=1):
        decay = min(DECAY, (1 + count) / (10 + count))
        average = decay * average + (1 - decay) * values
    return average


def test_what_is_validated_and_kept_is_the_average_by_hand():
    watch = Watch()
    module = fit(watch, MovingAverage(DECAY))
    assert len(watch.steps) == 6
    assert torch.allclose(Watch.values(module), average_of(watch.steps), atol=1e-6)
    assert torch.allclose(watch.validated[0], average_of(watch.steps[:3]), atol=1e-6)
    assert not torch.allclose(watch.validated[0], watch.steps[2], atol=1e-3)


def test_the_average_does_not_change_the_steps():
    with_average, without = Watch(), Watch()
    fit(with_average, MovingAverage(DECAY))
    fit(without)
    assert torch.equal(torch.stack(with_average.steps), torch.stack(without.steps))


def test_other_precisions_are_averaged_alike():
    networks = [fit(MovingAverage(DECAY), precision=precision).network for precision in ("32-true", "64-true")]
    torch.testing.assert_close(networks[0][2].weight, networks[1][2].weight.float(), atol=1e-5, rtol=1e-4)
