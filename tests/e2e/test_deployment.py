"""From the command line to int8, firmware and archive, and back by ``verify``."""

import csv
import hashlib
import json
import os
import re
import shutil
import zipfile
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
from recording_files import csv_folder, make_recordings
from small_firmware import path_without
from torch import nn

from nas_lightning.config.compose import compose_config, load_config
from nas_lightning.cost.exact import cost_of
from nas_lightning.errors import BudgetError, ParityError
from nas_lightning.export import emulator, host
from nas_lightning.export.emulator import Usage
from nas_lightning.export.session import open_session
from nas_lightning.files import has_ended
from nas_lightning.report.costs import CostReport, MeasuredFirmware, ProgramSize
from nas_lightning.runs import finish
from nas_lightning.runs.checks import REMEDIES
from nas_lightning.runs.deployment import check_fits
from nas_lightning.runs.modes import run as run_config
from nas_lightning.runs.verify import verify

SHORT = ("training.nas_epochs=2", "training.training_epochs=2", "callbacks=none", "logger=none")
SHORT += ("selection.candidates=1", "control.num_random=0")
CONTEST = ("selection.candidates=4", "control.num_random=3")
ANY_DROP = "export.max_int8_drop=1"  # no remedies
FIRMWARE = ("compilation.enable=true", ANY_DROP)
SPLIT_FIGURES = {"accuracy", "balanced_accuracy", "macro_f1", "loss"}

needs_gcc = pytest.mark.skipif(bool(host.missing_tools()), reason="there is no gcc or make")
needs_arm = pytest.mark.skipif(bool(host.missing_tools(emulator.TOOLS)), reason="the Arm compiler or QEMU is missing")


def read(folder, name):
    return json.loads((folder / name).read_text(), parse_constant=lambda text: pytest.fail(f"{name} has {text}"))


def start(folder, *overrides):
    run_config(compose_config([*SHORT, *overrides]), folder)
    return folder


def contents(path):
    with zipfile.ZipFile(path) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    """A run on the default data for an MSPM0G3507."""
    return start(tmp_path_factory.mktemp("deployed") / "run", *FIRMWARE, *CONTEST, "target_device=MSPM0G3507")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """A folder of CSV files: two channels, two classes, 12 recordings of 600 rows."""
    return csv_folder(tmp_path_factory.mktemp("recordings"), make_recordings((600,) * 12))


@pytest.fixture(scope="module")
def with_features(tmp_path_factory, recordings):
    """A run behind a feature preset that is part of the ONNX files, for a Cortex-M33."""
    return start(
        tmp_path_factory.mktemp("features") / "run",
        *FIRMWARE,
        f"dataset.input_data_path={recordings}",
        "training.batch_size=4",
        "features=Generic_32Input_FFTBIN_4Feature_8Frame",
        "export.include_features=true",
        "target_device=cortex_m33",
    )


@pytest.fixture(scope="module")
def without_arm(tmp_path_factory):
    """A hand-made network, on a machine without the Arm tools."""
    folder = tmp_path_factory.mktemp("hand-made")
    before = os.environ["PATH"]
    os.environ["PATH"] = path_without(folder / "bin", "arm-none-eabi-", "qemu-")
    try:
        return start(folder / "run", *FIRMWARE, "training.nas_enabled=false", "testing.enable=false")
    finally:
        os.environ["PATH"] = before


@needs_gcc
def test_a_run_leaves_everything_for_the_device(deployed):
    names = {path.name for path in deployed.iterdir()}
    assert {"model.onnx", "model_int8.onnx", "vectors.npz", "firmware", "deploy.zip", "metrics.json"} <= names
    assert not list(deployed.rglob("*.tmp"))
    metrics = read(deployed, "metrics.json")
    assert set(metrics["val_int8"]) == set(metrics["test_int8"]) == SPLIT_FIGURES
    assert metrics["int8"] == {"method": "minmax", "tried": {"minmax": metrics["val_int8"]["accuracy"]}}
    assert metrics["firmware"].pop("float_max_difference") <= 1e-4
    assert metrics["firmware"] == {"split": "test", "int8_samples": 40}
    log = (deployed / "run.log").read_text()
    assert "firmware: int8 equal bit for bit on 40 samples of test; float differs by at most " in log
    assert "model_int8.onnx: by minmax; accuracy on val " in log


@needs_gcc
def test_the_vectors_are_what_the_files_compute(deployed):
    with np.load(deployed / "vectors.npz") as vectors:
        assert set(vectors) == {"inputs", "logits_float", "logits_int8"}
        assert vectors["inputs"].shape == (40, 6, 100)
        for name, key in (("model.onnx", "logits_float"), ("model_int8.onnx", "logits_int8")):
            session = onnxruntime.InferenceSession(deployed / name, providers=["CPUExecutionProvider"])
            logits = np.concatenate([session.run(None, {"x": x[None]})[0] for x in vectors["inputs"]])
            np.testing.assert_allclose(logits, vectors[key], atol=1e-2)
    onnx.checker.check_model(onnx.load(deployed / "model_int8.onnx"), full_check=True)


@needs_arm
def test_the_measured_core_is_that_of_the_device(deployed, with_features):
    cost = read(deployed, "cost.json")
    measured = cost["measured"]
    assert (measured["core"], measured["clock_mhz"], measured["numbers"]) == ("cortex-m0plus", 80, "int8")
    assert measured["ram_bytes"] == cost["ram_bytes"]
    assert measured["milliseconds"] == pytest.approx(measured["instructions"] / 80e3)
    assert "arm-none-eabi-gcc" in measured["compiler"]
    assert measured["exceeds"] == {}
    assert measured["flash_bytes"] < measured["program"]["flash_bytes"] < 128 * 1024
    assert measured["ram_bytes"] < measured["program"]["ram_bytes"]
    assert "front_end" not in measured
    other = read(with_features, "cost.json")["measured"]
    assert (other["core"], other["clock_mhz"]) == ("cortex-m33", 110)
    assert "firmware on cortex-m0plus: flash_bytes " in (deployed / "run.log").read_text()


@needs_gcc
def test_the_archive_holds_the_files_of_the_run(deployed):
    files = contents(deployed / "deploy.zip")
    for name, data in files.items():
        if (deployed / name).is_file():
            assert (deployed / name).read_bytes() == data, name
    assert files.keys() >= {"model.onnx", "model_int8.onnx", "genotype.json", "cost.json", "config.yaml", "NOTICE"}
    assert files.keys() >= {"firmware/model.c", "firmware/vectors.h", "vectors.npz", "annotations/report.json"}
    assert json.loads(files["metrics.json"]) == read(deployed, "metrics.json")
    assert not any(name.startswith("checkpoints") for name in files)
    sums = dict(reversed(line.split("  ")) for line in files.pop("SHA256SUMS").decode().splitlines())
    assert sums == {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}


@needs_gcc
def test_the_archive_is_verified(cli, deployed):
    status, out, err = cli("verify", deployed)  # as its deploy.zip
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == f"{deployed / 'deploy.zip'}: checksums hold"
    assert "model_int8.onnx: 40 samples, 40 equal bit for bit" in lines
    assert "firmware: all files as they are written here for these networks" in lines
    assert "model.c: 40 samples, all equal bit for bit" in lines
    if not host.missing_tools(emulator.TOOLS):
        instructions = read(deployed, "cost.json")["measured"]["instructions"]
        assert lines[-1] == f"cortex-m0plus: 4 samples, all equal bit for bit; {instructions:,} instructions"


@needs_gcc
def test_a_tampered_archive_ends_with_one_sentence(cli, deployed, tmp_path):
    files = contents(deployed / "deploy.zip")
    files["model.onnx"] = files["model.onnx"][:-1] + b"?"
    with zipfile.ZipFile(tmp_path / "deploy.zip", "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    status, out, err = cli("verify", "deploy.zip")
    sentence = "error: deploy.zip: model.onnx was changed, or came in later, by SHA256SUMS\n"
    assert (status, out, err) == (2, "", sentence)


@needs_gcc
def test_an_archive_with_other_code_ends_with_the_error(deployed, tmp_path):
    files = contents(deployed / "deploy.zip")
    files["firmware/model.c"] = files["firmware/model.c"].replace(
        b"network(input, logits);", b"network(input, logits); logits[0] = 7.0f;"
    )
    del files["SHA256SUMS"]
    sums = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in files.items())
    with zipfile.ZipFile(tmp_path / "deploy.zip", "w") as archive:
        for name, data in (files | {"SHA256SUMS": sums.encode()}).items():
            archive.writestr(name, data)
    with pytest.raises(ParityError, match=r"^firmware/model\.c: is not as it is written here for these networks$"):
        verify(tmp_path / "deploy.zip")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["verify"], "verify: takes one deploy.zip, and --trust to compile C files of others; found []"),
        (
            ["verify", "a.zip", "b.zip"],
            "verify: takes one deploy.zip, and --trust to compile C files of others; found ['a.zip', 'b.zip']",
        ),
        (["verify", "a.zip"], "a.zip: cannot be read as deploy.zip ([Errno 2] No such file or directory: 'a.zip')"),
        (
            ["verify", "."],
            "verify: . holds no deploy.zip, which a run with compilation.enable=true writes; give that file or "
            "the folder that holds it",
        ),
    ],
)
def test_verify_without_an_archive_says_what_it_takes(cli, arguments, sentence):
    assert cli(*arguments) == (2, "", f"error: {sentence}\n")


@needs_gcc
def test_features_are_code_too(with_features):
    firmware = with_features / "firmware"
    assert (firmware / "feature_extraction.c").is_file()
    assert "#define FEATURE_EXTRACTION_ROWS 256" in (firmware / "feature_extraction.h").read_text()
    metrics = read(with_features, "metrics.json")
    assert set(metrics["firmware"]) == {
        *("split", "int8_samples", "float_max_difference", "front_end_max_difference", "front_end_tolerance"),
    }
    assert metrics["firmware"]["front_end_max_difference"] <= 1e-4
    session = open_session(with_features / "model_int8.onnx")
    assert session.get_inputs()[0].shape == [1, 1, 256]
    with np.load(with_features / "vectors.npz") as vectors:
        assert set(vectors) == {"rows", "inputs", "logits_float", "logits_int8"}
        assert (vectors["rows"].shape[1:], vectors["inputs"].shape[1:]) == ((1, 256), (1, 32))
        found = np.concatenate([session.run(None, {"x": x[None]})[0] for x in vectors["rows"]])
        assert np.abs(found - vectors["logits_int8"]).max() <= 0.05 * np.abs(vectors["logits_int8"]).max()
    assert "front_end.json" in contents(with_features / "deploy.zip")


@needs_arm
def test_features_are_measured_too(with_features):
    measured = read(with_features, "cost.json")["measured"]
    assert measured["front_end"].keys() >= {"flash_bytes", "ram_bytes", "stack_bytes", "instructions", "milliseconds"}
    for part in ("flash_bytes", "ram_bytes"):
        assert measured["program"][part] > measured[part] + measured["front_end"][part]


@needs_gcc
def test_an_archive_with_features_is_verified(cli, with_features):
    status, out, err = cli("verify", with_features / "deploy.zip")
    assert (status, err) == (0, "")
    assert "firmware: all files as they are written here for these networks" in out.splitlines()
    assert re.search(r"^feature_extraction\.c: \d+ samples, differs by at most ", out, re.M)
    assert re.search(r"^model\.c: \d+ samples, all equal bit for bit$", out, re.M)


@needs_gcc
def test_without_arm_tools_one_line_says_so_and_the_run_ends_well(without_arm, capfd):
    log = (without_arm / "run.log").read_text()
    lines = [line for line in log.splitlines() if "not measured" in line]
    (line,) = lines
    text = "WARNING firmware: not measured on cortex-m4, because arm-none-eabi-gcc and qemu-system-arm is not installed"
    assert line.endswith(text)
    assert "measured" not in read(without_arm, "cost.json")
    assert (without_arm / "deploy.zip").is_file()
    assert "done in" in log


@needs_gcc
def test_a_hand_made_network_is_deployed_on_the_val_split(without_arm, cli):
    metrics = read(without_arm, "metrics.json")
    assert metrics["firmware"]["split"] == "val"
    assert metrics["firmware"]["int8_samples"] == 10
    assert "val_int8" in metrics
    assert not {"test_int8", "test"} & metrics.keys()
    assert "model.json" in contents(without_arm / "deploy.zip")
    status, out, _ = cli("verify", without_arm / "deploy.zip")
    assert status == 0
    assert "model.c: 10 samples, all equal bit for bit" in out
    assert "emulated" not in out


@pytest.mark.slow
@needs_gcc
def test_a_stopped_run_goes_on_to_the_same_firmware(deployed, tmp_path, cli):
    broken = shutil.copytree(deployed, tmp_path / "broken")
    for name in ("model.onnx", "model_int8.onnx", "model.pt", "vectors.npz", "deploy.zip"):
        (broken / name).unlink()
    shutil.rmtree(broken / "firmware")
    for folder in (broken / "checkpoints").glob("training*"):
        shutil.rmtree(folder)
    metrics = read(deployed, "metrics.json")
    begun = {key: metrics[key] for key in ("preset", "dataset", "seed", "search")}
    (broken / "metrics.json").write_text(json.dumps(begun))
    status, _, err = cli(f"resume={broken}")
    assert status == 0, err
    for name in ("model_int8.onnx", "vectors.npz", "firmware/model.c", "firmware/model_float.c", "firmware/vectors.h"):
        assert (broken / name).read_bytes() == (deployed / name).read_bytes(), name
    found = read(broken, "metrics.json")
    assert {key: found[key] for key in ("val_int8", "test_int8", "int8", "firmware")} == {
        key: metrics[key] for key in ("val_int8", "test_int8", "int8", "firmware")
    }


@pytest.mark.slow
@needs_gcc
def test_one_seed_gives_one_network_in_c(deployed, tmp_path):
    again = start(tmp_path / "run", *FIRMWARE, *CONTEST, "target_device=MSPM0G3507")
    names = [path.relative_to(deployed) for path in (deployed / "firmware").rglob("*") if path.is_file()]
    for name in ("model_int8.onnx", "vectors.npz", *names):
        assert (again / name).read_bytes() == (deployed / name).read_bytes(), name
    first, second = (contents(folder / "deploy.zip") for folder in (deployed, again))
    differ = {name for name in first.keys() | second.keys() if first.get(name) != second.get(name)}
    assert differ <= {"metrics.json", "config.yaml", "SHA256SUMS"}  # how long it took, and when it was


@needs_arm
def test_a_program_that_the_linker_cannot_place_ends_with_status_3(cli, tmp_path):
    small = ("target_device=MSPM0G3507", "budget.fraction=1", "device.ram_bytes=3000", "hydra.run.dir=run")
    status, _, err = cli(*SHORT, *FIRMWARE, *small, "training.nas_enabled=false")
    assert status == 3
    found = re.fullmatch(
        r"error: budget: the program linked for MSPM0G3507 does not fit its memories, ram_bytes 3,000; "
        r"ram_bytes binds; the nearest limits that can be met: ram_bytes ([\d,]+)",
        err.splitlines()[-1],
    )
    measured = read(tmp_path / "run", "cost.json")["measured"]
    assert measured["exceeds"] == {"ram_bytes": int(found[1].replace(",", "")) - 3000}
    assert not (tmp_path / "run" / "deploy.zip").exists()
    assert not has_ended(tmp_path / "run")


def test_what_does_not_fit_is_said_in_numbers():
    config = compose_config(["target_device=MSPM0G3507", "device.flash_bytes=1000", "device.ram_bytes=2000"])
    cost = CostReport(**vars(cost_of(nn.Conv1d(1, 1, 1), 1, 8)))
    usage = Usage(flash_bytes=1, ram_bytes=1, stack_bytes=1, instructions=1)
    program = ProgramSize(flash_bytes=1, ram_bytes=1, stack_bytes=1)
    about = {"core": "cortex-m0plus", "clock_mhz": 80.0, "numbers": "int8", "compiler": "gcc", "program": program}
    measured = MeasuredFirmware(**vars(usage), **about)
    for fits in (cost, replace(cost, measured=measured), replace(cost, measured=replace(measured, exceeds={}))):
        check_fits(config, fits)
    large = replace(measured, exceeds={"flash_bytes": 5, "ram_bytes": 70})
    with pytest.raises(BudgetError) as error:
        check_fits(config, replace(cost, measured=large))
    assert str(error.value) == (
        "budget: the program linked for MSPM0G3507 does not fit its memories, flash_bytes 1,000, ram_bytes 2,000; "
        "flash_bytes and ram_bytes bind; the nearest limits that can be met: flash_bytes 1,005, ram_bytes 2,070"
    )


@pytest.mark.parametrize(
    ("hidden", "found"), [(("gcc",), "gcc"), (("make",), "make"), (("gcc", "make"), "make and gcc")], ids=str
)
def test_firmware_without_a_compiler_is_refused_before_anything_is_written(cli, tmp_path, monkeypatch, hidden, found):
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PATH", path_without(tmp_path / "bin", *hidden))
    status, out, err = cli("compilation.enable=true", "hydra.run.dir=run")
    text = "error: compilation.enable: needs make and gcc on PATH, to prove the C files; not found: "
    assert (status, out, err) == (2, "", f"{text}{found}\n")
    assert not (tmp_path / "run").exists()


def test_without_int8_there_is_nothing_of_it(tmp_path):
    folder = start(tmp_path / "run", "export.int8=false")
    assert not (folder / "model_int8.onnx").exists()
    assert not {"firmware", "deploy.zip", "vectors.npz"} & {path.name for path in folder.iterdir()}
    assert not [key for key in read(folder, "metrics.json") if "int8" in key or key == "firmware"]


def test_int8_alone_needs_no_compiler(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", path_without(tmp_path / "bin", "gcc", "make", "arm-none-eabi-"))
    folder = start(tmp_path / "run", ANY_DROP, "training.nas_kernels=torch")
    assert (folder / "model_int8.onnx").is_file()
    assert {"val_int8", "test_int8", "int8"} <= read(folder, "metrics.json").keys()
    assert not {"firmware", "deploy.zip", "vectors.npz"} & {path.name for path in folder.iterdir()}


LOSING = ("seed=3", "training.training_epochs=20", "export.calibration_samples=1")  # one sample says little of a range


@pytest.mark.slow
def test_remedies_are_tried_in_their_order_and_the_best_is_taken(tmp_path):
    remedies = ["equalise", "percentile", "finetune"]
    folder = start(
        tmp_path / "run",
        *LOSING,
        "export.max_int8_drop=0",
        f"export.int8_remedies=[{','.join(remedies)}]",
        "export.finetune.epochs=1",
    )
    metrics = read(folder, "metrics.json")
    tried = metrics["int8"]["tried"]
    assert list(tried) == ["minmax", *remedies]
    assert metrics["int8"]["method"] == max(tried, key=lambda name: tried[name])  # of equally good ones the first
    assert max(tried.values()) == metrics["val_int8"]["accuracy"]
    assert max(tried.values()) < metrics["val"]["accuracy"]
    (line,) = [line for line in (folder / "run.log").read_text().splitlines() if "WARNING int8" in line]
    assert line.endswith(
        f"int8: accuracy on val falls from {metrics['val']['accuracy']:.4f} to {max(tried.values()):.4f}, by more than "
        "export.max_int8_drop=0; tried: minmax, equalise, percentile, finetune"
    )


@pytest.mark.slow
def test_a_remedy_that_fails_is_left_out(tmp_path):
    """A rate that drives the weights out of all bounds; what int8 is without it is there already."""
    folder = start(
        tmp_path / "run",
        *LOSING,
        "export.max_int8_drop=0",
        "export.int8_remedies=[finetune]",
        "export.finetune.learning_rate=1e30",
    )
    metrics = read(folder, "metrics.json")
    assert list(metrics["int8"]["tried"]) == ["minmax"]
    log = (folder / "run.log").read_text()
    assert "WARNING int8: finetune fails (fine-tuning for int8: " in log
    assert "is not finite; lower export.finetune.learning_rate)" in log


@pytest.mark.slow
def test_remedies_end_where_the_loss_is_allowed(tmp_path):
    folder = start(tmp_path / "none", *LOSING, "export.max_int8_drop=1", "export.int8_remedies=[equalise]")
    assert list(read(folder, "metrics.json")["int8"]["tried"]) == ["minmax"]
    folder = start(tmp_path / "empty", *LOSING, "export.max_int8_drop=0", "export.int8_remedies=[]")
    assert list(read(folder, "metrics.json")["int8"]["tried"]) == ["minmax"]
    assert "WARNING int8: accuracy on val falls from" in (folder / "run.log").read_text()


@pytest.mark.slow
def test_the_loss_is_that_of_the_metric(tmp_path):
    remedies = ("export.max_int8_drop=0", "export.int8_remedies=[]")
    metrics = read(start(tmp_path / "run", *LOSING, *remedies, "testing.metric=macro_f1"), "metrics.json")
    assert metrics["int8"]["tried"]["minmax"] == metrics["val_int8"]["macro_f1"] != metrics["val_int8"]["accuracy"]


@pytest.mark.slow
def test_int8_decides_which_network_is_small_enough(tmp_path):
    settings = ("target_accuracy=0.1", "target_rounds=1", "selection.by=int8", *LOSING, ANY_DROP)
    folder = start(tmp_path / "run", *settings)
    with (folder / "tradeoff.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows
    for row in rows:
        metrics = read(folder / "rounds" / row["round"], "metrics.json")
        assert float(row["val_accuracy"]) == metrics["val_int8"]["accuracy"]
        assert row["reached"] == str(metrics["val_int8"]["accuracy"] >= 0.1)
    first = read(folder / "rounds" / "0", "metrics.json")
    assert first["val_int8"]["accuracy"] != first["val"]["accuracy"]
    assert {"val_int8", "test_int8"} <= read(folder, "metrics.json").keys()


@pytest.mark.slow
def test_float_decides_by_default_and_int8_is_made_of_the_last_network_only(tmp_path):
    folder = start(tmp_path / "run", "target_accuracy=0.1", "target_rounds=1", ANY_DROP)
    rounds = sorted((folder / "rounds").iterdir())
    assert all("val_int8" not in read(place, "metrics.json") for place in rounds)
    assert not [place for place in rounds if (place / "model_int8.onnx").exists()]
    assert (folder / "model_int8.onnx").is_file()
    assert "val_int8" in read(folder, "metrics.json")


@pytest.mark.slow
@needs_gcc
def test_int8_decides_which_front_end_is_kept_and_its_firmware_is_written(tmp_path, recordings):
    candidates = ["none", "Generic_32Input_FFTBIN_4Feature_8Frame"]
    settings = (
        *("search_features=true", f"features_candidates=[{','.join(candidates)}]", "selection.by=int8"),
        *(f"dataset.input_data_path={recordings}", "data_processing_feature_extraction.frame_size=32"),
        *("training.batch_size=4", "training.training_epochs=4", *FIRMWARE),
    )
    folder = start(tmp_path / "run", *settings)
    with (folder / "front_ends.csv").open() as file:
        values = {row["front_end"]: float(row["val"]) for row in csv.DictReader(file)}
    assert list(values) == candidates
    for name in candidates:
        place = folder / "front_ends" / name
        assert values[name] == read(place, "metrics.json")["val_int8"]["accuracy"]
        assert not (place / "firmware").exists()
    metrics = read(folder, "metrics.json")
    assert values[metrics["front_end"]] == max(values.values())
    assert {"firmware", "val_int8", "test_int8"} <= metrics.keys()
    has_features = (folder / "firmware" / "feature_extraction.c").is_file()
    assert has_features == (metrics["front_end"] != "none")
    assert (folder / "deploy.zip").is_file()


@pytest.mark.slow
@needs_arm
def test_one_sample_to_test_on_is_enough(tmp_path, write_npz, arrays, cli):
    path = write_npz(X_test=arrays["X_test"][:1], y_test=arrays["y_test"][:1])
    folder = start(tmp_path / "run", *FIRMWARE, f"dataset.input_data_path={path}")
    assert read(folder, "metrics.json")["firmware"]["int8_samples"] == 1
    assert read(folder, "cost.json")["measured"]["instructions"] > 0
    assert cli("verify", folder / "deploy.zip")[0] == 0


MISTAKES = [
    (["selection.by=int16"], "selection.by: found 'int16'; allowed: float, int8"),
    (["selection.by=int8", "export.int8=false"], "selection.by: int8 needs export.int8=true"),
    (["compilation.enable=true", "export.int8=false"], "compilation.enable: needs export.int8=true"),
    (["compilation.backend=tvm"], "compilation.backend: found 'tvm'; allowed: emx"),
    (
        ["export.int8_remedies=[percentile,pray]"],
        f"export.int8_remedies: found 'pray'; allowed: {', '.join(REMEDIES)}",
    ),
    (["export.max_int8_drop=-0.1"], "export.max_int8_drop: found -0.1; allowed: 0 to 1"),
    (["export.max_int8_drop=1.5"], "export.max_int8_drop: found 1.5; allowed: 0 to 1"),
    (["export.max_int8_drop=nan"], "export.max_int8_drop: found nan; allowed: 0 to 1"),
    (["export.calibration_samples=0"], "export.calibration_samples: found 0; allowed: 1 or more"),
    (["export.finetune.epochs=0"], "export.finetune.epochs: found 0; allowed: 1 to 1000000, or null"),
    (
        ["export.finetune.learning_rate=0"],
        "export.finetune.learning_rate: found 0.0; allowed: more than 0",
    ),
    (
        ["export.finetune.learning_rate=inf"],
        "export.finetune.learning_rate: found inf; allowed: more than 0",
    ),
    (
        ["budget.latency_ms=0"],
        "budget.latency_ms: found 0.0; allowed: 0.001 or more, or null",
    ),
    (["budget.latency_ms=inf"], "budget.latency_ms: found inf; allowed: 0.001 or more, or null"),
    (
        ["budget.latency_ms=1", "target_device=F28P55"],
        "budget.latency_ms: nothing is known of the instructions of a C28x; allowed: a device with a Cortex-M core",
    ),
    (
        ["training.nas_optimization_mode=Latency", "target_device=F28P55"],
        "training.nas_optimization_mode=Latency: nothing is known of the instructions of a C28x; "
        "allowed: a device with a Cortex-M core",
    ),
    (["cost.code_bytes=-1"], "cost.code_bytes: found -1; allowed: 0 or more, or null"),
    (["cost.code_bytes_per_layer=-1"], "cost.code_bytes_per_layer: found -1; allowed: 0 or more, or null"),
    (
        ["export.int8_remedy=[]"],
        "command line: unknown key 'export.int8_remedy'; the nearest known key is 'export.int8_remedies'",
    ),
    (["compilation.enable=true", "training.enable=false"], "compilation.enable: needs training.enable=true"),
]


@pytest.mark.parametrize(("arguments", "sentence"), MISTAKES, ids=[" ".join(a) for a, _ in MISTAKES])
def test_a_wrong_value_ends_with_its_sentence(cli, tmp_path, arguments, sentence):
    assert cli(*arguments) == (2, "", f"error: {sentence}\n")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_latency_needs_a_clock(cli):
    status, _, err = cli("budget.latency_ms=1")
    assert status == 2
    assert err.startswith("error: budget.latency_ms: ")
    assert "clock" in err


def test_the_configuration_is_written_and_read_back(deployed):
    config = load_config(deployed / "config.yaml")
    assert (config.compilation.enable, config.compilation.backend, config.selection.by) == (True, "emx", "float")
    assert config.export.int8_remedies == list(REMEDIES)
    assert (config.export.finetune.steps, config.export.calibration_samples) == (500, 512)


def test_a_difference_that_can_change_a_class_is_a_warning(tmp_path, monkeypatch):
    """As no network here differs by 0.01, the bound is taken away."""
    monkeypatch.setattr(finish, "NOTEWORTHY", 0.0)
    folder = start(tmp_path / "run", "export.int8=false", "training.nas_enabled=false")
    (line,) = [line for line in (folder / "run.log").read_text().splitlines() if "model.onnx: differs" in line]
    assert "WARNING model.onnx: differs from the network by up to " in line
    assert line.endswith(" of a logit on test: float32 rounds this network by that order, which can change a class")


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("export.opset=12", "export.opset: found 12; allowed: 13 to 24"),
        ("export.opset=25", "export.opset: found 25; allowed: 13 to 24"),
        (
            "export.prefix=1a",
            "export.prefix: found '1a'; allowed: what a name in C can begin with, up to 31 letters, digits and _, as "
            "imu_; or nothing",
        ),
    ],
)
def test_what_files_cannot_be_is_refused_before_anything_is_written(cli, tmp_path, override, sentence):
    assert cli(override, "hydra.run.dir=run") == (2, "", f"error: {sentence}\n")
    assert not (tmp_path / "run").exists()
