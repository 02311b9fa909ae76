"""Folders that ``datasets`` wrote, with one file of Arrow each."""

import json

import numpy as np
import pytest
from recording_files import read_with as read

from nas_lightning.errors import InputError

pa = pytest.importorskip("pyarrow")

RANDOM = np.random.default_rng(0)
SERIES = [RANDOM.standard_normal((length, 3)).round(3) for length in (9, 10, 11, 9, 10, 11)]
LABELS = ["run", "sit"] * 3


def saved(folder, names=None, **columns):
    """What ``Dataset.save_to_disk`` leaves."""
    folder.mkdir(parents=True, exist_ok=True)
    table = pa.table(columns)
    with pa.OSFile(str(folder / "data.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    features = {"label": {"names": names, "_type": "ClassLabel"}} if names else {}
    (folder / "dataset_info.json").write_text(json.dumps({"features": features}))
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data.arrow"}]}))
    return folder


def lists(series):
    return [values.tolist() for values in series]


@pytest.mark.parametrize("series", [SERIES, [values[:8] for values in SERIES]], ids=["different", "equal"])
def test_more_variables_than_time_steps_are_asked_about(tmp_path, series):
    """Exchanged axes show in the number of channels too, where series differ in length."""
    path = saved(tmp_path, signal=lists([values.T for values in series]), label=LABELS)
    steps = len(series[0])
    with pytest.raises(InputError) as error:
        read(path)
    assert str(error.value) == (
        f"{path}: row 0 of {path.name} has shape [3, {steps}], which would be {steps} channels of 3 time steps; are "
        "the axes exchanged? allowed: `axes`=time_first keeps them, `axes`=channels_first exchanges them"
    )
    found, _ = read(path, axes="channels_first")
    assert found.values.numpy() == pytest.approx(np.concatenate(series), abs=1e-6)


def test_axes_are_those_of_the_format_and_said(tmp_path):
    found, findings = read(saved(tmp_path, signal=lists(SERIES), label=LABELS))
    assert found.values.numpy() == pytest.approx(np.concatenate(SERIES), abs=1e-6)
    line = f"an array of a recording is [time, channels] (in row 0 of {tmp_path.name} [9, 3]) [`axes`]"
    assert (findings.decisions, findings.warnings) == ([line], [])


def test_many_channels_are_kept_where_it_is_said(tmp_path):
    wide = [values[:2] for values in SERIES]
    found, _ = read(saved(tmp_path, signal=lists(wide), label=LABELS), axes="time_first")
    assert found.values.shape == (12, 3)


def test_one_series_that_is_long_answers_the_question(tmp_path):
    series = [values[:2] for values in SERIES[:5]] + SERIES[5:]
    found, _ = read(saved(tmp_path, signal=lists(series), label=LABELS))
    assert found.values.shape == (21, 3)


def test_series_of_one_channel_have_no_axes(tmp_path):
    found, findings = read(saved(tmp_path, signal=lists([values[:, 0] for values in SERIES]), label=LABELS))
    assert found.values[:, 0].numpy() == pytest.approx(np.concatenate(SERIES)[:, 0], abs=1e-6)
    assert findings.decisions == []


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([" run", "sit ", "run", "sit", "run\t", "sit"], LABELS),
        ([1.0, 2.0] * 3, ["1", "2"] * 3),
        ([7, -1] * 3, ["7", "-1"] * 3),
    ],
)
def test_labels_have_one_form(tmp_path, labels, expected):
    found, _ = read(saved(tmp_path, signal=lists(SERIES), label=labels))
    assert [found.label_names[label] for label in found.labels] == expected


@pytest.mark.parametrize("label", [0.5, None, "", "  ", [1, 0]])
def test_other_labels_are_refused(tmp_path, label):
    labels = ["a", "b", "a", "b", label, label] if label in (None, "", "  ") else [label] * 6
    with pytest.raises(InputError, match=r"row [04] has the label '.*'; allowed: a name or a whole number"):
        read(saved(tmp_path, signal=lists(SERIES), label=labels))


def test_groups_are_read_and_other_columns_are_named(tmp_path):
    path = saved(
        tmp_path, signal=lists(SERIES), label=LABELS, person=["p1 ", "p1", "p2", "p2", "p3", "p3"], note=list("abcdef")
    )
    found, findings = read(path, columns={"group": "person"})
    assert list(found.groups) == ["p1", "p1", "p2", "p2", "p3", "p3"]
    assert findings.warnings == [f"columns of other names are not read (in {tmp_path.name}: note)"]
    assert read(path)[0].groups is None


def test_null_says_that_no_column_is_the_group(tmp_path):
    path = saved(tmp_path, signal=lists(SERIES), label=LABELS, group=list("aabbcc"))
    assert list(read(path)[0].groups) == list("aabbcc")
    assert read(path, columns={"group": None})[0].groups is None


def test_a_split_that_stands_twice_is_refused(tmp_path):
    for split in ("train", "valid", "validation"):
        saved(tmp_path / split, signal=lists(SERIES), label=LABELS)
    (tmp_path / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "valid", "validation"]}))
    with pytest.raises(InputError, match=r"has the splits .*, of which two are the same; allowed: each once"):
        read(tmp_path)
