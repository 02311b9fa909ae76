"""Every format, found by listing: the same recordings come out of each, and a DataModule can use them."""

import numpy as np
import pytest
from recording_files import EQUAL_LENGTH, FIXED_TEST, FORMATS, ONE_CHANNEL, SCALE, make_recordings

import nas_lightning.data.readers as readers
from nas_lightning.data.collect import collect
from nas_lightning.data.datamodule import TimeSeriesData
from nas_lightning.data.readers import folder, open_source, series


def by_content(recordings):
    """Recordings as a sorted list, because a format may order them by class."""
    rows = [recordings.values[a:b].numpy() for a, b in zip(recordings.starts, recordings.starts[1:], strict=False)]
    return sorted(zip(recordings.labels.tolist(), rows, strict=True), key=lambda pair: (pair[0], pair[1][0, 0]))


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("lengths", [(40,) * 12, tuple(range(30, 42))], ids=["equal", "different"])
def test_what_was_written_is_read(tmp_path, name, lengths):
    if name in EQUAL_LENGTH and len(set(lengths)) > 1:
        pytest.skip("the format holds one length")
    made = make_recordings(lengths, channels=1 if name in ONE_CHANNEL else 2)
    found = collect(open_source(None, str(FORMATS[name](tmp_path, made))))
    expected = sorted(((i % 2, values) for i, (_, values, _) in enumerate(made)), key=lambda p: (p[0], p[1][0, 0]))
    assert len(found) == 12
    for (label, values), (true_label, true_values) in zip(by_content(found), expected, strict=True):
        assert label == true_label
        np.testing.assert_allclose(values * SCALE.get(name, 1), true_values, atol=1e-6)
    assert (found.splits is not None) == (name in FIXED_TEST)
    assert len(set(found.names)) == 12


@pytest.mark.parametrize("name", FORMATS)
def test_a_datamodule_splits_it_without_overlap(tmp_path, name):
    path = FORMATS[name](tmp_path, make_recordings(channels=1 if name in ONE_CHANNEL else 2))
    data = TimeSeriesData(None, str(path), batch_size=2)
    data.setup()
    numbers = [row[0] for split in ("train", "val", "test") for row in data.segments[split].tolist()]
    assert sorted(numbers) == list(range(12))
    x, y = next(iter(data.train_dataloader()))
    assert x.shape == (2, 1 if name in ONE_CHANNEL else 2, 40)
    assert y.shape == (2,)


def test_every_reader_has_a_format():
    endings = {*folder.READERS, *series.READERS, "npz", "zip", "parquet"}
    assert all(any(ending in name for name in FORMATS) for ending in endings)
    assert all(word in readers.ALLOWED for word in (".npz", ".zip", ".ts", ".tsv", ".arff", ".csv", ".parquet"))
