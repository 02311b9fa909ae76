"""Every example, found by listing: its data are made, smaller, and its configuration runs and learns something."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path.name for path in (ROOT / "examples").iterdir() if path.is_dir())
SMALL = {
    "arc_fault": (["--recordings", "8", "--seconds", "0.1"], "training.batch_size=32", 0.5),
    "wrist_exercises": (["--recordings-per-class", "5"], "training.batch_size=32", 1 / 7),
    "appliances": ([], "training.batch_size=256", 88 / 537),
}
"""By example: options of the script, a smaller batch, and the accuracy of a guess."""
PACKAGES = {"wrist_exercises": "seglearn", "appliances": "sktime"}


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs_and_learns(cli, tmp_path, name):
    if name in PACKAGES and importlib.util.find_spec(PACKAGES[name]) is None:
        pytest.skip(f"needs the package {PACKAGES[name]}")
    options, batch, guess = SMALL[name]
    script = [sys.executable, str(ROOT / "examples" / name / "make_data.py"), f"data/{name}", *options]
    subprocess.run(script, cwd=tmp_path, check=True)
    (config,) = (ROOT / "examples" / name).glob("*.yaml")
    status, _, err = cli(
        config, f"dataset.input_data_path=data/{name}", "hydra.run.dir=run", "callbacks=none", "logger=none", batch,
        "training.nas_layers=3", "training.nas_init_channels=4", "training.nas_epochs=1", "training.training_epochs=8",
    )  # fmt: skip
    assert status == 0, err
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["test"]["accuracy"] > 1.2 * guess


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_one_command_with_its_expected_result(name):
    page = (ROOT / "examples" / name / "README.md").read_text()
    target = name.replace("_", "-")
    assert f"\n    make {target}\n" in page
    assert target in (ROOT / "Makefile").read_text()
    assert "Expected" in page
    assert "| seed |" in page
    assert f"examples/{name}/README.md" in (ROOT / "README.md").read_text()


def test_the_arc_fault_example_is_the_guides_full_example():
    """The text of the user guide's section of that name."""
    content = yaml.safe_load((ROOT / "examples" / "arc_fault" / "config_nas.yaml").read_text())
    assert content == {
        "common": {"task_type": "generic_timeseries_classification", "target_device": "F28P55"},
        "dataset": {"dataset_name": "dc_arc_fault_example_dsk"},
        "data_processing_feature_extraction": {
            "feature_extraction_name": "FFT1024Input_256Feature_1Frame_Full_Bandwidth",
            "variables": 1,
        },
        "training": {
            "enable": True, "training_epochs": 15, "batch_size": 256, "nas_enabled": True, "nas_epochs": 10,
            "nas_optimization_mode": "Memory", "nas_model_size": "m",
        },
        "compilation": {"enable": True},
    }  # fmt: skip
