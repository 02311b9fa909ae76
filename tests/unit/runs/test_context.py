"""A stage of a run: its checkpoints, and the settings of its recipe."""

import json

import numpy as np
import pytest
import torch

from nas_lightning.cost.exact import cost_of
from nas_lightning.runs.build import build_data, build_rate, build_reference
from nas_lightning.runs.context import Run
from nas_lightning.runs.logs import quiet_lightning
from nas_lightning.runs.modes import run as run_config
from nas_lightning.runs.trainings import train_one
from nas_lightning.space.cells.genotype import Genotype


@pytest.fixture
def run(short_config, tmp_path):
    def start(*overrides, name="run"):
        run_config(short_config("export.int8=false", "logger=none", *overrides), tmp_path / name)
        return tmp_path / name

    return start


def test_the_last_checkpoint_is_of_the_last_epoch_though_the_loss_on_val_rises(run):
    folder = run(
        *("training.nas_enabled=false", "training.training_epochs=4", "scheduler=constant", "training.learning_rate=1"),
        *("training.label_smoothing=0", "training.clip_norm=null"),
    )
    epochs = {
        name: torch.load(folder / "checkpoints" / "training" / f"{name}.ckpt", weights_only=True)["epoch"]
        for name in ("best", "last")
    }
    assert epochs["last"] == 3 > epochs["best"]


@pytest.fixture(scope="module")
def uneven(short_config, arrays, tmp_path_factory):
    """A set with classes of 10, 8, 8 and 6 samples as runs read it."""
    kept = torch.cat([torch.arange(40)[arrays["y_train"] == label][:most] for label, most in enumerate((10, 8, 8, 6))])
    path = tmp_path_factory.mktemp("uneven") / "data.npz"
    np.savez(path, **arrays | {"X_train": arrays["X_train"][kept], "y_train": arrays["y_train"][kept]})
    data = build_data(short_config(f"dataset.input_data_path={path}"))
    data.setup()
    return data


@pytest.fixture(scope="module")
def loss_on_val(short_config, uneven, tmp_path_factory):
    """Of the final training of a run; that without options is done once."""
    known = {}

    def train(*overrides):
        folder = tmp_path_factory.mktemp("run")
        (folder / "config.yaml").touch()  # the mark of a run folder
        config = short_config("training.nas_enabled=false", "logger=none", *overrides)
        stage = Run(config, uneven, folder)
        with quiet_lightning():
            return train_one(stage, build_reference(config, stage.task), 0).val["loss"]

    def call(*overrides, again=False):
        if overrides or again:
            return train(*overrides)
        if not known:
            known["without"] = train()
        return known["without"]

    return call


@pytest.mark.parametrize(
    "option",
    [
        *("training.learning_rate=0.003", "training.norm_bias=0", "training.label_smoothing=0.3"),
        *(
            "training.class_weights=balanced",
            "training.class_weights=sqrt",
            "training.average_decay=0.9",
            "training.clip_norm=0.1",
        ),
    ],
)
def test_an_option_of_the_recipe_changes_the_outcome(loss_on_val, option):
    assert loss_on_val() != loss_on_val(option)


def test_the_same_recipe_has_the_same_outcome(loss_on_val):
    """Whatever was trained on the same data before."""
    assert loss_on_val() == loss_on_val(again=True)


RATES = [
    (["nas_model_size=l"], None),
    (["nas_model_size=l", "training.nas_layers=3"], 0.02),
    (["nas_model_size=m"], 0.02),
    (["nas_model_size=l", "training.learning_rate=0.007"], 0.007),
    (["nas_model_size=l", "training.learning_rate=0.007", "optimizer.lr=0.003"], 0.003),
    (["training.nas_enabled=false", "model=cnn_m"], 0.02),
]
CELL = (("sep_conv_3x1", 0), ("conv_bn_relu_5x1", 1), ("max_pool_3x1", 0), ("conv_bn_relu_3x1", 2))


@pytest.mark.parametrize("name", ["adamw", "sgd"])
@pytest.mark.parametrize(("overrides", "rate"), RATES)
def test_the_learning_rate_falls_with_depth_and_parameters_unless_it_is_given(
    short_config, uneven, tmp_path, name, overrides, rate
):
    stage = Run(short_config(f"optimizer={name}", *overrides), uneven, tmp_path)
    if stage.config.training.nas_enabled:
        blueprint = stage.space.blueprint(Genotype(CELL, CELL))
    else:
        blueprint = build_reference(stage.config, stage.task)
    module = stage.recipe.module(blueprint, stage.data, 0)
    params = cost_of(module.network, stage.task.in_channels, stage.task.length).params
    assert (params > 3000) == (overrides[0] != "nas_model_size=m")
    (optimizer,), _ = module.configure_optimizers()
    (found,) = {group["initial_lr"] for group in optimizer.param_groups}
    # the network is not folded yet
    assert found == pytest.approx(0.02 * (2000 / params) ** 0.5 if rate is None else rate, rel=0.02)
    assert found == build_rate(stage.config, module.network)


def test_the_rate_of_a_run_is_that_of_its_network_and_is_told(run):
    folder = run("nas_model_size=l", "training.training_epochs=1", "search=random")
    params = json.loads((folder / "cost.json").read_text())["params"]
    state = torch.load(folder / "checkpoints" / "training" / "last.ckpt", weights_only=True)
    found = state["optimizer_states"][0]["param_groups"][0]["initial_lr"]
    # cost.json has the parameters of the folded network
    assert found == pytest.approx(0.02 * (2000 / params) ** 0.5, rel=0.02)
    assert found < 0.019
    assert f"epochs from rate {found:.4g}\n" in (folder / "run.log").read_text()
