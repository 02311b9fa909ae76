"""Arrays and tables of a program give what the same data give as a file."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from nas_lightning import FrontEnd, TimeSeriesData
from nas_lightning.errors import InputError
from nas_lightning.tasks import Classification

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((24, 3, 40)).round(4)
Y = np.array(["sit", "run"] * 12)
RAGGED = [x[:, : 30 + i % 7] for i, x in enumerate(X)]


def batches(data):
    """All batches of all splits, classes and constants, after two epochs' orders."""
    data.setup()
    loaders = (data.train_dataloader(), data.alphas_dataloader(), data.val_dataloader(), data.test_dataloader())
    found = [(x.tolist(), y.tolist()) for loader in loaders for x, y in loader]
    return found, data.task.names, data.mean.tolist(), data.std.tolist(), (*data.sample_shape, data.task.num_classes)


def table(series, labels):
    """A long table ``recording, label, c0, c1, ...`` of series ``[C, T]``."""
    parts = []
    for number, (values, label) in enumerate(zip(series, labels, strict=True)):
        part = pd.DataFrame(values.T, columns=[f"c{c}" for c in range(len(values))])
        parts.append(part.assign(recording=f"r{number:02d}", label=label))
    return pd.concat(parts, ignore_index=True)


@pytest.fixture
def from_npz(tmp_path):
    def make(options=None, **arrays):
        np.savez(tmp_path / "d.npz", **arrays)
        return batches(TimeSeriesData(None, str(tmp_path / "d.npz"), batch_size=4, **(options or {})))

    return make


@pytest.fixture
def from_csv(tmp_path):
    def make(series, labels, **options):
        table(series, labels).to_csv(tmp_path / "d.csv", index=False)
        return batches(TimeSeriesData(None, str(tmp_path / "d.csv"), batch_size=4, **options))

    return make


FORMS = {
    "arrays": (X, Y),
    "a tensor": (torch.from_numpy(X), Y),
    "a tensor with a gradient": (torch.from_numpy(X).requires_grad_(), Y),
    "big-endian": (X.astype(">f8"), Y),
    "by columns": (np.asfortranarray(X), Y),
    "a list": (list(X), Y.tolist()),
    "a list of tensors": ([torch.from_numpy(x) for x in X], Y),
    "nested lists": (X.tolist(), tuple(Y)),
    "labels of pandas": (X, pd.Series(Y, dtype="category")),
    "labels as objects": (X, Y.astype(object)),
    "labels in one column": (X, Y[:, None]),
}


@pytest.mark.parametrize("form", FORMS)
def test_arrays_give_what_a_file_gives(form, from_npz):
    x, y = FORMS[form]
    assert batches(TimeSeriesData.from_arrays(x, y, batch_size=4)) == from_npz(X=X, y=Y)


@pytest.mark.parametrize("labels", [np.arange(24) % 2 == 1, np.eye(2)[np.arange(24) % 2], torch.arange(24) % 2])
def test_labels_of_other_types(labels, from_npz):
    assert batches(TimeSeriesData.from_arrays(X, labels, batch_size=4)) == from_npz(X=X, y=np.arange(24) % 2)


def test_series_of_different_lengths_give_what_a_table_gives(from_csv):
    options = {"front_end": FrontEnd(frame_size=16, stride_size=0.5), "seed": 3, "split_factor": [0.5, 0.2, 0.3]}
    expected = from_csv(RAGGED, Y, **options)
    assert batches(TimeSeriesData.from_arrays(RAGGED, Y, batch_size=4, **options)) == expected
    objects = np.empty(24, dtype=object)
    objects[:] = RAGGED
    assert batches(TimeSeriesData.from_arrays(objects, Y, batch_size=4, **options)) == expected


def test_the_only_possible_order_of_axes_is_taken(from_csv):
    """Time first, where lengths differ, can be nothing else."""
    options = {"front_end": FrontEnd(frame_size=16)}
    data = TimeSeriesData.from_arrays([x.T for x in RAGGED], Y, batch_size=4, **options)
    assert batches(data) == from_csv(RAGGED, Y, **options)
    assert data.decisions[:-1] == [
        "the axis in which all arrays agree is that of the channels (in X[0] time_first) [axes]"
    ]


@pytest.mark.parametrize("make", [np.array, list], ids=["array", "list"])
def test_more_channels_than_time_steps_are_asked_about(make, from_npz):
    exchanged = make([x.T for x in X])
    with pytest.raises(
        InputError, match=r"would be 40 channels of 3 time steps; are the axes exchanged\? allowed: axes=ch"
    ):
        TimeSeriesData.from_arrays(exchanged, Y).setup()
    data = TimeSeriesData.from_arrays(exchanged, Y, axes="time_first", batch_size=4)
    assert batches(data) == from_npz(X=X, y=Y)
    kept = TimeSeriesData.from_arrays(exchanged, Y, axes="channels_first", batch_size=4)
    assert batches(kept)[4] == (40, 3, 2)


def test_splits_groups_and_channels_are_those_that_are_given(from_npz):
    groups = np.arange(24) // 3
    given = {"X_val": X[12:18], "y_val": Y[12:18], "X_test": X[18:], "y_test": Y[18:]}
    data = TimeSeriesData.from_arrays(
        X[:12],
        Y[:12],
        **given,
        groups=groups[:12],
        groups_test=groups[18:].astype(str),
        channels=["ax", "ay", "az"],
        variables=["az", "ax"],
        batch_size=4,
    )
    found = batches(data)
    file = {"X_train": X[:12], "y_train": Y[:12], **given}
    assert found == from_npz({"variables": [2, 0]}, **file)
    assert found[4] == (2, 40, 2)
    assert list(data.recordings.groups) == [*map(str, groups[:12]), *["val"] * 6, *map(str, groups[18:])]


def test_two_axes_are_series_of_one_channel(from_npz):
    assert batches(TimeSeriesData.from_arrays(X[:, 0], Y, batch_size=4)) == from_npz(X=X[:, :1], y=Y)
    assert batches(TimeSeriesData.from_arrays(list(X[:, 0]), Y, batch_size=4)) == from_npz(X=X[:, :1], y=Y)


def test_counts_far_from_zero_keep_their_type():
    counts = (2**40 + np.arange(24 * 3 * 40)).reshape(24, 3, 40)
    for x in (counts, list(counts), torch.from_numpy(counts)):
        data = TimeSeriesData.from_arrays(x, Y)
        items = list(
            data._make_source(replace(data.reading, columns=data.columns or {}, variables=data.variables)).recordings
        )
        assert {item.values.dtype for item in items} == {np.dtype("int64")}
        assert (
            np.concatenate([item.values for item in items]).tolist()
            == counts.transpose(0, 2, 1).reshape(-1, 3).tolist()
        )


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"y": Y[:5]}, r"arrays: y has shape \[5\]; X asks for \[24\]"),
        ({"y": np.arange(24) / 2}, "arrays: y has type float64 and other values than allowed: .*; row 1 is 0.5"),
        ({"y": ["a"] * 23 + [None]}, "arrays: y is None in row 23; allowed: whole numbers or strings, all of a kind"),
        ({"y": ["a"] * 23 + [np.nan]}, "arrays: y "),
        ({"X": X + 0j}, "arrays: X has type complex128; allowed: real numbers"),
        ({"X": X.astype(str)}, "arrays: X has type <U32; allowed: real numbers"),
        ({"X": X[0]}, r"arrays: y has shape \[24\]; X asks for \[3\]"),
        ({"X": X[..., None]}, r"arrays: X has shape \[24, 3, 40, 1\]; allowed: \[samples, channels, length\]"),
        ({"X": [*X[:23], X]}, r"arrays: X\[23\] has shape \[24, 3, 40\]; allowed in a list: \[channels, length\], or"),
        ({"X": [*X[:23], X[0, :, :0]]}, r"arrays: X\[23\] has shape \[3, 0\]; allowed in a list"),
        ({"X": []}, "arrays: X is an empty list"),
        ({"X": table(X, Y)}, "arrays: X is a table; TimeSeriesData.from_frame takes a long one"),
        ({"X": [table(X, Y)]}, r"arrays: X\[0\] is a table; TimeSeriesData.from_frame"),
        ({"X": object()}, "arrays: X "),
        ({"X": None}, "arrays: X is missing; X and y belong together"),
        ({"X_test": X}, "arrays: y_test is missing; X_test and y_test belong together"),
        ({"y_val": Y}, "arrays: X_val is missing; X_val and y_val belong together"),
        (
            {"X_test": X[:, :2], "y_test": Y},
            r"arrays: X has \[channels, length\] \[3, 40\] and X_test \[2, 40\]; they must",
        ),
        (
            {"X_test": list(X), "y_test": ["up"] * 24},
            r"y_test has labels that y lacks: \['up'\]; allowed: \['run', 'sit'\]",
        ),
        (
            {"groups": [1.5] * 24},
            r"arrays: groups has shape \[24\] and type float64; allowed: \[24\] whole numbers or strings",
        ),
        ({"channels": ["a", "b"]}, "arrays: found 2 names of channels; allowed: 3, one for each"),
        ({"X": list(X), "channels": ["a", "b"]}, "arrays: found 2 names of channels; allowed: 3, one for each"),
        ({"channels": "abc"}, "channels: found 'abc'; allowed: a list of names, or None"),
        ({"class_names": ["a", "b", "c"]}, "arrays: class_names has 3 names for 2 labels in y"),
        ({"axes": "last"}, "axes: found 'last'; allowed: time_first, channels_first, or None"),
    ],
)
def test_other_arguments_are_refused(arguments, text):
    with pytest.raises(InputError, match=text) as error:
        TimeSeriesData.from_arrays(**({"X": X, "y": Y} | arguments), batch_size=4).setup()
    assert "\n" not in str(error.value)


def test_a_place_beside_arrays_is_refused():
    with pytest.raises(TypeError, match="path"):
        TimeSeriesData.from_arrays(X, Y, path="d.npz")


def test_a_table_gives_what_its_file_gives(from_csv):
    options = {"front_end": FrontEnd(frame_size=16), "seed": 3}
    frame = table(RAGGED, Y)
    assert batches(TimeSeriesData.from_frame(frame, batch_size=4, **options)) == from_csv(RAGGED, Y, **options)
    named = frame.rename(columns={"recording": "name", "label": "what"})
    columns = {"recording": "name", "label": "what"}
    data = TimeSeriesData.from_frame(named, batch_size=4, columns=columns, variables=["c2", "c0"], **options)
    assert batches(data) == from_csv(RAGGED, Y, variables=["c2", "c0"], **options)


def test_a_program_is_told_how_windows_are_cut_in_its_own_words():
    with pytest.raises(InputError, match=r"rows; front_end=FrontEnd\(frame_size=N\) cuts them into samples of N rows"):
        TimeSeriesData.from_frame(table(RAGGED, Y), batch_size=4).setup()


def test_a_table_of_polars_gives_the_same(from_csv):
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(table(RAGGED, Y).to_dict("list"))
    options = {"front_end": FrontEnd(frame_size=16)}
    assert batches(TimeSeriesData.from_frame(frame, batch_size=4, **options)) == from_csv(RAGGED, Y, **options)


def test_the_example_of_the_data_page_runs():
    page = (Path(__file__).parents[3] / "docs" / "data.md").read_text()
    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    known = {}
    exec(block, known)
    assert known["data"].task == Classification(3, 128, 3)
