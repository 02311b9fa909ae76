"""What is done with the network of a run: predict, evaluate, and go on training it."""

import csv
import json
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from recording_files import FORMATS, ONE_CHANNEL, class_folders, csv_folder, csv_text, make_recordings
from sklearn.metrics import accuracy_score
from torch import nn

import nas_lightning
from nas_lightning import InputError
from nas_lightning.config.compose import compose_config
from nas_lightning.data.annotations import read_lists
from nas_lightning.export.bundle import write_bundle
from nas_lightning.files import write_json
from nas_lightning.runs.build import build_data
from nas_lightning.runs.folder import load_network
from nas_lightning.runs.modes import run as run_config
from nas_lightning.training.evaluate import predict

SECTION = "data_processing_feature_extraction"
QUICK = ["training.nas_enabled=false", "model=cnn_s", "training.training_epochs=8", "training.batch_size=4"]
QUICK += ["selection.candidates=1", "callbacks=none", "logger=none"]
CASES = {
    "windows": (f"{SECTION}.frame_size=20", f"{SECTION}.stride_size=0.5", r"dataset.group_pattern='r(\d)'"),
    "front end": (
        f"{SECTION}.frame_size=16", f"{SECTION}.feat_ext_transform=[FFT_FE,FFT_POS_HALF,ABS,DC_REMOVE]",
        f"{SECTION}.sampling_rate=100", f"{SECTION}.new_sr=50", f"{SECTION}.scale=2",
        f"{SECTION}.keep_short_tails=true",
    ),
    "inside": (
        f"{SECTION}.frame_size=16", f"{SECTION}.feat_ext_transform=[FFT_FE,FFT_POS_HALF,ABS,DC_REMOVE]",
        "export.include_features=true", "dataset.offset=3",
    ),
    "whole": (),
}  # fmt: skip
OF_THE_PAGE = (f"{SECTION}.frame_size=60",)


def write_npz(path, recordings, **more):
    x = np.stack([values.T for _, values, _ in recordings])
    np.savez(path, X=x, y=np.array([label for *_, label in recordings]), channel_names=["ch0", "ch1"], **more)
    return path


@pytest.fixture(scope="module")
def run_of(once, tmp_path_factory):
    """The folder of a run of a case, and its data after ``setup``."""

    def make(name):
        place = tmp_path_factory.mktemp("use")
        path = place / "data"
        if name == "windows":
            class_folders(path, make_recordings((60,) * 24), lambda to, values: np.save(to, values), "npy")
        else:
            path = write_npz(place / "data.npz", make_recordings((60,) * 24))
        config = compose_config([*QUICK, *CASES.get(name, OF_THE_PAGE), f"dataset.input_data_path={path}"])
        data = build_data(config)
        data.setup()
        run_config(config, place / "run", data)
        write_bundle(place / "run", {})
        return place / "run", data

    return lambda name: once(name, lambda: make(name))


def metrics(folder):
    return json.loads((folder / "metrics.json").read_text())


def by_training(folder, data):
    """Logits and labels of the test split, as the training makes its samples."""
    return predict(load_network(folder), data.test_dataloader())


def of_test(folder, found):
    """The windows of the recordings of the test split."""
    names = {name for name, *_ in read_lists(folder / "annotations", "lists")["test"]}
    return np.array([name in names for name in found.names])


@pytest.mark.parametrize("case", CASES)
def test_what_is_predicted_is_what_the_training_measured(run_of, case):
    folder, data = run_of(case)
    logits, y = by_training(folder, data)
    truth = np.array(data.task.outputs.names)[y]
    scores = (logits.double() / json.loads((folder / "input.json").read_text())["temperature"]).softmax(1).numpy()
    sources = (folder, folder / "deploy.zip") if case in ("windows", "inside") else (folder,)
    found = {}
    for source in sources:
        for backend in ("torch", "onnx", "int8"):
            windows = nas_lightning.load(source, backend=backend).predict(data.path).windows
            found[source, backend] = windows
            chosen = of_test(folder, windows)
            if backend == "torch":
                np.testing.assert_allclose(windows.scores[chosen], scores, atol=1e-6)
            split = "test_int8" if backend == "int8" else "test"
            accuracy = accuracy_score(truth, windows.labels[chosen])
            assert accuracy == pytest.approx(metrics(folder)[split]["accuracy"])
        np.testing.assert_array_equal(found[source, "torch"].labels, found[source, "onnx"].labels)
        np.testing.assert_allclose(found[source, "torch"].scores, found[source, "onnx"].scores, atol=1e-4)
    for backend in ("torch", "onnx", "int8"):
        for source in sources[1:]:
            np.testing.assert_array_equal(found[source, backend].scores, found[folder, backend].scores)


def test_the_network_inside_is_plain_pytorch(run_of):
    folder, _ = run_of("windows")
    classifier = nas_lightning.load(folder)
    assert not any(type(module).__module__.startswith("nas_lightning.use") for module in classifier.network.modules())
    assert isinstance(classifier.network, nn.Module)
    assert classifier.classes == ("calm", "wild")


def test_what_a_run_lacks_is_said(run_of, tmp_path):
    folder, _ = run_of("windows")
    with pytest.raises(InputError, match=r"^backend: found 'c'; allowed: torch, onnx, int8$"):
        nas_lightning.load(folder, backend="c")
    other = shutil.copytree(folder, tmp_path / "run")
    for name in ("model.pt", "model_int8.onnx", "deploy.zip"):
        (other / name).unlink()
    write_bundle(other, {})
    with pytest.raises(InputError, match=r"deploy\.zip: has no model\.pt; allowed: backend=onnx$"):
        nas_lightning.load(other / "deploy.zip")
    with pytest.raises(InputError, match=r"run: has no model_int8\.onnx, which backend=int8 needs"):
        nas_lightning.load(other, backend="int8")
    write_json(other / "preparation.json", {"window": 3})
    with pytest.raises(InputError, match=r"preparation\.json: cannot be read"):
        nas_lightning.load(other, backend="onnx")


def test_a_stranger_s_onnx_file_is_looked_at_before_it_runs(run_of, tmp_path):
    folder, _ = run_of("windows")
    other = shutil.copytree(folder, tmp_path / "run")
    import onnx

    model = onnx.load(other / "model.onnx")
    model.graph.node[0].op_type = "Loop"
    onnx.save(model, other / "model.onnx")
    write_bundle(other, {})
    with pytest.raises(InputError, match=r"model\.onnx: has .*, which nas_lightning never writes"):
        nas_lightning.load(other / "deploy.zip", backend="onnx")


# Rates differ between the formats; the run knows none.
@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_predicted_and_evaluated(run_of, cli, tmp_path, name):
    folder, _ = run_of("windows")
    channels = 1 if name in ONE_CHANNEL else 2
    place = tmp_path / "in"
    place.mkdir()
    recordings = make_recordings((60,) * 12, channels, seed=5)
    path = FORMATS[name](place, recordings)
    status, out, err = cli("predict", folder, path, "out=found.csv")
    if channels == 1:
        assert (status, err.count("\n")) == (2, 1)
        assert "has 1 channels; the network takes 2" in err
        assert not list(tmp_path.glob("found*"))
        return
    assert status == 0, err
    rows = list(csv.DictReader((tmp_path / "found.csv").read_text().splitlines()))
    count = 8 if name == "ts" else 12  # the file that is named, and not the other one of its pair
    assert len(rows) == 5 * count
    assert list(rows[0]) == ["recording", "time", "class", "score", "accepted"]
    truth = dict.fromkeys(("calm", "wild"), 0)
    for _, _, label in recordings[:count]:
        truth[label] += 5
    if name != "wav folder":  # whose values are a quarter
        assert {label: sum(row["class"] == label for row in rows) for label in truth} == truth
    status, out, err = cli("evaluate", folder, path, "out=found.json", r"dataset.group_pattern=null")
    assert status == 0, err
    found = json.loads((tmp_path / "found.json").read_text())
    assert (found["recordings"], found["windows"], found["unit"]) == (count, 5 * count, "recording")
    assert "accuracy" in out


def test_predictions_are_the_same_in_both_formats(run_of, cli, tmp_path):
    folder, data = run_of("windows")
    for name in ("a.csv", "a.parquet"):
        status, out, err = cli("predict", folder, data.path, f"out={name}", "backend=int8")
        assert status == 0, err
        assert f"predictions, a row a window: {name}\n" in out
    text, table = pd.read_csv(tmp_path / "a.csv"), pd.read_parquet(tmp_path / "a.parquet")
    assert text.columns.tolist() == table.columns.tolist()
    assert text["class"].tolist() == table["class"].tolist()
    np.testing.assert_allclose(text["score"], table["score"], atol=1e-6)
    expected = nas_lightning.load(folder, backend="int8").predict(data.path).windows
    assert table["recording"].tolist() == expected.names
    np.testing.assert_array_equal(table["score"], expected.best)
    assert table["time"].isna().all()


def test_a_row_can_be_a_recording(run_of, cli, tmp_path):
    folder, data = run_of("windows")
    expected = nas_lightning.load(folder).predict(data.path).recordings
    for name in ("a.csv", "a.parquet"):
        status, out, err = cli("predict", folder, data.path, f"out={name}", "by=recording")
        assert status == 0, err
        assert f"predictions, a row a recording: {name}" in out
        table = (pd.read_csv if name.endswith("csv") else pd.read_parquet)(tmp_path / name)
        assert table.columns.tolist() == ["recording", "windows", "class", "score", "accepted"]
        assert table["recording"].tolist() == expected.names
        assert table["class"].tolist() == expected.labels.tolist()
        assert (table["windows"] == 5).all()  # 60 rows in steps of 10, 20 at a time
        np.testing.assert_allclose(table["score"], expected.scores.max(1), atol=1e-6)
        assert table["accepted"].all()


def test_it_is_said_where_predictions_are_where_nobody_named_a_file(run_of, cli, tmp_path):
    folder, data = run_of("windows")
    status, out, err = cli("predict", folder, data.path)
    assert status == 0, err
    assert "predictions, a row a window: predictions.csv, in the current folder; out=FILE names another" in out
    assert (tmp_path / "predictions.csv").exists()


def test_groups_of_the_training_need_not_be_there(run_of, cli, tmp_path):
    """Its pattern, r and a digit, and then a column that is named."""
    folder, _ = run_of("windows")
    made = [(name.replace("r", "x"), *rest) for name, *rest in make_recordings((60,) * 6, seed=3)]
    class_folders(tmp_path / "new", made, lambda to, values: np.save(to, values), "npy")
    status, out, err = cli("evaluate", folder, "new", "out=e.json")
    assert status == 0, err
    assert "95 % intervals by recording (6), which are wide because there are 6 recordings only" in out
    assert (
        "note: dataset.group_pattern of the training, 'r(\\\\d)', finds nothing in the name of calm/x00.npy, so "
        "intervals count recordings\n"
    ) in out
    found = json.loads((tmp_path / "e.json").read_text())
    assert (found["unit"], "groups" in found) == ("recording", False)
    status, _, err = cli("evaluate", folder, "new", r"dataset.group_pattern='r(\d)'")
    assert (status, err.count("\n")) == (2, 1)
    assert "finds nothing in the name of" in err

    parts = [pd.DataFrame(values, columns=["ch0", "ch1"]) for _, values, _ in made]
    parts = [part.assign(recording=made[i][0], label=made[i][2], who=f"p{i // 3}") for i, part in enumerate(parts)]
    pd.concat(parts).to_csv(tmp_path / "t.csv", index=False)
    for said, unit, units in (("who", "group", 2), ("null", "recording", 6)):
        left = pd.read_csv(tmp_path / "t.csv").drop(columns=["who"] if said == "null" else [])
        left.to_csv(tmp_path / "left.csv", index=False)
        status, out, err = cli("evaluate", folder, "left.csv", f"dataset.columns.group={said}", "out=e.json")
        assert status == 0, err
        found = json.loads((tmp_path / "e.json").read_text())
        assert (found["unit"], found["units"]) == (unit, units)
        assert "note: " not in out

    other = shutil.copytree(folder, tmp_path / "run")
    prepared = json.loads((other / "preparation.json").read_text()) | {"group_pattern": None}
    prepared["reading"]["columns"]["group"] = "machine"
    write_json(other / "preparation.json", prepared)
    status, out, err = cli("evaluate", other, "left.csv")
    assert status == 0, err
    assert "note: dataset.columns.group of the training, 'machine', is not there, so intervals count recordings" in out


def test_nothing_half_written_remains(run_of, cli, tmp_path):
    folder, _ = run_of("windows")
    place = tmp_path / "in"
    place.mkdir()
    for number in range(3):
        rows = 60 if number < 2 else 10
        np.save(place / f"{number}.npy", np.zeros((rows, 2)))
    (tmp_path / "kept.csv").write_text("as it was")
    status, _, err = cli("predict", folder, place, "out=kept.csv")
    assert (status, err.count("\n")) == (2, 1)
    assert "2.npy has 10 rows in a row; the network takes windows of 20" in err
    assert "data_processing_feature_extraction.keep_short_tails" in err
    assert (tmp_path / "kept.csv").read_text() == "as it was"
    assert {path.name for path in tmp_path.iterdir()} == {"in", "kept.csv"}


def test_keys_of_the_data_count(run_of, cli, tmp_path):
    folder, _ = run_of("windows")
    table = pd.DataFrame({"who": ["a"] * 30 + ["b"] * 30, "kind": "wild", "ch0": 0.0, "ch1": np.arange(60.0)})
    table.to_csv(tmp_path / "t.csv", index=False)
    status, _, err = cli("evaluate", folder, "t.csv")
    assert status == 2
    assert "has no column" in err
    named = ("dataset.columns.recording=who", "dataset.columns.label=kind", "dataset.group_pattern=null")
    status, out, err = cli("evaluate", folder, "t.csv", *named)
    assert status == 0, err
    assert "4 windows of 2 recordings; 95 % intervals by recording (2)" in out
    assert "drift: no recording is of calm" in out
    assert "ch1" not in out  # the run has no names: its channels are numbers
    assert "drift: 1: " in out


def test_an_evaluation_counts_groups_and_says_what_drifted(run_of, cli, tmp_path):
    folder, _ = run_of("windows")
    made = make_recordings((60,) * 24, seed=7)
    made = [(name, values + (9 if name == "r03" else 0), label) for name, values, label in made]
    class_folders(tmp_path / "new", made, lambda to, values: np.save(to, values), "npy")
    status, out, err = cli("evaluate", folder, "new", "out=e.json")
    assert status == 0, err
    found = json.loads((tmp_path / "e.json").read_text())
    assert (found["unit"], found["units"]) == ("group", 3)
    assert [(each["name"], each["recordings"], each["windows"]) for each in found["groups"]] == [
        ("0", 10, 50), ("1", 10, 50), ("2", 4, 20),
    ]  # fmt: skip
    outside = [each["outside"] for each in found["drift"]["channels"]]
    assert min(outside) >= 1 / 24
    windows = nas_lightning.load(folder).predict(tmp_path / "new").windows
    truth = [name.split("/")[0] for name in windows.names]
    assert found["accuracy"]["value"] == pytest.approx(accuracy_score(truth, windows.labels))
    other = nas_lightning.load(folder, backend="int8").predict(tmp_path / "new").windows
    assert found["int8"]["agreement"] == pytest.approx(accuracy_score(windows.labels, other.labels))
    assert found["int8"]["accuracy"]["value"] == pytest.approx(accuracy_score(truth, other.labels))
    assert "95 % intervals by group (3)" in out


def test_a_label_that_the_network_does_not_know_is_refused(run_of, cli, tmp_path):
    folder, _ = run_of("windows")
    made = [(name, values, "odd" if name == "r03" else label) for name, values, label in make_recordings((60,) * 6)]
    class_folders(tmp_path / "new", made, lambda to, values: np.save(to, values), "npy")
    status, _, err = cli("evaluate", folder, "new", "out=e.json")
    assert (status, err.count("\n")) == (2, 1)
    assert "odd/r03.npy has the label 'odd', which the network does not know; allowed: calm, wild" in err
    assert "and dataset.unknown=LABEL for one that is no class" in err
    assert not (tmp_path / "e.json").exists()
    status, _, err = cli("evaluate", folder, "new", "out=e.json", "dataset.unknown=odd")
    assert status == 0, err
    found = json.loads((tmp_path / "e.json").read_text())
    assert found["no_class"]["accepted"]["value"] == 1  # the run has no threshold
    assert (found["no_class"]["windows"], found["windows"]) == (5, 25)
    assert sum(each["recordings"] for each in found["groups"]) == 5
    for name in ("calm", "wild"):
        shutil.rmtree(tmp_path / "new/classes" / name)
    for name, said in (("calm", "dataset.unknown: found calm, a class of the"), ("odd", "has recordings of odd alone")):
        status, _, err = cli("evaluate", folder, "new", f"dataset.unknown={name}")
        assert (status, err.count("\n")) == (2, 1)
        assert said in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["predict"], "predict: found []; allowed: RUN DATA, out=FILE"),
        (["predict", "a", "b", "c=1"], "predict: does not know 'c=1'; allowed: RUN DATA, out=FILE"),
        (["predict", "a", "b", "out=x.txt"], "predict: out=x.txt ends in '.txt'; allowed: .csv or .parquet"),
        (["evaluate", "a", "b", "out=no/x.json"], "evaluate: out=no/x.json cannot be written; allowed: a file"),
        (["evaluate", "a", "b", "dataset.gaps=leap"], "dataset.gaps: found 'leap'; allowed: cut, keep"),
        (["evaluate", "nowhere", "b"], "nowhere: there is no such folder or file; give the folder of a run that ended"),
        (["predict", ".", "b"], ".: has no model.pt; give the folder of a run that ended"),
        (["predict", "a", "b", "ouput=x.csv"], "predict: does not know 'ouput=x.csv'; the nearest word is out=;"),
        (["predict", "a", "b", "columns.lable=x"], "the nearest word is dataset.columns.label=; allowed"),
        (["predict", "a", "b", "by=class"], "predict: by=class; allowed: window or recording"),
        (["evaluate", "a", "b", "by=recording"], "evaluate: does not know 'by=recording'"),
        (["evaluate", "a", "b", "--fast"], "evaluate: does not know '--fast'; allowed: RUN DATA"),
    ],
)  # fmt: skip
def test_mistakes_are_said(cli, words, said):
    status, _, err = cli(*words)
    assert (status, err.count("\n")) == (2, 1), err
    assert said in err


def go_on(run_of, tmp_path, *overrides, name="next", recordings=None, resume=False):
    folder, _ = run_of("windows")
    made = recordings or make_recordings((60,) * 24, seed=9)
    path = tmp_path / "more"
    if not path.exists():
        class_folders(path, made, lambda to, values: np.save(to, values), "npy")
    own = [f"init_from={folder}", f"dataset.input_data_path={path}", *CASES["windows"], *QUICK[2:], *overrides]
    run_config(
        compose_config([*own, "training.training_epochs=2", "export.int8=false"]), tmp_path / name, resume=resume
    )
    return folder, tmp_path / name


def weights(folder):
    return torch.load(folder / "model.pt", weights_only=True)


def test_a_run_goes_on_with_the_network_of_another(run_of, tmp_path, quiet_fits):
    before, after = go_on(run_of, tmp_path)
    found = metrics(after)
    assert found["init"] == {
        "folder": str(before), "head": "kept", "trained": "all",
        "kept": sum(values.numel() for values in weights(before).values()),
    }  # fmt: skip
    assert "search" not in found
    assert (after / "model.json").read_text() == (before / "model.json").read_text()
    old, new = weights(before), weights(after)
    torch.testing.assert_close(new["stem.norm.mean"], old["stem.norm.mean"])  # weights expect the old constants
    assert not torch.equal(new["head.weight"], old["head.weight"])
    assert "init_from: " in (after / "run.log").read_text()
    distance = sum(float((new[name].double() - old[name].double()).norm()) for name in old if "weight" in name)
    fresh = load_network(after).state_dict() | {}
    torch.manual_seed(1)
    assert distance < 3 * sum(float(fresh[name].double().norm()) for name in old if "weight" in name)


def test_only_the_head_is_trained_where_that_is_asked_for(run_of, tmp_path, quiet_fits, recwarn):
    before, after = go_on(run_of, tmp_path, "training.only_head=true")
    assert not [each for each in recwarn if "eval mode" in str(each.message)]  # what stays as it is is meant to
    changed = {name for name, values in weights(after).items() if not torch.equal(values, weights(before)[name])}
    assert changed == {"head.weight", "head.bias"}
    assert metrics(after)["init"]["trained"] == "head"


def test_new_classes_have_a_fresh_head(run_of, tmp_path, quiet_fits):
    made = make_recordings((60,) * 24, seed=9)
    made = [(name, values, "third" if i % 3 == 0 else label) for i, (name, values, label) in enumerate(made)]
    before, after = go_on(run_of, tmp_path, "training.only_head=true", recordings=made)
    found, old, new = metrics(after)["init"], weights(before), weights(after)
    assert found["head"] == "fresh"
    assert found["kept"] == sum(values.numel() for name, values in old.items() if not name.startswith("head"))
    assert new["head.weight"].shape == (3, old["head.weight"].shape[1])
    assert all(torch.equal(new[name], old[name]) for name in old if not name.startswith("head"))
    assert "the head is fresh, because the classes are others" in (after / "run.log").read_text()
    assert nas_lightning.load(after).classes == ("calm", "third", "wild")


def test_a_run_that_goes_on_with_a_network_is_resumed_bit_for_bit(run_of, tmp_path, quiet_fits):
    _, whole = go_on(run_of, tmp_path, "training.only_head=true")
    other = shutil.copytree(whole, tmp_path / "again")
    kept = {name: value for name, value in metrics(other).items() if name in ("preset", "dataset", "seed")}
    write_json(other / "metrics.json", kept)
    for name in ("model.pt", "model.onnx", "cost.json"):
        (other / name).unlink()
    go_on(run_of, tmp_path, "training.only_head=true", name="again", resume=True)
    assert all(torch.equal(values, weights(whole)[name]) for name, values in weights(other).items())
    assert metrics(other)["test"] == metrics(whole)["test"]


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ((f"{SECTION}.frame_size=30",), "the network of .* takes 2 channels of 20 steps; the samples have 2 of 30"),
        ((f"{SECTION}.variables=1",), "takes 2 channels of 20 steps; the samples have 1 of 20"),
        ((f"{SECTION}.scale=2",), f"{SECTION}.scale was None in the run of .* and is 2.0; allowed: the same"),
        (("dataset.offset=1",), r"was trained on the offsets \[0.0, 0.0\]; the data have .*; dataset.offset"),
        ((f"{SECTION}.sampling_rate=5",), None),
        (("target_accuracy=0.5",), "init_from: is given, and target_accuracy is 0.5; allowed: null"),
        (("init_from=nowhere",), "init_from: found .*nowhere; allowed: the folder of a run that ended"),
        (("init_from=null", "training.only_head=true"), "training.only_head: found true; allowed: false"),
    ],
)  # fmt: skip
def test_a_network_for_other_samples_is_refused(run_of, tmp_path, quiet_fits, overrides, said):
    if said is None:  # the run knows no rate, so that none is another one
        go_on(run_of, tmp_path, *overrides)
        return
    with pytest.raises(InputError, match=said):
        go_on(run_of, tmp_path, *overrides)
    assert not (tmp_path / "next").exists()


def test_a_run_that_ended_says_how_its_network_is_trained_on(run_of, cli):
    folder, _ = run_of("windows")
    status, _, err = cli(f"resume={folder}", "training.training_epochs=50")
    assert status == 2
    assert f"nas-lightning init_from={folder} training.training_epochs=50" in err


@pytest.mark.slow
def test_the_page_holds_one_program_and_commands_that_run(run_of, cli, tmp_path, quiet_fits, capsys):
    folder, _ = run_of("page")
    shutil.copytree(folder, tmp_path / "run")
    made = make_recordings((60,) * 12, seed=11)
    for name in ("test", "more"):
        csv_folder(tmp_path / name, made)
    (tmp_path / "new").mkdir()
    for name, values, _ in made:
        (tmp_path / "new" / f"{name}.csv").write_text(csv_text(values))
    shutil.copy(tmp_path / "new" / "r00.csv", tmp_path / "new.csv")
    page = (Path(__file__).parents[2] / "docs/use.md").read_text()
    known = {}
    for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(compile(block, "docs/use.md", "exec"), known)
    assert known["found"].recordings.scores.shape == (3, 2)
    assert "r11.csv wild" in capsys.readouterr().out
    commands = re.findall(r"^    (nas-lightning .*)$", page, re.MULTILINE)
    assert len(commands) == 5
    for number, command in enumerate(commands):
        words = shlex.split(command, comments=True)[1:]
        if words[0].startswith("init_from"):
            words += [*QUICK[3:], f"hydra.run.dir=next{number}", "training.training_epochs=1", "export.int8=false"]
        status, _, err = cli(*words)
        assert status == 0, (command, err)
    assert {"classes.csv", "evaluation.json", "predictions.csv"} <= {path.name for path in tmp_path.iterdir()}


def test_a_text_with_commands_for_a_terminal_is_not_obeyed(run_of, cli, tmp_path):
    folder, _ = run_of("windows")
    place = tmp_path / "in"
    place.mkdir()
    (place / "a\x1b[31m.csv").write_text(csv_text(np.zeros((10, 2)), header=False))
    _, out, err = cli("predict", folder, place)
    assert "\x1b" not in out + err


def test_a_file_of_series_without_labels_is_predicted_where_that_is_said(run_of, cli, tmp_path):
    folder, _ = run_of("windows")
    values = [value for _, value, _ in make_recordings((60,) * 4, seed=5)]
    rows = [":".join(",".join(f"{v:.3f}" for v in channel) for channel in value.T) for value in values]
    (tmp_path / "new.ts").write_text("\n".join(["@problemName new", "@data", *rows]) + "\n")
    status, _, err = cli("predict", folder, "new.ts", "out=a.csv")
    assert (status, err.count("\n")) == (2, 1)
    assert "line 3 ends in no label; allowed where there are none: @classLabel false in the head of the file" in err
    assert err.endswith("dataset.columns.label=null\n")
    assert not (tmp_path / "a.csv").exists()
    status, _, err = cli("predict", folder, "new.ts", "out=a.csv", "dataset.columns.label=null")
    assert status == 0, err
    found = pd.read_csv(tmp_path / "a.csv")
    expected = nas_lightning.load(folder).predict([value.round(3).T for value in values])
    assert found["class"].tolist() == expected.windows.labels.tolist()
    for words in (("evaluate", folder, "new.ts"), ("inspect", "dataset.input_data_path=new.ts"), ("seed=1",)):
        status, _, err = cli(*words, "dataset.columns.label=null")
        assert (status, err.count("\n")) == (2, 1)
        assert "dataset.columns.label: found null; allowed: a name, because labels are needed here" in err
