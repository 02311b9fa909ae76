"""HDF5: arrays of recordings, and files that reach others or claim to be large."""

import sys

import numpy as np
import pytest
from recording_files import read_with as read

from nas_lightning.data.readers import hdf5, open_source
from nas_lightning.errors import InputError

h5py = pytest.importorskip("h5py")

VALUES = np.random.default_rng(0).standard_normal((60, 2)).astype(np.float32)


def folder(path, write, ending="h5"):
    for label in ("a", "b"):
        (path / label).mkdir(parents=True)
        with h5py.File(path / label / f"r.{ending}", "w") as file:
            write(file)
    return path


def values_of(path, **said):
    found = read(path, **said)[0]
    return [found.values[a:b].numpy().tolist() for a, b in zip(found.starts, found.starts[1:], strict=False)]


@pytest.mark.parametrize("ending", ["h5", "hdf5", "H5"])
@pytest.mark.parametrize("how", [{}, {"chunks": (7, 2), "compression": "gzip", "shuffle": True}, {"dtype": "f8"}])
@pytest.mark.parametrize("name", ["x", "deep/er/x"])
def test_the_only_array_is_the_recording(tmp_path, ending, how, name):
    folder(tmp_path, lambda file: file.create_dataset(name, data=VALUES, **how), ending)
    assert values_of(tmp_path) == [VALUES.tolist()] * 2


@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.bool_, np.float16, ">f4"])
def test_types_of_numbers(tmp_path, dtype):
    folder(tmp_path, lambda file: file.create_dataset("x", data=(VALUES > 0).astype(dtype)))
    assert values_of(tmp_path) == [(VALUES > 0).astype(float).tolist()] * 2


def test_other_things_beside_it(tmp_path):
    def write(file):
        file["x"] = VALUES
        file["rate"] = 50.0
        file["who"] = "me"
        file["cube"] = np.zeros((2, 3, 4))
        file["empty"] = h5py.Empty("f")
        file["soft"] = h5py.SoftLink("/x")
        file["loop/again"] = h5py.SoftLink("/")
        file["group/self"] = file["/"]

    assert values_of(folder(tmp_path, write)) == [VALUES.tolist()] * 2


def test_several_arrays_are_asked_about(tmp_path):
    def write(file):
        file["acc/x"], file["gyro/x"] = VALUES, -VALUES

    folder(tmp_path, write)
    with pytest.raises(InputError) as error:
        read(tmp_path)
    assert "a/r.h5: has the arrays acc/x [60, 2], gyro/x [60, 2]; `array`=acc/x names the one" in str(error.value)
    assert values_of(tmp_path, array="gyro/x") == [(-VALUES).tolist()] * 2


def test_arrays_of_matlab_have_its_order_of_axes(tmp_path):
    """MATLAB writes the last axis first, and says which class each variable has."""

    def write(file):
        file["x"] = VALUES.T
        file["x"].attrs["MATLAB_class"] = np.bytes_("double")
        file["#refs#/y"] = VALUES

    folder(tmp_path, write, "mat")
    assert values_of(tmp_path) == [VALUES.tolist()] * 2


def test_matlab_writes_a_head_before_the_file(tmp_path):
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        with h5py.File(tmp_path / label / "r.mat", "w", userblock_size=512) as file:
            file["x"] = VALUES.T
            file["x"].attrs["MATLAB_class"] = np.bytes_("double")
        content = bytearray((tmp_path / label / "r.mat").read_bytes())
        content[:128] = b"MATLAB 7.3 MAT-file, made here".ljust(124) + b"\x00\x02IM"
        (tmp_path / label / "r.mat").write_bytes(content)
    assert values_of(tmp_path) == [VALUES.tolist()] * 2


def external(file):
    file["x"] = h5py.ExternalLink("secret.h5", "/x")


def virtual(file):
    layout = h5py.VirtualLayout(shape=(60, 2), dtype="f4")
    layout[:] = h5py.VirtualSource("secret.h5", "x", shape=(60, 2))
    file.create_virtual_dataset("x", layout)


def raw_elsewhere(file):
    file.create_dataset("x", (60, 2), "f4", external=[("/etc/passwd", 0, 480)])


def through_a_soft_link(file):
    file["out"] = h5py.ExternalLink("secret.h5", "/")
    file["x"] = h5py.SoftLink("/out/x")


@pytest.mark.parametrize(
    ("write", "text"),
    [
        (external, "x is a link to another file; allowed: arrays in the file"),
        (virtual, "x lies in other files"),
        (raw_elsewhere, "x lies in other files"),
        (through_a_soft_link, "out is a link to another file"),
    ],
)
def test_what_reaches_other_files_is_refused(tmp_path, write, text):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["x"] = VALUES
    with pytest.raises(InputError) as error:
        read(folder(tmp_path / "data", write))
    assert text in str(error.value)


def huge(file):
    file.create_dataset("x", (1 << 40, 2), "f4", chunks=(1024, 2))


def huge_chunks(file):
    file.create_dataset("x", (60, 2), "f4", chunks=(1 << 28, 2), maxshape=(None, 2), compression="gzip")


def many(file):
    for number in range(101):
        file.create_group(str(number))


@pytest.mark.parametrize(
    ("write", "text"),
    [
        (huge, "x unpacks to 8,796,093,022,208 bytes; allowed for the file's size: 1,073,741,824"),
        (huge_chunks, "x unpacks to 2,147,483,648 bytes"),
        (many, "has more than 100 objects"),
        (lambda file: None, "has no array of shape [time] or [time, variables]; found none"),
        (lambda file: file.create_dataset("x", data=np.zeros(3, [("a", "f4"), ("b", "f4")])), "has no array of shape"),
        (lambda file: file.create_dataset("x", data=VALUES * 1j), "has no array of shape"),
        (lambda file: file.create_dataset("x", data=["a", "b"]), "has no array of shape"),
        (lambda file: file.create_dataset("x", data=np.zeros((2, 3, 4))), "found x [2, 3, 4]"),
    ],
)
def test_what_cannot_be_a_recording(tmp_path, monkeypatch, write, text):
    monkeypatch.setattr(hdf5, "_MOST_OBJECTS", 100)
    with pytest.raises(InputError) as error:
        read(folder(tmp_path, write))
    assert text in str(error.value)


@pytest.mark.parametrize(
    "content", [b"", b"\x89HDF\r\n\x1a\n", b"no HDF5", b"\x89HDF\r\n\x1a\n" + bytes(range(256)) * 8]
)
def test_damaged_files_end_in_a_sentence(tmp_path, content):
    folder(tmp_path, lambda file: file.create_dataset("x", data=VALUES))
    (tmp_path / "a" / "r.h5").write_bytes(content)
    with pytest.raises(InputError, match=r"a/r.h5: cannot be read as HDF5 \(") as error:
        read(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("labels", [np.array([0, 1, 0, 1]), np.array([[0], [1], [0], [1]]), ["up", "down"] * 2])
def test_one_file_with_the_arrays_of_an_npz(tmp_path, labels):
    x = np.random.default_rng(1).standard_normal((4, 3, 50)).astype(np.float32)
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file["X_train"], file["X_test"], file["y_train"], file["y_test"] = x, x[:2], labels, labels[:2]
    found, _ = read(tmp_path / "d.h5")
    np.testing.assert_array_equal(
        found.values.numpy(), np.concatenate([*x.transpose(0, 2, 1), *x[:2].transpose(0, 2, 1)])
    )
    assert [found.label_names[number] for number in found.labels[:4]] == [str(v) for v in np.ravel(labels)]


def test_one_file_with_other_arrays(tmp_path):
    with h5py.File(tmp_path / "d.hdf5", "w") as file:
        file["x"] = VALUES
    with pytest.raises(InputError, match=r"d.hdf5: lacks X, y; allowed: a file with X_train"):
        read(tmp_path / "d.hdf5")


def test_labels_that_name_one_long_text_many_times_are_refused(tmp_path):
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file["X"] = np.zeros((3000, 1, 4))
        file.create_dataset("y", data=["x" * 60_000] * 3000, dtype=h5py.string_dtype())
    with pytest.raises(InputError, match="y has more than 67,108,864 letters"):
        read(tmp_path / "d.h5")


def test_the_extra_is_named_where_the_package_is_missing(tmp_path, monkeypatch):
    folder(tmp_path, lambda file: file.create_dataset("x", data=VALUES))
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(InputError, match=r"a/r.h5: needs the package h5py; .*: pip install 'nas-lightning\[hdf5\]'"):
        read(tmp_path)


def test_text_that_is_far_too_long_for_labels_is_not_unpacked(tmp_path):
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file["X"] = np.arange(32.0).reshape(4, 1, 8)
        letters = file.create_dataset("y", (1 << 20, 20), "u2", chunks=(1 << 16, 1), compression="gzip")
        letters.attrs["MATLAB_class"] = np.bytes_("char")
    with pytest.raises(InputError, match="y has more than 16,777,216 letters; allowed: labels"):
        open_source(None, str(path))
    with h5py.File(path, "a") as file:
        del file["y"]
        file.create_dataset("y", data=["a" * 200_000, *"b" * 499], dtype=h5py.string_dtype())
    with pytest.raises(InputError, match="y has more than 67,108,864 letters; allowed: labels"):
        open_source(None, str(path))
