"""The modules in a Trainer of the user's own, without a configuration."""

import math
import re
from functools import partial
from pathlib import Path

import lightning as L
import pytest
import torch
from torch import nn

import nas_lightning
from nas_lightning import TimeSeriesData, TrainModule
from nas_lightning.cost.exact import cost_of
from nas_lightning.training.evaluate import predict


@pytest.fixture(autouse=True)
def _quiet():
    import warnings

    warnings.filterwarnings("ignore", ".*does not have many workers.*")
    warnings.filterwarnings("ignore", ".*LeafSpec.* is deprecated.*")


@pytest.fixture(scope="module")
def data():
    data = TimeSeriesData()
    data.setup()
    return data


def new_trainer(folder, **settings):
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "log_every_n_steps": 1}
    return L.Trainer(accelerator="cpu", default_root_dir=folder, enable_checkpointing=False, **quiet | settings)


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
    assert len(blocks) == 5
    names = {}
    for block in blocks:
        exec(compile(block, str(page), "exec"), names)
    assert names["search"].num_steps == 5 * math.ceil(30 / names["data"].batch_size)
    alphas = torch.cat([alpha.detach().flatten() for alpha in names["search"].supernet.alphas.values()])
    assert alphas.abs().max() > 0.01  # they start near zero
    assert 300 < cost_of(names["found"], *names["data"].sample_shape).params <= 500
    assert names["trainer"].callback_metrics["test/accuracy"] > 0.5
    assert torch.cat(names["logits"]).shape == (40, 4)


def test_every_public_name_is_there_and_typed():
    assert {*nas_lightning.__all__} <= {*dir(nas_lightning)}
    for name in nas_lightning.__all__:
        assert getattr(nas_lightning, name).__doc__
    with pytest.raises(AttributeError, match="module 'nas_lightning' has no attribute 'nothing'"):
        _ = nas_lightning.nothing
    assert nas_lightning.__version__.split(".")[0].isdigit()
    assert Path(nas_lightning.__file__).with_name("py.typed").is_file()
