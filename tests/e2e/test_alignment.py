"""Windows that do not begin where those of the training began: what a run finds out, and says."""

import json

import numpy as np
import pytest
import torch

import nas_lightning

STEPS = 32
SIZES = {"train": 80, "val": 60, "test": 20}


@pytest.fixture
def places(tmp_path):
    """Two classes that differ by where a bump is; an eighth of a window to the right, one looks like the other."""
    rng, arrays = np.random.default_rng(0), {}
    for split, count in SIZES.items():
        y = np.arange(count) % 2
        x = 0.2 * rng.standard_normal((count, 1, STEPS)).astype("float32")
        for sample, label in zip(x, y, strict=True):
            begin = rng.integers(11, 13) + 4 * label
            sample[0, begin : begin + 3] += 3
        arrays |= {f"X_{split}": x, f"y_{split}": y}
    np.savez(tmp_path / "places.npz", **arrays)
    return tmp_path / "places.npz"


@pytest.fixture
def run(cli, tmp_path, places):
    def start(name, *overrides):
        arguments = [
            "experiment=quick", f"dataset.input_data_path={places}", "training.nas_enabled=false", "model=cls_4k",
            "logger=none", "training.training_epochs=30", "selection.candidates=1", "export.int8=false",
            f"hydra.run.dir={tmp_path / name}",
        ]  # fmt: skip
        status, out, err = cli(*arguments, *overrides)
        assert status == 0, err
        return tmp_path / name, json.loads((tmp_path / name / "metrics.json").read_text()), out + err

    return start


def moved(x, by):
    """By hand: value by value, what lies outside is the value at the end."""
    places = np.clip(np.arange(STEPS) - by, 0, STEPS - 1)
    return x[:, :, places]


def test_a_network_that_rests_on_the_place_says_so(run, places):
    folder, metrics, said = run("unknown")
    network, data = nas_lightning.load(folder), np.load(places)
    with torch.no_grad():
        hits = {
            by: (network(torch.from_numpy(moved(data["X_val"], by))).argmax(1).numpy() == data["y_val"]).mean()
            for by in (-4, 0, 4)
        }
    assert hits[0] > 0.9 > 0.7 > min(hits[-4], hits[4])
    assert metrics["alignment"] == {
        "steps": 4, "metric": "accuracy", "value": pytest.approx(hits[0]),
        "moved": pytest.approx(min(hits[-4], hits[4])), "clear": True,
    }  # fmt: skip
    assert "windows that begin 4 steps earlier or later are told worse: accuracy" in said
    assert "space.readout=mean rests less on the place" in said
    _, known, said = run("known", "dataset.aligned=true")
    assert "alignment" not in known
    assert "told worse" not in said
    assert known["val"] == metrics["val"]


def test_classes_that_differ_by_their_form_may_begin_anywhere(run, places):
    rng, arrays = np.random.default_rng(1), {}
    for split, count in SIZES.items():
        y = np.arange(count) % 2
        phase = rng.uniform(0, 2 * np.pi, (count, 1, 1))
        rate = np.where(y, 3, 6)[:, None, None]
        x = np.sin(2 * np.pi * rate * np.arange(STEPS) / STEPS + phase) + 0.1 * rng.standard_normal((count, 1, STEPS))
        arrays |= {f"X_{split}": x.astype("float32"), f"y_{split}": y}
    np.savez(places, **arrays)
    _, metrics, said = run("form", "model.readout=mean")
    assert metrics["alignment"]["value"] > 0.9
    assert metrics["alignment"]["clear"] is False
    assert "told worse" not in said
