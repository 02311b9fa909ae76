"""Which epochs are saved, in real fits."""

import lightning as L
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from nas_lightning.callbacks import NewestCheckpoint


class Module(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch, batch_idx):
        return self.layer(batch[0]).mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


class Reader(L.Callback):
    """What the file holds at the start of each epoch and in the end."""

    def __init__(self, path):
        self.path, self.epochs = path, []

    def on_train_epoch_start(self, trainer, pl_module):
        self.epochs.append(torch.load(self.path, weights_only=True)["epoch"] if self.path.is_file() else None)

    on_fit_end = on_train_epoch_start


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
@pytest.mark.filterwarnings("ignore:.*LeafSpec")
@pytest.mark.filterwarnings("ignore:.*number of training batches")
@pytest.mark.parametrize(
    ("epochs", "expected"),
    [
        (3, [None, 0, 1, 2]),
        (43, [None, None, *(epoch for pair in range(1, 41, 2) for epoch in (pair, pair)), 41, 42]),
    ],
)
def test_some_twenty_epochs_and_the_last_are_saved(tmp_path, epochs, expected):
    reader = Reader(tmp_path / "last.ckpt")
    trainer = L.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        callbacks=[reader, NewestCheckpoint(tmp_path, epochs)],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Module(), DataLoader(TensorDataset(torch.ones(2, 1)), 2))
    assert reader.epochs == expected
