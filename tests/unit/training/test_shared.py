"""The training of several heads over one trunk: what its loss is, and which head is kept."""

from functools import partial

import lightning as L
import pytest
import torch
from torch.nn import functional as F
from torch.optim.lr_scheduler import ConstantLR
from torch.utils.data import DataLoader, TensorDataset

from nas_lightning.space.shared import SharedBlueprint
from nas_lightning.space.trunk import Block, TrunkBlueprint
from nas_lightning.tasks import Classification
from nas_lightning.training.evaluate import predict
from nas_lightning.training.shared import SharedModule, kept_of

TASK = Classification(1, 32, 2)
SHARED = SharedBlueprint((Block("full", 4, 5, stride=2),), TASK, ("mean", "means_4", "maximum"))


def bumps(count, seed):
    """Samples of a class with a bump in the first half, and of one with it in the second: only a place tells them."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(count) % 2
    x = 0.1 * torch.randn(count, 1, 32, generator=generator)
    for i, late in enumerate(y.tolist()):
        at = int(torch.randint(2, 12, (1,), generator=generator)) + 16 * late
        x[i, 0, at : at + 3] += 2
    return DataLoader(TensorDataset(x, y), 16)


def module_of(blueprint=SHARED, loss=None):
    torch.manual_seed(0)
    optimizer, scheduler = partial(torch.optim.AdamW, lr=0.02), partial(ConstantLR, factor=1.0)
    return SharedModule(blueprint.build(), optimizer, scheduler, TASK, loss)


def test_the_loss_of_a_step_is_the_mean_over_all_heads():
    module, (x, y) = module_of(), next(iter(bumps(16, 0)))
    loss = module.training_step((x, y), 0)
    outputs = module_of().network(x).detach()  # as fresh, and in training mode, too
    assert float(loss.detach()) == pytest.approx(sum(float(F.cross_entropy(outputs[:, i], y)) for i in range(3)) / 3)
    assert float(module.means["train"].take()["training/train_accuracy"]) == pytest.approx(
        float((outputs.argmax(2) == y[:, None]).float().mean())
    )


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
@pytest.mark.filterwarnings("ignore:.*LeafSpec.* is deprecated")
def test_the_head_with_the_least_loss_on_val_is_kept_and_its_figures_are_told():
    module, val = module_of(), bumps(48, 1)
    trainer = L.Trainer(
        accelerator="cpu", max_epochs=6, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(module, bumps(96, 0), val)
    blueprint, network = kept_of(module, SHARED, val)
    assert blueprint == TrunkBlueprint(SHARED.blocks, TASK, "means_4")
    losses = [float(TASK.loss(*predict(module.network.alone(i), val))) for i in range(3)]
    assert min(losses) == losses[1] < 0.5 * min(losses[0], losses[2])
    outputs, y = predict(network, val)
    assert float(TASK.loss(outputs, y)) == pytest.approx(losses[1])
    told = trainer.callback_metrics
    assert float(told["training/val_loss"]) == pytest.approx(losses[1], rel=1e-5)
    assert float(told["training/val_accuracy"]) == pytest.approx(float((outputs.argmax(1) == y).float().mean()))


def test_a_network_with_one_head_is_kept_as_it_is():
    alone = SHARED.alone(0)
    module = module_of(alone)
    assert kept_of(module, alone, bumps(4, 0)) == (alone, module.network)
