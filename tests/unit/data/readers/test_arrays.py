import io
import zipfile

import numpy as np
import pytest
import torch

from nas_lightning.data import recordings
from nas_lightning.data.collect import collect
from nas_lightning.data.readers import open_source, sets
from nas_lightning.data.reading import Reading
from nas_lightning.errors import InputError

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((11, 3, 5)).astype(np.float32)
Y = np.arange(11) % 2


def write(path, x, save_as=np.savez, **more):
    save_as(path, X_train=x[:7], y_train=Y[:7], X_test=x[7:], y_test=Y[7:], **more)
    return path


def read(path, **said):
    return collect(open_source(None, str(path), Reading(**said)))


def save(path, **content):
    np.savez(path, **content)
    return path


def decisions(path, **said):
    """What the reader says after all is read."""
    source = open_source(None, str(path), Reading(**said))
    collect(source)
    return source.findings


@pytest.mark.parametrize("part", [1, 30, 1 << 20])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("dtype", ["f4", "f8", ">f8", "f2", "i2", "u1"])
def test_parts_are_put_together(tmp_path, monkeypatch, part, save, dtype):
    monkeypatch.setattr(sets, "PART_VALUES", part)
    x = (10 * X).astype(dtype)
    found = read(write(tmp_path / "d.npz", x, save))
    assert found.values.tolist() == x.astype(np.float32).transpose(0, 2, 1).reshape(-1, 3).tolist()
    assert found.values.is_contiguous()
    assert list(found.names) == [f"train/{i}" for i in range(7)] + [f"test/{i}" for i in range(4)]
    assert (found.labels.tolist(), list(found.splits)) == (Y.tolist(), ["train"] * 7 + ["test"] * 4)


def test_series_stored_by_columns_are_read_as_well(tmp_path):
    expected = read(write(tmp_path / "d.npz", X)).values
    np.savez(tmp_path / "f.npz", X_train=np.asfortranarray(X[:7]), y_train=Y[:7], X_test=X[7:], y_test=Y[7:])
    assert read(tmp_path / "f.npz").values.tolist() == expected.tolist()


def test_groups_are_those_of_the_file(tmp_path):
    found = read(write(tmp_path / "d.npz", X, groups_train=np.array([3, 3, 20, 20, 3, 1, 1])))
    assert list(found.groups) == ["3", "3", "20", "20", "3", "1", "1"] + ["test"] * 4


def test_a_whole_array_is_never_in_memory(tmp_path, monkeypatch):
    """The largest piece that is read from the file holds one part, not the array."""
    monkeypatch.setattr(sets, "PART_VALUES", 1 << 12)
    x = np.repeat(X, 200, axis=2)[:, :, :1000]
    asked = []
    real = zipfile.ZipExtFile.read
    monkeypatch.setattr(zipfile.ZipExtFile, "read", lambda self, n=-1: asked.append(n) or real(self, n))
    read(write(tmp_path / "d.npz", x))
    assert 0 < max(asked) <= 4 * (1 << 12)
    assert min(asked) >= 0


def test_series_that_end_early_are_refused(tmp_path):
    """The header says more than there is."""
    stream = io.BytesIO()
    np.save(stream, X[:7])
    with zipfile.ZipFile(write(tmp_path / "d.npz", X)) as old, zipfile.ZipFile(tmp_path / "e.npz", "w") as new:
        for name in old.namelist():
            new.writestr(name, stream.getvalue()[:-8] if name == "X_train.npy" else old.read(name))
    with pytest.raises(InputError, match=r"e.npz cannot be read as .npz .*X_train.npy ends after 6 samples"):
        read(tmp_path / "e.npz")


def test_rows_of_a_file_come_back_after_they_were_given_back(tmp_path, monkeypatch):
    expected = read(write(tmp_path / "d.npz", X)).values.tolist()
    monkeypatch.setattr(recordings, "_IN_MEMORY_VALUES", 8)
    values = read(tmp_path / "d.npz").values
    recordings.give_back(values)
    assert values.tolist() == expected
    recordings.give_back(torch.ones(3))  # which lie in no file


def rows_of(x):
    """Rows ``[T, C]`` of series ``[N, C, L]``, one behind the other, by plain loops."""
    return [[float(x[n, c, t]) for c in range(x.shape[1])] for n in range(x.shape[0]) for t in range(x.shape[2])]


LONG = RANDOM.standard_normal((11, 3, 20)).astype(np.float32)


def test_more_channels_than_time_steps_are_asked_about(tmp_path):
    exchanged = write(tmp_path / "d.npz", np.ascontiguousarray(LONG.transpose(0, 2, 1)))
    with pytest.raises(InputError) as error:
        read(exchanged)
    assert str(error.value) == (
        f"{exchanged}: X_train has shape [7, 20, 3], which would be 20 channels of 3 time steps; are the axes "
        "exchanged? allowed: `axes`=channels_first keeps them, `axes`=time_first exchanges them"
    )
    assert read(exchanged, axes="time_first").values.tolist() == rows_of(LONG)
    assert read(exchanged, axes="channels_first").values.tolist() == rows_of(LONG.transpose(0, 2, 1))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("part", [1, 1 << 20])
def test_exchanged_axes_are_read_in_parts_too(tmp_path, monkeypatch, part, order):
    monkeypatch.setattr(sets, "PART_VALUES", part)
    path = write(tmp_path / "d.npz", np.array(LONG.transpose(0, 2, 1), order=order))
    assert read(path, axes="time_first").values.tolist() == rows_of(LONG)


def test_what_the_axes_are_is_said(tmp_path):
    found = decisions(write(tmp_path / "d.npz", LONG))
    line = "arrays are [samples, channels, length] (in X_train [7, 3, 20]) [`axes`]"
    assert (found.decisions, found.warnings) == ([line], [])


@pytest.mark.parametrize(("axes", "shape"), [("channels_first", (11, 3, 20)), ("time_first", (11, 20, 3))])
def test_names_of_channels_say_which_axis_they_are(tmp_path, axes, shape):
    x = LONG if axes == "channels_first" else LONG.transpose(0, 2, 1)
    assert x.shape == shape
    path = write(tmp_path / "d.npz", x, channel_names=np.array([" ax", "ay", "az "]))
    blocks = list(open_source(None, str(path)).recordings)
    assert {block.channels for block in blocks} == {("ax", "ay", "az")}
    assert collect(open_source(None, str(path)), ["az"]).values.flatten().tolist() == LONG[:, 2].flatten().tolist()


@pytest.mark.parametrize("suffix", ["_val", "_valid", "_validation"])
def test_a_validation_split_is_taken_as_it_is(tmp_path, suffix):
    x, y = LONG, Y
    path = save(
        tmp_path / "d.npz",
        **{"X_train": x[:5], "y_train": y[:5], f"X{suffix}": x[5:8], f"y{suffix}": y[5:8]},
        X_test=x[8:],
        y_test=y[8:],
        groups_train=np.array(["p1", " p1", "p2", "p2", "p3"]),
        groups_test=np.array(["p9", "p8", "p9"]),
        sampling_rate=50,
    )
    found = read(path)
    assert list(found.splits) == ["train"] * 5 + ["val"] * 3 + ["test"] * 3
    assert list(found.groups) == ["p1", "p1", "p2", "p2", "p3", "val", "val", "val", "p9", "p8", "p9"]
    assert found.labels.tolist() == Y.tolist()
    assert found.sampling_rates.tolist() == [50] * 11


@pytest.mark.parametrize("names", [("X", "y"), ("x", "y"), ("X", "Y")])
def test_one_set_gets_splits(tmp_path, names):
    path = save(tmp_path / "d.npz", **dict(zip(names, (LONG, Y), strict=True)), more=np.zeros(3))
    found = read(path)
    assert (found.splits, list(found.names)) == (None, [f"all/{i}" for i in range(11)])
    assert found.values.tolist() == rows_of(LONG)
    assert "arrays of other names are not read (in more)" in decisions(path).warnings
    assert any(line.startswith("there is no X_test; a test split is taken") for line in decisions(path).decisions)


def test_without_a_test_set_the_rest_is_divided(tmp_path):
    found = read(save(tmp_path / "d.npz", X_train=LONG, y_train=Y))
    assert set(found.splits) == {"train"}


ONE_HOT = np.eye(3)[[2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0]]
LABELS = {
    "one-hot": (ONE_HOT, ["2", "0", "1"]),
    "one-hot, whole": (ONE_HOT.astype(np.uint8), ["2", "0", "1"]),
    "one-hot, booleans": (ONE_HOT.astype(bool), ["2", "0", "1"]),
    "one column": ((Y + 3)[:, None], ["3", "4", "3"]),
    "one column of strings": (np.array(["b ", "a"] * 6)[:11, None], ["b", "a", "b"]),
    "floats": (Y + 1.0, ["1", "2", "1"]),
    "booleans": (Y == 1, ["0", "1", "0"]),
    "big-endian": (Y.astype(">i2"), ["0", "1", "0"]),
    "bytes": (np.array([b"run", b" sit"] * 6)[:11], ["run", "sit", "run"]),
    "negative": (Y * 2 - 1, ["-1", "1", "-1"]),
}


@pytest.mark.parametrize("name", LABELS)
def test_labels_that_are_unambiguous(tmp_path, name):
    y, expected = LABELS[name]
    path = save(tmp_path / "d.npz", X=LONG, y=y)
    found = read(path)
    assert [found.label_names[label] for label in found.labels[:3]] == expected
    is_said = any(line.startswith("labels ") for line in decisions(path).decisions)
    assert is_said == (y.ndim == 2)


WRONG_LABELS = {
    "halves": (Y + 0.5, r"y has type float64 and other values than allowed: whole numbers or strings; row 0 is 0.5"),
    "missing": (np.where(Y == 1, np.nan, 0), r"whole numbers or strings; row 1 is nan"),
    "far too large": (Y * 1e300, r"row 1 is 1e\+300"),
    "complex": (Y + 0j, r"y has type complex128 and other values"),
    "dates": (Y.astype("M8[s]"), r"y has type datetime64\[s\] and other values"),
    "several at once": (
        np.ones((11, 3)),
        r"y has shape \[11, 3\], and its row 0 is \[1.0, 1.0, 1.0\]; allowed: one label a",
    ),
    "shares": (np.full((11, 2), 0.5), r"its row 0 is \[0.5, 0.5\]; allowed: .* one-hot labels"),
    "three axes": (np.ones((11, 1, 1)), r"y has shape \[11, 1, 1\]; allowed: one label a sample"),
    "empty": (np.array(["a", " "] * 6)[:11], r"y is empty in row 1; allowed: whole numbers or strings"),
    "too few": (Y[:9], r"y has shape \[9\]; X asks for \[11\]"),
}


@pytest.mark.parametrize("name", WRONG_LABELS)
def test_other_labels_are_refused(tmp_path, name):
    y, text = WRONG_LABELS[name]
    with pytest.raises(InputError, match=text):
        read(save(tmp_path / "d.npz", X=LONG, y=y))


def test_python_objects_are_refused_with_the_way_out(tmp_path):
    words = np.array(["a", "b"] * 6, dtype=object)[:11]
    for content, text in (
        ({"X": LONG, "y": words}, r"without pickled objects \(y holds Python objects; save it by y.astype\(str\)\)"),
        (
            {"X": LONG.astype(object), "y": Y},
            r"X holds Python objects; save numbers of one type, X.astype\('float32'\)",
        ),
    ):
        with pytest.raises(InputError, match=text):
            read(save(tmp_path / "d.npz", **content))


def test_names_of_classes_that_are_the_labels_give_their_order_alone(tmp_path):
    words = np.array(["walk", "run"])[Y]
    found = read(save(tmp_path / "d.npz", X=LONG, y=words, class_names=np.array(["walk", "run"])))
    assert found.label_names == ("walk", "run")
    assert found.labels.tolist() == Y.tolist()
    found = read(save(tmp_path / "d.npz", X=LONG, y=Y, class_names=np.array(["walk", "run"])))
    assert [found.label_names[label] for label in found.labels[:2]] == ["walk", "run"]


def test_strings_that_are_numbers_are_in_their_order(tmp_path):
    y = np.array(["10", "2", "1"] * 4)[:11]
    assert read(save(tmp_path / "d.npz", X=LONG, y=y)).label_names == ("1", "2", "10")


def test_rows_are_series_of_one_channel_where_they_are_long(tmp_path):
    flat = LONG[:, 0]
    path = save(tmp_path / "d.npz", X=flat, y=Y)
    assert read(path).values.tolist() == flat.reshape(-1, 1).tolist()
    assert "each row of an array is a series of one channel (in X [11, 20])" in decisions(path).decisions
    assert (
        read(save(tmp_path / "f.npz", X=np.asfortranarray(flat), y=Y)).values.tolist() == flat.reshape(-1, 1).tolist()
    )
    with pytest.raises(
        InputError, match=r"X has shape \[11, 9\], which may be 11 series of one channel, or one recording of 9"
    ):
        read(save(tmp_path / "d.npz", X=flat[:, :9], y=Y))


@pytest.mark.parametrize("dtype", ["?", "u1", "<i8", ">i8", "u8", "f2", ">f8", "f4"])
def test_values_keep_their_type_until_they_are_centred(tmp_path, dtype):
    """Counts near 2^31 and beyond would be rounded by float32."""
    x = (np.arange(11 * 60).reshape(11, 3, 20) % 2).astype(dtype)
    if np.dtype(dtype).itemsize == 8:
        x = (x + np.array(2**40 + 1, dtype=dtype)).astype(dtype)
    block = next(iter(open_source(None, str(save(tmp_path / "d.npz", X=x, y=Y))).recordings))
    assert block.values.dtype == (np.uint8 if dtype == "?" else np.dtype(dtype))
    assert block.values.tolist() == [[x[n, c, t].item() for c in range(3)] for n in range(11) for t in range(20)]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"X": LONG + 0j}, "X has type complex64; allowed: real numbers"),
        ({"X": LONG.astype("M8[s]")}, r"X has type datetime64\[s\]; allowed: numbers"),
        ({"X": LONG[0, 0]}, r"X has shape \[20\]; allowed: \[samples, channels, length\]"),
        ({"X": LONG, "x": LONG}, "has X and x; allowed: one of them"),
        ({"X_test": LONG, "y_test": Y}, "lacks X_train, y_train; found"),
        (
            {"X": LONG, "channel_names": np.array(["a", "b"])},
            "found 2 names of channels; allowed: 3, one for each",
        ),
        (
            {"X": LONG, "channel_names": np.zeros(3)},
            r"channel_names has shape \[3\] and type float64; allowed: a list of names",
        ),
        ({"X": LONG, "sampling_rate": np.array(-5)}, "sampling_rate is -5; allowed: one number of Hz above 0"),
        ({"X": LONG, "sampling_rate": np.array([5, 6])}, r"sampling_rate is \[5, 6\]; allowed"),
        (
            {"X": LONG, "groups": np.zeros(11)},
            r"groups has shape \[11\] and type float64; allowed: \[11\] whole numbers or",
        ),
    ],
)
def test_other_arrays_are_refused(tmp_path, content, text):
    more = {} if "X_test" in content else {"y": Y}
    with pytest.raises(InputError, match=text):
        read(save(tmp_path / "d.npz", **content, **more))


def test_labels_of_two_kinds_are_refused(tmp_path):
    words = np.array(["a", "b"])[Y]
    with pytest.raises(InputError, match="y_train holds whole numbers and y_test strings; they must agree"):
        read(save(tmp_path / "d.npz", X_train=LONG, y_train=Y, X_test=LONG, y_test=words))
