"""Parts of a user's own from a ``--config-dir``: options of every group, a network, data, each in every command."""

import json

import pytest
import torch
import yaml

from nas_lightning import InputError, load
from nas_lightning.config import targets
from nas_lightning.config.compose import compose_config, config_yaml, load_config
from nas_lightning.config.records import with_values
from nas_lightning.runs.build import build_data, set_up
from nas_lightning.runs.context import Run
from nas_lightning.runs.control import _references
from nas_lightning.search.derivation import draw_within
from nas_lightning.search.moment import Moment

SHORT = ("training.nas_epochs=2", "training.training_epochs=2", "callbacks=none", "logger=none", "hydra.run.dir=run")
SHORT += ("selection.candidates=1", "control.num_random=0", "export.int8=false")
HAND_MADE = ("training.nas_enabled=false", "model=mine")

MODULE = """
import lightning as L, torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from nas_lightning import Classification
from nas_lightning.data.protocol import SearchData


class Net(nn.Module):
    def __init__(self, task, width=4, layer="BatchNorm1d", counts=False, extra=0):
        super().__init__()
        norm = getattr(nn, layer)(width)
        pool = nn.AvgPool1d(3, 2, 1, count_include_pad=counts)
        self.layers = nn.Sequential(nn.Conv1d(task.in_channels, width, 5, 2, 2), norm, nn.ReLU(), pool)
        self.head = nn.Linear(width, task.num_outputs + extra)

    def forward(self, x):
        return self.head(self.layers(x).mean(2))


class Bare(L.LightningDataModule):
    def __init__(self, batch_size=10, length=32):
        super().__init__()
        self.batch_size, self.length = batch_size, length

    def prepare_data(self):
        self.is_prepared = True

    def setup(self, stage):
        assert self.is_prepared and stage in ("fit", "test")
        noise = torch.randn(90, 2, self.length, generator=torch.Generator().manual_seed(0))
        self.y = torch.arange(90) % 3
        self.x = noise + self.y.reshape(-1, 1, 1)

    def loader(self, first, last):
        return DataLoader(TensorDataset(self.x[first:last], self.y[first:last]), self.batch_size)

    def train_dataloader(self):
        return self.loader(0, 50)

    def val_dataloader(self):
        return self.loader(50, 70)

    def test_dataloader(self):
        return self.loader(70, 90)


class Data(Bare, SearchData):
    has_test = True

    def setup(self, stage):
        super().setup(stage)
        self.task = Classification(2, self.length, 3, ("low", "middle", "high"))
        self.mean, self.std = self.x[:50].mean((0, 2)), self.x[:50].std((0, 2))
"""


def read(folder, name):
    return json.loads((folder / name).read_text())


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """Write options of a folder ``mine``, by their places in it; classes of the module ``own_parts`` can be named."""
    (tmp_path / "own_parts.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)

    def write(**options):
        for group, content in options.items():
            path = tmp_path / "mine" / group / "mine.yaml"
            path.parent.mkdir(parents=True)
            path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
        return "--config-dir", "mine"

    return write


def test_a_network_is_costed_trained_exported_deployed_and_read_back(cli, mine, tmp_path):
    options = mine(model={"_target_": "own_parts.Net", "width": 6})
    arguments = [*SHORT[:-1], "export.int8=true", "export.int8_remedies=[percentile]"]
    status, out, err = cli(*options, *HAND_MADE, *arguments, "training.training_epochs=30")
    assert status == 0, err
    assert "own_parts.Net" in out
    run = tmp_path / "run"
    params = 2 * 6 + 6 + (6 * 6 * 5 + 6) + (6 * 4 + 4)  # what is left of the normalisation, and the layers
    assert read(run, "cost.json")["params"] == params
    metrics = read(run, "metrics.json")
    assert metrics["test"]["accuracy"] > 0.5
    assert metrics["onnx"]["max_difference"] < 1e-4
    assert metrics["test_int8"]["accuracy"] > 0.5
    network = load(run)  # the folder was trusted in this process
    assert network(torch.zeros(1, 6, 100)).shape == (1, 4)
    assert network.network[0].mean.abs().min() > 0  # the constants of the data
    assert read(run, "model.json")["own"] == {"_target_": "own_parts.Net", "width": 6}


@pytest.mark.parametrize(
    ("model", "text"),
    [
        ({"layer": "GroupNorm"}, "model: "),
        ({"width": "six"}, "model: "),
        ({"extra": 1}, "model._target_: found Net, which makes [1, 5] of [1, 6, 100]; allowed: [1, 4]"),
        ({"depth": 3}, "model.depth: is unknown; allowed: task, width, layer, counts, extra"),
        ({"_target_": "own_parts.Data"}, "model: "),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_network_that_cannot_be_used_is_refused_before_it_is_trained(cli, mine, tmp_path, model, text):
    options = mine(model={"_target_": "own_parts.Net", **model})
    status, _, err = cli(*options, *HAND_MADE, *SHORT)
    assert (status, err.count("\n")) == (2, 1), err
    assert err.startswith(f"error: {text}")
    assert not (tmp_path / "run").exists()


def test_a_network_whose_c_cannot_be_written_is_refused_before_it_is_trained(cli, mine, tmp_path):
    options = mine(model={"_target_": "own_parts.Net", "counts": True})
    status, _, err = cli(*options, *HAND_MADE, *SHORT, "export.int8=true", "compilation.enable=true")
    assert (status, err.count("\n")) == (2, 1), err
    assert err.startswith("error: model: cannot be deployed (emx-onnx-cgen: ")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("target", ["os.system", "lightning.pytorch.loggers.TensorBoardLogger"])
def test_a_network_of_a_strangers_folder_is_not_made(tmp_path, mine, target, nested):
    """Not even of what a configuration may name; nor as an argument of a class that the user trusts."""
    mine(model={"_target_": "own_parts.Net"})
    own = {"_target_": "own_parts.Net", "width": {"_target_": target}} if nested else {"_target_": target}
    content = {"own": own, "task": {"in_channels": 1, "length": 8, "num_classes": 2}}
    (tmp_path / "model.json").write_text(json.dumps(content))
    torch.save({}, tmp_path / "model.pt")
    with pytest.raises(InputError, match=r"model.json: model\S*._target_: found \S+; allowed: one entry point of"):
        load(tmp_path, config_dir=tmp_path / "mine")


def test_a_folder_that_a_run_names_is_not_looked_into(tmp_path, monkeypatch):
    """Its files could read the environment; only what the user gives now is."""
    monkeypatch.setattr(targets, "_config_dirs", {})
    config = compose_config([])
    content = config_yaml(with_values(config, {"common.config_dirs": [str(tmp_path)]}))
    (tmp_path / "config.yaml").write_text(content)
    assert load_config(tmp_path / "config.yaml").common.config_dirs == []
    targets.trust_config_dir(tmp_path / "own")
    assert load_config(tmp_path / "config.yaml").common.config_dirs == [str(tmp_path / "own")]


def test_an_option_that_cannot_be_used_is_left_out_of_the_control(tmp_path, make_reference_run, caplog):
    (tmp_path / "mine/model").mkdir(parents=True)
    (tmp_path / "mine/model/bad.yaml").write_text("width: 3\n")
    run = make_reference_run(tmp_path / "mine")
    (genotype,) = draw_within(Moment(1.0, torch.Generator(), run.space), {}, 1)
    found = _references(run, genotype)
    assert [name for name, _, _ in found] == ["cls_500"]
    assert "control: the hand-made network bad is left out: model: found" in caplog.text


@pytest.fixture
def make_reference_run(short_config, tmp_path):
    def make(folder):
        config = with_values(short_config(), {"common.config_dirs": [str(folder)]})
        data = build_data(config)
        set_up(data)
        return Run(config, data, tmp_path)

    return make


def test_data_are_searched_on(cli, mine, tmp_path):
    options = mine(data={"_target_": "own_parts.Data", "batch_size": 5})
    status, _, err = cli(*options, "data=mine", *SHORT, "training.training_epochs=20")
    assert status == 0, err
    metrics = read(tmp_path / "run", "metrics.json")
    assert (metrics["dataset"], metrics["search"]["steps"]) == ("own_parts.Data", 2 * 10)
    assert metrics["test"]["accuracy"] > 0.5
    assert read(tmp_path / "run", "input.json")["class_names"] == ["low", "middle", "high"]
    (tmp_path / "run/metrics.json").unlink()
    status, _, err = cli(*options, "resume=run")
    assert status == 0, err
    assert read(tmp_path / "run", "metrics.json")["test"] == metrics["test"]


@pytest.mark.parametrize(
    ("target", "command", "text"),
    [
        (
            "own_parts.Bare",
            (),
            "data: found a Bare, which lacks mean, std, has_test, task, ",
        ),
        ("own_parts.Net", (), "data: "),
        ("own_parts.Data", ("inspect",), "data: found a Data; allowed: what makes a TimeSeriesData"),
        ("own_parts.Data", ("search_features=true",), "search_features: needs the DataModule data=default"),
    ],
)
def test_data_that_lack_something_are_refused_before_a_search(cli, mine, tmp_path, target, command, text):
    options = mine(data={"_target_": target})
    words = [*command, *options, "data=mine"] if command[:1] == ("inspect",) else [*options, "data=mine", *command]
    status, _, err = cli(*words, *(SHORT if command[:1] != ("inspect",) else ()))
    assert (status, err.count("\n")) == (2, 1), err
    assert err.startswith(f"error: {text}")
    assert not (tmp_path / "run").exists()


FEATURES = """# @package data_processing_feature_extraction
defaults: [none]
feature_extraction_name: mine
frame_size: 25
feat_ext_transform: []
"""
CHIP = "# @package device\nname: mine\ncore: Mine-1\nflash_bytes: 90000\nsource: a list of mine\n"


def test_features_and_a_device_are_known_in_every_command(cli, mine, tmp_path):
    options = mine(features=FEATURES, target_device=CHIP)
    status, out, err = cli("devices", *options)
    assert status == 0, err
    assert "mine: a list of mine" in out
    status, out, err = cli("inspect", *options, "features=mine", "target_device=mine", "hydra.run.dir=look")
    assert status == 0, err
    assert read(tmp_path / "look", "inspection.json")["sample_shape"] == [6, 25]
    candidates = ("search_features=true", "features_candidates=[mine]", "target_device=mine", "device.core=Mine-1")
    status, _, err = cli(*options, *candidates, *SHORT, "training.nas_epochs=1", "training.training_epochs=1")
    assert status == 0, err
    assert read(tmp_path / "run", "metrics.json")["front_end"] == "mine"
    assert read(tmp_path / "run", "cost.json")["device"] == "mine"
    status, _, err = cli("features_candidates=[mine]", *SHORT)
    assert status == 2
    assert "features_candidates: found 'mine'; allowed: " in err


def test_a_strategy_and_a_size_are_used_and_a_network_is_held_beside(cli, mine, tmp_path):
    options = mine(
        search="defaults: [gdas, _self_]\nname: mine\n",
        nas_model_size="# @package training\ndefaults: [s]\nnas_model_size: mine\nnas_layers: 4\n",
        model={"_target_": "own_parts.Net", "width": 8},  # 302 parameters; cls_100 has 310
    )
    control = "control.num_random=1", "control.epochs=1", "training.training_epochs=1", "training.nas_epochs=1"
    status, _, err = cli(*options, "search=mine", "nas_model_size=mine", *SHORT, *control)
    assert status == 0, err
    metrics = read(tmp_path / "run", "metrics.json")
    assert (metrics["preset"], metrics["search"]["strategy"]) == ("mine", "mine")
    assert [reference["name"] for reference in metrics["control"]["references"]] == ["mine"]
