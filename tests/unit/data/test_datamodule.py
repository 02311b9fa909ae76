"""The loaders of the DataModule."""

import numpy as np
import pytest

from nas_lightning.data.datamodule import TimeSeriesData


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
