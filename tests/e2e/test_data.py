"""Recordings in folders, front ends and splits through the command line."""

import itertools
import json

import numpy as np
import onnxruntime
import pytest
import torch
from recording_files import csv_folder, make_recordings, npz_file

import nas_lightning
from nas_lightning.data.annotations import read_lists

SECTION = "data_processing_feature_extraction"
SHORT = (
    "training.nas_epochs=1",
    "training.training_epochs=2",
    "training.batch_size=4",
    "callbacks=none",
    "logger=none",
    "export.int8=false",
    "selection.candidates=1",
    "control.num_random=0",
)
CONTEST = ("selection.candidates=4", "control.num_random=3")
FRAMES = ("data_processing_feature_extraction.frame_size=32", "training.batch_size=12")
FFT = ("features=Generic_32Input_FFTBIN_4Feature_8Frame",)


@pytest.fixture
def recordings(tmp_path):
    """A folder of CSV files: two channels, two classes, 12 recordings of 600 rows."""
    return csv_folder(tmp_path / "recordings", make_recordings((600,) * 12))


@pytest.fixture
def run(cli, tmp_path, recordings):
    def call(name, *arguments):
        status, out, err = cli(f"dataset.input_data_path={recordings}", f"hydra.run.dir={name}", *SHORT, *arguments)
        assert status == 0, err
        return tmp_path / name, out, err

    return call


def read(folder, name):
    return json.loads((folder / name).read_text())


def test_a_folder_of_csv_files_becomes_a_network(run):
    folder, _, _ = run("run", *FRAMES, *CONTEST, "export.int8=true")
    lists = read_lists(folder, "run")
    assert {split: len(rows) for split, rows in lists.items()} == {"train": 6, "val": 3, "test": 3}
    assert lists["train"][0][0].startswith("calm/r")
    assert read(folder, "annotations/report.json")["train"]["classes"] == {"calm": 3, "wild": 3}
    assert read(folder, "genotype.json")["task"] == {"in_channels": 2, "length": 32, "num_classes": 2}
    assert {"selection", "control", "val_int8"} <= read(folder, "metrics.json").keys()
    log = (folder / "run.log").read_text()
    assert "data: train 108, val 54, test 54 samples of 2 channels and 32 steps, 2 classes" in log
    assert "data: the classes are the folders calm (6), wild (6) (in calm/r00.csv) [dataset.levels]" in log
    assert "data: the column 'time' is the time (12 times, first in " in log
    assert f"data: the sampling rate is 1 Hz [{SECTION}.sampling_rate]" in log


def test_lists_of_a_run_are_taken_again(run):
    search = (*FRAMES, "training.enable=false")
    first, _, _ = run("first", *search)
    again, _, _ = run("again", *search, "seed=5", f"dataset.annotations={first / 'annotations'}")
    other, _, _ = run("other", *search, "seed=5")
    names = [(folder / "annotations" / "instances_test_list.txt").read_text() for folder in (first, again, other)]
    assert names[0] == names[1] != names[2]


def test_a_split_that_leaks_is_warned_of_on_the_console_and_in_the_log(run):
    folder, _, err = run("run", *FRAMES, "dataset.split_type=amongst_windows", "training.enable=false")
    text = "are in several splits at random, so that test figures are too good"
    assert text in err
    assert text in (folder / "run.log").read_text()
    assert "\t" in (folder / "annotations" / "instances_val_list.txt").read_text()


def test_features_stay_outside_the_exported_network(run):
    folder, _, _ = run("run", *FFT)
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == [1, 1, 32]
    assert nas_lightning.load(folder)(torch.zeros(1, 1, 32)).shape == (1, 2)
    cost = read(folder, "cost.json")
    # 32 log2 32 of the FFT, 32 of the magnitudes and 32 of the groups in the one new frame; 32 logarithms
    assert cost["front_end"]["macs"] == 32 * 5 + 2 * 32 + 32
    assert cost["front_end"]["ram_bytes"] == 4 * (34 + 32)


def test_features_inside_the_exported_network_take_raw_rows(run):
    folder, _, _ = run("run", *FFT, "export.include_features=true", "export.int8=true")
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == [1, 1, 256]
    x = torch.tensor(make_recordings((256,))[0][1][:, :1].T[None]).float()
    logits = nas_lightning.load(folder)(x)
    np.testing.assert_allclose(session.run(None, {"x": x.numpy()})[0], logits.detach(), atol=1e-3)
    assert read(folder, "metrics.json")["onnx"]["max_difference"] <= 1e-4


def test_features_that_only_rounding_decides_are_not_exported(cli, tmp_path):
    made = make_recordings((600,) * 12, channels=1)
    for _, values, _ in made:
        values[256:] = 1234.0
    path = csv_folder(tmp_path / "recordings", made)
    arguments = (f"dataset.input_data_path={path}", "hydra.run.dir=run", *SHORT, "export.include_features=true")
    status, _, err = cli(*arguments, "features=Generic_256Input_FFT_128Feature_1Frame")
    assert (status, err.count("\n")) == (2, 1)
    assert "export.include_features: rounding alone moves features of train by" in err
    assert not (tmp_path / "run").exists()
    steps = "[RAW_FE,FFT_FE,FFT_POS_HALF,ABS,DC_REMOVE,LOG_DB,CONCAT]"
    preset = "features=Generic_256Input_FFT_128Feature_1Frame"
    status, _, err = cli(*arguments, preset, f"data_processing_feature_extraction.feat_ext_transform={steps}")
    assert status == 0, err


def test_the_budget_holds_for_front_end_and_network_together(run, cli, recordings):
    folder, _, _ = run("run", *FFT, *CONTEST, "budget.macs=12000")
    cost = read(folder, "cost.json")
    assert cost["budget"]["macs"]["value"] == cost["macs"] + cost["front_end"]["macs"] <= 12000
    arguments = (f"dataset.input_data_path={recordings}", *SHORT, *FFT)
    status, _, err = cli(*arguments, "budget.ram_bytes=100")
    assert status == 3
    assert "budget: the front end alone does not meet ram_bytes 100; ram_bytes binds; the nearest" in err
    status, _, err = cli(*arguments, "budget.macs=300")
    assert status == 3
    nearest = int(err.rsplit("macs ", 1)[1].replace(",", ""))
    folder, _, _ = run("least", *FFT, *CONTEST, f"budget.macs={nearest}")
    assert read(folder, "cost.json")["budget"]["macs"]["value"] == nearest


def test_front_ends_are_compared_within_one_budget(run, caplog):
    candidates = ["none", "Generic_32Input_FFTBIN_4Feature_8Frame", "Generic_1024Input_FFT_512Feature_1Frame"]
    folder, _, _ = run(
        "run", *FRAMES, "search_features=true", f"features_candidates=[{','.join(candidates)}]", "budget.macs=40000",
    )  # fmt: skip
    rows = [line.split(",") for line in (folder / "front_ends.csv").read_text().splitlines()]
    assert rows[0][:2] == ["front_end", "val"]
    assert [row[0] for row in rows[1:]] == candidates
    values = {row[0]: float(row[1]) for row in rows[1:3]}
    metrics = read(folder, "metrics.json")
    assert values[metrics["front_end"]] == max(values.values()) == metrics["val"]["accuracy"]
    assert "test" in metrics
    assert all(int(row[3]) <= 40000 for row in rows[1:3])
    assert "front end Generic_1024Input_FFT_512Feature_1Frame is left out: " in caplog.text
    assert "has the 1024 rows of a sample" in rows[3][-1] or "has the 1024 rows" in ",".join(rows[3])
    best = folder / "front_ends" / metrics["front_end"]
    assert (best / "genotype.json").read_text() == (folder / "genotype.json").read_text()
    assert nas_lightning.load(folder) is not None


def test_a_task_type_brings_its_front_end(cli, tmp_path):
    path = csv_folder(tmp_path / "arc", make_recordings((2100,) * 12, channels=1))
    arguments = (f"dataset.input_data_path={path}", "hydra.run.dir=run", *SHORT, "training.batch_size=2")
    status, _, err = cli("common.task_type=arc_fault", *arguments)
    assert status == 0, err
    assert read(tmp_path / "run", "genotype.json")["task"] == {"in_channels": 1, "length": 256, "num_classes": 2}


def test_augmentation_changes_the_training_and_is_drawn(cli, tmp_path):
    path = npz_file(tmp_path, make_recordings())
    arguments = (f"dataset.input_data_path={path}", *SHORT, "training.nas_enabled=false", "logger=tensorboard")

    def loss(name, *more):
        status, _, err = cli(*arguments, f"hydra.run.dir={name}", *more)
        assert status == 0, err
        return read(tmp_path / name, "metrics.json")["val"]["loss"]

    plain, first, again, other = (
        loss("plain"),
        loss("first", "augmentation.AddNoise.scale=0.5"),
        loss("again", "+augmentation.AddNoise.scale=0.5"),
        loss("other", "+augmentation.AddNoise.scale=0.1"),
    )
    assert first == again
    assert len({plain, first, other}) == 3
    events = b"".join(path.read_bytes() for path in (tmp_path / "first").rglob("events*"))
    assert b"augmentation" in events


def test_augmentation_stands_in_a_yaml_of_the_guides_layout(cli, tmp_path):
    path = npz_file(tmp_path, make_recordings())
    (tmp_path / "mine.yaml").write_text("augmentation:\n  AddNoise: {scale: 0.3}\n  Reverse: {prob: 0.5}\n")
    arguments = (f"dataset.input_data_path={path}", "hydra.run.dir=run", *SHORT, "training.nas_enabled=false")
    status, _, err = cli("mine.yaml", *arguments)
    assert status == 0, err
    assert "AddNoise:\n    scale: 0.3\n  Reverse:\n    prob: 0.5" in (tmp_path / "run" / "config.yaml").read_text()


def test_a_search_of_front_ends_goes_on_where_it_was_stopped(run, cli, monkeypatch):
    from nas_lightning.runs import best_features as front_ends

    names = ("none", "Generic_32Input_FFTBIN_4Feature_8Frame")
    arguments = (*FRAMES, "search_features=true", f"features_candidates=[{','.join(names)}]")
    whole, _, _ = run("whole", *arguments)
    real = front_ends.run_once

    def stop_at_the_second(config, folder, **options):
        if folder.name != "none":
            raise KeyboardInterrupt
        real(config, folder, **options)

    with monkeypatch.context() as patch:
        patch.setattr(front_ends, "run_once", stop_at_the_second)
        with pytest.raises(AssertionError, match=r"go on with: nas-lightning resume=.*stopped"):
            run("stopped", *arguments)
    status, _, err = cli("resume=stopped")
    assert status == 0, err
    stopped = whole.parent / "stopped"
    assert (stopped / "front_ends.csv").read_text() == (whole / "front_ends.csv").read_text()
    assert read(stopped, "metrics.json")["test"] == read(whole, "metrics.json")["test"]


def test_whole_numbers_for_fixed_point(cli, tmp_path):
    path = csv_folder(tmp_path / "recordings", [(n, v / 4, c) for n, v, c in make_recordings((2100,) * 6, channels=1)])
    preset = "features=FFT256Input_FE_RFFT_16Feature_8Frame_removeDC_Full_Bandwidth"
    status, _, err = cli(f"dataset.input_data_path={path}", preset, *SHORT, "training.batch_size=2")
    assert status == 2
    assert "FFT_Q15 takes whole numbers, and those of" in err
    assert "allowed: TO_Q15 before it, or another scale" in err


KEYS = [
    "dataset.split_type=within_files", "dataset.split_factor=[0.4,0.3,0.3]",
    "data_processing_feature_extraction.variables=1",
    "data_processing_feature_extraction.variables=[ch1,ch0]", "data_processing_feature_extraction.stride_size=0.5",
    "data_processing_feature_extraction.keep_short_tails=true", "dataset.group_pattern='r0'",
]  # fmt: skip


@pytest.mark.parametrize("key", KEYS)
def test_a_key_of_the_data_changes_what_the_network_sees(recordings, key):
    from nas_lightning.config.compose import compose_config
    from nas_lightning.runs.build import build_data

    def constants(*overrides):
        data = build_data(compose_config([f"dataset.input_data_path={recordings}", *FRAMES, *overrides]))
        try:
            data.setup()
        except nas_lightning.InputError as error:
            return str(error)
        return (*data.mean.tolist(), *data.std.tolist(), len(data.splits["train"]))

    assert constants() != constants(key)


def test_rates_and_filters_change_what_the_network_sees(recordings):
    from nas_lightning.config.compose import compose_config
    from nas_lightning.runs.build import build_data

    def std(*overrides):
        section = "data_processing_feature_extraction"
        settings = [f"{section}.{o}" for o in ("sampling_rate=100", *overrides)]
        data = build_data(compose_config([f"dataset.input_data_path={recordings}", *FRAMES, *settings]))
        data.setup()
        return tuple(data.std.tolist())

    assert len({std(), std("new_sr=50"), std("new_sr=50", "anti_alias=false"), std("new_sr=25")}) == 4


@pytest.mark.parametrize("policy", ["interpolate", "drop"])
def test_missing_values_are_treated_as_asked(tmp_path, policy):
    from nas_lightning.data.datamodule import TimeSeriesData

    made = make_recordings((40,) * 12)
    made[0][1][3, 1] = np.nan
    path = csv_folder(tmp_path / "recordings", made)
    data = TimeSeriesData(None, str(path), missing=policy, batch_size=2, split_type="amongst_files")
    if policy == "interpolate":
        data.setup()
        expected = (made[0][1][2, 1] + made[0][1][4, 1]) / 2
        assert data.recordings.values[3, 1].item() == pytest.approx(expected, abs=1e-6)
    else:
        with pytest.raises(nas_lightning.InputError, match=r"the recordings have from 39 \(39 s\) to 40 \(40 s\) rows"):
            data.setup()


@pytest.mark.parametrize("shape", [(300, 2), (1, 60)], ids=["channels", "classes"])
def test_inspect_draws_a_part_where_there_is_much_and_names_as_text(cli, tmp_path, shape):
    channels, classes = shape
    x = np.random.default_rng(0).standard_normal((4 * classes, channels, 30)).astype(np.float32)
    y = np.array([f"[/a] ${i}$ \\frac" for i in range(classes)] * 4)
    np.savez(tmp_path / "d.npz", X_train=x, y_train=y, X_test=x, y_test=y)
    status, out, err = cli(
        "inspect", "dataset.input_data_path=d.npz", "hydra.run.dir=look", "dataset.axes=channels_first"
    )
    assert status == 0, err
    assert "[/a] $1$" in out


def test_inspect_prints_draws_and_warns(cli, tmp_path):
    made = make_recordings((64,) * 40)
    made = [row for i, row in enumerate(made) if i % 2 == 0 or i < 6]
    made[2][1][:] = made[0][1]
    for _, values, _ in made:
        values[:, 1] = 2.0
        values[:, 0] = values[:, 0].clip(-0.9, 0.9)
    path = csv_folder(tmp_path / "recordings", made)
    status, out, err = cli("inspect", f"dataset.input_data_path={path}", "hydra.run.dir=look")
    assert status == 0, err
    folder = tmp_path / "look"
    content = read(folder, "inspection.json")
    assert content["classes"] == {"calm": 20, "wild": 3}
    assert content["lengths"] == {"least": 64, "median": 64.0, "most": 64}
    assert sum(content["samples"].values()) == 23
    assert [f"read: {line}" for line in content["decisions"]] == [line for line in out.splitlines() if "read: " in line]
    assert len(content["decisions"]) >= 4
    text = " ".join(content["warnings"])
    assert "the train split has 12 samples of calm and 1 of wild; look at macro F1" in text
    assert "channel 1 (ch1) is 2 everywhere; leave it out by variables" in text
    assert "channel 0 (ch0) stays at its smallest or largest value in" in text
    for name in ("windows.png", "spectra.png", "projection.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
    assert list((folder / "tensorboard").rglob("events*"))
    assert "calm" in out
    assert all(f"warning: {warning}" in out for warning in content["warnings"])


def test_inspect_shows_lengths_in_seconds_windows_and_groups_where_no_window_is_given(cli, tmp_path):
    """Recordings of 300 to 410 rows at 50 Hz: 6 to 8.2 seconds, and 256 rows are the largest power of 2 in all."""
    path = csv_folder(tmp_path / "recordings", make_recordings(range(300, 420, 10)))
    groups = "dataset.group_pattern=r\\d[02468]|r\\d[13579]"
    rate = "data_processing_feature_extraction.sampling_rate=50"
    status, out, err = cli("inspect", f"dataset.input_data_path={path}", rate, groups, "hydra.run.dir=look")
    assert status == 0, err
    assert "12 recordings of 300 to 410 rows (6 to 8.2 s) and 2 channels; a sample is 2 x 256" in out
    said = (
        "the recordings have from 300 (6 s) to 410 (8.2 s) rows; data_processing_feature_extraction.frame_size=N cuts "
        "them into samples of N rows, for example 256 (5.12 s), 128 (2.56 s), 64 (1.28 s); shown are windows of 256, "
        "and a search needs one of yours"
    )
    assert said in out
    content, lists = read(tmp_path / "look", "inspection.json"), read(tmp_path / "look", "annotations/report.json")
    assert content["groups"] == {split: lists[split]["groups"] for split in ("train", "val", "test")}
    for split, names in content["groups"].items():
        assert f"groups of {split}: {len(names)} ({', '.join(names)})" in out
    assert sorted(itertools.chain(*content["groups"].values())) == [f"r{i:02d}" for i in range(12)]
    status, out, err = cli(f"dataset.input_data_path={path}", rate, groups, "hydra.run.dir=run")
    assert (status, "frame_size=N cuts them into samples of N rows, for example 256 (5.12 s)" in err) == (2, True)


def test_a_class_that_is_never_predicted_is_named(cli, tmp_path):
    """Noise alone, 26 of one class and 6 of the other: the network says the common one."""
    random = np.random.default_rng(0)
    made = [(f"r{i:02d}", random.standard_normal((32, 2)).round(3), "rare" if i < 6 else "common") for i in range(32)]
    path = csv_folder(tmp_path / "noise", made)
    settings = (
        "training.nas_enabled=false",
        "training.training_epochs=1",
        "optimizer.lr=1e-6",
        "training.batch_size=4",
    )
    status, _, err = cli(f"dataset.input_data_path={path}", "hydra.run.dir=run", *SHORT, *settings)
    assert status == 0, err
    log = (tmp_path / "run" / "run.log").read_text()
    (line,) = [line for line in log.splitlines() if "takes no sample for" in line]
    assert "training.class_weights=balanced makes rare classes count" in line
