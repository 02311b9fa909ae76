"""``verify``: a line for each test of an archive, and an error if anything computes something else."""

import dataclasses
import hashlib
import json
import re
import zipfile
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import pytest
import torch
from small_firmware import Small, every_op, hand_made, path_without, write

from nas_lightning.data.features import FrontEnd
from nas_lightning.errors import InputError
from nas_lightning.export import host
from nas_lightning.export.bundle import NAME, SUMS, write_bundle
from nas_lightning.export.emulator import TOOLS
from nas_lightning.export.firmware import Description, write_firmware
from nas_lightning.export.host import missing_tools
from nas_lightning.export.int8 import behind_front_end, to_qdq
from nas_lightning.export.onnx import ParityError, to_onnx
from nas_lightning.files import write_bytes, write_json, write_npz
from nas_lightning.verify import verify

needs_gcc = pytest.mark.skipif(bool(missing_tools()), reason="there is no gcc or make")
needs_arm = pytest.mark.skipif(bool(missing_tools(TOOLS)), reason="the Arm compiler or QEMU is missing")


def bundle_of(made: Small, folder: Path, measured: str | None = None, numbers: str = "int8") -> Path:
    """The archive that a run with this network would leave."""
    write(made, folder)
    write_bytes(folder / "model.onnx", made.floats.SerializeToString())
    write_bytes(folder / "model_int8.onnx", to_qdq(made.integer).SerializeToString())
    vectors = {name: array for name, array in vars(made.vectors()).items() if array is not None}
    write_npz(folder / "vectors.npz", vectors)
    cost = {"measured": {"core": measured, "numbers": numbers}} if measured else {}
    write_json(folder / "cost.json", {"params": 3} | cost)
    write_bundle(folder, {"metrics.json": {}})
    return folder / NAME


@cache
def archive(measured: str | None = None, numbers: str = "int8") -> bytes:
    """Of the smallest network."""
    with TemporaryDirectory() as folder:
        return bundle_of(hand_made(), Path(folder), measured, numbers).read_bytes()


@pytest.fixture
def path(tmp_path):
    (tmp_path / NAME).write_bytes(archive())
    return tmp_path / NAME


@cache
def with_front_end() -> bytes:
    """Of a network behind a front end that is in the ONNX files too."""
    made = hand_made(1, 16)
    front_end = FrontEnd(["FFT_FE", "FFT_POS_HALF", "DC_REMOVE", "ABS"], frame_size=32)
    exported = to_onnx(front_end.for_export(), (1, 32))
    rows = torch.randn(20, 1, 32, generator=torch.Generator().manual_seed(0))
    made = dataclasses.replace(made, samples=front_end(rows))
    vectors = dataclasses.replace(made.vectors(), rows=rows.numpy())
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_firmware(
            folder / "firmware", made.floats, made.integer, front_end, vectors, Description("0", "a", ("a",) * 3)
        )
        write_bytes(folder / "model.onnx", behind_front_end(exported, made.floats).SerializeToString())
        write_bytes(folder / "model_int8.onnx", behind_front_end(exported, to_qdq(made.integer)).SerializeToString())
        write_npz(folder / "vectors.npz", vars(vectors))
        write_json(folder / "cost.json", {})
        write_json(folder / "front_end.json", front_end.settings)
        write_bundle(folder, {"metrics.json": {}})
        return (folder / NAME).read_bytes()


def replace(path: Path, name: str, data: bytes | None) -> Path:
    """Put another file into the archive together with its checksum, or leave it out."""
    with zipfile.ZipFile(path) as archive:
        files = {info.filename: archive.read(info) for info in archive.infolist() if info.filename != SUMS}
    files[name] = data or b""
    if data is None:
        del files[name]
    files[SUMS] = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in files.items()).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for key, value in files.items():
            archive.writestr(key, value)
    return path


def read(path: Path, name: str) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return archive.read(name)


def lines(path, capfd):
    capfd.readouterr()
    verify(path)
    out, err = capfd.readouterr()
    assert err == ""
    return out.splitlines()


@needs_gcc
def test_there_is_a_line_for_each_test(path, capfd):
    found = lines(path, capfd)
    assert found[0] == f"{path}: checksums hold"
    assert found[1].startswith("model.onnx: 32 samples, differs by at most ")
    assert float(found[1].rpartition(" ")[2]) <= 1e-4
    assert found[2] == "model_int8.onnx: 32 samples, 32 equal bit for bit"
    assert found[3] == "model_integer.onnx: 32 samples, all equal bit for bit"
    assert found[4] == "firmware: all files as they are written here for these networks"
    assert found[5] == "model.c: 32 samples, all equal bit for bit"
    assert found[6].startswith("model_float.c: 32 samples, differs by at most ")
    assert len(found) == 7


@needs_gcc
def test_the_archive_of_a_network_of_all_operations_holds(tmp_path, capfd):
    found = lines(bundle_of(every_op(), tmp_path), capfd)
    assert found[2] == "model_int8.onnx: 32 samples, 32 equal bit for bit"
    assert found[5] == "model.c: 32 samples, all equal bit for bit"


@needs_arm
def test_the_core_that_was_measured_is_emulated(tmp_path, capfd):
    core = "cortex-m33"
    (tmp_path / NAME).write_bytes(archive(core))
    found = lines(tmp_path / NAME, capfd)
    assert found[7].startswith(f"{core}: 4 samples, all equal bit for bit; ")
    assert int(found[7].split("; ")[1].replace(",", "").removesuffix(" instructions")) > 1000


@needs_arm
def test_the_program_that_was_measured_is_emulated(tmp_path, capfd):
    """Without a floating-point unit float32 takes several times the instructions of int8."""
    outcomes = {}
    for numbers in ("int8", "float32"):
        (tmp_path / NAME).write_bytes(archive("cortex-m0plus", numbers))
        outcomes[numbers] = lines(tmp_path / NAME, capfd)[7].removeprefix("cortex-m0plus: 4 samples, ").split("; ")
    assert outcomes["int8"][0] == "all equal bit for bit"
    assert outcomes["float32"][0].startswith("differs by at most ")
    counts = {name: int(found[1].replace(",", "").split()[0]) for name, found in outcomes.items()}
    assert counts["float32"] > 1.5 * counts["int8"]


@needs_gcc
def test_a_front_end_is_tested_too(tmp_path, capfd):
    (tmp_path / NAME).write_bytes(with_front_end())
    found = lines(tmp_path / NAME, capfd)
    assert found[1].startswith("model.onnx: 20 samples, differs by at most ")
    assert found[2].startswith("model_int8.onnx: 20 samples, ")
    assert found[4] == "firmware: all files as they are written here for these networks"
    assert found[5] == "model.c: 20 samples, all equal bit for bit"
    assert found[7].startswith("feature_extraction.c: 20 samples, differs by at most ")


@pytest.mark.parametrize("hidden", [("gcc", "arm-none-eabi-"), ("gcc", "arm-none-eabi-", "qemu-system-arm")], ids=str)
def test_without_gcc_one_line_says_so(hidden, tmp_path, capfd, monkeypatch):
    (tmp_path / NAME).write_bytes(archive("cortex-m4"))
    monkeypatch.setenv("PATH", path_without(tmp_path / "bin", *hidden))
    found = lines(tmp_path / NAME, capfd)
    assert found[5:] == [
        f"C files: not compiled, because {' and '.join(missing_tools())} is not installed",
        f"cortex-m4: not emulated, because {' and '.join(missing_tools(TOOLS))} is not installed",
    ]
    assert "gcc" in missing_tools()
    assert found[2] == "model_int8.onnx: 32 samples, 32 equal bit for bit"


@needs_gcc
@pytest.mark.parametrize("hidden", [("qemu-system-arm",), ("qemu-system-arm", "arm-none-eabi-")], ids=str)
def test_without_an_emulator_one_line_says_so(hidden, tmp_path, capfd, monkeypatch):
    (tmp_path / NAME).write_bytes(archive("cortex-m4"))
    monkeypatch.setenv("PATH", path_without(tmp_path / "bin", *hidden))
    found = lines(tmp_path / NAME, capfd)
    assert found[5] == "model.c: 32 samples, all equal bit for bit"
    assert "qemu-system-arm" in missing_tools(TOOLS)
    assert found[7:] == [f"cortex-m4: not emulated, because {' and '.join(missing_tools(TOOLS))} is not installed"]


def other(which):
    """The network of the same shapes with other weights."""
    model = onnx.ModelProto.FromString(getattr(hand_made(), which).SerializeToString())
    for tensor in model.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor).copy()
        if tensor.name in ("head.weight", "head.weight_quantized"):
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.roll(values, 1), tensor.name))
    return model


def scaled(data):
    """A model whose head has other weights."""
    model = onnx.ModelProto.FromString(data)
    (head,) = (t for t in model.graph.initializer if t.name in ("network.head.weight", "network.head.weight_quantized"))
    head.CopyFrom(onnx.numpy_helper.from_array(np.roll(onnx.numpy_helper.to_array(head), 1), head.name))
    return model.SerializeToString()


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("model.onnx", lambda: other("floats")),
        ("model_int8.onnx", lambda: to_qdq(other("integer"))),
        ("firmware/model_integer.onnx", lambda: other("integer")),
    ],
)
@needs_gcc
def test_another_network_with_its_checksum_is_found(name, model, path, capfd):
    replace(path, name, model().SerializeToString())
    with pytest.raises(ParityError, match=r"model"):
        verify(path)
    assert capfd.readouterr().out.startswith(f"{path}: checksums hold\n")


@needs_gcc
@pytest.mark.parametrize("name", ["model.onnx", "model_int8.onnx"])
def test_another_network_behind_a_front_end_is_found(name, tmp_path):
    (tmp_path / NAME).write_bytes(with_front_end())
    replace(tmp_path / NAME, name, scaled(read(tmp_path / NAME, name)))
    with pytest.raises(ParityError, match=name):
        verify(tmp_path / NAME)


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("model.c", "logits[0] += 1.0f;"),
        ("model_float.c", "logits[0] += 1.0f;"),
        ("model.c", "logits[MODEL_CLASSES] = 1.0f;"),
    ],
)
def test_other_code_with_its_checksum_is_found(name, more, path):
    source = read(path, f"firmware/{name}").decode()
    changed = re.sub(r"(network\(\w+, logits\);)", rf"\1 {more}", source)
    assert changed != source
    replace(path, f"firmware/{name}", changed.encode())
    with pytest.raises(ParityError) as error:
        verify(path)
    assert str(error.value) == f"firmware/{name}: is not as it is written here for these networks"


@needs_gcc
@pytest.mark.parametrize(
    ("name", "more", "sentence"),
    [
        ("model.c", "logits[0] += 1.0f;", "model.c: differs from model_integer.onnx on sample 0"),
        ("model_float.c", "logits[0] += 1.0f;", "allowed: 0.0001"),
        ("model.c", "logits[MODEL_CLASSES] = 1.0f;", "model.c: stopped: "),
        ("model.c", "for (;;) { }", "needed more processor time than it may have"),
        ("model.c", "no C", "model.c: cannot be compiled or run here ("),
    ],
)
def test_trusted_code_is_compiled_and_tested(name, more, sentence, path, monkeypatch, capfd):
    monkeypatch.setattr(host, "_SANITIZED", dataclasses.replace(host._SANITIZED, cpu_seconds=2))
    source = read(path, f"firmware/{name}").decode()
    replace(path, f"firmware/{name}", re.sub(r"(network\(\w+, logits\);)", rf"\1 {more}", source).encode())
    with pytest.raises(ParityError) as error:
        verify(path, trust=True)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)
    trusted = f"firmware: C files of the archive, by --trust; {name} is not as it is written here for these networks"
    assert trusted in capfd.readouterr().out.splitlines()


@needs_gcc
@pytest.mark.parametrize(("name", "more"), [("inputs", 1), ("logits_float", 1e-3), ("logits_int8", 1e-6)])
def test_other_vectors_with_their_checksum_are_found(name, more, path, tmp_path):
    vectors = {key: value.copy() for key, value in vars(hand_made().vectors()).items() if value is not None}
    vectors[name][3] += more
    write_npz(tmp_path / "vectors.npz", vectors)
    replace(path, "vectors.npz", (tmp_path / "vectors.npz").read_bytes())
    with pytest.raises(ParityError):
        verify(path)


@needs_gcc
def test_other_feature_extraction_with_its_checksum_is_found(tmp_path):
    path = tmp_path / NAME
    path.write_bytes(with_front_end())
    source = read(path, "firmware/feature_extraction.c").decode()
    changed = source.replace("sqrtf(", "0.5f * sqrtf(")
    assert changed != source
    replace(path, "firmware/feature_extraction.c", changed.encode())
    with pytest.raises(ParityError, match=r"^firmware/feature_extraction\.c: is not as it is written here"):
        verify(path)
    with pytest.raises(ParityError, match=r"feature_extraction\.c: differs by"):
        verify(path, trust=True)


def test_vectors_of_another_kind_are_refused(path, tmp_path):
    write_npz(tmp_path / "vectors.npz", {"x": np.zeros(3, np.float32)})
    replace(path, "vectors.npz", (tmp_path / "vectors.npz").read_bytes())
    with pytest.raises(InputError, match=r"vectors\.npz: holds x; a bundle has inputs, logits_float and logits_int8"):
        verify(path)


@pytest.mark.parametrize("name", ["vectors.npz", "model.onnx", "model_int8.onnx", "cost.json", "firmware/model.c"])
def test_an_archive_without_a_file_that_is_needed_is_refused(name, path):
    replace(path, name, None)
    with pytest.raises(InputError, match=name):
        verify(path)


def test_a_changed_file_is_refused_before_anything_is_run(path, capfd):
    with zipfile.ZipFile(path) as archive:
        files = {info.filename: archive.read(info) for info in archive.infolist()}
    files["cost.json"] = json.dumps({"params": 2}).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for key, value in files.items():
            archive.writestr(key, value)
    with pytest.raises(InputError) as error:
        verify(path)
    assert str(error.value) == f"{path}: cost.json was changed, or came in later, by SHA256SUMS"
    assert capfd.readouterr() == ("", "")
