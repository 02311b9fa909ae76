"""Epochs where the configuration has null, by the number of samples."""

from types import SimpleNamespace

import pytest
from torch import zeros
from torch.utils.data import DataLoader, TensorDataset

from nas_lightning.config.compose import compose_config
from nas_lightning.runs.lengths import in_full, lengths_of
from nas_lightning.training.length import Length


def loader(batches, shuffle=True):
    return DataLoader(TensorDataset(zeros(batches, 1)), shuffle=shuffle)


def data(train, val, shuffle=True, batch_size=1):
    return SimpleNamespace(
        train_dataloader=lambda: loader(train, shuffle),
        alphas_dataloader=lambda: loader(val, shuffle),
        sizes={"train": train * batch_size},
    )


def test_a_large_set_has_epochs_of_a_part_of_its_samples_and_a_small_one_no_more_than_today():
    config = compose_config([])
    large = lengths_of(config, data(40_000, 10_000, batch_size=32))
    assert (large.search, large.training) == (Length(10, 40), Length(20, 300))  # 192,000 samples
    assert large.finetuning == Length(1, 500)
    assert lengths_of(config, data(100, 20, batch_size=32)).training == Length(25, 100)  # 80,000
    assert lengths_of(config, data(200, 20, batch_size=32)).training == Length(24, 200)  # 24 times all of them
    small = lengths_of(config, data(2, 1))
    assert (small.search, small.training, small.finetuning) == (Length(10, 2), Length(200, 2, 5), Length(10, 2))


@pytest.mark.parametrize(("batches", "every"), [(1, 10), (2, 5), (3, 2), (5, 2), (6, 1), (50, 1), (None, 1)])
def test_val_is_looked_at_about_every_ten_steps(batches, every):
    """Unless the epochs are given."""
    own = data(batches or 5, 1)
    own.train_dataloader = own.train_dataloader if batches else lambda: iter(())  # which has no length
    assert lengths_of(compose_config([]), own).training.every == every
    assert lengths_of(compose_config(["training.training_epochs=7"]), own).training.every == 1


def test_in_a_search_the_longer_loader_counts():
    assert lengths_of(compose_config([]), data(4, 30)).search == Length(10, 30)


def test_what_is_said_holds_to_the_letter():
    given = ["training.training_epochs=7", "training.nas_epochs=3", "export.finetune.epochs=2"]
    found = lengths_of(compose_config(given), data(40_000, 10_000))
    assert (found.search, found.training, found.finetuning) == (Length(3), Length(7), Length(2))
    steps = ["training.training_steps=600", "training.nas_steps=50", "export.finetune.steps=30"]
    found = lengths_of(compose_config(steps), data(40_000, 10_000))
    assert (found.search, found.training, found.finetuning) == (Length(10, 5), Length(20, 30), Length(1, 30))


def test_samples_in_a_fixed_order_are_all_seen_in_each_epoch():
    found = lengths_of(compose_config([]), data(40_000, 10_000, shuffle=False, batch_size=32))
    assert (found.search, found.training) == (Length(10), Length(20))
    few = lengths_of(compose_config([]), data(50, 5, shuffle=False, batch_size=32))
    assert (few.search, few.training) == (Length(10), Length(50, 50))


@pytest.mark.parametrize("strategy", ["darts", "gdas"])
def test_schedules_follow_the_epochs_unless_they_have_their_own(strategy):
    config = compose_config([f"search={strategy}"])
    assert config.scheduler["T_max"] == config.search["weight_scheduler"]["T_max"] == "epochs"
    lengths = lengths_of(config, data(2, 1))
    full = in_full(config, lengths)
    assert (full.training.nas_epochs, full.training.training_epochs) == (10, 200)
    assert (full.search["weight_scheduler"]["T_max"], full.scheduler["T_max"]) == (10, 200)
    own = compose_config([f"search={strategy}", "scheduler.T_max=5", "search.weight_scheduler.T_max=6"])
    full = in_full(own, lengths)
    assert (full.search["weight_scheduler"]["T_max"], full.scheduler["T_max"]) == (6, 5)
    assert "T_max" not in in_full(compose_config(["scheduler=constant"]), lengths).scheduler


def test_samples_are_not_counted_where_the_epochs_are_given():
    """Which takes a pass over data of a user's own."""
    own = data(4, 2)
    del own.sizes
    assert lengths_of(compose_config(["training.training_epochs=7"]), own).training == Length(7)
    with pytest.raises(AttributeError, match="sizes"):
        lengths_of(compose_config([]), own)
