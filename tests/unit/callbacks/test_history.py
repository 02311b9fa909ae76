from itertools import pairwise

from nas_lightning.callbacks.history import MOST_EPOCHS, FigureHistory
from nas_lightning.report.history import as_columns


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
