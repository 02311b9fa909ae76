"""The archive of a run: equal runs give equal bytes, and nothing that was changed is unpacked."""

import hashlib
import json
import struct
import zipfile

import pytest

from nas_lightning.errors import InputError
from nas_lightning.export.bundle import NAME, SUMS, unpack_bundle, write_bundle

FILES = {
    "model.onnx": b"\x08\x01 float",
    "model_int8.onnx": b"\x08\x01 int8",
    "genotype.json": b"{}",
    "cost.json": b'{"params": 3}',
    "config.yaml": b"seed: 0\n",
    "vectors.npz": bytes(range(256)),
    "firmware/model.c": b"int model;\n" * 100,
    "firmware/cortex_m/linker.ld": b"SECTIONS\n",
    "annotations/report.json": b"[]",
    "model.pt": b"weights",
}
OTHERS = {
    "run.log": b"at 12:00",
    "checkpoints/training/last.ckpt": b"weights",
    "metrics.json": b"old",
}


def write_files(folder, files):
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture
def bundle(tmp_path):
    """The archive of a run folder."""
    folder = write_files(tmp_path / "run", FILES | OTHERS)
    write_bundle(folder, {"metrics.json": {"val": {"accuracy": 0.5}}})
    return folder / NAME


@pytest.fixture
def target(tmp_path):
    """An empty folder to unpack into, in a folder that holds nothing else."""
    (tmp_path / "outer" / "target").mkdir(parents=True)
    return tmp_path / "outer" / "target"


def content(path):
    with zipfile.ZipFile(path) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def write_archive(path, files, sums=True):
    """An archive of any files, with checksums that hold."""
    if sums:
        lines = [f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in files.items() if name != SUMS]
        files = files | {SUMS: "".join(lines).encode()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def refused(path, target, sentence):
    with pytest.raises(InputError) as error:
        unpack_bundle(path, target)
    assert str(error.value) == f"{path}: {sentence}"
    assert type(error.value) is InputError
    assert list(target.parent.rglob("*")) == [target]


def test_what_goes_in_comes_out(bundle, target):
    unpack_bundle(bundle, target)
    found = {path.relative_to(target).as_posix(): path.read_bytes() for path in target.rglob("*") if path.is_file()}
    assert json.loads(found.pop("metrics.json")) == {"val": {"accuracy": 0.5}}
    assert b"Apache License 2.0" in found.pop("NOTICE")
    sums = found.pop(SUMS).decode().splitlines()
    assert found == FILES
    assert sums == sorted(sums, key=lambda line: line.split("  ")[1])
    assert f"{hashlib.sha256(FILES['model.onnx']).hexdigest()}  model.onnx" in sums
    assert len(sums) == len(FILES) + 2


def test_equal_runs_give_equal_bytes(bundle, tmp_path):
    again = write_files(tmp_path / "again", dict(reversed(list((FILES | OTHERS).items()))))
    write_bundle(again, {"metrics.json": {"val": {"accuracy": 0.5}}})
    assert (again / NAME).read_bytes() == bundle.read_bytes()
    write_bundle(again, {"metrics.json": {"val": {"accuracy": 0.5}}})  # over the old one
    assert (again / NAME).read_bytes() == bundle.read_bytes()
    write_bundle(again, {"metrics.json": {"val": {"accuracy": 0.6}}})
    assert (again / NAME).read_bytes() != bundle.read_bytes()
    assert {path.name for path in again.glob("*.tmp")} == set()
    with zipfile.ZipFile(bundle) as archive:
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert archive.namelist() == sorted(archive.namelist())


@pytest.mark.parametrize("name", [*FILES, "metrics.json", "NOTICE"])
def test_a_changed_byte_is_found(name, bundle, target):
    files = content(bundle)
    files[name] = files[name][:-1] + bytes([files[name][-1] ^ 1])
    refused(write_archive(bundle, files, sums=False), target, f"{name} was changed, or came in later, by SHA256SUMS")


@pytest.mark.parametrize("name", ["firmware/Makefile", "zzz", "a b"])
def test_an_added_file_is_found(name, bundle, target):
    files = content(bundle) | {name: b"more"}
    refused(write_archive(bundle, files, sums=False), target, f"{name} was changed, or came in later, by SHA256SUMS")


@pytest.mark.parametrize("name", [*FILES, "NOTICE"])
def test_a_missing_file_is_found(name, bundle, target):
    files = content(bundle)
    del files[name]
    refused(write_archive(bundle, files, sums=False), target, f"{name} is missing, by SHA256SUMS")


def test_checksums_are_needed(bundle, target):
    files = content(bundle)
    del files[SUMS]
    sentence = "has no SHA256SUMS; give the deploy.zip of a run with compilation.enable=true"
    refused(write_archive(bundle, files, sums=False), target, sentence)
    refused(write_archive(bundle, {}, sums=False), target, sentence)


def test_a_file_that_is_no_archive_is_refused(tmp_path, target):
    path = tmp_path / "deploy.zip"
    refused(path, target, f"cannot be read as deploy.zip ([Errno 2] No such file or directory: '{path}')")
    for data in (b"", b"no archive", b"PK\x03\x04" + bytes(100)):
        path.write_bytes(data)
        refused(path, target, "cannot be read as deploy.zip (File is not a zip file)")


def test_a_folder_is_refused(tmp_path, target):
    refused(tmp_path, target, f"cannot be read as deploy.zip ([Errno 21] Is a directory: '{tmp_path}')")


@pytest.mark.parametrize(
    "name",
    [
        *("../x", "a/../../x", "..", "firmware/..", "/abs", "//host/x", "/"),
        *("C:\\x", "C:/x", "C:x", "a\\..\\b", "..\\x", "\\x"),
    ],
)
def test_a_name_that_leads_out_is_refused(name, bundle, target):
    write_archive(bundle, content(bundle) | {name: b"out"})
    refused(bundle, target, f"its member {name!r} leads out of the folder; allowed: relative names")


@pytest.mark.parametrize("name", ["a\\b", "name:stream", "red\x1b[31m", "a\nb"])
def test_a_name_that_no_bundle_has_is_refused(name, bundle, target):
    write_archive(bundle, content(bundle) | {name: b"in"})
    with pytest.raises(InputError) as error:
        unpack_bundle(bundle, target)
    assert str(error.value).startswith(f"{bundle}: its member ")
    assert str(error.value).endswith(" has a name that no bundle has")
    assert str(error.value).isprintable()


def test_a_link_is_refused(bundle, target):
    link = zipfile.ZipInfo("firmware/link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(bundle, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    refused(bundle, target, "its member 'firmware/link' is a link; allowed: files")


def test_a_name_in_the_checksums_cannot_command_a_terminal(bundle, target):
    files = content(bundle)
    files[SUMS] += b"0  \x1b[2J\n"
    refused(write_archive(bundle, files, sums=False), target, f"{chr(27) + '[2J'!r} is missing, by SHA256SUMS")


@pytest.mark.parametrize("name", ["firmware/..more", "...", "a..b", "firmware/sub/deep.c", "naïve.txt"])
def test_a_name_that_stays_inside_is_unpacked(name, bundle, target):
    files = {key: data for key, data in content(bundle).items() if key != SUMS} | {name: b"in"}
    unpack_bundle(write_archive(bundle, files), target)
    assert (target / name).read_bytes() == b"in"
    assert all(target in path.parents for path in target.parent.rglob("*") if path != target)


def test_a_folder_in_the_archive_is_no_file(bundle, target):
    files = {key: data for key, data in content(bundle).items() if key != SUMS}
    write_archive(bundle, files)
    with zipfile.ZipFile(bundle, "a") as archive:
        archive.writestr("empty/", b"")
    unpack_bundle(bundle, target)
    assert (target / "model.onnx").is_file()


def with_sizes(path, size):
    """Say in the directory of the archive that each file unpacks to so many bytes."""
    data = bytearray(path.read_bytes())
    at = data.find(b"PK\x01\x02")
    while at >= 0:
        data[at + 24 : at + 28] = struct.pack("<I", size)
        at = data.find(b"PK\x01\x02", at + 1)
    path.write_bytes(data)


def test_more_than_fits_is_refused_before_it_is_unpacked(bundle, target):
    with_sizes(bundle, 0x7FFFFFFF)
    refused(bundle, target, f"unpacks to {0x7FFFFFFF * 13:,} bytes; allowed for its size: 67,108,864")


def test_what_is_packed_to_nothing_is_refused_before_it_is_unpacked(bundle, target):
    """70 MiB of zeros in 70 kB; so were 900 MiB in 0.9 MB."""
    files = {key: data for key, data in content(bundle).items() if key != SUMS} | {"zeros": bytes(70 << 20)}
    write_archive(bundle, files)
    assert bundle.stat().st_size < 100_000
    refused(
        bundle,
        target,
        f"unpacks to {sum(map(len, content(bundle).values())):,} bytes; allowed for its size: 67,108,864",
    )


def test_a_size_that_is_not_true_is_refused(bundle, target):
    with_sizes(bundle, 3)
    with pytest.raises(InputError, match=r"cannot be read as deploy\.zip"):
        unpack_bundle(bundle, target)
    assert list(target.iterdir()) == []


def flag(path, signature, offset, value):
    """Change a field of all headers."""
    data = bytearray(path.read_bytes())
    at = data.find(signature)
    while at >= 0:
        data[at + offset : at + offset + 2] = struct.pack("<H", value)
        at = data.find(signature, at + 1)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("field", "offset", "value"),
    [("encrypted", 8, 1), ("an unknown method", 10, 99), ("bzip2 that is none", 10, 12), ("lzma that is none", 10, 14)],
)
def test_what_cannot_be_unpacked_is_refused(field, offset, value, bundle, target):
    flag(bundle, b"PK\x01\x02", offset, value)
    flag(bundle, b"PK\x03\x04", offset - 2, value)
    with pytest.raises(InputError, match=r"deploy\.zip: cannot be read as deploy\.zip"):
        unpack_bundle(bundle, target)
    assert list(target.iterdir()) == []


def test_a_name_that_is_no_text_is_refused(bundle, target):
    flag(bundle, b"PK\x01\x02", 8, 0x800)  # names are UTF-8
    data = bundle.read_bytes().replace(b"config.yaml", b"\xff\xfe\xfdfig.yaml")
    bundle.write_bytes(data)
    with pytest.raises(InputError, match=r"deploy\.zip: cannot be read as deploy\.zip"):
        unpack_bundle(bundle, target)


def test_an_empty_name_is_refused(bundle, target):
    data = bundle.read_bytes().replace(b"config.yaml", b"\x00onfig.yaml")
    bundle.write_bytes(data)
    with pytest.raises(InputError, match=r"deploy\.zip: "):
        unpack_bundle(bundle, target)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_part_of_an_archive_is_refused(share, bundle, target):
    data = bundle.read_bytes()
    bundle.write_bytes(data[: int(share * len(data))])
    refused(bundle, target, "cannot be read as deploy.zip (File is not a zip file)")


def test_a_file_in_the_place_of_a_folder_is_refused(bundle, target):
    files = {key: data for key, data in content(bundle).items() if key != SUMS}
    write_archive(bundle, files | {"firmware": b"a file"})
    with pytest.raises(InputError, match=r"deploy\.zip: "):
        unpack_bundle(bundle, target)
