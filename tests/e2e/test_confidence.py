"""Runs that reject and smooth: what they set by val, what they say of it, and what their firmware decides."""

import csv
import json
import re
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from recording_files import csv_folder, make_recordings
from scipy.stats import binomtest

import nas_lightning
from nas_lightning.config.compose import compose_config
from nas_lightning.data.annotations import read_lists
from nas_lightning.data.loaders import LoaderData
from nas_lightning.errors import InputError
from nas_lightning.export import emulator, host
from nas_lightning.export.contract import InputDescription
from nas_lightning.export.firmware import Vectors
from nas_lightning.export.session import open_session
from nas_lightning.report.results import FirmwareReport
from nas_lightning.runs.build import build_data
from nas_lightning.runs.decisions import check_decisions
from nas_lightning.runs.deployment import Built, measure_firmware
from nas_lightning.runs.inspection import find_warnings
from nas_lightning.runs.modes import run as run_config
from nas_lightning.runs.verify import verify
from nas_lightning.tasks.smoothing import begins_of

SHORT = ("training.nas_enabled=false", "model=cnn_s", "training.training_epochs=4", "callbacks=none", "logger=none")
SHORT += ("selection.candidates=1", "control.num_random=0", "training.batch_size=16")
CUT = "data_processing_feature_extraction.frame_size=25"
FLOAT = "export.int8=false"
UNKNOWN = "dataset.unknown=noise"

needs_gcc = pytest.mark.skipif(bool(host.missing_tools()), reason="there is no gcc or make")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Two classes in much noise, and a third of noise alone: 12 recordings each, of 200 rows and 2 channels."""
    random = np.random.default_rng(0)
    rows = [
        (name, values + 2 * random.normal(size=values.shape), label)
        for name, values, label in make_recordings((200,) * 24)
    ]
    rows += [(f"n{i}", 2 * random.normal(size=(200, 2)), "noise") for i in range(12)]
    return csv_folder(tmp_path_factory.mktemp("recordings"), [(n, values.round(3), label) for n, values, label in rows])


def start(folder, *overrides):
    run_config(compose_config([*SHORT, *overrides]), folder)
    return folder


def read(folder, name):
    return json.loads((folder / name).read_text(), parse_constant=lambda text: pytest.fail(f"{name} has {text}"))


@pytest.fixture(scope="module")
def decided(tmp_path_factory, recordings):
    """With all there is: a class that is none, a threshold, smoothing that is chosen, and firmware."""
    asked = (UNKNOWN, "reject.false_accept=0.25", "postprocess.method=auto", "postprocess.auto_windows=[3,5]")
    firmware = ("compilation.enable=true", "export.max_int8_drop=1")
    place = tmp_path_factory.mktemp("decided") / "run"
    return start(place, f"dataset.input_data_path={recordings}", CUT, *asked, *firmware)


@pytest.fixture(scope="module")
def plain(tmp_path_factory, recordings):
    """With nothing of it."""
    return start(tmp_path_factory.mktemp("plain") / "run", f"dataset.input_data_path={recordings}", CUT, FLOAT)


def data_of(folder):
    data = build_data(compose_config([*SHORT, f"dataset.input_data_path={folder}", CUT, UNKNOWN]))
    data.setup()
    return data


def scores_of(run, name, batches):
    """Softmax of ONNX Runtime's logits in float64."""
    session = open_session(run / name)
    logits = [session.run(None, {"x": x[None].numpy()})[0][0] for batch, _ in batches for x in batch]
    return torch.from_numpy(np.array(logits)).double() / read(run, "input.json")["temperature"]


@needs_gcc
def test_figures_of_a_threshold_are_those_of_onnx_runtime(decided, recordings):
    data, description = data_of(recordings), read(decided, "input.json")
    found = read(decided, "metrics.json")["confidence"]
    assert found["threshold"] == description["threshold"]
    assert found["temperature"] == description["temperature"]
    for split, name in (("test", "model.onnx"), ("test_int8", "model_int8.onnx"), ("val", "model.onnx")):
        part = split.removesuffix("_int8")
        batches = list(data.loader(part, shuffle=False))
        logits, target = scores_of(decided, name, batches), torch.cat([y for _, y in batches])
        is_in = logits.softmax(1).amax(1) >= description["threshold"]
        of_split = found["rejection"][split]
        assert of_split["coverage"]["value"] == pytest.approx(float(is_in.double().mean()))
        right = (logits.argmax(1) == target)[is_in]
        assert of_split["accuracy"]["value"] == pytest.approx(float(right.double().mean()))
        others = scores_of(decided, name, data.unknown_batches(part)).softmax(1).amax(1) >= description["threshold"]
        assert of_split["unknown_accepted"]["value"] == pytest.approx(float(others.double().mean()))
        assert of_split["unknown_accepted"]["samples"] == len(others) > 0
    assert found["rejection"]["val"]["unknown_accepted"]["value"] <= 0.25


@needs_gcc
def test_a_label_that_is_no_class_is_learned_nowhere(decided, plain):
    assert read(decided, "input.json")["class_names"] == ["calm", "wild"]
    assert len(read(plain, "input.json")["class_names"]) == 3
    assert "of no class" in (decided / "run.log").read_text()


def test_what_is_no_class_is_no_rare_class(recordings):
    assert find_warnings(data_of(recordings), []) == []


@needs_gcc
def test_smoothing_is_chosen_on_val_among_all_ways(decided):
    found = read(decided, "metrics.json")["postprocess"]
    tried = {(way["method"], way["windows"]): way["by_window"]["accuracy"] for way in found["tried"]}
    assert len(tried) == 7
    best = max(tried.values())
    assert (found["method"], found["windows"]) == next(way for way, value in tried.items() if value == best)
    assert found["splits"].keys() == {"val", "test", "val_int8", "test_int8"}
    assert found["splits"]["val"]["by_window"]["accuracy"] == best
    smoothing = read(decided, "input.json")["postprocess"]
    assert smoothing == (None if found["method"] == "none" else {key: found[key] for key in ("method", "windows")})


@needs_gcc
def test_c_decides_the_same_of_the_whole_test_split(decided, recordings):
    data, metrics = data_of(recordings), read(decided, "metrics.json")
    count = len(data.splits["test"])
    assert metrics["firmware"]["decisions"] == 2 * count  # of the int8 logits, and of the float ones
    description = InputDescription.from_dict(read(decided, "input.json"))
    scores = scores_of(decided, "model_int8.onnx", data.test_dataloader())
    logits = (scores * description.temperature).float().numpy()
    begins = begins_of(data.recordings_of("test"))
    assert begins.sum() == metrics["postprocess"]["splits"]["test"]["recordings"]
    assert host.check_decision(decided / "firmware", description.decision, logits, begins) == count
    stream, first = nas_lightning.load(decided).description.decision.stream(), int(begins[1:].argmax()) + 1
    assert [stream(row) for row in logits[:first]] == description.decision.smoothed(logits, begins)[:first].tolist()
    other = replace(description.decision, threshold=1.5)
    with pytest.raises(host.ParityError):
        host.check_decision(decided / "firmware", other, logits, begins)


@needs_gcc
def test_the_archive_is_verified_with_its_decisions(decided, capsys):
    verify(decided / "deploy.zip")
    count = len(np.load(decided / "vectors.npz")["inputs"])
    assert f"decision.c: {2 * count} decisions, all equal" in capsys.readouterr().out.splitlines()


@pytest.mark.skipif(bool(host.missing_tools(emulator.TOOLS)), reason="the Arm compiler or QEMU is missing")
def test_the_code_of_decisions_is_counted(decided):
    cost = read(decided, "cost.json")
    assert cost["measured"]["decision"]["flash_bytes"] <= cost["decision"]["flash_bytes"]
    assert cost["measured"]["decision"]["ram_bytes"] == cost["decision"]["ram_bytes"]


@pytest.mark.skipif(bool(host.missing_tools(emulator.TOOLS)), reason="the Arm compiler or QEMU is missing")
@pytest.mark.parametrize(("share", "fits"), [(0.5, False), (1.5, True)])
def test_a_chip_must_hold_the_code_of_decisions_too(decided, share, fits):
    measured, description = read(decided, "cost.json")["measured"], read(decided, "input.json")
    flash = measured["program"]["flash_bytes"] + int(share * measured["decision"]["flash_bytes"])
    config = compose_config(["device.core=Cortex-M4F", f"device.flash_bytes={flash}", "device.ram_bytes=65536"])
    with np.load(decided / "vectors.npz") as content:
        vectors = Vectors(None, *(content[name] for name in ("inputs", "logits_float", "logits_int8")))
    built = Built(decided / "firmware", vectors, FirmwareReport(split="test", int8_samples=0, float_max_difference=0.0))
    exceeds = measure_firmware(config, built, InputDescription.from_dict(description).decision).exceeds
    assert exceeds.keys() == (set() if fits else {"flash_bytes"})


def test_without_a_key_there_is_a_temperature_and_no_more(plain):
    metrics, description = read(plain, "metrics.json"), read(plain, "input.json")
    assert metrics["confidence"].keys() == {"temperature", "calibration_error"} | metrics["confidence"].keys() & {
        "bound"
    }
    assert metrics["confidence"]["calibration_error"].keys() == {"val", "test"}
    assert "postprocess" not in metrics
    assert "decision" not in read(plain, "cost.json")
    assert (description["threshold"], description["postprocess"]) == (None, None)
    assert description["temperature"] == metrics["confidence"]["temperature"]


def test_each_coverage_has_its_threshold(tmp_path, recordings, plain):
    found = {}
    for coverage in (0.5, 0.9):
        run = start(
            tmp_path / str(coverage), f"dataset.input_data_path={recordings}", CUT, FLOAT, f"reject.coverage={coverage}"
        )
        confidence = read(run, "metrics.json")["confidence"]
        shares = confidence["rejection"]["val"]
        assert coverage <= shares["coverage"]["value"] < coverage + 2 / shares["coverage"]["samples"]
        assert shares["unknown_accepted"] is None
        found[coverage] = confidence["threshold"]
        assert read(run, "metrics.json")["test"] == read(plain, "metrics.json")["test"]  # the network is the same
    assert found[0.5] > found[0.9]


@pytest.mark.slow
def test_the_smallest_of_several_networks_is_judged_on_test_alone_at_the_end(tmp_path, recordings):
    searched = ("training.nas_enabled=true", "training.nas_epochs=1", "target_accuracy=0.3", "target_rounds=1")
    asked = ("reject.coverage=0.8", "postprocess.method=hysteresis", "postprocess.windows=2")
    run = start(tmp_path / "run", f"dataset.input_data_path={recordings}", CUT, *searched, *asked)
    metrics = read(run, "metrics.json")
    assert metrics["confidence"]["threshold"] == read(run, "input.json")["threshold"]
    splits = {"val", "test", "val_int8", "test_int8"}
    assert metrics["confidence"]["rejection"].keys() == metrics["postprocess"]["splits"].keys() == splits
    rounds = [read(folder, "metrics.json")["confidence"] for folder in (run / "rounds").iterdir()]
    assert all(section["rejection"].keys() == {"val"} for section in rounds)
    assert metrics["confidence"]["temperature"] in [section["temperature"] for section in rounds]


def test_the_summary_has_a_row_of_what_is_rejected(tmp_path, recordings, capsys):
    start(
        tmp_path / "run",
        f"dataset.input_data_path={recordings}",
        CUT,
        FLOAT,
        "reject.coverage=0.8",
        "postprocess.method=mean",
    )
    printed = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "reject on test accepted" in printed
    assert "smoothed test mean of 5: accuracy" in printed


def test_a_recording_of_one_window_is_not_smoothed(tmp_path):
    run = start(tmp_path / "run", FLOAT, "postprocess.method=majority")  # BasicMotions
    assert "every recording of val is one window, so nothing can be smoothed" in (run / "run.log").read_text()
    assert "postprocess" not in read(run, "metrics.json")
    assert read(run, "input.json")["postprocess"] is None
    assert "a temperature of fewer than 30 says little" in (run / "run.log").read_text()


def refused(data, *overrides):
    with pytest.raises(InputError) as error:
        check_decisions(compose_config(list(overrides)), data)
    return str(error.value)


def test_windows_that_were_dealt_at_random_have_no_order(recordings):
    data = build_data(
        compose_config([*SHORT, f"dataset.input_data_path={recordings}", CUT, "dataset.split_type=amongst_windows"])
    )
    data.setup()
    assert data.recordings_of("val") is None
    said = refused(data, "postprocess.method=mean")  # as where lists of such a split are taken again
    assert said.startswith("postprocess.method: found mean; allowed: none, because in these splits")
    assert data_of(recordings).recordings_of("val") is not None


def test_what_samples_without_recordings_do_not_know_is_refused(loaders):
    samples = LoaderData(loaders["train_loader"], loaders["valid_loader"])
    samples.setup()
    assert refused(samples, "postprocess.method=mean").startswith("postprocess.method: found mean; allowed: none")
    assert refused(samples, "reject.false_accept=0.1").startswith("reject.false_accept: val has no sample")
    assert refused(samples, UNKNOWN).startswith("dataset.unknown: needs data that know recordings")
    check_decisions(compose_config(["reject.coverage=0.9"]), samples)


def test_outputs_of_which_none_is_chosen_have_no_scores():
    levels = SimpleNamespace(task=SimpleNamespace(decides=False))
    assert refused(levels, "reject.coverage=0.9").startswith("reject.coverage: needs outputs of which the largest is")
    assert refused(levels, "postprocess.method=mean").startswith("postprocess.method: needs outputs of which")
    check_decisions(compose_config([]), levels)


def cells_of(run, after, before):
    """The words of the cells of the rows with values, by the first cell, between two words of a page."""
    part = (run / "report.html").read_text().partition(f">{after}<")[2].partition(before)[0]
    rows = [re.findall(r"<td.*?</td>", row, re.DOTALL) for row in re.findall(r"<tr>(.*?)</tr>", part, re.DOTALL)]
    texts = [[re.sub(r"<[^>]*>", " ", cell).split() for cell in row] for row in rows if row]
    return {" ".join(name): cells for name, *cells in texts}


def calibration_error_of(scores, target):
    """Guo et al. 2017, equations 2 and 3, with 15 bins that are open below."""
    sure, taken = (part.numpy() for part in scores.softmax(1).max(1))
    place, right = np.ceil(sure * 15), taken == target.numpy()
    of_bins = (
        np.abs(right[place == bin].mean() - sure[place == bin].mean()) * (place == bin).mean() for bin in set(place)
    )
    return sum(of_bins)


@needs_gcc
def test_the_page_says_what_is_accepted_and_how_right_that_is(decided, recordings):
    data, description = data_of(recordings), read(decided, "input.json")
    text = (decided / "report.html").read_text()
    assert f"logits / {description['temperature']:.4g}, a temperature fitted on val" in text
    assert f"accepted from a score of {description['threshold']:.4f} on" in text
    calibration = cells_of(decided, "How far scores can be trusted", "<h3>")
    accepted = cells_of(decided, "What is accepted", "<h2>")
    assert calibration.keys() == accepted.keys() == {"test", "test, int8", "val", "val, int8"}
    for split, name in (("test", "model.onnx"), ("test, int8", "model_int8.onnx")):
        batches = list(data.loader("test", shuffle=False))
        logits, target = scores_of(decided, name, batches), torch.cat([y for _, y in batches])
        errors = [calibration_error_of(logits * factor, target) for factor in (description["temperature"], 1)]
        assert [float(cell[0]) for cell in calibration[split]] == pytest.approx(errors, abs=1e-4)
        is_in = logits.softmax(1).amax(1) >= description["threshold"]
        right = int((logits.argmax(1) == target)[is_in].sum())
        others = scores_of(decided, name, data.unknown_batches("test")).softmax(1).amax(1) >= description["threshold"]
        counts = (
            (int(is_in.sum()), len(is_in)), (right, int(is_in.sum())), (int(others.sum()), len(others)),
            (right, int(is_in.sum()) + int(others.sum())),
        )  # fmt: skip
        for cell, (hits, count) in zip(accepted[split], counts, strict=True):
            ends = binomtest(hits, count).proportion_ci(method="wilson")
            assert cell == [f"{hits / count:.3f}", f"{ends.low:.2f}", "to", f"{ends.high:.2f}"]


@needs_gcc
def test_the_page_says_which_windows_decide_together(decided, recordings):
    data, found = data_of(recordings), read(decided, "metrics.json")["postprocess"]
    found_rows = cells_of(decided, "Windows that decide together", "<h2>")
    rows = {name: [" ".join(cell) for cell in cells] for name, cells in found_rows.items()}
    ways = {f"{way} of {windows}" for way in ("hysteresis", "majority", "mean") for windows in (3, 5)} | {"each alone"}
    assert {name.removesuffix(", kept") for name in rows} == ways | {"test", "test, int8", "val", "val, int8"}
    kept = [name for name in rows if name.endswith(", kept")]
    name = "each alone" if found["method"] == "none" else f"{found['method']} of {found['windows']}"
    assert kept == [f"{name}, kept"]
    assert rows[kept[0]] == rows["val"]
    description, batches = nas_lightning.load(decided).description, list(data.test_dataloader())
    logits = (scores_of(decided, "model.onnx", batches) * description.temperature).float().numpy()
    numbers, target, right, delays = data.recordings_of("test"), torch.cat([y for _, y in batches]).numpy(), [], []
    for number in dict.fromkeys(numbers.tolist()):
        stream, own = description.decision.stream(), numbers == number
        said = [stream(row) for row in logits[own]]
        right += (np.array(said) == target[own]).tolist()
        delays.append(next((i for i, label in enumerate(said) if label == target[own][0]), None))
    known = [delay for delay in delays if delay is not None]
    assert rows["test"][0] == f"{np.mean(right):.4f}"
    assert rows["test"][2:] == [f"{np.median(known):g}" if known else "-", f"{delays.count(None)} of {len(delays)}"]


def test_the_page_of_a_run_that_decides_nothing_has_calibration_alone(plain):
    text = (plain / "report.html").read_text()
    assert "There is no threshold, so every window is taken for one of the classes." in text
    assert cells_of(plain, "How far scores can be trusted", "<h2>").keys() == {"test", "val"}
    assert "What is accepted" not in text
    assert "Windows that decide together" not in text


@needs_gcc
def test_an_evaluation_says_which_share_of_no_class_is_accepted(decided, recordings, cli, tmp_path):
    """By the label that the run was told."""
    status, out, err = cli("evaluate", decided, recordings, "out=e.json")
    assert status == 0, err
    found = read(tmp_path, "e.json")
    for backend, delivered in (("torch", "decided"), ("int8", "decided_int8")):
        windows = nas_lightning.load(decided, backend=backend).predict(recordings).windows
        labels = np.array([name.partition("/")[0] for name in windows.names])
        are_none, share = labels == "noise", found["no_class"][delivered]
        assert share["value"] == pytest.approx(windows.accepted[are_none].mean())
        assert share["interval"][0] < share["value"] < share["interval"][1]
        own = found if backend == "torch" else found["int8"]
        taken = np.array(windows.classes)[windows.numbers]
        assert own["accuracy"]["value"] == pytest.approx((taken == labels)[~are_none].mean())
        if backend == "torch":
            assert found["decided"]["accepted"]["value"] == pytest.approx(windows.accepted[~are_none].mean())
            first = taken
    assert found["int8"]["agreement"] == pytest.approx((first == taken)[~are_none].mean())
    assert (found["no_class"]["recordings"], found["no_class"]["windows"]) == (12, 96)
    assert (found["recordings"], found["windows"], found["units"]) == (24, 192, 24)
    assert [(each["name"], each["samples"]) for each in found["classes"]] == [("calm", 96), ("wild", 96)]
    assert re.search("noise: none +│ 96 ", out)
    assert "of no class accepted" in out


@pytest.fixture(scope="module")
def smoothed(tmp_path_factory, recordings):
    """A run that rejects and takes the mean of three windows, and the recordings of its test split alone."""
    asked = (UNKNOWN, "reject.coverage=0.8", "postprocess.method=mean", "postprocess.windows=3")
    place = tmp_path_factory.mktemp("smoothed")
    run = start(place / "run", f"dataset.input_data_path={recordings}", CUT, *asked, "export.max_int8_drop=1")
    for name, *_ in read_lists(run / "annotations", "lists")["test"]:
        to = place / "test" / "classes" / name
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(recordings / "classes" / name, to)
    return run, place / "test"


def test_an_evaluation_of_the_test_split_has_the_figures_of_the_run(smoothed, cli, tmp_path, capsys):
    """Every figure that both have, by window alone and as delivered, float and int8, in the file and for a program."""
    run, test = smoothed
    status, out, err = cli("evaluate", run, test, "out=e.json")
    assert status == 0, err
    found, metrics = read(tmp_path, "e.json"), read(run, "metrics.json")
    for own, split in ((found, "test"), (found["int8"], "test_int8")):
        alone = {name: own[name]["value"] for name in ("accuracy", "balanced_accuracy", "macro_f1")}
        assert alone | {"loss": own["loss"]} == pytest.approx(metrics[split], abs=1e-6)
        rejection = metrics["confidence"]["rejection"][split]
        assert own["accepted"] == pytest.approx(rejection["coverage"]["value"])
        assert own["accuracy_of_accepted"] == pytest.approx(rejection["accuracy"]["value"])
        delivered, of_run = own["decided"], metrics["postprocess"]["splits"][split]
        for name in ("accuracy", "balanced_accuracy", "macro_f1"):
            assert delivered[name]["value"] == pytest.approx(of_run["by_window"][name])
        assert delivered["of_recordings"]["value"] == pytest.approx(of_run["by_recording"]["accuracy"])
        name = "accepted" if split == "test" else "accepted_int8"
        assert found["no_class"][name]["value"] == pytest.approx(rejection["unknown_accepted"]["value"])
    details = metrics["test_details"]
    assert found["accuracy"]["interval"] == pytest.approx(details["accuracy_interval"])
    assert (found["units"], found["windows"]) == (details["units"], details["samples"])
    for own, each in zip(found["classes"], details["classes"], strict=True):
        assert own.keys() == each.keys()
        for key, value in each.items():
            assert own[key] == (value if key == "name" else pytest.approx(value))
    assert (
        found["decision"] == f"mean of 3 windows, accepted from a score of {metrics['confidence']['threshold']:.4g} on"
    )
    assert found["decided"]["accuracy"]["value"] != found["accuracy"]["value"]
    first, second = out.partition("by each window alone")[::2]
    assert f"delivered decision ({found['decision']}; no class counts as wrong):" in first
    assert f"│ accuracy               │ {found['decided']['accuracy']['value']:.4f}" in first
    assert f"│ accuracy of accepted   │ {found['decided']['accuracy_of_accepted']['value']:.4f}" in first
    assert re.search(rf"│ accuracy +│ {found['accuracy']['value']:.4f}", second)
    assert re.search(rf"│ loss \(temperature 1\) +│ {metrics['test']['loss']:.4f}", second)
    status, out, err = cli("evaluate", run, test, "output=json")
    assert json.loads(out) == found | {"data": str(test)}


def test_a_row_of_predictions_is_of_the_decision_that_the_run_delivers(smoothed, cli, tmp_path):
    """By a loop over the scores of ONNX Runtime."""
    run, test = smoothed
    status, _, err = cli("predict", run, test, "out=p.csv")
    assert status == 0, err
    with (tmp_path / "p.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[5:] == ["window_class", "window_score"]
    about, session, last = read(run, "input.json"), open_session(run / "model.onnx"), []
    for number, row in enumerate(rows):
        if number == 0 or row["recording"] != rows[number - 1]["recording"]:
            values, last, start = pd.read_csv(test / "classes" / row["recording"])[["ch0", "ch1"]].to_numpy(), [], 0
        logits = session.run(None, {"x": values[start : start + 25].T[None].astype(np.float32)})[0][0]
        start += 25
        last = [*last, torch.from_numpy(logits).double().div(about["temperature"]).softmax(0).numpy()][-3:]
        mean = np.mean(last, axis=0)
        assert row["class"] == about["class_names"][mean.argmax()]
        assert float(row["score"]) == pytest.approx(mean.max(), abs=1e-4)
        assert (row["accepted"] == "true") == (mean.max() >= about["threshold"])
        assert row["window_class"] == about["class_names"][last[-1].argmax()]
        assert float(row["window_score"]) == pytest.approx(last[-1].max(), abs=1e-4)
    assert {row["accepted"] for row in rows} == {"true", "false"}
    assert any(row["class"] != row["window_class"] for row in rows)
