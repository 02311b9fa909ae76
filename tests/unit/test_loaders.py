"""DataLoaders of a user, and what ``search_and_get_model`` takes and refuses beside them."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from nas_lightning import InputError, TimeSeriesData, search_and_get_model
from nas_lightning.data.loaders import LoaderData

X = torch.randn(8, 2, 16, generator=torch.Generator().manual_seed(0))
Y = torch.arange(8) % 2


def loader(x=X, y=Y):
    return DataLoader(TensorDataset(x, y), 4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bool, torch.uint8, torch.int16])
def test_labels_of_any_type_that_are_whole(dtype):
    data = LoaderData(loader(y=Y.to(dtype)), loader())
    data.setup()
    assert data.train_targets.bincount().tolist() == [4, 4]
    assert data.notes == []


@pytest.mark.parametrize("label", [0.5, float("nan"), -0.001, 1.5])
def test_other_labels_are_not_cut(label):
    y = torch.where(Y == 1, label, 0.0)
    text = rf"^valid_loader: a batch has the label {label:g}; allowed: whole numbers, 0 to K - 1$"
    with pytest.raises(InputError, match=text):
        LoaderData(loader(), loader(y=y)).setup()


def test_complex_samples_are_refused():
    with pytest.raises(InputError, match=r"^train_loader: a batch has complex numbers; allowed: real ones$"):
        LoaderData(loader(x=X + 0j), loader()).setup()


def test_more_channels_than_time_steps_are_told():
    data = LoaderData(loader(x=X.transpose(1, 2)), loader(x=X.transpose(1, 2)))
    data.setup()
    assert data.notes[0].startswith("train_loader: a sample has 16 channels and 2 time steps; x is [B, C, L], so exch")


DATA = TimeSeriesData.from_arrays(X.numpy(), Y.numpy())


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (
            {"train_loader": X.numpy(), "valid_loader": X.numpy()},
            "train_loader is of type ndarray; allowed: a DataLoader; ",
        ),
        (
            {"train_loader": loader(), "valid_loader": X},
            "valid_loader is of type Tensor; allowed: a DataLoader; arrays and",
        ),
        (
            {"train_loader": pd.DataFrame({"a": [1]}), "valid_loader": loader()},
            "train_loader is of type DataFrame; allowed",
        ),
        (
            {"train_loader": [(np.zeros((4, 1, 16)), np.zeros(4))], "valid_loader": loader()},
            "taken by TimeSeriesData.from_a",
        ),
        (
            {"data": (X, Y)},
            "data is of type tuple; allowed: a TimeSeriesData, for example of TimeSeriesData.from_arrays",
        ),
        ({"data": DATA, "train_loader": loader()}, "found data and train_loader; allowed: one of them"),
        ({"data": DATA, "overrides": ["features=none"]}, "features cannot be set, because data gives the samples"),
        (
            {"data": DATA, "overrides": ["dataset.missing=drop"]},
            "dataset.missing cannot be set, because data gives the",
        ),
        (
            {"data": DATA, "overrides": ["search_features=true"]},
            "search_features cannot be set, because data gives the",
        ),
        ({"data": DATA, "resume": True, "folder": None}, "resume needs folder, that of the run to go on with"),
    ],
)
def test_what_the_function_refuses(tmp_path, settings, text):
    with pytest.raises(InputError) as error:
        search_and_get_model(**({"folder": tmp_path / "run"} | settings))
    assert text in str(error.value)
    assert not (tmp_path / "run").exists()
