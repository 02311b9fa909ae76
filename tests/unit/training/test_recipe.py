"""The recipe of the final training: its loss, its start and its schedule."""

import functools
from typing import ClassVar

import lightning as L
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from nas_lightning.errors import InputError
from nas_lightning.space.cells.genotype import Genotype
from nas_lightning.space.cells.network import Network
from nas_lightning.space.cells.size import Size
from nas_lightning.space.reference import ConvNet
from nas_lightning.tasks import Classification
from nas_lightning.tasks.classification import ClassificationLoss
from nas_lightning.training.module import TrainModule, open_relus

TASK = Classification(2, 16, 3)


def linear_module(**settings):
    network = nn.Sequential(nn.Flatten(), nn.Linear(32, 3))
    optimizer = functools.partial(torch.optim.SGD, lr=1.0)
    scheduler = functools.partial(torch.optim.lr_scheduler.LinearLR, start_factor=1.0, end_factor=0.0, total_iters=8)
    return TrainModule(network, optimizer, scheduler, **{"task": TASK} | settings)


def loader():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(6, 2, 16, generator=generator)
    return DataLoader(TensorDataset(x, torch.tensor([0, 0, 0, 0, 1, 2])), 6)


def test_a_step_is_no_longer_than_the_clipped_gradient():
    """Plain SGD with rate 1 moves by the gradient."""

    def moved(clip_norm, of_trainer=None):
        torch.manual_seed(0)
        module = linear_module(clip_norm=clip_norm)
        before = nn.utils.parameters_to_vector(module.parameters()).detach()
        quiet_trainer(max_epochs=1, gradient_clip_val=of_trainer).fit(module, loader(), loader())
        return float((nn.utils.parameters_to_vector(module.parameters()) - before).detach().norm())

    assert moved(None) == moved(100.0) > 0.2
    assert moved(0.1) == pytest.approx(0.1, rel=1e-4)
    assert moved(0.1, of_trainer=0.05) == pytest.approx(0.05, rel=1e-4)


def quiet_trainer(**settings):
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "limit_val_batches": 0}
    return L.Trainer(accelerator="cpu", enable_model_summary=False, **quiet | settings)


def rates(pace, epochs):
    """The rate in each epoch of a real fit."""
    seen = []

    class Rate(L.Callback):
        def on_train_epoch_start(self, trainer, pl_module):
            seen.append(trainer.optimizers[0].param_groups[0]["lr"])

    quiet_trainer(max_epochs=epochs, callbacks=[Rate()]).fit(linear_module(pace=pace), loader(), loader())
    return seen


@pytest.fixture(autouse=True)
def _quiet():
    import warnings

    warnings.filterwarnings("ignore", ".*does not have many workers.*")
    warnings.filterwarnings("ignore", ".*LeafSpec.* is deprecated.*")
    warnings.filterwarnings("ignore", ".*number of training batches.*")


@pytest.mark.parametrize(("pace", "epochs"), [(1, 8), (2, 4), (8 / 3, 3), (8, 1)])
def test_a_shorter_training_plays_the_whole_schedule(pace, epochs):
    expected = [1 - int(epoch * pace) / 8 for epoch in range(epochs)]
    assert rates(pace, epochs) == pytest.approx(expected)


@pytest.mark.parametrize("is_training", [True, False])
def test_labels_are_smoothed_in_training_only_and_classes_have_their_weights_in_both(is_training):
    x, y = next(iter(loader()))
    weights = torch.tensor([1.0, 2.0, 5.0])
    module = linear_module(loss=ClassificationLoss(weights, 0.3)).train(is_training)
    labels = nn.functional.one_hot(y, 3) * 1.0
    if is_training:
        labels = 0.7 * labels + 0.1
    expected = (weights[y] * -(labels * module(x).log_softmax(1)).sum(1)).mean()
    name, step = ("train", module.training_step) if is_training else ("val", module.validation_step)
    step((x, y), 0)
    assert float(module.means[name].take()[f"training/{name}_loss"]) == pytest.approx(
        float(expected.detach()), rel=1e-5
    )


def test_all_metrics_of_the_task_are_logged_on_val():
    class Watch(L.Callback):
        seen: ClassVar = {}

        def on_validation_end(self, trainer, pl_module):
            self.seen.update(trainer.callback_metrics)
            self.shown = {name for name in trainer.progress_bar_metrics if "/val_" in name}

    watch, module = Watch(), linear_module()
    trainer = quiet_trainer(max_epochs=2, callbacks=[watch], limit_val_batches=None)
    trainer.fit(module, loader(), loader())
    (x, y), _ = next(iter(loader())), module.eval()
    expected = TASK.figures(module(x).detach(), y)
    found = {name: float(watch.seen[f"training/val_{name}"]) for name in expected}
    assert found == pytest.approx(expected, rel=1e-6)
    assert watch.shown == {"training/val_loss", "training/val_accuracy"}


def test_a_network_without_a_task_needs_one():
    with pytest.raises(InputError, match="TrainModule: the network has no task; give one"):
        linear_module(task=None)
    assert TrainModule(ConvNet(TASK, [4, 4], 3), None, None).task == TASK


@pytest.mark.parametrize(
    "network",
    [
        Network(Genotype((("sep_conv_3x1", 0),), (("skip_connect", 0),)), Size(3, 1, 2, 2, 1), TASK),
        ConvNet(TASK, [4, 4], 3),
    ],
)
def test_only_batch_norms_before_a_relu_are_opened(network):
    num_relus = sum(isinstance(module, nn.ReLU) for module in network.modules())
    open_relus(network, 0.75)
    biases = [module.bias.detach() for module in network.modules() if isinstance(module, nn.BatchNorm1d)]
    opened = [bias for bias in biases if bool((bias == 0.75).all())]
    assert len(opened) == num_relus == len(biases) - 1
    assert not network.stem.norm.bn.bias.any()
