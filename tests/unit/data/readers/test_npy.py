"""Arrays of single recordings: their axes, their first column, and the files that hold them."""

import struct
import zlib

import numpy as np
import pytest
from recording_files import read_with as read
from scipy.io import savemat

from nas_lightning.data.readers import open_source
from nas_lightning.data.readers.matlab import load_mat, load_named_mat
from nas_lightning.data.reading import Reading
from nas_lightning.errors import InputError

RANDOM = np.random.default_rng(0)
NOISE = [RANDOM.standard_normal((128, 3)).astype(np.float32) for _ in range(4)]


def save_npy(path, values):
    np.save(path.with_suffix(".npy"), values)


def save_mat(path, values):
    savemat(path.with_suffix(".mat"), {"x": values}, do_compression=True)


def save_h5(path, values):
    h5py = pytest.importorskip("h5py")
    with h5py.File(path.with_suffix(".h5"), "w") as file:
        file["x"] = values


SAVE = {"npy": save_npy, "mat": save_mat, "h5": save_h5}
every_kind = pytest.mark.parametrize("kind", SAVE)


def folder(path, arrays, kind="npy"):
    """Two classes with half of the arrays each."""
    for number, values in enumerate(arrays):
        place = path / ("a" if number < len(arrays) / 2 else "b")
        place.mkdir(parents=True, exist_ok=True)
        SAVE[kind](place / f"r{number}", values)
    return path


def parts(recordings):
    return [recordings.values[a:b].numpy() for a, b in zip(recordings.starts, recordings.starts[1:], strict=False)]


def assert_read(found, arrays):
    assert len(found) == len(arrays)
    for one, values in zip(parts(found), arrays, strict=True):
        np.testing.assert_array_equal(one, np.asarray(values, dtype=np.float32))


@every_kind
def test_a_first_column_that_does_not_rise_is_a_variable(tmp_path, kind):
    found, findings = read(folder(tmp_path, NOISE, kind))
    assert_read(found, NOISE)
    assert any("first column of an array does not rise, and is a variable (4 times" in x for x in findings.decisions)
    assert any("rows of an array are time steps" in line for line in findings.decisions)


@every_kind
@pytest.mark.parametrize("step", [0.02, 1 / 49.7])
def test_a_first_column_that_rises_is_the_clock(tmp_path, kind, step):
    clock = 5 + step * np.arange(128)
    found, findings = read(folder(tmp_path, [np.column_stack([clock, values]) for values in NOISE], kind))
    assert_read(found, NOISE)
    np.testing.assert_allclose(found.sampling_rates, 1 / step, rtol=1e-9)
    assert any("first column of an array is the time (4 times, first in a/r0" in line for line in findings.decisions)


def test_a_counter_of_rows_says_no_rate(tmp_path):
    found, findings = read(folder(tmp_path, [np.column_stack([np.arange(128), values]) for values in NOISE]))
    assert_read(found, NOISE)
    assert np.isnan(found.sampling_rates).all()
    assert any("counts its rows, and says no rate" in line for line in findings.decisions)


def test_the_unit_and_the_pauses_of_the_clock(tmp_path):
    clock = 20.0 * np.arange(128) + 10_000 * (np.arange(128) >= 64)
    folder(tmp_path, [np.column_stack([clock, values]) for values in NOISE])
    source = open_source(None, str(tmp_path), Reading(time_unit="ms"))
    recordings = list(source.recordings)
    assert [one.breaks.tolist() for one in recordings] == [[64]] * 4
    assert [round(one.sampling_rate, 6) for one in recordings] == [50] * 4
    assert any("there are pauses in 'first column'" in line for line in source.findings.warnings)


@pytest.mark.parametrize("shift", [1, 64, 127])
def test_a_clock_that_starts_again_is_asked_about_and_then_keeps_the_rows(tmp_path, shift):
    clock = np.roll(0.02 * np.arange(128), shift)
    folder(tmp_path, [np.column_stack([clock, values]) for values in NOISE])
    with pytest.raises(
        InputError, match=r"a/r0.npy: its first column rises in 126 rows and falls in 1, as a time does"
    ):
        read(tmp_path)
    found, _ = read(tmp_path, npy_time=True, clock="rows")
    assert_read(found, NOISE)
    found, _ = read(tmp_path, npy_time=True, clock="sort")
    assert_read(found, [np.roll(values, -shift, axis=0) for values in NOISE])
    found, _ = read(tmp_path, npy_time=False)
    assert_read(found, [np.column_stack([clock, values]) for values in NOISE])


def test_stamps_that_stand_still_are_asked_about(tmp_path):
    clock = np.repeat(0.1 * np.arange(32), 4)
    folder(tmp_path, [np.column_stack([clock, values]) for values in NOISE])
    with pytest.raises(InputError, match=r"rises in 31 rows and falls in 0, .*`npy_time`=true takes it"):
        read(tmp_path)


def test_counters_without_a_sign_do_not_wrap_when_they_are_compared(tmp_path):
    falling = np.column_stack([np.arange(128, 0, -1), np.ones(128)]).astype(np.uint8)
    found, _ = read(folder(tmp_path, [falling] * 4))
    assert_read(found, [falling] * 4)


def test_arrays_that_differ_are_asked_about(tmp_path):
    clocked = np.column_stack([np.arange(128) / 50, NOISE[0]])
    folder(tmp_path, [clocked, clocked, NOISE[2], NOISE[3]])
    with pytest.raises(InputError) as error:
        read(tmp_path)
    assert "b/r2.npy: its first column does not, and that of a/r0.npy rises in every row" in str(error.value)
    assert "`npy_time`=true takes it as the time in all, `npy_time`=false as a variable" in str(error.value)
    found, _ = read(tmp_path, npy_time=True, clock="rows", variables=[0])
    assert_read(found, [NOISE[0][:, :1]] * 2 + [NOISE[2][:, 1:2], NOISE[3][:, 1:2]])


@every_kind
def test_exchanged_axes_are_asked_about(tmp_path, kind):
    folder(tmp_path, [values.T for values in NOISE], kind)
    with pytest.raises(InputError) as error:
        read(tmp_path)
    message = str(error.value)
    assert f"a/r0.{kind} has shape [3, 128], which would be 128 channels of 3 time steps; are the axes" in message
    assert "`axes`=channels_first exchanges them" in message
    found, _ = read(tmp_path, axes="channels_first")
    assert_read(found, NOISE)
    found, _ = read(tmp_path, axes="time_first", npy_time=False)
    assert_read(found, [values.T for values in NOISE])


def test_square_arrays_do_not_say_which_axis_is_the_time(tmp_path):
    square = [values[:3] for values in NOISE]
    with pytest.raises(InputError, match=r"has shape \[3, 3\].*`axes`=time_first keeps them"):
        read(folder(tmp_path, square))
    assert_read(read(tmp_path, axes="time_first", npy_time=False)[0], square)
    assert_read(read(tmp_path, axes="channels_first", npy_time=False)[0], [values.T for values in square])


def test_one_short_recording_among_long_ones_is_said(tmp_path):
    arrays = [NOISE[0][:2], *NOISE[1:]]
    found, findings = read(folder(tmp_path, arrays))
    assert_read(found, arrays)
    assert "more channels than time steps, unlike others (in a/r0.npy)" in findings.warnings[0]


@every_kind
def test_vectors_in_a_row_and_in_a_column_are_one_channel(tmp_path, kind):
    rows, columns = [values[:, :1].T for values in NOISE], [values[:, :1] for values in NOISE]
    for name, arrays in (("rows", rows), ("columns", columns)):
        found, findings = read(folder(tmp_path / name, arrays, kind))
        assert_read(found, columns)
        assert any("an array of one row is one channel" in x for x in findings.decisions) == (name == "rows")


def test_variables_are_chosen_without_the_time(tmp_path):
    folder(tmp_path, [np.column_stack([np.arange(128) / 50, values]) for values in NOISE])
    found = read(tmp_path, variables=[2, 0])[0]
    assert_read(found, [values[:, [2, 0]] for values in NOISE])
    with pytest.raises(InputError, match=r"a/r0.npy has 3 channels: allowed are 1 to 3"):
        read(tmp_path, variables=[3])
    with pytest.raises(InputError, match=r"does not name its channels: use numbers"):
        read(tmp_path, variables=["x"])


def test_too_few_rows_say_nothing_of_the_time(tmp_path):
    short = [np.array([[0.0, 1], [1, 2], [2, 4]])[:2], np.array([[0.0, 1], [1, 2], [2, 4], [3, 1]])] * 2
    found, _ = read(folder(tmp_path, short), axes="time_first")
    assert_read(found, [values[:, 1:] for values in short])


# .mat files


def mat(path, **variables):
    savemat(path, variables)


def test_several_arrays_are_asked_about(tmp_path):
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        mat(tmp_path / label / "r.mat", x=NOISE[0], t=np.arange(128.0), fs=50.0, who="me")
    with pytest.raises(InputError) as error:
        read(tmp_path)
    assert "a/r.mat: has the arrays x [128, 3], t [1, 128], fs [1, 1]; `array`=x names the one" in str(error.value)
    assert_read(read(tmp_path, array="x")[0], [NOISE[0]] * 2)
    with pytest.raises(InputError, match=r"has no array of numbers 'y', which `array` names; found x \[128, 3\]"):
        read(tmp_path, array="y")


def test_a_struct_beside_the_array_is_not_unpacked(tmp_path):
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        mat(tmp_path / label / "r.mat", x=NOISE[0], info={"who": "me", "more": {"deep": 1}})
    assert_read(read(tmp_path)[0], [NOISE[0]] * 2)


@pytest.mark.parametrize(
    ("variables", "text"),
    [
        ({"x": {"a": NOISE[0]}}, "has no array of shape [time] or [time, variables]; found none"),
        ({"x": NOISE[0] * 1j}, "has no array of shape [time] or [time, variables]; found none"),
        ({"x": np.zeros((3, 4, 5))}, "has no array of shape [time] or [time, variables]; found x [3, 4, 5]"),
        ({"x": 3.0}, "has no array of shape"),
        ({"x": np.array(["ab", "cd"])}, "has no array of shape"),
        ({"x": np.array([1, "a"], object)}, "has no array of shape"),
    ],
)
def test_mat_files_without_an_array_of_a_recording(tmp_path, variables, text):
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        mat(tmp_path / label / "r.mat", **variables)
    with pytest.raises(InputError) as error:
        read(tmp_path)
    assert text in str(error.value)


TYPES = ["f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "bool"]


@pytest.mark.parametrize("is_compressed", [False, True])
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", [(5, 2), (1, 9), (9, 1), (2, 3, 4), (2, 1), (300_000, 2)])
def test_numbers_as_scipy_writes_them(tmp_path, is_compressed, dtype, shape):
    values = (1000 * np.random.default_rng(3).standard_normal(shape)).astype(dtype)
    savemat(tmp_path / "x.mat", {"before": {"a": [1, 2]}, "x": values, "behind": "text"}, do_compression=is_compressed)
    np.testing.assert_array_equal(load_mat(tmp_path / "x.mat", "x.mat", "x"), values)


@pytest.mark.parametrize("texts", [["a"], ["idle", "wave"], ["ä", "longer "], ["a b", ""]])
def test_text_as_scipy_writes_it(tmp_path, texts):
    savemat(tmp_path / "x.mat", {"X": np.zeros((2, 1, 1)), "y": np.array(texts)})
    assert load_named_mat(tmp_path / "x.mat")["y"].tolist() == [text.rstrip() for text in texts]


def test_the_other_order_of_bytes(tmp_path):
    big = bytearray(mat_bytes(GOOD))
    body = np.frombuffer(bytes(big[128:]), "<u4").astype(">u4").tobytes()
    values = np.frombuffer(GOOD[-64:], "<f8").astype(">f8").tobytes()
    name = body.rindex(b"\0\0\0x")
    body = body[:name] + b"x\0\0\0" + body[name + 4 : -64] + values
    (tmp_path / "x.mat").write_bytes(bytes(big[:124]) + b"\1\0MI" + body)
    np.testing.assert_array_equal(load_mat(tmp_path / "x.mat", "x.mat", None), np.arange(8.0).reshape(2, 4).T)


def element(kind, content):
    return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)


def matrix(name, shape, content):
    flags = element(6, struct.pack("<II", 6, 0))
    head = flags + element(5, struct.pack(f"<{len(shape)}i", *shape)) + element(1, name)
    return element(14, head + content)


def mat_bytes(*elements):
    head = b"MATLAB 5.0 MAT-file, made by hand".ljust(124) + struct.pack("<H", 0x0100) + b"IM"
    return head + b"".join(elements)


GOOD = matrix(b"x", (4, 2), element(9, np.arange(8.0).tobytes()))
BOMB = matrix(b"x", (1 << 20, 1 << 10), element(9, bytes(1 << 20)))
PACKED = zlib.compress(BOMB)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "is no MAT-file of version 5 to 7.3"),
        (b"# Created by Octave 8\n" + b"# name: x\n" * 20, "is no MAT-file of version 5 to 7.3; save it by"),
        (struct.pack("<iiiii", 0, -5, 1, 0, 2) + b"x\0" + bytes(200), "is no MAT-file of version 5 to 7.3"),
        (mat_bytes(GOOD)[:150], "cannot be read as a MAT-file"),
        (mat_bytes(GOOD)[:-20], "cannot be read as a MAT-file"),
        (mat_bytes(GOOD, GOOD), "has two variables 'x'; allowed: each name once"),
        (mat_bytes(BOMB), "x unpacks to 8,589,934,592 bytes; allowed for the file's size: 1,073,741,824"),
        (mat_bytes(struct.pack("<II", 15, len(PACKED)) + PACKED), "x unpacks to 8,589,934,592 bytes"),
        (mat_bytes(matrix(b"x", (-4, -2), element(9, bytes(64)))), "r.mat"),
        (mat_bytes(matrix(b"x", (400, 2), element(9, bytes(64)))), "cannot be read as a MAT-file"),
        (mat_bytes(element(15, b"no zlib at all")), "cannot be read as a MAT-file"),
        (mat_bytes(struct.pack("<II", 14, 0xFFFFFFF0) + b"abc"), "cannot be read as a MAT-file"),
    ],
)
def test_damaged_mat_files_end_in_a_sentence(tmp_path, content, text):
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        (tmp_path / label / "r.mat").write_bytes(content)
    with pytest.raises(InputError) as error:
        read(tmp_path)
    assert text in str(error.value)
    assert "\n" not in str(error.value)


def test_a_mat_file_made_by_hand(tmp_path):
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        (tmp_path / label / "r.mat").write_bytes(mat_bytes(GOOD))
    assert_read(read(tmp_path, npy_time=False)[0], [np.arange(8.0).reshape(2, 4).T] * 2)


@pytest.mark.parametrize(
    "labels", [np.array([0, 1, 0, 1]), np.array([[0], [1], [0], [1]]), np.array(["up", "down"] * 2)]
)
def test_one_mat_file_with_the_arrays_of_an_npz(tmp_path, labels):
    x = np.stack([values.T for values in NOISE])
    mat(tmp_path / "d.mat", X_train=x, y_train=labels, X_test=x[:2], y_test=labels[:2])
    found, _ = read(tmp_path / "d.mat")
    assert_read(found, [*NOISE, *NOISE[:2]])
    assert [found.label_names[number] for number in found.labels] == [str(v) for v in np.ravel([*labels, *labels[:2]])]
    assert [found.splits[number] for number in range(6)] == ["train"] * 4 + ["test"] * 2


def test_one_mat_file_without_a_test_split(tmp_path):
    mat(tmp_path / "d.mat", X=np.stack([values.T for values in NOISE]), y=np.array([1, 2, 1, 2]))
    found, _ = read(tmp_path / "d.mat")
    assert_read(found, NOISE)
    assert found.splits is None


@pytest.mark.parametrize(
    ("variables", "text"),
    [
        ({"signal": NOISE[0]}, "d.mat: lacks X, y; allowed: a file with X_train, y_train, X_test and y_test"),
        ({"X_train": NOISE[0]}, "d.mat: lacks y_train"),
        ({"X_test": NOISE[0], "y_test": 1}, "d.mat: lacks X_train"),
        ({"X": NOISE[0], "y": np.array(["a", 1], object)}, "y is of MATLAB's class cell; allowed: numbers, or char"),
    ],
)
def test_one_mat_file_with_other_arrays(tmp_path, variables, text):
    mat(tmp_path / "d.mat", **variables)
    with pytest.raises(InputError) as error:
        read(tmp_path / "d.mat")
    assert text in str(error.value)
