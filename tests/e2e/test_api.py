"""The function on arrays of a program: a run like any other, which goes on with the same arrays alone."""

import json

import numpy as np
import onnx
import pytest
import torch

from nas_lightning import FrontEnd, InputError, TimeSeriesData, search_and_get_model
from nas_lightning.config.compose import compose_config
from nas_lightning.config.keys import to_overrides
from nas_lightning.runs.claim import begin

SETTINGS = ["training.nas_enabled=false", "callbacks=none", "selection.candidates=1", "control.num_random=0"]
SETTINGS += ["export.int8=false", "model.widths=[4,4]"]
RANDOM = np.random.default_rng(0)
TIME = np.arange(64)[None, None, :] + RANDOM.uniform(0, 20, (24, 1, 1))
SPEEDS = np.where(np.arange(24) % 2, 0.3, 1.3)[:, None, None]
X = np.sin(TIME * SPEEDS) + 0.1 * RANDOM.standard_normal((24, 2, 64))
Y = np.array(["slow", "fast"])[(np.arange(24) + 1) % 2]


def made(x=X, **options):
    return TimeSeriesData.from_arrays(x, Y, front_end=FrontEnd(frame_size=32), batch_size=8, **options)


def test_a_run_on_arrays_is_a_run_like_any_other(tmp_path):
    folder = tmp_path / "run"
    network = search_and_get_model(
        data=made(), training_epochs=2, overrides=[*SETTINGS, "export.include_features=true"], folder=folder
    )
    assert network(torch.from_numpy(X[:, :, :32]).float()).shape == (24, 2)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["dataset"] == "arrays"
    assert {"val", "test"} <= metrics.keys()
    assert (folder / "annotations" / "instances_train_list.txt").read_text().startswith("all/")
    assert json.loads((folder / "model.json").read_text())["class_names"] == ["fast", "slow"]


def test_a_run_on_arrays_goes_on_with_the_same_arrays(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    keys = {"training.training_epochs": 1, "dataset.dataset_name": "arrays", "dataset.input_data_path": None}
    data = made()
    data.setup()
    begin(folder, compose_config([*to_overrides(keys), *SETTINGS]), data)
    arguments = {"training_epochs": 1, "overrides": SETTINGS, "folder": folder}
    with pytest.raises(InputError, match="holds a run already; go on with it by resume="):
        search_and_get_model(data=made(), **arguments)
    with pytest.raises(InputError, match="arrays: has other recordings, labels or splits than when the run began"):
        search_and_get_model(data=made(X + 1e-3), **arguments, resume=True)
    search_and_get_model(data=made(list(X)), **arguments, resume=True)
    assert (folder / "metrics.json").is_file()


class Noisy(torch.utils.data.Dataset):
    """Samples that are others in each pass."""

    def __init__(self):
        self.generator = torch.Generator().manual_seed(0)

    def __len__(self):
        return len(X)

    def __getitem__(self, i):
        x = torch.from_numpy(X[i]).float()
        return x + torch.rand(x.shape, generator=self.generator), int(Y[i] == "slow")


def test_all_files_say_the_same_of_samples_that_a_loader_draws_anew(tmp_path):
    loader = torch.utils.data.DataLoader(Noisy(), 8)
    options = {"training_epochs": 1, "folder": tmp_path / "run", "overrides": [*SETTINGS, "export.int8=true"]}
    search_and_get_model(train_loader=loader, valid_loader=loader, **options)
    first, second = (onnx.load(tmp_path / "run" / name) for name in ("model.onnx", "model_int8.onnx"))
    assert {p.key: p.value for p in first.metadata_props} == {p.key: p.value for p in second.metadata_props}
    assert {"least", "most"} <= {p.key for p in first.metadata_props}
