import numpy as np
import pytest

from nas_lightning.data import recordings as module
from nas_lightning.data.collect import collect
from nas_lightning.data.recordings import Recording, Source
from nas_lightning.errors import InputError


def source(*values, labels="ab", **fields):
    rows = [
        Recording(f"r{i}", np.array(v, float), labels[i % len(labels)], **{k: f[i] for k, f in fields.items()})
        for i, v in enumerate(values)
    ]
    return Source("made", rows)


A, B = [[1, 2], [3, 4], [5, 6]], [[7, 8], [9, 10]]
NAN = float("nan")


def test_recordings_lie_one_behind_the_other():
    found = collect(source(A, B))
    assert found.values.tolist() == A + B
    assert found.starts.tolist() == [0, 3, 5]
    assert found.lengths.tolist() == [3, 2]
    assert (found.names, found.label_names, found.labels.tolist()) == (("r0", "r1"), ("a", "b"), [0, 1])


def test_labels_that_are_numbers_are_ordered_by_value():
    assert collect(source(A, B, A, labels=("10", "9", "2"))).label_names == ("2", "9", "10")


@pytest.mark.parametrize(
    ("variables", "expected"),
    [(None, [1, 2]), (1, [1]), (2, [1, 2]), ([1, 0], [2, 1]), (["v"], [2]), (["v", "u"], [2, 1])],
)
def test_variables_choose_channels(variables, expected):
    found = collect(source(A, B, channels=[("u", "v")] * 2), variables)
    assert found.values[0].tolist() == expected


def test_names_find_channels_in_files_of_another_order():
    found = collect(source(A, [[4, 3]], channels=[("u", "v"), ("v", "u")]), ["u"])
    assert found.values[:, 0].tolist() == [1, 3, 5, 3]


@pytest.mark.parametrize(
    ("variables", "text"),
    [
        (3, "found 3; made: r0 has 2 channels: allowed are 1 to 2, a list of numbers from 0 to 1, or a list of names"),
        (0, "found 0; made: r0 has 2 channels"),
        ([], "found []; made: r0 has 2 channels"),
        ([0, "v"], "found [0, 'v']; made: r0 has 2 channels"),
        (["w"], "found ['w']; made: r0 has the channels u, v"),
    ],
)
def test_wrong_variables(variables, text):
    with pytest.raises(InputError) as error:
        collect(source(A, B, channels=[("u", "v")] * 2), variables)
    assert text in str(error.value)


def test_channels_in_another_order_are_not_mixed_up():
    made = source(A, B, channels=[("u", "v"), ("v", "u")])
    with pytest.raises(
        InputError, match=r"made: r1 names its channels v, u and r0 names them u, v; name the ones to take"
    ):
        collect(made)


def test_names_need_channels_with_names():
    with pytest.raises(InputError, match=r"found \['u'\]; made: r0 does not name its channels: use numbers"):
        collect(source(A, B), ["u"])


GAPS = [[1, NAN], [NAN, 4], [5, 6]]


@pytest.mark.parametrize(("missing", "expected"), [("interpolate", [[1, 4], [3, 4], [5, 6]]), ("drop", [[5, 6]])])
def test_missing_values(missing, expected):
    assert collect(source(GAPS, B), missing=missing).values.tolist() == expected + B


@pytest.mark.parametrize(
    ("values", "missing", "text"),
    [
        (
            GAPS,
            "error",
            "made: r0: row 0 of channel 1 is missing, the first of 2 values that are; `missing`=inter",
        ),
        ([[1, NAN], [2, NAN]], "interpolate", "made: r0: channel 1 has no value at all; it cannot be interpolated"),
        ([[1, NAN], [2, NAN]], "drop", "made: r0 has a missing value in every row; `missing`=drop would leave"),
        ([[1, 2], [1e39, 2]], "error", "made: r0: row 1 of channel 0 is infinite or too large; allowed: what float32"),
        ([[1, 2, 3]], "error", "made: r1 has 2 channels and r0 has 3; they must agree"),
        (np.empty((0, 2)), "error", "made: r0 has 0 rows of 2 channels; at least 1 is needed"),
    ],
)
def test_values_that_cannot_be_used(values, missing, text):
    with pytest.raises(InputError) as error:
        collect(source(values, B), missing=missing)
    assert text in str(error.value)


@pytest.mark.parametrize(
    ("values", "missing", "text"),
    [
        (GAPS, "error", "row 0 of channel 1 (v) is missing"),
        ([[1, NAN], [2, NAN]], "interpolate", "channel 1 (v) has no value at all"),
        ([[1, 2], [1e39, 2]], "error", "row 1 of channel 0 (u) is infinite"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_with_its_channel(values, missing, text):
    with pytest.raises(InputError) as error:
        collect(source(values, B, channels=[("u", "v")] * 2), missing=missing)
    assert text in str(error.value)


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (Source("made", []), "made: has no recordings; at least 2 are needed, of 2 classes"),
        (source(A, B, labels="a"), "made: has the one class ['a'] to train on; at least 2 are needed"),
        (
            source(A, B, A, labels="abc", split=["train", "train", "test"]),
            "test split has classes that the train split lacks",
        ),
        (Source("made", source(A, B).recordings, ["a", "b", "c"]), "made: the classes ['c'] have no recording"),
        (source(A, B, group=["x", None]), "made: 1 of 2 recordings have a group; allowed: all or none"),
        (
            Source("made", [*source(A, B).recordings, *source(A).recordings]),
            "r0: there are two recordings of this name",
        ),
    ],
)
def test_sources_that_cannot_be_used(made, text):
    with pytest.raises(InputError) as error:
        collect(made)
    assert text in str(error.value)


def test_many_values_lie_in_a_temporary_file(monkeypatch):
    expected = collect(source(A, B, A)).values
    monkeypatch.setattr(module, "_IN_MEMORY_VALUES", 8)
    opened = []
    real = module.tempfile.TemporaryFile
    monkeypatch.setattr(module.tempfile, "TemporaryFile", lambda: opened.append(real()) or opened[-1])
    assert collect(source(A, B, A)).values.tolist() == expected.tolist()
    assert len(opened) == 1
