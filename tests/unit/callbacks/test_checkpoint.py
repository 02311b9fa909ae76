"""Which epochs are saved, in real fits."""

import lightning as L
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from nas_lightning.callbacks import BestCheckpoint, NewestCheckpoint


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


pytestmark = [
    pytest.mark.filterwarnings(f"ignore:{text}")
    for text in (".*does not have many workers", ".*LeafSpec", ".*number of training batches", ".*is not empty")
]


def fit(module, epochs, callbacks, **options):
    quiet = dict.fromkeys(("logger", "enable_progress_bar", "enable_model_summary"), False)
    trainer = L.Trainer(accelerator="cpu", max_epochs=epochs, callbacks=callbacks, **quiet)
    trainer.fit(module, DataLoader(TensorDataset(torch.ones(2, 1)), 2), **options)


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [
        (3, [None, 0, 1, 2]),
        (43, [None, None, *(epoch for pair in range(1, 41, 2) for epoch in (pair, pair)), 41, 42]),
    ],
)
def test_some_twenty_epochs_and_the_last_are_saved(tmp_path, epochs, expected):
    reader = Reader(tmp_path / "last.ckpt")
    fit(Module(), epochs, [reader, NewestCheckpoint(tmp_path, epochs)])
    assert reader.epochs == expected


class Given(Module):
    """Logs these values."""

    def __init__(self, values):
        super().__init__()
        self.values = values

    def on_train_epoch_end(self):
        self.log("value", self.values[self.current_epoch])


def test_the_best_epoch_is_known_again_in_a_folder_that_was_moved(tmp_path):
    """Lightning by itself would take the third epoch for the best one so far, and save it."""
    before, now = tmp_path / "before", tmp_path / "now"

    def go_on(folder, epochs, **options):
        fit(
            Given([3.0, 1.0, 2.0, 0.5]),
            epochs,
            [BestCheckpoint(folder, "value", 1), NewestCheckpoint(folder, 4)],
            **options,
        )
        return torch.load(folder / "best.ckpt", weights_only=True)["epoch"]

    assert go_on(before, 2) == 1
    before.rename(now)
    assert go_on(now, 3, ckpt_path=now / "last.ckpt", weights_only=True) == 1
    assert go_on(now, 4, ckpt_path=now / "last.ckpt", weights_only=True) == 3
    assert {path.name for path in now.iterdir()} == {"best.ckpt", "last.ckpt"}
    assert not before.exists()


@pytest.mark.parametrize(
    ("values", "ends", "expected"),
    [
        ([0.1, 0.2, 0.5, 0.4, 0.3, 0.6], 6, 4),
        ([0.1, 0.2, 0.5, 0.4, 0.3, 0.6], 3, 0),
        ([0.1, 0.2, 0.3, 0.4, 0.5], 5, 2),
        ([0.7], 1, 0),
    ],
)
def test_the_best_epoch_is_one_of_the_second_half_if_the_fit_gets_there(tmp_path, values, ends, expected):
    """Stopped after ``ends`` epochs of as many as there are values, and resumed once in between."""
    fit(
        Given(values), max(1, ends - 1), [BestCheckpoint(tmp_path, "value", len(values)), NewestCheckpoint(tmp_path, 1)]
    )
    fit(
        Given(values),
        ends,
        [BestCheckpoint(tmp_path, "value", len(values)), NewestCheckpoint(tmp_path, 1)],
        ckpt_path=tmp_path / "last.ckpt",
        weights_only=True,
    )
    assert torch.load(tmp_path / "best.ckpt", weights_only=True)["epoch"] == expected
    assert {path.name for path in tmp_path.iterdir()} == {"best.ckpt", "last.ckpt"}


def test_a_checkpoint_names_no_file_but_its_own(tmp_path):
    """What Lightning takes for the old best one it removes, whatever it is."""
    callback = BestCheckpoint(tmp_path, "loss", 4)
    state = callback.state_dict() | {
        "best_model_path": "x/Documents", "kth_best_model_path": "/home/Documents", "last_model_path": "y/..",
        "best_k_models": {"x/Documents": torch.tensor(9.0)}, "dirpath": str(tmp_path),
    }  # fmt: skip
    callback.load_state_dict(state)
    own = str(tmp_path / "best.ckpt")
    assert [callback.best_model_path, callback.kth_best_model_path, callback.last_model_path] == [own] * 3
    assert list(callback.best_k_models) == [own]
