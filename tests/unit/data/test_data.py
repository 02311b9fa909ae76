import numpy as np
import pytest
import torch

from nas_lightning.data.datamodule import TimeSeriesData, channel_constants
from nas_lightning.data.readers import read, read_npz
from nas_lightning.data.recordings import check_recordings
from nas_lightning.data.splits import split_train_val


def recordings_of(y, groups=None):
    x = np.zeros((len(y), 1, 8))
    arrays = {"X_train": x, "y_train": np.array(y), "X_test": x, "y_test": np.array(y)}
    return check_recordings("made", arrays | ({} if groups is None else {"groups_train": groups}))


def test_the_default_data_come_inside_the_package(motions):
    assert motions.x_train.shape == motions.x_test.shape == (40, 6, 100)
    assert motions.class_names == ("badminton", "running", "standing", "walking")


def test_labels_are_mapped_and_their_names_kept():
    recordings = recordings_of([7, 3, 7, 3, 11, 11])
    assert recordings.class_names == ("3", "7", "11")
    assert recordings.y_train.tolist() == recordings.y_test.tolist() == [1, 0, 1, 0, 2, 2]


@pytest.mark.parametrize(
    ("labels", "names"), [(np.float32([1, 2, 1, 2]), ("1", "2")), (np.array([True, False] * 2), ("0", "1"))]
)
def test_whole_floats_and_booleans_are_labels(labels, names):
    assert recordings_of(labels).class_names == names


def test_an_npz_reads_as_what_was_written(write_npz, arrays):
    recordings = read_npz(write_npz(class_names=np.array(["a", "b", "c", "d"])))
    assert np.array_equal(recordings.x_train, arrays["X_train"])
    assert recordings.class_names == ("a", "b", "c", "d")


@pytest.mark.parametrize(("variables", "channels"), [(None, [0, 1, 2, 3, 4, 5]), (2, [0, 1]), ([4, 1], [4, 1])])
def test_variables_choose_channels(motions, variables, channels):
    assert np.array_equal(read("BasicMotions", None, variables).x_train, motions.x_train[:, channels])


def test_the_split_is_stratified():
    train, val = split_train_val(recordings_of([0] * 40 + [1] * 20), 0.25, seed=0)
    assert np.bincount(np.array([0] * 40 + [1] * 20)[val]).tolist() == [10, 5]
    assert sorted([*train, *val]) == list(range(60))


def test_groups_stay_together():
    y, groups = np.tile([0, 1], 40), np.repeat(np.arange(10), 8)
    train, val = split_train_val(recordings_of(y, groups), 0.2, seed=0)
    assert not set(groups[train]) & set(groups[val])
    assert set(y[val]) == {0, 1}
    assert len(set(groups[val])) == 2


def test_a_class_with_one_sample_stays_in_train():
    train, _ = split_train_val(recordings_of([0] * 10 + [1] * 10 + [2]), 0.25, seed=0)
    assert 20 in train


@pytest.mark.parametrize("groups", [None, np.repeat(np.arange(12), 2)])
def test_the_seed_decides_the_split(groups):
    splits = [split_train_val(recordings_of(np.tile([0, 1], 12), groups), 0.25, seed)[1].tolist() for seed in (0, 0, 1)]
    assert splits[0] == splits[1] != splits[2]


def test_constants_come_from_the_train_split_only(motions):
    data = TimeSeriesData()
    data.setup()
    train, _ = split_train_val(motions, 0.25, 0)
    x = motions.x_train[train].astype(np.float64)
    np.testing.assert_allclose(data.mean, x.mean((0, 2)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(data.std, x.std((0, 2)), rtol=1e-5)
    assert not np.allclose(data.mean, motions.x_train.mean((0, 2)), rtol=1e-5, atol=1e-6)


def test_a_constant_channel_is_not_divided_by_zero():
    _, std = channel_constants(torch.full((4, 1, 8), 3.0))
    assert std.tolist() == [1.0]


def test_batches_differ_by_epoch_and_repeat_by_seed():
    def first_batch(epoch, seed=0):
        data = TimeSeriesData(batch_size=8, seed=seed)
        data.setup()
        loader = data.train_dataloader()
        loader.sampler.set_epoch(epoch)
        return next(iter(loader))[0]

    assert torch.equal(first_batch(3), first_batch(3))
    assert not torch.equal(first_batch(3), first_batch(4))


@pytest.mark.parametrize("size", [1, 29, 30])
def test_every_training_sample_comes_once_an_epoch(size):
    data = TimeSeriesData(batch_size=size)
    data.setup()
    assert sum(len(y) for _, y in data.train_dataloader()) == 30
