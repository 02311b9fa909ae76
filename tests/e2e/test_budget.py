"""Budgets, devices and the smallest network through the command line and the pipeline."""

import csv
import json
import re
import shutil

import pytest
import torch

import nas_lightning
from nas_lightning.config.compose import device_cards, load_config
from nas_lightning.cost.exact import cost_of
from nas_lightning.errors import BudgetError
from nas_lightning.runs.modes import run as run_config


def read(folder, name):
    return json.loads((folder / name).read_text())


@pytest.fixture
def run(short_config, tmp_path):
    def start(*overrides, name="run"):
        run_config(short_config(*overrides), tmp_path / name)
        return tmp_path / name

    return start


def test_limits_stand_in_the_cost_file_and_hold_for_the_trained_network(run):
    folder = run("budget.params=300", "budget.ram_bytes=1210")
    cost, network = read(folder, "cost.json"), nas_lightning.load(folder)
    exact = cost_of(network, 6, 100)
    assert cost["budget"] == {
        "params": {"limit": 300, "value": exact.params, "holds": True},
        "ram_bytes": {"limit": 1210, "value": exact.ram_bytes, "holds": True},
    }
    assert exact.params <= 300
    assert exact.ram_bytes <= 1210


FREE = ["data_processing_feature_extraction.variables=1"]
FREE += ["search.penalties.cost.weight=0", "training.enable=false", "training.nas_epochs=1"]


@pytest.fixture(scope="module")
def free(short_config, tmp_path_factory):
    """What the network of a search without limits costs."""
    folder = tmp_path_factory.mktemp("free") / "run"
    run_config(short_config(*FREE), folder)
    return read(folder, "cost.json")


@pytest.mark.parametrize("measure", ["params", "macs", "flash_bytes", "ram_bytes"])
def test_each_limit_changes_the_network(run, free, measure):
    held = read(run(*FREE, f"budget.{measure}={int(0.85 * free[measure])}", name="held"), "cost.json")
    assert held[measure] <= 0.85 * free[measure]


def test_the_log_says_what_the_budget_cost(run):
    folder = run("budget.params=240", "training.enable=false", "search.penalties.budget.weight=0")
    assert re.search(
        r"budget: the free choice exceeds it \(params \d+\); the best within it has \d\.\d+ less log weight",
        (folder / "run.log").read_text(),
    )


def test_a_budget_that_nothing_meets_ends_with_status_3_before_anything_is_written(cli, tmp_path):
    status, out, err = cli("nas_model_size=s", "budget.params=100")
    assert (status, out) == (3, "")
    assert err.startswith("error: budget: no network of this space meets params 100; params binds; the nearest limits")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_hand_made_network_above_the_budget_is_refused(run, tmp_path):
    with pytest.raises(BudgetError, match="budget: the network does not meet params 10; params binds"):
        run("training.nas_enabled=false", "budget.params=10")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("overrides", "advice"),
    [
        ([], "% of macs 9,000,000; nas_model_size=auto uses more of it\n"),
        (["space.shape=wide"], "% of macs 9,000,000; a larger nas_model_size uses more of it\n"),
    ],
)
def test_a_budget_above_all_networks_of_the_size_points_to_a_larger_size(run, overrides, advice):
    folder = run(*overrides, "budget.macs=9000000", "training.enable=false", "training.nas_epochs=1")
    assert advice in (folder / "run.log").read_text()


def test_a_device_limits_flash_and_ram_and_its_share_is_a_key(run):
    folder = run("target_device=cortex_m0plus", "training.enable=false", "budget.fraction=0.25")
    cost = read(folder, "cost.json")
    assert cost["device"] == "cortex_m0plus"
    assert {measure: row["limit"] for measure, row in cost["budget"].items()} == {
        "flash_bytes": 64 * 1024 // 4,
        "ram_bytes": 8 * 1024 // 4,
    }


def test_an_npu_is_reported_layer_by_layer(run):
    folder = run("target_device=F28P55", "data_processing_feature_extraction.variables=1", "training.nas_epochs=1")
    report = read(folder, "cost.json")["npu_report"]
    assert {row["kind"] for row in report if not row["accelerated"]} == {"ChannelAffine", "Concat"}
    assert all(row.keys() == {"layer", "kind", "accelerated", "reason"} for row in report)
    assert read(folder, "genotype.json")["size"]["init_channels"] == 4
    assert "init_channels 1 -> 4" in (folder / "run.log").read_text()


def test_an_npu_and_the_wide_shape_choose_the_channels_together(run):
    settings = ["space.shape=wide", "training.enable=false", "training.nas_epochs=1"]
    folder = run("target_device=F28P55", "data_processing_feature_extraction.variables=1", *settings)
    assert read(folder, "genotype.json")["size"]["init_channels"] % 4 == 0
    assert "channels chosen from those it can use" in (folder / "run.log").read_text()


def test_bits_change_what_a_network_costs(run):
    overrides = ["training.enable=false", "training.nas_epochs=1"]
    int8 = read(run(*overrides, name="int8"), "cost.json")
    float32 = read(run(*overrides, "cost.weight_bits=32", "cost.activation_bits=32", name="float32"), "cost.json")
    assert 4 * int8["ram_bytes"] - 28 <= float32["ram_bytes"] <= 4 * int8["ram_bytes"]  # rounded up to 8 bytes
    assert (float32["weight_bits"], float32["activation_bits"]) == (32, 32)
    no_code = read(run(*overrides, "cost.code_bytes=0", "cost.code_bytes_per_layer=0", name="none"), "cost.json")
    assert no_code["flash_bytes"] < int8["flash_bytes"] - 1024


def test_the_size_is_chosen_for_the_budget(run):
    settings = ["nas_model_size=auto_cells", "training.enable=false", "training.nas_epochs=1"]
    sizes = [
        read(run(*settings, f"budget.params={limit}", name=str(limit)), "genotype.json")["size"]
        for limit in (400, 3000)
    ]
    assert sizes[0]["init_channels"] < sizes[1]["init_channels"]
    held = run(*settings, "budget.params=3000", "space.auto_init_channels=[2]", "space.auto_layers=[4]", name="held")
    size = read(held, "genotype.json")["size"]
    assert (size["init_channels"], size["layers"]) == (2, 4)
    assert "size: 4 layers and 2 initial channels" in (held / "run.log").read_text()


def test_a_wide_space_has_three_layers_and_more_channels(run):
    settings = ["nas_model_size=m", "training.enable=false", "training.nas_epochs=1"]
    sizes = {
        shape: read(run(*settings, f"space.shape={shape}", name=shape), "genotype.json")["size"]
        for shape in ("preset", "wide")
    }
    assert (sizes["preset"]["layers"], sizes["preset"]["init_channels"]) == (10, 1)
    assert (sizes["wide"]["layers"], sizes["wide"]["init_channels"]) == (3, 2)
    assert sizes["wide"] | {"layers": 10, "init_channels": 1} == sizes["preset"]


def test_devices_are_printed(cli):
    status, out, _ = cli("devices")
    assert status == 0
    assert all(card.name in out for card in device_cards())


@pytest.mark.slow
def test_the_smallest_network_that_is_good_enough(run):
    folder = run("target_accuracy=0.5", "target_rounds=2", "training.training_epochs=40")
    with (folder / "tradeoff.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert 2 <= len(rows) <= 3
    reached = [row for row in rows if row["reached"] == "True"]
    cost, metrics = read(folder, "cost.json"), read(folder, "metrics.json")
    assert cost["params"] == min(int(row["params"]) for row in reached) < int(rows[0]["params"])
    assert metrics["val"]["accuracy"] >= 0.5
    assert "accuracy" in metrics["test"]
    assert "test" not in read(folder / "rounds" / "0", "metrics.json")
    assert nas_lightning.load(folder)
    assert (folder / "tradeoff.png").stat().st_size > 1000
    assert all((folder / "rounds" / row["round"] / "model.onnx").is_file() for row in rows)
    before = (folder / "tradeoff.csv").read_text()
    (folder / "metrics.json").unlink()  # as if it had been stopped within the second round
    shutil.rmtree(folder / "rounds" / "1")
    run_config(load_config(folder / "config.yaml"), folder, resume=True)
    assert (folder / "tradeoff.csv").read_text() == before
    assert read(folder, "metrics.json")["test"] == metrics["test"]


def test_the_rounds_of_a_target_go_by_accuracy_and_each_search_on_from_its_own_supernet(run):
    settings = ["search.num_seeds=2", "testing.metric=macro_f1", "control.epochs=1", "search.alpha_optimizer.lr=0.1"]
    folder = run("target_accuracy=0.01", "target_rounds=1", "training.training_epochs=1", *settings)
    first, second = (read(folder / "rounds" / str(i), "searches.json") for i in range(2))
    assert second[0]["op_weights"] != second[1]["op_weights"]
    for i in range(2):
        before, after = (torch.tensor(search[i]["op_weights"]["normal"]) for search in (first, second))
        others = [torch.tensor(search[1 - i]["op_weights"]["normal"]) for search in (first, second)]
        assert (after - before).norm() < (after - others[0]).norm()
    assert read(folder / "rounds" / "0", "metrics.json")["selection"]["metric"] == "accuracy"


def test_a_target_with_wrong_data_leaves_nothing_behind(cli, tmp_path):
    status, _, err = cli("target_accuracy=0.9", "training.batch_size=31")
    assert status == 2
    assert "training.batch_size: 31 is larger than the train split" in err
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_target_that_the_first_network_misses_says_so(run):
    with pytest.raises(nas_lightning.InputError, match=r"target_accuracy: found 1\.0; the first network reaches 0"):
        run("target_accuracy=1.0", "training.training_epochs=1", "training.nas_epochs=1", "training.learning_rate=1e-6")


def test_a_limit_on_latency_is_one_on_instructions(run):
    settings = ["training.enable=false", "training.nas_epochs=1", "target_device=cortex_m4"]
    free = read(run(*settings, name="free"), "cost.json")
    clock = free["instructions"] / free["latency_ms"] / 1000
    limit = 0.97 * free["latency_ms"]
    limited = read(run(*settings, f"budget.latency_ms={limit}", name="limited"), "cost.json")
    assert limited["latency_ms"] <= limit < free["latency_ms"]
    assert limited["budget"]["instructions"]["limit"] == int(limit * clock * 1000)
    other = read(run(*settings, "target_device=cortex_m0plus", name="other"), "cost.json")
    assert (free["core"], other["core"]) == ("cortex-m4", "cortex-m0plus")
    assert other["instructions"] > 3 * free["instructions"]  # without a floating-point unit


def test_the_mode_latency_is_another_than_compute(run):
    settings = ["training.enable=false", "training.nas_epochs=4", "search.penalties.cost.weight=10", "nas_model_size=l"]
    settings += ["target_device=cortex_m0plus"]
    found = [
        read(run(*settings, f"training.nas_optimization_mode={mode}", name=mode), "genotype.json")
        for mode in ("Latency", "Memory")
    ]
    assert found[0] != found[1]
