"""The recipe of the final training: its loss, its start and its schedule."""

import functools
import math

import lightning as L
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from nas_lightning.space.genotype import Genotype
from nas_lightning.space.network import ConvNet, Network
from nas_lightning.space.size import Size, Task
from nas_lightning.training.module import TrainModule, class_weights, open_relus, weighted_loss

TASK = Task(2, 16, 3)


def linear_module(**settings):
    network = nn.Sequential(nn.Flatten(), nn.Linear(32, 3))
    optimizer = functools.partial(torch.optim.SGD, lr=1.0)
    scheduler = functools.partial(torch.optim.lr_scheduler.LinearLR, start_factor=1.0, end_factor=0.0, total_iters=8)
    return TrainModule(network, optimizer, scheduler, **settings)


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
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    return L.Trainer(accelerator="cpu", enable_model_summary=False, limit_val_batches=0, **quiet, **settings)


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


def test_weights_of_classes_by_hand():
    counts = torch.tensor([40, 10, 0])[:2]
    assert class_weights(counts, "none") is None
    assert class_weights(counts, "balanced").tolist() == pytest.approx([50 / 80, 50 / 20])
    roots = [40**-0.5, 10**-0.5]
    scale = 50 / (40 * roots[0] + 10 * roots[1])
    assert class_weights(counts, "sqrt").tolist() == pytest.approx([scale * root for root in roots])


def test_a_weight_is_that_of_the_sample_and_not_of_what_smoothing_gives_to_other_classes():
    """Labels of 0.9 + 0.1 / 3, 0.1 / 3 and 0.1 / 3; the weights are 1 and 5."""
    logits, y = torch.tensor([[2.0, 0.0, 1.0], [0.5, -1.0, 0.0]]), torch.tensor([0, 2])
    logs = [[z - math.log(sum(math.exp(other) for other in row)) for z in row] for row in logits.tolist()]
    losses = [-sum((0.9 * (k == label) + 0.1 / 3) * logs[i][k] for k in range(3)) for i, label in enumerate(y.tolist())]
    assert float(weighted_loss(logits, y, torch.tensor([1.0, 1.0, 5.0]), 0.1)) == pytest.approx(
        (losses[0] + 5 * losses[1]) / 2
    )
    assert float(weighted_loss(logits, y, None, 0.1)) == pytest.approx(sum(losses) / 2)


@pytest.mark.parametrize("how", ["balanced", "sqrt"])
def test_the_mean_weight_of_a_sample_is_one(how):
    counts = torch.tensor([292, 177, 10, 19, 2])
    assert float((class_weights(counts, how) * counts).sum() / counts.sum()) == pytest.approx(1)


def test_the_loss_counts_classes_as_it_is_told():
    x, y = next(iter(loader()))
    module = linear_module(weights=torch.tensor([1.0, 2.0, 5.0]))
    module.log_dict = lambda *arguments, **named: None
    losses = -module(x).log_softmax(1)[range(6), y]
    weights = torch.tensor([1.0, 2.0, 5.0])[y]
    assert float(module._step("val", (x, y)).detach()) == pytest.approx(
        float((weights * losses).mean().detach()), rel=1e-5
    )


def test_labels_are_smoothed_in_training_only():
    x, y = next(iter(loader()))
    module = linear_module(label_smoothing=0.3)
    module.log_dict = lambda *arguments, **named: None
    logs = module(x).log_softmax(1)
    soft = 0.7 * nn.functional.one_hot(y, 3) + 0.1
    assert float(module._step("train", (x, y)).detach()) == pytest.approx(
        float(-(soft * logs).sum(1).mean().detach()), rel=1e-5
    )
    assert float(module._step("val", (x, y)).detach()) == pytest.approx(
        float(-logs[range(6), y].mean().detach()), rel=1e-5
    )


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
