"""A stage of a run: its checkpoints, and the settings of its recipe."""

import json

import pytest
import torch

from nas_lightning.runs.modes import run as run_config


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


@pytest.fixture
def loss_on_val(run, write_npz, arrays):
    """Of a short training on a set with classes of 10, 8, 8 and 6 samples."""
    kept = torch.cat([torch.arange(40)[arrays["y_train"] == label][:most] for label, most in enumerate((10, 8, 8, 6))])
    path = write_npz(X_train=arrays["X_train"][kept], y_train=arrays["y_train"][kept])

    def call(name, *overrides):
        data = [f"dataset.input_data_path={path}", "training.nas_enabled=false"]
        return json.loads((run(*data, *overrides, name=name) / "metrics.json").read_text())["val"]["loss"]

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
    assert loss_on_val("default") != loss_on_val("other", option)


@pytest.mark.parametrize("name", ["adamw", "sgd"])
@pytest.mark.parametrize(
    ("overrides", "rate"),
    [
        (["nas_model_size=l"], None),
        (["nas_model_size=l", "training.nas_layers=3"], 0.02),
        (["nas_model_size=m"], 0.02),
        (["nas_model_size=l", "training.learning_rate=0.007"], 0.007),
        (["nas_model_size=l", "training.learning_rate=0.007", "optimizer.lr=0.003"], 0.003),
        (["training.nas_enabled=false", "model=cnn_m"], 0.02),
    ],
)
def test_the_learning_rate_falls_with_depth_and_parameters_unless_it_is_given(run, name, overrides, rate):
    short = ["training.training_epochs=1", "selection.candidates=1", "control.num_random=0", "search=random"]
    folder = run(*short, f"optimizer={name}", *overrides)
    params = json.loads((folder / "cost.json").read_text())["params"]
    assert (params > 3000) == (overrides[0] != "nas_model_size=m")
    state = torch.load(folder / "checkpoints" / "training" / "last.ckpt", weights_only=True)
    found = state["optimizer_states"][0]["param_groups"][0]["initial_lr"]
    # cost.json has the parameters of the folded network
    assert found == pytest.approx(0.02 * (2000 / params) ** 0.5 if rate is None else rate, rel=0.02)
    assert f"epochs from rate {found:.4g}\n" in (folder / "run.log").read_text()
