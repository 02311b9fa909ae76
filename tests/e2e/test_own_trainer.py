"""The modules in a Trainer of the user's own, without a configuration."""

import json
import math
import re
from functools import partial
from pathlib import Path

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningCLI
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

import nas_lightning
from nas_lightning import (
    CellSpace,
    Classification,
    InputError,
    SearchLoaders,
    SearchModule,
    TimeSeriesData,
    TrainModule,
    progress,
)
from nas_lightning.callbacks import AlphaPictures, CollapseAlarm, GenotypeHistory, StageBar
from nas_lightning.cost.exact import cost_of
from nas_lightning.export.onnx import run_onnx, to_onnx
from nas_lightning.search.strategies import gdas
from nas_lightning.space.cells.size import Size
from nas_lightning.training.evaluate import predict

pytestmark = pytest.mark.usefixtures("quiet_fits")


@pytest.fixture(scope="module")
def data():
    data = TimeSeriesData()
    data.setup()
    return data


def new_trainer(folder, **settings):
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "log_every_n_steps": 1}
    quiet |= {"accelerator": "cpu", "enable_checkpointing": False}
    return L.Trainer(default_root_dir=folder, **quiet | settings)


def test_a_network_of_the_user_is_fitted_validated_tested_and_predicts(data, tmp_path):
    torch.manual_seed(0)
    task = data.task
    mean = nn.AdaptiveAvgPool1d(1), nn.Flatten()
    network = nn.Sequential(nn.Conv1d(6, 8, 5, padding=2), nn.ReLU(), *mean, task.head(8))
    parts = partial(torch.optim.Adam, lr=0.01), partial(torch.optim.lr_scheduler.ConstantLR, factor=1.0)
    module, trainer = TrainModule(network, *parts, task), new_trainer(tmp_path, max_epochs=20)
    trainer.fit(module, data)
    (on_val,) = trainer.validate(module, data, verbose=False)
    (on_test,) = trainer.test(module, data, verbose=False)
    outputs = torch.cat(trainer.predict(module, data))
    y = torch.cat([y for _, y in data.test_dataloader()])
    expected = task.figures(outputs, y)
    assert on_test == pytest.approx({f"test/{name}": value for name, value in expected.items()}, rel=1e-6)
    assert on_test["test/accuracy"] > 0.5
    val = task.figures(*predict(network, data.val_dataloader()))
    assert on_val == pytest.approx({f"training/val_{name}": value for name, value in val.items()}, rel=1e-6)


def test_the_page_runs_and_what_it_finds_keeps_the_budget(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    L.seed_everything(0, verbose=False)
    page = Path(__file__).parents[2] / "docs/own_trainer.md"
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    assert len(blocks) == 6
    names = {}
    for block in blocks:
        exec(compile(block, str(page), "exec"), names)
    assert names["search"].num_steps == 5 * math.ceil(30 / names["data"].batch_size)
    alphas = torch.cat([alpha.detach().flatten() for alpha in names["search"].supernet.alphas.values()])
    assert alphas.abs().max() > 0.01  # they start near zero
    assert 300 < cost_of(names["found"], *names["data"].sample_shape).params <= 500
    assert names["trainer"].callback_metrics["test/accuracy"] > 0.5
    assert torch.cat(names["logits"]).shape == (40, 4)


CONSTANT = partial(torch.optim.lr_scheduler.ConstantLR, factor=1.0)


def linear(task):
    return nn.Sequential(nn.AdaptiveAvgPool1d(1), nn.Flatten(), task.head(task.in_channels))


def saved(module, data, folder):
    """Fit; returns the checkpoint of the last epoch, which holds nothing but tensors and plain values."""
    checkpoints = ModelCheckpoint(folder, "last", save_on_train_epoch_end=True)
    new_trainer(folder, max_epochs=2, callbacks=[checkpoints], enable_checkpointing=True).fit(module, data)
    torch.load(checkpoints.best_model_path, weights_only=True)
    return checkpoints.best_model_path


def test_a_training_is_read_from_its_checkpoint(data, tmp_path):
    task = data.task
    parts = {"optimizer": torch.optim.Adam, "scheduler": CONSTANT, "task": task}
    module = TrainModule(linear(task), clip_norm=0.5, pace=2.0, **parts)
    path = saved(module, data, tmp_path)
    found = TrainModule.load_from_checkpoint(path, network=linear(task), **parts)
    assert (found.clip_norm, found.pace) == (0.5, 2.0)
    x = data.samples(3)
    assert torch.equal(found(x), module(x))


SMALL = Size(3, 2, 1, 1, 1), ("skip_connect", "conv_bn_relu_3x1")


@pytest.fixture
def search(data):
    """Makes a search of few networks."""

    def make(strategy=None):
        space = CellSpace(SMALL[0], data.task, SMALL[1])
        settings = {"num_epochs": 2, "measure": "macs", "kernels": "torch", "seed": 5}
        return SearchModule(space, strategy, constants=(data.mean, data.std), **settings)

    return make


def test_a_search_is_read_from_its_checkpoint(data, search, tmp_path):
    module = search(gdas())
    path = saved(module, SearchLoaders(data), tmp_path)
    found = SearchModule.load_from_checkpoint(path, space=module.space, strategy=gdas())
    assert (found.num_epochs, found.seed, found.num_steps) == (2, 5, module.num_steps)
    assert (found.objective.measure, found.supernet.kernels) == ("macs", "torch")
    assert found.found() == module.found()
    for kind, weights in module.op_weights().items():
        assert torch.equal(found.op_weights()[kind], weights)


class Counted(progress.Bar):
    """Counts, and keeps the last figures."""

    def __init__(self, text, total, unit, initial):
        self.text, self.total, self.done, self.figures = text, total, initial, {}

    def update(self, count=1):
        self.done += count

    def note(self, **figures):
        self.figures = figures


def test_the_callbacks_serve_a_trainer_of_the_user(data, search, tmp_path):
    callbacks = [AlphaPictures(2), StageBar(), GenotypeHistory(tmp_path / "history.json"), CollapseAlarm()]
    logger = TensorBoardLogger(tmp_path, "board", "0")
    trainer = new_trainer(tmp_path, max_epochs=2, callbacks=callbacks, logger=logger, enable_progress_bar=True)
    bars = []
    with progress.using(lambda *arguments: bars.append(Counted(*arguments)) or bars[-1]):
        trainer.fit(module := search(), SearchLoaders(data))
    (bar,) = bars
    assert (bar.text, bar.done, bar.figures["epoch"]) == ("search", bar.total, "2/2")
    history = json.loads((tmp_path / "history.json").read_text())
    assert [row["epoch"] for row in history] == [0, 1]
    assert history[-1]["normal"] == [list(node) for node in module.found().architecture.normal]
    tags = EventAccumulator(logger.log_dir).Reload().Tags()
    assert {*tags["images"]} == {"alphas/normal", "alphas/reduce", "genotype"}
    assert {"search/gap", "search/free_share_normal", "search/rel_entropy_reduce"} <= {*tags["scalars"]}


@pytest.mark.parametrize("make", [GenotypeHistory, lambda path: CollapseAlarm()], ids=["history", "alarm"])
def test_a_callback_of_searches_refuses_another_module(data, tmp_path, make):
    task = data.task
    trainer = new_trainer(tmp_path, max_epochs=1, callbacks=[make(tmp_path / "history.json")])
    with pytest.raises(InputError, match=r"found a TrainModule; allowed: a SearchModule$"):
        trainer.fit(TrainModule(linear(task), torch.optim.Adam, CONSTANT, task), data)


class OwnHead(Classification):
    """Two layers in the place of one."""

    def head(self, channels):
        return nn.Sequential(nn.Linear(channels, 5), nn.ReLU(), nn.Linear(5, self.num_classes))


def test_a_head_of_the_user_is_searched_priced_trained_and_exported(data, tmp_path):
    space = CellSpace(SMALL[0], OwnHead(**data.task.to_dict()), SMALL[1])
    search = SearchModule(space, num_epochs=1)
    new_trainer(tmp_path, max_epochs=1).fit(search, SearchLoaders(data))
    genotype = search.found().architecture
    network, plain = (
        CellSpace(SMALL[0], task, SMALL[1]).blueprint(genotype).build() for task in (space.task, data.task)
    )
    costs, channels = [cost_of(each, *data.sample_shape).params for each in (network, plain)], plain.head.in_features
    assert costs[0] - costs[1] == channels * 5 + 5 + 5 * 4 + 4 - (channels * 4 + 4)
    assert space.cost(genotype)["params"] == costs[0]
    new_trainer(tmp_path, max_epochs=1).fit(TrainModule(network, torch.optim.Adam, CONSTANT), data)
    model = to_onnx(network.eval(), data.sample_shape)
    x = data.samples(3)
    assert torch.allclose(run_onnx(model.SerializeToString(), [x]), network(x), atol=1e-5)


NET = """
from nas_lightning import Classification
from torch import nn

class Net(nn.Module):
    def __init__(self, task: Classification, width: int = 8):
        super().__init__()
        self.task = task
        self.conv, self.head = nn.Conv1d(task.in_channels, width, 5), task.head(width)

    def forward(self, x):
        return self.head(self.conv(x).relu().mean(2))
"""
CLI = """
trainer: {max_epochs: 15, accelerator: cpu, logger: false, enable_progress_bar: false, enable_model_summary: false}
model:
  network: {class_path: cli_net.Net, init_args: {task: {in_channels: 6, length: 100, num_classes: 4}}}
  optimizer: {class_path: torch.optim.AdamW, init_args: {lr: 0.02}}
  scheduler: {class_path: torch.optim.lr_scheduler.CosineAnnealingLR, init_args: {T_max: 15}}
  clip_norm: 1.0
data: {batch_size: 8}
"""


@pytest.mark.filterwarnings("ignore")  # of the two packages about each other
def test_a_network_is_trained_and_tested_by_lightning_cli(tmp_path, monkeypatch):
    pytest.importorskip("jsonargparse", reason="needs jsonargparse[signatures]")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "cli_net.py").write_text(NET)
    (tmp_path / "cli.yaml").write_text(CLI)
    arguments = ["--config=cli.yaml", "--seed_everything=0", "--trainer.log_every_n_steps=1"]
    cli = partial(LightningCLI, TrainModule, TimeSeriesData, save_config_callback=None)
    trainer = cli(args=["fit", *arguments]).trainer
    assert trainer.callback_metrics["training/val_accuracy"] > 0.5
    (path,) = tmp_path.rglob("*.ckpt")
    trainer = cli(args=["test", *arguments, f"--ckpt_path={path}"]).trainer
    assert trainer.callback_metrics["test/accuracy"] > 0.5


def test_every_public_name_is_there_and_typed():
    assert {*nas_lightning.__all__} <= {*dir(nas_lightning)}
    for name in nas_lightning.__all__:
        assert getattr(nas_lightning, name).__doc__
    with pytest.raises(AttributeError, match="module 'nas_lightning' has no attribute 'nothing'"):
        _ = nas_lightning.nothing
    assert nas_lightning.__version__.split(".")[0].isdigit()
    assert Path(nas_lightning.__file__).with_name("py.typed").is_file()
