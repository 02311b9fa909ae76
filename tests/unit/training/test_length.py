"""How long a fit is, by its samples."""

from hypothesis import given
from hypothesis import strategies as st
from torch import ones
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from nas_lightning.data.loaders import PairLoader
from nas_lightning.training.length import Length, batches_of, is_shuffled


@given(
    st.integers(1, 100_000), st.one_of(st.none(), st.integers(1, 1_000_000)), st.integers(1, 30), st.integers(0, 300)
)
def test_steps_are_those_asked_for_within_the_bounds_of_the_epochs(steps, batches, least, more):
    found = Length.of_steps(steps, batches, least, least + more)
    assert least <= found.epochs <= least + more
    assert 1 <= found.batches <= (batches or found.batches)
    made = found.steps(batches)
    assert made == found.epochs * found.batches
    if batches is None or batches * (least + more) >= steps:
        assert steps <= made < steps + found.epochs  # no epoch has a step too many
    else:
        assert made == batches * (least + more)  # a small set is not seen more often


def test_a_length_without_a_limit_takes_all_batches():
    assert Length(3).steps(7) == 21
    assert Length(3, 5).steps(None) == 15
    assert Length(3).steps(None) is None


class Stream(IterableDataset):
    def __iter__(self):
        return iter([ones(1)])


def test_a_part_of_an_epoch_is_fair_where_the_samples_are_shuffled():
    data = TensorDataset(ones(10, 1))
    assert is_shuffled(DataLoader(data, shuffle=True))
    assert not is_shuffled(DataLoader(data))
    assert is_shuffled(PairLoader(DataLoader(data, shuffle=True), "train_loader"))
    assert not is_shuffled(PairLoader(DataLoader(data), "train_loader"))
    assert not is_shuffled(DataLoader(Stream()))
    assert not is_shuffled([1, 2])
    assert batches_of(DataLoader(data, 3)) == 4
    assert batches_of(iter([1])) is None
