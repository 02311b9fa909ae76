"""When a training ends before its time, and that one that goes on ends at the same epoch."""

import math

import lightning as L
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from nas_lightning.callbacks import EarlyEnd

pytestmark = pytest.mark.usefixtures("quiet_fits")


class Given(L.LightningModule):
    """Logs the losses that it is given, one an epoch."""

    def __init__(self, losses):
        super().__init__()
        self.losses, self.weight = losses, torch.nn.Parameter(torch.ones(1))

    def training_step(self, batch, batch_idx):
        return self.weight.sum()

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", self.losses[self.current_epoch])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def fit(losses, patience, path=None, going_on=False, stop_at=None):
    loader = DataLoader(TensorDataset(torch.zeros(1)))
    quiet = dict.fromkeys(("logger", "enable_progress_bar", "enable_model_summary", "enable_checkpointing"), False)
    callbacks = [EarlyEnd("val_loss", len(losses), patience)]
    trainer = L.Trainer(max_epochs=stop_at or len(losses), accelerator="cpu", callbacks=callbacks, **quiet)
    trainer.fit(Given(losses), loader, loader, ckpt_path=path if going_on else None, weights_only=True)
    if path is not None:
        trainer.save_checkpoint(path)
    return trainer.current_epoch


@pytest.mark.parametrize(
    ("losses", "patience", "epochs"),
    [
        ([9, 1, 2, 2, 5, 5, 5, 5], 0.25, 7),  # the second half begins at epoch 4; two more are no better
        ([9, 1, 2, 2, 5, 4, 4, 4], 0.25, 8),
        ([9, 1, 2, 2, 5, 4, 3, 2], 0.25, 8),
        ([0, 1, 2, 3, 4, 5, 6, 7], 0.125, 6),
        ([0, 1, 2, 3, 4, 5, 6, 7], 1.0, 8),
        ([9, 1, 2, 2, math.nan, math.nan, math.nan, 1], 0.25, 7),
    ],
)
def test_a_fit_ends_where_no_epoch_of_its_second_half_was_better_for_so_long(losses, patience, epochs):
    assert fit(losses, patience) == epochs


@pytest.mark.parametrize("stop_at", [3, 5, 6])
def test_a_fit_that_goes_on_ends_where_the_unbroken_one_does(tmp_path, stop_at):
    losses, path = [9, 1, 2, 2, 5, 5, 5, 5], tmp_path / "last.ckpt"
    assert fit(losses, 0.25, path, stop_at=stop_at) == stop_at
    assert fit(losses, 0.25, path, going_on=True) == 7
    assert fit(losses, 0.25, path, going_on=True) == 7  # it had ended
