import io
import zipfile

import numpy as np
import pytest
import torch

from nas_lightning.data import recordings
from nas_lightning.data.readers import arrays, open_source
from nas_lightning.data.recordings import collect
from nas_lightning.errors import InputError

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((11, 3, 5)).astype(np.float32)
Y = np.arange(11) % 2


def write(path, x, save=np.savez, **more):
    save(path, X_train=x[:7], y_train=Y[:7], X_test=x[7:], y_test=Y[7:], **more)
    return path


def read(path):
    return collect(open_source(None, str(path)))


@pytest.mark.parametrize("part", [1, 30, 1 << 20])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("dtype", ["f4", "f8", ">f8", "f2", "i2", "u1"])
def test_parts_are_put_together(tmp_path, monkeypatch, part, save, dtype):
    monkeypatch.setattr(arrays, "_PART_VALUES", part)
    x = (10 * X).astype(dtype)
    found = read(write(tmp_path / "d.npz", x, save))
    assert found.values.tolist() == x.astype(np.float32).transpose(0, 2, 1).reshape(-1, 3).tolist()
    assert found.values.is_contiguous()
    assert list(found.names) == [f"train/{i}" for i in range(7)] + [f"test/{i}" for i in range(4)]
    assert (found.labels.tolist(), list(found.splits)) == (Y.tolist(), ["train"] * 7 + ["test"] * 4)


def test_series_stored_by_columns_are_read_as_well(tmp_path):
    expected = read(write(tmp_path / "d.npz", X)).values
    np.savez(tmp_path / "f.npz", X_train=np.asfortranarray(X[:7]), y_train=Y[:7], X_test=X[7:], y_test=Y[7:])
    assert read(tmp_path / "f.npz").values.tolist() == expected.tolist()


def test_groups_are_those_of_the_file(tmp_path):
    found = read(write(tmp_path / "d.npz", X, groups_train=np.array([3, 3, 20, 20, 3, 1, 1])))
    assert list(found.groups) == ["3", "3", "20", "20", "3", "1", "1"] + ["test"] * 4


def test_a_whole_array_is_never_in_memory(tmp_path, monkeypatch):
    """The largest piece that is read from the file holds one part, not the array."""
    monkeypatch.setattr(arrays, "_PART_VALUES", 1 << 12)
    x = np.repeat(X, 200, axis=2)[:, :, :1000]
    asked = []
    real = zipfile.ZipExtFile.read
    monkeypatch.setattr(zipfile.ZipExtFile, "read", lambda self, n=-1: asked.append(n) or real(self, n))
    read(write(tmp_path / "d.npz", x))
    assert 0 < max(asked) <= 4 * (1 << 12)
    assert min(asked) >= 0


def test_series_that_end_early_are_refused(tmp_path):
    """The header says more than there is."""
    stream = io.BytesIO()
    np.save(stream, X[:7])
    with zipfile.ZipFile(write(tmp_path / "d.npz", X)) as old, zipfile.ZipFile(tmp_path / "e.npz", "w") as new:
        for name in old.namelist():
            new.writestr(name, stream.getvalue()[:-8] if name == "X_train.npy" else old.read(name))
    with pytest.raises(InputError, match=r"e.npz cannot be read as .npz .*X_train.npy ends after 6 samples"):
        read(tmp_path / "e.npz")


def test_rows_of_a_file_come_back_after_they_were_given_back(tmp_path, monkeypatch):
    expected = read(write(tmp_path / "d.npz", X)).values.tolist()
    monkeypatch.setattr(recordings, "_IN_MEMORY_VALUES", 8)
    values = read(tmp_path / "d.npz").values
    recordings.give_back(values)
    assert values.tolist() == expected
    recordings.give_back(torch.ones(3))  # which lie in no file
