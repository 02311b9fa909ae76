from functools import partial
from itertools import pairwise

import lightning as L
import torch
from torch.optim import SGD
from torch.optim.lr_scheduler import ConstantLR
from torch.utils.data import DataLoader, TensorDataset

from nas_lightning.callbacks.history import MOST_EPOCHS, FigureHistory
from nas_lightning.report.history import as_columns
from nas_lightning.space.reference import ReferenceBlueprint
from nas_lightning.tasks import Classification
from nas_lightning.training.module import TrainModule


def test_a_history_that_goes_on_is_that_of_an_unbroken_one():
    """Wherever it was interrupted, also right where it was thinned out."""
    unbroken = FigureHistory("training")
    for epoch in range(1, 2 * MOST_EPOCHS + 7):
        unbroken.add({"epoch": epoch, "loss": 1 / epoch})
    for stopped in (1, MOST_EPOCHS, MOST_EPOCHS + 1, 2 * MOST_EPOCHS + 1):
        first, second = FigureHistory("training"), FigureHistory("training")
        for epoch in range(1, stopped + 1):
            first.add({"epoch": epoch, "loss": 1 / epoch})
        second.load_state_dict(first.state_dict())
        for epoch in range(stopped + 1, 2 * MOST_EPOCHS + 7):
            second.add({"epoch": epoch, "loss": 1 / epoch})
        assert second.state_dict() == unbroken.state_dict()


def test_a_long_history_is_thinned_out_evenly_and_ends_with_the_last_epoch():
    history = FigureHistory("search")
    for epoch in range(1, 5001):
        history.add({"epoch": epoch})
    epochs = as_columns(history.rows)["epoch"]
    assert len(epochs) <= MOST_EPOCHS + 1
    assert (epochs[0], epochs[-1]) == (1, 5000)
    assert {after - before for before, after in pairwise(epochs[:-1])} == {history.every}


def test_an_epoch_without_a_look_at_val_has_no_figures_of_it(quiet_fits, tmp_path):
    """Lightning still knows those of the look before, which a fit that goes on would not."""
    loader = DataLoader(TensorDataset(torch.randn(8, 1, 16), torch.arange(8) % 2), batch_size=4)
    network = ReferenceBlueprint((4,), 3, Classification(1, 16, 2)).build()
    module = TrainModule(network, partial(SGD, lr=0.1), ConstantLR)
    nothing = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = L.Trainer(
        accelerator="cpu",
        max_epochs=4,
        check_val_every_n_epoch=2,
        callbacks=[history := FigureHistory("training")],
        default_root_dir=tmp_path,
        **nothing,
    )
    trainer.fit(module, loader, loader)
    columns = as_columns(history.rows)
    assert columns["epoch"] == [1, 2, 3, 4]
    assert [value is None for value in columns["val_loss"]] == [True, False, True, False]
    assert None not in columns["train_loss"]
