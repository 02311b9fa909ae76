"""Paths with signs of any kind, and data that lie elsewhere when a run goes on."""

import re

import numpy as np
import pytest
from recording_files import csv_folder, make_recordings

from nas_lightning.config.compose import load_config
from nas_lightning.runs.build import build_data
from nas_lightning.runs.claim import begin

ODD = "Größe =1,(a) [b] {c} #!&;~'x^\"y`<"
RUN = ["training.nas_enabled=false", "training.training_epochs=1", "testing.enable=false"]


def test_inspect_takes_any_path_as_it_is_typed(cli, tmp_path):
    csv_folder(tmp_path / ODD, make_recordings((12,) * 12))
    folder = f"seen {ODD}"
    pattern = r"dataset.group_pattern=(\w+)/r\d{2}"
    status, out, err = cli("inspect", f"dataset.input_data_path={ODD}", f"hydra.run.dir={folder}", pattern)
    assert (status, err.count("\n")) == (2, 1)
    assert "1 group cannot be divided" in err or "2 groups cannot be divided" in err  # the classes, by the pattern
    status, out, err = cli("inspect", f"dataset.input_data_path={ODD}", f"hydra.run.dir={folder}")
    assert status == 0, err
    assert re.search(r": 12 recordings of 12 to 12 rows( \(.*\))? and 2 channels; ", out)
    assert (tmp_path / folder / "inspection.json").is_file()


@pytest.fixture
def begun(tmp_path, write_npz, short_config):
    """The folder of a run that has begun on an ``.npz`` file, and that file."""
    path = write_npz()
    config = short_config(f"dataset.input_data_path={path}", *RUN)
    data = build_data(config)
    data.setup()
    (tmp_path / "run").mkdir()
    begin(tmp_path / "run", config, data)
    return tmp_path / "run", path


def test_a_run_goes_on_where_its_data_were_moved_to(cli, tmp_path, begun):
    _, path = begun
    path.rename(tmp_path / f"{ODD}.npz")
    status, _, err = cli("resume=run")
    assert status == 2
    assert err == (
        f"error: dataset.input_data_path: there is no {path}; if it was moved, go on with: nas-lightning resume=run "
        "dataset.input_data_path=PLACE\n"
    )
    status, _, err = cli("resume=run", f"dataset.input_data_path={ODD}.npz")
    assert status == 0, err
    config = load_config(tmp_path / "run" / "config.yaml")
    assert config.dataset.input_data_path == config.data["path"] == str(tmp_path / f"{ODD}.npz")
    assert (tmp_path / "run" / "metrics.json").is_file()


def test_other_data_are_refused_and_leave_all_as_it_was(cli, tmp_path, begun, arrays):
    folder, _ = begun
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    moved = np.array(arrays["X_train"])
    moved[3, 2, 1] += 1e-3
    np.savez(tmp_path / "other.npz", **{**arrays, "X_train": moved})
    status, _, err = cli("resume=run", "dataset.input_data_path=other.npz")
    assert status == 2
    assert "other.npz: has other recordings, labels or splits than when the run began; put it back" in err
    status, _, err = cli("resume=run", "dataset.input_data_path=nowhere.npz")
    assert (status, err.count("\n")) == (2, 1)
    assert f"there is no {tmp_path / 'nowhere.npz'}; if it was moved" in err
    after = {path.name: path.read_bytes() for path in folder.iterdir() if path.name in before}
    assert after == before


@pytest.mark.parametrize("other", ["seed=1", "dataset.missing=drop", "dataset.input_data_path", "~dataset.annotations"])
def test_nothing_else_may_change(cli, begun, other):
    status, _, err = cli("resume=run", other)
    assert status == 2
    assert err.startswith(
        "error: resume: takes dataset.input_data_path and dataset.annotations alone, for data that were"
    )
