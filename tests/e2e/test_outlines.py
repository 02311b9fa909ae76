"""Runs that search outlines: what they leave, what each key changes, and that they go on where they were stopped."""

import json
import shutil

import numpy as np
import pytest
import torch

import nas_lightning
from nas_lightning.config.compose import load_config
from nas_lightning.cost.exact import cost_of
from nas_lightning.errors import InputError
from nas_lightning.runs.modes import run as run_config

AUTO = ("nas_model_size=auto", "budget.params=1500", "selection.candidates=2", "training.nas_epochs=null")


def read(folder, name):
    return json.loads((folder / name).read_text())


@pytest.fixture
def run(short_config, tmp_path):
    def start(*overrides, name="run"):
        run_config(short_config(*AUTO, *overrides), tmp_path / name)
        return tmp_path / name

    return start


@pytest.fixture(scope="module")
def whole(short_config, tmp_path_factory):
    """A run with all that there can be."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    run_config(short_config(*AUTO, "export.int8=true", "control.num_random=1", "control.epochs=1"), folder)
    return folder


def test_the_network_is_within_the_budget_and_lies_there_in_all_forms(whole):
    metrics, cost, network = read(whole, "metrics.json"), read(whole, "cost.json"), nas_lightning.load(whole)
    assert cost["budget"]["params"] == {"limit": 1500, "value": cost_of(network, 6, 100).params, "holds": True}
    assert read(whole, "model.json")["readout"] in ("mean", "means_2", "means_4", "means_8", "maximum")
    assert not (whole / "genotype.json").exists()
    assert {"model.onnx", "model_int8.onnx", "report.html", "searches.json"} <= {path.name for path in whole.iterdir()}
    assert (metrics["search"]["strategy"], metrics["preset"]) == ("outlines", "auto")
    assert metrics["test_int8"]["accuracy"] == pytest.approx(metrics["test"]["accuracy"], abs=0.2)
    assert len(metrics["control"]["random"]) == 1


def test_the_training_with_the_least_loss_on_val_is_kept(whole):
    selection = read(whole, "metrics.json")["selection"]
    losses = [row["loss"] for row in selection["trainings"]]
    assert selection["score"] == "loss"
    assert len(losses) == 2
    assert losses[selection["kept"]] == min(losses) == pytest.approx(read(whole, "metrics.json")["val"]["loss"])
    assert all("blocks full " in row["words"] and "; readout" in row["words"] for row in selection["trainings"])
    assert "blocks full " in (whole / "report.html").read_text()


def test_what_was_found_stands_in_the_file_of_the_searches(whole):
    (searched,) = read(whole, "searches.json")
    assert len(searched["genotypes"]) == 2
    assert {"kind", "first", "decimation", "depth", "taps", "stride", "growth", "dilation", "fill", "readout"} == set(
        searched["genotypes"][0]
    )


def without_times(folder):
    """The figures of a run, without its times."""
    metrics = read(folder, "metrics.json")
    for section in ("search", "training"):
        metrics[section].pop("seconds")
    for row in metrics["selection"]["trainings"]:
        row.pop("seconds")
    return metrics


def test_a_run_that_was_stopped_goes_on_as_an_unbroken_one(run, tmp_path):
    folder = run("training.training_epochs=3")
    expected = without_times(folder)
    weights = torch.load(folder / "model.pt", weights_only=True)
    for name in ("metrics.json", "model.pt", "model.onnx", "model.json"):
        (folder / name).unlink()
    shutil.rmtree(folder / "checkpoints" / "training_1")
    run_config(load_config(folder / "config.yaml"), folder, resume=True)
    assert without_times(folder) == expected
    again = torch.load(folder / "model.pt", weights_only=True)
    assert all(torch.equal(again[name], weights[name]) for name in weights)


def blocks_of(folder):
    return read(folder, "model.json")["blocks"]


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("kind", ("[full]", "[separable]")), ("first", ("[7]", "[15]")), ("decimation", ("[1]", "[2]")),
        ("depth", ("[2]", "[4]")), ("taps", ("[3]", "[9]")), ("stride", ("[2]", "[8]")), ("growth", ("[1.0]", "[1.4]")),
        ("dilation", ("[1]", "[2]")), ("fill", ("[0.6]", "[0.95]")),
    ],
)  # fmt: skip
def test_each_factor_changes_the_network(run, key, values):
    settings = ("training.enable=false", "selection.candidates=1")
    first, second = (
        blocks_of(run(*settings, f"space.outline.{key}={value}", name=str(i))) for i, value in enumerate(values)
    )
    assert first != second


def test_readouts_can_be_fixed_and_those_that_keep_the_place_are_left_out_where_windows_begin_anywhere(run):
    folder = run("space.outline.readout=[means_2]", "selection.candidates=1", "training.training_epochs=1")
    assert read(folder, "model.json")["readout"] == "means_2"
    folder = run("dataset.aligned=false", "selection.candidates=1", "training.training_epochs=1", name="anywhere")
    assert read(folder, "model.json")["readout"] in ("mean", "maximum")
    assert "readout mean, maximum" in (folder / "run.log").read_text()


def test_the_prior_changes_what_is_drawn(run):
    settings = ("training.enable=false", "selection.candidates=4")
    folders = [run(*settings, f"search.prior={value}", name=value) for value in ("true", "false")]
    found = [read(folder, "searches.json")[0]["genotypes"] for folder in folders]
    assert found[0] != found[1]


def test_an_npu_has_channels_and_layers_of_its_own(run):
    settings = ("training.enable=false", "target_device=F28P55", "data_processing_feature_extraction.variables=1")
    folder = run(*settings)
    blocks = blocks_of(folder)
    assert all(block["channels"] % 4 == 0 and block["dilation"] == 1 and block["stride"] <= 2 for block in blocks)
    assert all(block["kernel_size"] <= 7 for block in blocks)
    refused = {row["kind"] for row in read(folder, "cost.json")["npu_report"] if not row["accelerated"]}
    assert "ChannelAffine" in refused
    assert not {kind for kind in refused if kind.startswith("Conv1d")}


def test_without_a_limit_on_them_there_are_no_more_parameters_than_help(run):
    settings = ("training.enable=false", "budget.params=null", "budget.flash_bytes=400000")
    counts = [
        read(run(*settings, f"space.auto_params={most}", name=str(most)), "cost.json")["params"]
        for most in (900, 20000)
    ]
    assert counts[0] <= 900 < counts[1] <= 20000


def test_a_hand_made_network_needs_no_search_whatever_the_size(run):
    folder = run("training.nas_enabled=false", "budget.params=null", "training.training_epochs=1")
    assert "widths" in read(folder, "model.json")


def test_a_figure_that_must_be_reached_decides_which_training_is_kept(run):
    """By the loss the first run might miss a target that one of its trainings has."""
    folder = run("target_accuracy=0.1", "target_rounds=1", "training.training_epochs=1")
    assert "score: metric" in (folder / "rounds" / "0" / "config.yaml").read_text()


def test_the_smallest_network_is_found_among_outlines(run):
    folder = run("target_accuracy=0.2", "target_rounds=1", "selection.candidates=1", "training.training_epochs=1")
    rounds = [read(each, "cost.json")["params"] for each in sorted((folder / "rounds").iterdir())]
    assert len(rounds) == 2
    assert rounds[1] < rounds[0] <= 1500
    assert read(folder, "cost.json")["params"] == min(rounds)


def test_a_budget_that_no_outline_meets_ends_with_status_3_before_anything_is_written(cli, tmp_path):
    status, out, err = cli("budget.params=10")
    assert (status, out, [path for path in tmp_path.rglob("*") if path.is_file()]) == (3, "", [])
    assert err.startswith("error: budget: no outline meets params 10; params binds; the nearest limits ")


def test_samples_that_are_too_short_are_refused(short_config, tmp_path):
    x = np.random.default_rng(0).normal(size=(40, 1, 2)).astype(np.float32)
    np.savez(tmp_path / "short.npz", X_train=x, y_train=np.arange(40) % 2)
    with pytest.raises(
        InputError, match="the samples have 2 time steps; the reductions of this network need at least 3"
    ):
        run_config(
            short_config(*AUTO, "space.outline.stride=[2]", f"dataset.input_data_path={tmp_path / 'short.npz'}"),
            tmp_path / "run",
        )
    assert not (tmp_path / "run").exists()


def test_a_plan_has_time_for_outlines(short_config, tmp_path):
    nothing = ("training.training_epochs=null", "selection.candidates=null", "control.num_random=null")
    run_config(short_config(*AUTO, *nothing, "run.max_minutes=0.2", "run.backend=here"), tmp_path / "run")
    plan = read(tmp_path / "run", "plan.json")
    assert len(read(tmp_path / "run", "metrics.json")["selection"]["trainings"]) == plan["candidates"] >= 1
