"""``verify``: a line for each test of an archive, and an error if anything computes something else."""

import dataclasses
import hashlib
import json
import os
import random
import re
import tracemalloc
import zipfile
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_firmware import Small, every_op, hand_made, path_without, write

from nas_lightning.data.features import FrontEnd
from nas_lightning.errors import InputError, ParityError
from nas_lightning.export import host, session
from nas_lightning.export.bundle import NAME, SUMS, unpack_bundle, write_bundle
from nas_lightning.export.contract import InputDescription
from nas_lightning.export.emulator import TOOLS
from nas_lightning.export.firmware import Sources, write_firmware
from nas_lightning.export.host import missing_tools
from nas_lightning.export.int8 import behind_front_end, to_qdq
from nas_lightning.export.onnx import front_end_to_onnx
from nas_lightning.files import write_bytes, write_json, write_npz
from nas_lightning.runs import verify as verify_module
from nas_lightning.runs.verify import verify
from nas_lightning.tasks import Classes

needs_gcc = pytest.mark.skipif(bool(missing_tools()), reason="there is no gcc or make")
needs_arm = pytest.mark.skipif(bool(missing_tools(TOOLS)), reason="the Arm compiler or QEMU is missing")


@pytest.fixture(scope="module", autouse=True)
def _one_run_of_each_network():
    """Most archives hold networks and samples of another one, and in a process of its own these give the same again.

    What fails is run each time.
    """
    run, known = verify_module._run, {}

    def run_once(archive, name, samples, how=session.OPTIMIZED):
        content = ((archive.folder / name).read_bytes(), samples.tobytes(), samples.shape)
        key = (*content, how, verify_module._ONNX, archive.vectors.logits_float.shape)
        if key not in known:
            known[key] = run(archive, name, samples, how)
        return known[key].copy()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verify_module, "_run", run_once)
        yield


def bundle_of(made: Small, folder: Path, measured: str | None = None, numbers: str = "int8", **more) -> Path:
    """The archive that a run with this network would leave."""
    folder.mkdir(exist_ok=True)
    write(made, folder, **more)
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
    exported = front_end_to_onnx(front_end.for_export(), (1, 32))
    rows = torch.randn(20, 1, 32, generator=torch.Generator().manual_seed(0))
    made = dataclasses.replace(made, samples=front_end(rows))
    vectors = dataclasses.replace(made.vectors(), rows=rows.numpy())
    with TemporaryDirectory() as name:
        folder = Path(name)
        sources = Sources(InputDescription("0", "a", Classes(("a",) * 3)), front_end)
        write_firmware(folder / "firmware", made.floats, made.integer, vectors, sources)
        write_bytes(folder / "model.onnx", behind_front_end(exported, made.floats).SerializeToString())
        write_bytes(folder / "model_int8.onnx", behind_front_end(exported, to_qdq(made.integer)).SerializeToString())
        write_npz(folder / "vectors.npz", vars(vectors))
        write_json(folder / "cost.json", {})
        write_json(folder / "front_end.json", front_end.settings)
        write_bundle(folder, {"metrics.json": {}})
        return (folder / NAME).read_bytes()


def replace(path: Path, name: str, data: bytes | None, packed: int = zipfile.ZIP_STORED) -> Path:
    """Put another file into the archive together with its checksum, or leave it out."""
    with zipfile.ZipFile(path) as archive:
        files = {info.filename: archive.read(info) for info in archive.infolist() if info.filename != SUMS}
    files[name] = data or b""
    if data is None:
        del files[name]
    files[SUMS] = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in files.items()).encode()
    with zipfile.ZipFile(path, "w", packed) as archive:
        for key, value in files.items():
            archive.writestr(key, value)
    return path


def read(path: Path, name: str) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return archive.read(name)


def lines(path, capfd, trust=False):
    capfd.readouterr()
    verify(path, trust)
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


CONSTRUCTOR = """
#include <stdlib.h>
__attribute__((constructor)) static void attack(void)
{{
    if (system("touch {canary}")) {{ }}
}}
"""
"""C text that runs before ``main``."""


@pytest.fixture
def canary(tmp_path):
    """A file that is there if anything of an archive ran."""
    yield tmp_path / "canary"
    assert not (tmp_path / "canary").exists()


def refused(path, error, *words):
    """Verify an archive, which ends with one sentence of some words."""
    with pytest.raises(error) as caught:
        verify(path)
    text = str(caught.value)
    assert type(caught.value) is error
    assert text.isprintable(), text
    assert all(word in text for word in words), text


def error_of(check, path):
    """The sentence by which a check ends, None if it holds."""
    try:
        check(path)
    except (InputError, ParityError) as error:
        return str(error)
    return None


def added_to(path, name, text, front=True):
    """Add text to a file of the archive, and make its checksum anew."""
    data = read(path, name)
    return replace(path, name, text.encode() + data if front else data + text.encode())


class TestStrangers:
    """An archive made to attack who verifies it: nothing of it runs."""

    @needs_gcc
    @pytest.mark.parametrize("name", ["Makefile", "GNUmakefile"])
    def test_a_makefile_that_runs_a_command(self, name, path, canary):
        text = f"X := $(shell touch {canary})\n".encode() + read(path, "firmware/Makefile")
        refused(replace(path, f"firmware/{name}", text), ParityError, f"firmware/{name}: is not as it is written here")

    @needs_gcc
    @pytest.mark.parametrize("name", ["check.c", "chain.h", "model.h", "model.c", "model_float.c", "main.c"])
    def test_c_text_that_runs_before_main(self, name, path, canary):
        added_to(path, f"firmware/{name}", CONSTRUCTOR.format(canary=canary), front=name != "chain.h")
        refused(path, ParityError, f"firmware/{name}: is not as it is written here")

    @needs_gcc
    @pytest.mark.parametrize("name", ["feature_extraction.c", "feature_extraction.h"])
    @pytest.mark.parametrize("has_front_end", [True, False], ids=["with a front end", "without"])
    def test_feature_extraction_that_runs_before_main(self, name, has_front_end, path, canary):
        if has_front_end:
            path.write_bytes(with_front_end())
            added_to(path, f"firmware/{name}", CONSTRUCTOR.format(canary=canary))
        else:
            replace(path, f"firmware/{name}", CONSTRUCTOR.format(canary=canary).encode())
        refused(path, ParityError, f"firmware/{name}: is not as it is written here")

    @needs_arm
    @pytest.mark.parametrize("name", ["count.c", "measure.c", "linker.ld", "empty.c"])
    def test_what_would_run_beside_the_emulator(self, name, path, canary):
        path.write_bytes(archive("cortex-m3"))
        added_to(path, f"firmware/cortex_m/{name}", CONSTRUCTOR.format(canary=canary))
        refused(path, ParityError, f"firmware/cortex_m/{name}: is not as it is written here")

    @needs_gcc
    def test_a_class_name_that_ends_its_string(self, path, canary):
        header = read(path, "firmware/model.h").decode()
        name = f'class 0"}}\n{CONSTRUCTOR.format(canary=canary)}\n#define REST {{"'
        changed = header.replace("class 0", name)
        assert changed != header
        refused(replace(path, "firmware/model.h", changed.encode()), ParityError, "firmware/model.h")

    @needs_gcc
    def test_class_names_of_any_kind_are_text(self, tmp_path, canary, capfd):
        """An archive that is as it is written here, with such names: they are escaped."""
        names = (
            f'"}} {CONSTRUCTOR.format(canary=canary)}',
            "*/ int x; /*",
            f"$(shell touch {canary}) `touch {canary}`",
        )
        found = lines(bundle_of(hand_made(), tmp_path / "run", names=names), capfd)
        assert found[4] == "firmware: all files as they are written here for these networks"

    @needs_gcc
    @pytest.mark.parametrize("where", ["version", "identity"])
    def test_a_version_that_ends_its_comment(self, where, tmp_path, canary):
        """An archive that is as it is written here, whose version would be C text."""
        text = f" */ {CONSTRUCTOR.format(canary=canary)} /* "
        description = dataclasses.replace(InputDescription("0", "a", Classes(("a",) * 3)), **{where: text})
        path = bundle_of(hand_made(), tmp_path / "run", description=description)
        refused(path, InputError, "firmware/sources.json: is not what is written here")

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("kurt_chunk_size", f"4\n{CONSTRUCTOR}"),
            ("frame_size", f"32\n{CONSTRUCTOR}"),
            ("q15_scale_factor", "4\n#define main evil"),
            ("log_base", "__import__('os')"),
            ("stacking", "*/"),
            ("feat_ext_transform", ["*/ int x; /*"]),
            ("feat_ext_transform", "*/"),
            ("fft_size", 10**12),
            ("num_frame_concat", 10**6),
            ("frame_size", 64),
            ("unknown", 1),
        ],
    )
    def test_settings_of_a_front_end_are_numbers_and_steps(self, key, value, path, canary):
        path.write_bytes(with_front_end())
        sources = json.loads(read(path, "firmware/sources.json"))
        sources["front_end"][key] = value
        replace(path, "firmware/sources.json", json.dumps(sources).encode())
        refused(path, InputError, "firmware/sources.json: is not what is written here (")

    def test_names_of_a_network_cannot_be_c_text(self, path, canary):
        for name in ("firmware/model_float.onnx", "firmware/model_integer.onnx", "model.onnx", "model_int8.onnx"):
            own = replace(path, "NOTICE", b"again")
            before = read(own, name)
            model = onnx.ModelProto.FromString(before)
            model.graph.node[3].name = f"*/\n{CONSTRUCTOR.format(canary=canary)}\n/*"
            refused(replace(own, name, model.SerializeToString()), InputError, f"{name}: has the name ")
            replace(own, name, before)

    def test_zeros_that_fill_memory_and_disk(self, path):
        replace(path, "firmware/zeros", bytes(900 << 20), zipfile.ZIP_DEFLATED)
        assert path.stat().st_size < 2_000_000
        tracemalloc.start()
        refused(path, InputError, "unpacks to ", "allowed for its size: ")
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
        tracemalloc.stop()

    def test_vectors_that_fill_memory(self, path, tmp_path):
        write_npz(tmp_path / "vectors.npz", {"inputs": np.zeros((70 << 20) // 4, np.float32)})
        replace(path, "vectors.npz", (tmp_path / "vectors.npz").read_bytes())
        refused(path, InputError, "vectors.npz: unpacks to ", "allowed for its size: ")

    @pytest.mark.parametrize("name", ["model.onnx", "model_int8.onnx", "firmware/model_integer.onnx"])
    def test_weights_in_another_file(self, name, path):
        model = onnx.ModelProto.FromString(read(path, name))
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="../../../etc/passwd")
        refused(
            replace(path, name, model.SerializeToString()), InputError, f"{name}: has the weights", "in another file"
        )

    @pytest.mark.parametrize("operator", ["Loop", "If", "Scan", "SequenceMap", "ConstantOfShape", "Tile", "Expand"])
    def test_operators_that_are_never_written(self, operator, path):
        model = onnx.ModelProto.FromString(read(path, "model.onnx"))
        model.graph.node[0].op_type = operator
        words = f"model.onnx: has the operator {operator}, which nas_lightning never writes"
        refused(replace(path, "model.onnx", model.SerializeToString()), InputError, words)

    def test_a_network_that_takes_all_memory(self, path, monkeypatch):
        """Each pads by far more than there is."""
        model = onnx.ModelProto.FromString(read(path, "model.onnx"))
        for node in model.graph.node:
            for attribute in node.attribute:
                if attribute.name == "pads":
                    attribute.ints[:] = [2**31, 2**31]
        refused(replace(path, "model.onnx", model.SerializeToString()), InputError, "model.onnx: cannot be run (")

    def test_a_network_that_takes_all_time(self, path, monkeypatch):
        monkeypatch.setattr(verify_module, "_ONNX", dataclasses.replace(verify_module._ONNX, seconds=0.01))
        refused(path, InputError, "model.onnx: cannot be run (it did not end within 0.01 seconds)")

    def test_values_that_take_all_memory_when_c_is_written(self, path, monkeypatch):
        check = verify_module._check_size

        def with_less(archive):
            monkeypatch.setattr(verify_module, "_ONNX", dataclasses.replace(verify_module._ONNX, memory_bytes=1 << 20))
            check(archive)

        monkeypatch.setattr(verify_module, "_check_size", with_less)
        refused(path, InputError, "firmware/model_integer.onnx: no C can be written for it: cannot be run (")


@needs_gcc
@pytest.mark.parametrize("trust", [False, True])
def test_code_of_another_version_is_compiled_only_if_it_is_trusted(trust, path, capfd):
    sources = json.loads(read(path, "firmware/sources.json"))
    sources["writers"]["nas-lightning"] = "0.0.9"
    replace(path, "firmware/sources.json", json.dumps(sources).encode())
    found = lines(path, capfd, trust)
    if trust:
        assert found[4].startswith(
            "firmware: C files of the archive, by --trust; nas-lightning 0.0.9 and emx-onnx-cgen "
        )
        assert found[5] == "model.c: 32 samples, all equal bit for bit"
    else:
        assert found[4].startswith("firmware: not compiled, because nas-lightning 0.0.9 and emx-onnx-cgen ")
        assert found[4].endswith("; verify with that version, or if you trust it with --trust")
        assert len(found) == 5


@pytest.mark.parametrize("wrong", ["nas-?ightning", "emx?onnx-cgen", "other", "", "two words"])
def test_writers_that_are_no_packages_are_damage_and_not_another_version(wrong, path):
    sources = json.loads(read(path, "firmware/sources.json"))
    right = "emx-onnx-cgen" if wrong.startswith("emx") else "nas-lightning"
    sources["writers"][wrong] = sources["writers"].pop(right)
    replace(path, "firmware/sources.json", json.dumps(sources).encode())
    refused(path, InputError, "firmware/sources.json: is not what is written here (the writers are ")


@needs_gcc
@pytest.mark.parametrize("trust", [False, True])
def test_code_without_its_sources_is_compiled_only_if_it_is_trusted(trust, path, capfd):
    """As versions before this one wrote it."""
    for name in ("sources.json", "model_float.onnx"):
        replace(path, f"firmware/{name}", None)
    found = lines(path, capfd, trust)
    why = "it has no sources.json: an older version wrote it"
    if trust:
        assert found[4] == f"firmware: C files of the archive, by --trust; {why}"
        assert found[5] == "model.c: 32 samples, all equal bit for bit"
    else:
        assert found[4] == (
            f"firmware: not compiled, because {why}; verify with that version, or if you trust it with --trust"
        )
        assert len(found) == 5


@needs_gcc
def test_trust_is_for_the_model_and_not_for_what_builds_it(path, tmp_path, canary, capfd):
    text = f"X := $(shell touch {canary})\n".encode()
    replace(path, "firmware/Makefile", text + read(path, "firmware/Makefile"))
    added_to(path, "firmware/check.c", CONSTRUCTOR.format(canary=canary))
    found = lines(path, capfd, True)
    assert found[4].startswith("firmware: C files of the archive, by --trust; Makefile is not as it is written here")
    assert found[5] == "model.c: 32 samples, all equal bit for bit"


GARBAGE = [b"", b"garbage", b"null", b"[]", b"[" * 100_000, b'{"a": NaN}', b"\xff\xfe", bytes(1000)]


@pytest.mark.parametrize("data", GARBAGE, ids=lambda data: str(data[:8]))
@pytest.mark.parametrize(
    "name",
    [
        *("model.onnx", "model_int8.onnx", "vectors.npz", "cost.json", "metrics.json"),
        *("firmware/model_integer.onnx", "firmware/model_float.onnx", "firmware/sources.json"),
    ],
)
def test_garbage_ends_with_the_name_of_the_file(name, data, path):
    if name.endswith(".json") and data.startswith(b"{") and name != "firmware/sources.json":
        return  # an object without what is looked for: nothing was measured
    refused(replace(path, name, data), InputError, f"{name.removeprefix('firmware/')}: ")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("cost.json", {"measured": "cortex-m4"}, "cost.json: measured is ('cortex-m4', None); allowed: a core of "),
        (
            "cost.json",
            {"measured": {"core": "m4 $(X)", "numbers": "int8"}},
            "cost.json: measured is ('m4 $(X)', 'int8')",
        ),
        ("cost.json", {"measured": {"core": "cortex-m4", "numbers": []}}, "cost.json: measured is ('cortex-m4', [])"),
        ("metrics.json", {"firmware": []}, "metrics.json: firmware.front_end_tolerance is None"),
        (
            "metrics.json",
            {"firmware": {"front_end_tolerance": "1"}},
            "front_end_tolerance is 1; allowed: above 0, up to 1",
        ),
        ("metrics.json", {"firmware": {"front_end_tolerance": 1e9}}, "is 1000000000.0; allowed: above 0, up to 1"),
        ("metrics.json", {"firmware": {"front_end_tolerance": float("nan")}}, "found NaN, which is no JSON"),
    ],
)
def test_values_that_are_never_written_are_refused(name, content, words, path):
    refused(replace(path, name, json.dumps(content).encode()), InputError, words)


@pytest.mark.parametrize(
    "change",
    [
        {"inputs": np.zeros((32, 2, 12))},
        {"inputs": np.zeros(32, np.float32)},
        {"inputs": np.float32(1)},
        {"inputs": np.zeros((0, 2, 12), np.float32)},
        {"logits_int8": np.zeros((31, 3), np.float32)},
        {"logits_int8": np.zeros((32, 4), np.float32)},
        {"rows": np.zeros((32, 2), np.float32)},
        {name: np.zeros((5000, *shape), np.float32) for name, shape in
         (("inputs", (2, 12)), ("logits_int8", (3,)), ("logits_float", (3,)))},
    ],
    ids=lambda change: ",".join(f"{name}{array.shape}" for name, array in change.items()),
)  # fmt: skip
def test_vectors_of_another_shape_are_refused(change, path, tmp_path):
    vectors = {key: value for key, value in vars(hand_made().vectors()).items() if value is not None}
    write_npz(tmp_path / "vectors.npz", vectors | change)
    replace(path, "vectors.npz", (tmp_path / "vectors.npz").read_bytes())
    refused(path, InputError, "vectors.npz: ")


def test_vectors_with_pickles_are_refused(path, tmp_path, canary):
    class Attack:
        def __reduce__(self):
            return os.system, (f"touch {canary}",)

    write_npz(tmp_path / "vectors.npz", {"inputs": np.array([Attack()], object)})
    replace(path, "vectors.npz", (tmp_path / "vectors.npz").read_bytes())
    refused(path, InputError, "vectors.npz: cannot be read (")


DAMAGES = {
    "cut": lambda data, rng: data[: len(data) * 2 // 3],
    "emptied": lambda data, rng: b"",
    "garbled": lambda data, rng: bytes(b ^ (rng.random() < 0.01) * rng.randrange(256) for b in data),
    "one byte": lambda data, rng: (i := rng.randrange(max(1, len(data)))) and data[:i] + b"?" + data[i + 1 :],
    "of another kind": lambda data, rng: b"GIF89a" + rng.randbytes(100),
    "not there": lambda data, rng: None,
}
MAY_DIFFER = ("cost.json", "metrics.json")  # as long as what is read of them is of its kind
UNUSED = ("NOTICE", "annotations/", "genotype.json", "model.json", "config.yaml", "front_end.json")


@pytest.mark.slow
@needs_gcc
def test_any_damage_to_any_file_ends_in_one_sentence_or_holds(tmp_path, capfd):
    """Each damage to each file that is read; to those that are only compared one, each in its turn."""
    path, rng = tmp_path / NAME, random.Random(0)
    path.write_bytes(with_front_end())
    with zipfile.ZipFile(path) as opened:
        names = [name for name in opened.namelist() if name != SUMS]
    assert len(names) > 20
    kinds = list(DAMAGES)
    compared = [name for name in names if not name.endswith((".onnx", ".npz", ".json"))]
    cases = [(name, kind) for name in names if name not in compared for kind in kinds]
    cases += [(name, kinds[i % len(kinds)]) for i, name in enumerate(compared)]
    for name, damage in cases:
        path.write_bytes(with_front_end())
        data = DAMAGES[damage](read(path, name), rng)
        replace(path, name, data)
        error = error_of(verify, path)
        if error is None:
            in_notes = name.endswith(".onnx") and damage == "one byte"
            is_old = (name, damage) == ("firmware/sources.json", "not there")  # then nothing is compiled
            assert name in MAY_DIFFER or name.startswith(UNUSED) or in_notes or is_old, f"{name} {damage}"
        else:
            assert error.isprintable(), error
            # That a front end is in the ONNX file is known by this file being there.
            blamed = "model.onnx" if name == "front_end.json" else Path(name).name
            assert blamed in error, f"{name}: {error}"
        assert not capfd.readouterr().err


@given(st.sampled_from(["vectors.npz", "cost.json", "metrics.json", "model.onnx", "model_int8.onnx"]), st.data())
@settings(max_examples=300, deadline=None)
def test_reading_any_bytes_ends_in_one_sentence_or_holds(name, data):
    with TemporaryDirectory() as folder:
        path = Path(folder) / NAME
        path.write_bytes(archive("cortex-m4"))
        unpack_bundle(path, Path(folder) / "in")
        content = bytearray((Path(folder) / "in" / name).read_bytes())
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        (Path(folder) / "in" / name).write_bytes(content)
        error = error_of(verify_module._read, Path(folder) / "in")
        assert error is None or (error.startswith(f"{name}: ") and error.isprintable())


@pytest.mark.parametrize("name", ["model.onnx", "model_int8.onnx"])
def test_metadata_that_say_something_else_than_the_c_files_are_found(name, path):
    model = onnx.ModelProto.FromString(read(path, name))
    onnx.helper.set_model_props(model, {"class_names": '["class 0", "class 2", "class 1"]'})
    words = f"{name}: its metadata say another class_names than firmware/sources.json"
    refused(replace(path, name, model.SerializeToString()), ParityError, words)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("unit", 5),
        ("unit", "x" * 20_000),
        ("channels", ["x"]),
        ("class_names", ["a"]),
        ("window", 13),
        ("offsets", [1.0]),
        ("offsets", ["0); evil(", "0"]),
        ("scale", "1); evil("),
        ("sampling_rate", -1),
        ("stride", 7),
        ("more", 1),
    ],
)
def test_what_a_network_eats_is_of_the_kind_that_is_written_here(key, value, path, canary):
    sources = json.loads(read(path, "firmware/sources.json"))
    sources["description"][key] = value
    replace(path, "firmware/sources.json", json.dumps(sources).encode())
    error = ParityError if key == "stride" else InputError  # a number, but not the one of the header
    words = "firmware/README.md: " if key == "stride" else "firmware/sources.json: is not what is written here ("
    refused(path, error, words)


@pytest.mark.parametrize("prefix", ["imu_;", "a b", "1a", "*/", 'x"', "a" * 40, None, 5])
def test_a_prefix_that_is_no_name(prefix, path, canary):
    sources = json.loads(read(path, "firmware/sources.json"))
    sources["prefix"] = prefix
    replace(path, "firmware/sources.json", json.dumps(sources).encode())
    refused(path, InputError, "firmware/sources.json: is not what is written here (")


@needs_gcc
def test_units_and_sensors_of_any_kind_are_text(tmp_path, canary, capfd):
    text = f'*/ "}} {CONSTRUCTOR.format(canary=canary)} $(shell touch {canary}) /*'
    about = InputDescription(
        "0.1", "abc", Classes(("a", "b", "c")), channels=(text, text), unit=text, features=text, steps=(text,)
    )
    found = lines(bundle_of(hand_made(), tmp_path / "run", description=about, prefix="imu_"), capfd)
    assert found[4] == "firmware: all files as they are written here for these networks"
    assert found[5] == "model.c: 32 samples, all equal bit for bit"


@needs_gcc
@pytest.mark.parametrize("trust", [False, True])
def test_an_older_version_knew_less_of_the_input(trust, path, capfd):
    sources = json.loads(read(path, "firmware/sources.json"))
    sources["writers"]["nas-lightning"] = "0.0.9"
    del sources["prefix"]
    sources["description"] = {key: sources["description"][key] for key in ("version", "identity", "class_names")}
    replace(path, "firmware/sources.json", json.dumps(sources).encode())
    found = lines(path, capfd, trust)
    assert "nas-lightning 0.0.9" in found[4]
    assert len(found) == (7 if trust else 5)
