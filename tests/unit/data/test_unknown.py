"""A label that is no class, and which recording each sample is from."""

import numpy as np
import pytest
import torch

from nas_lightning.data.datamodule import TimeSeriesData
from nas_lightning.data.features import FrontEnd
from nas_lightning.data.protocol import Recorded
from nas_lightning.data.reading import Reading
from nas_lightning.errors import InputError

LABELS = np.array(["idle", "noise", "wave"])[np.arange(60) % 3]
X = np.random.default_rng(0).normal(size=(60, 2, 40)).astype(np.float32)
X[LABELS == "noise"] += 100


def data_of(unknown="noise", x=X, y=LABELS, **options):
    data = TimeSeriesData.from_arrays(x, y, batch_size=4, reading=Reading(unknown=unknown), **options)
    data.setup()
    return data


def test_nothing_is_learned_from_samples_of_no_class():
    data, whole = data_of(), data_of(None)
    assert data.task.outputs.names == ("idle", "wave")
    assert whole.task.outputs.names == ("idle", "noise", "wave")
    for split in ("train", "val", "test"):
        assert set(data.splits[split].labels.tolist()) == {0, 1}
        assert all(raw.max() < 50 for raw in data.splits[split].raw_batches())
    assert data.mean.abs().max() < 1 < whole.mean.abs().min()
    assert data.train_targets.max() == 1
    assert any("samples of noise are of no class: " in note for note in data.notes)


def test_those_of_val_and_test_are_kept_apart():
    data, whole = data_of(), data_of(None)
    for split in ("val", "test"):
        x = torch.cat([x for x, _ in data.unknown_batches(split)])
        assert x.min() > 50
        assert len(x) == int((whole.splits[split].labels == 1).sum()) > 0  # the same recordings are in the split
    assert list(data.unknown_batches("train")) == []
    assert list(whole.unknown_batches("val")) == []
    assert data.digest() != whole.digest()


def test_the_source_may_have_them_in_its_test_split_alone(tmp_path):
    for number, (x, label) in enumerate(zip(X, LABELS, strict=True)):
        split = "test" if label == "noise" or number % 4 == 0 else "train"
        (tmp_path / split / label).mkdir(parents=True, exist_ok=True)
        np.savetxt(tmp_path / split / label / f"r{number}.csv", x.T, delimiter=",")
    data = TimeSeriesData(path=str(tmp_path), batch_size=4, reading=Reading(unknown="noise"))
    data.setup()
    assert len(data.unknown_splits["test"]) == 20
    assert "val" not in data.unknown_splits
    assert any("0 of val and 20 of test" in note for note in data.notes)


@pytest.mark.parametrize(
    ("unknown", "labels", "said"),
    [
        ("bump", LABELS, r"`unknown`: found 'bump', which no recording of .* is labelled with; allowed: one of"),
        ("noise", np.array(["idle", "noise"])[np.arange(60) % 2], "has the one class .*idle.* to train on; at least 2"),
    ],
)
def test_what_leaves_nothing_to_tell_apart_is_refused(unknown, labels, said):
    with pytest.raises(InputError, match=said):
        data_of(unknown, y=labels)


def test_each_sample_knows_its_recording():
    data = data_of(front_end=FrontEnd(frame_size=16, stride_size=0.5))
    assert isinstance(data, Recorded)
    for split in ("train", "val", "test"):
        numbers = data.recordings_of(split)
        assert len(numbers) == len(data.splits[split])
        samples = torch.cat(list(data.splits[split].raw_batches()))
        for place in (0, len(numbers) // 2, len(numbers) - 1):
            within = int((numbers[:place] == numbers[place]).sum())
            expected = X[numbers[place]][:, 8 * within : 8 * within + 16]
            np.testing.assert_array_equal(samples[place].numpy(), expected)


def test_windows_that_were_dealt_one_by_one_have_no_order():
    options = {"front_end": FrontEnd(frame_size=8)}
    assert data_of(split_type="amongst_windows", **options).recordings_of("val") is None
    assert data_of(split_type="within_files", **options).recordings_of("val") is not None
