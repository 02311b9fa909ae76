"""The loaders of the DataModule."""

import numpy as np
import pandas as pd
import pytest

from nas_lightning.data.datamodule import TimeSeriesData
from nas_lightning.data.features import FrontEnd
from nas_lightning.errors import InputError


@pytest.fixture
def loaders_of(tmp_path):
    """The four loaders over zeros and ones of a length, by name."""

    def make(length, batch_size):
        y = np.arange(40) % 2
        x = np.repeat(y[:, None, None], length, axis=2).astype(np.float32)
        np.savez(tmp_path / "data.npz", X_train=x, y_train=y, X_test=x, y_test=y)
        data = TimeSeriesData(path=str(tmp_path / "data.npz"), batch_size=batch_size)
        data.setup()
        return {name: getattr(data, f"{name}_dataloader")() for name in ("train", "alphas", "val", "test")}

    return make


@pytest.mark.parametrize(
    ("length", "batch_size", "measured"),
    [(32, 8, 256), (1 << 16, 8, 64), (1 << 16, 20, 64), (1 << 19, 12, 12)],  # 2**22 values are affordable
)
def test_only_where_nothing_is_trained_batches_are_larger(loaders_of, length, batch_size, measured):
    sizes = {name: loader.batch_size for name, loader in loaders_of(length, batch_size).items()}
    assert sizes == {"train": batch_size, "alphas": batch_size, "val": measured, "test": measured}


def table_of_clocks(path, rates, rows=200):
    """A long table of recordings whose clocks run at ``rates``, all of the same 3 Hz."""
    parts = []
    for number, rate in enumerate(rates):
        time = np.arange(rows) / rate
        x = np.sin(2 * np.pi * 3 * time)
        parts.append(pd.DataFrame({"recording": f"r{number}", "label": "ab"[number % 2], "time": time, "x": x}))
    pd.concat(parts).to_csv(path, index=False)
    return str(path)


RATES = (49.7, 50.2, 50.0, 49.9, 50.1, 50.0, 49.8, 50.05, 50.0, 49.95)


def test_clocks_that_nearly_agree_give_samples_of_one_length_and_one_signal(tmp_path):
    data = TimeSeriesData(path=table_of_clocks(tmp_path / "t.csv", RATES), new_sr=50.0, batch_size=2)
    data.setup()
    assert data.sample_shape[1] == 200
    assert data.rate == 50
    assert any("the recordings have 200 to 202 rows at 50 Hz; the first 200 count" in note for note in data.notes)
    expected = np.sin(2 * np.pi * 3 * np.arange(200) / 50)
    for split in ("train", "val", "test"):
        for sample in data.splits[split].raw_batches():
            np.testing.assert_allclose(
                sample[:, 0, 20:-20].numpy(), expected[None, 20:-20].repeat(len(sample), 0), atol=0.01
            )


def test_a_rate_that_is_given_holds_for_all(tmp_path):
    path = table_of_clocks(tmp_path / "t.csv", (40.0, 50.0) * 5)
    with pytest.raises(InputError, match=r"sampling rates from 40 to 50 Hz; new_sr=RATE .*, sampling_rate=45 takes"):
        TimeSeriesData(path=path).setup()
    front_end = FrontEnd(frame_size=50)
    data = TimeSeriesData(path=path, front_end=front_end, sampling_rate=50.0, batch_size=2)
    data.setup()
    assert data.rate == 50


def test_lengths_that_differ_by_more_are_refused(tmp_path):
    path = table_of_clocks(tmp_path / "t.csv", (50.0, 100.0) * 4)
    with pytest.raises(InputError, match=r"the recordings have from 100 \(2 s\) to 200 \(4 s\) rows"):
        TimeSeriesData(path=path, new_sr=50.0).setup()
