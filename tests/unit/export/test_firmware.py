"""The firmware compiled for this computer, with sanitizers: it computes what the ONNX files compute."""

import dataclasses
import re
import shutil
import subprocess
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from small_firmware import BUILT_OPS, every_op, hand_made, hard_to_place, path_without, write

from nas_lightning.errors import ParityError
from nas_lightning.export import host
from nas_lightning.export.firmware import NUM_VECTORS
from nas_lightning.export.host import (
    TOOLS,
    check_float,
    check_front_end,
    check_int8,
    compare,
    host_program,
    make,
    missing_tools,
)
from nas_lightning.export.onnx import TOLERANCE
from nas_lightning.space.cells.size import edge_stride
from nas_lightning.space.ops import OPS

needs_gcc = pytest.mark.skipif(bool(missing_tools()), reason="there is no gcc or make")
MODELS = ("model.c", "model_float.c")
NETWORKS = {"every operation": every_op, "hard to place": hard_to_place}


@pytest.fixture
def own(firmware, tmp_path):
    """A copy to be changed."""
    return shutil.copytree(firmware, tmp_path / "firmware")


def change(path, pattern, replacement):
    text = path.read_text()
    changed = re.sub(pattern, replacement, text, count=1, flags=re.M | re.S)
    assert changed != text
    path.write_text(changed)


def test_every_operation_is_tested_at_both_strides():
    assert set(BUILT_OPS) | {"none"} == set(OPS)
    normal, reduction, _ = every_op().network.cells
    for cell, is_reduction in ((normal, False), (reduction, True)):
        assert [edge_stride(is_reduction, source) for source in cell.sources] == [1 + is_reduction] * len(BUILT_OPS)
        assert set(cell.nodes) == {str(node) for node in range(1, len(BUILT_OPS) + 1)}


@needs_gcc
@pytest.mark.parametrize("made", NETWORKS.values(), ids=NETWORKS)
def test_c_computes_what_the_onnx_files_compute(made, tmp_path, monkeypatch):
    made = made()
    folder = write(made, tmp_path)
    with host_program(folder, "model.c") as int8, host_program(folder, "model_float.c") as floats:
        built = {"model.c": int8, "model_float.c": floats}  # compiling takes most of the time
        monkeypatch.setattr(host, "host_program", lambda _, model: nullcontext(built[model]))
        assert check_int8(folder, made.integer, made.samples.split(20)) == len(made.samples)
        assert check_float(folder, made.floats, [made.samples]) <= TOLERANCE
        far = 1000 * made.samples.numpy()
        assert np.isfinite(int8(far)).all()
        assert np.isfinite(floats(far)).all()
        np.testing.assert_array_equal(int8(made.samples.numpy()), made.logits())
        np.testing.assert_array_equal(int8(made.samples.numpy()[::-1])[::-1], made.logits())  # no memory of the last


@needs_gcc
@pytest.mark.parametrize("model", MODELS)
def test_the_example_finds_all_as_expected(model, firmware, tmp_path):
    printed = make(firmware, tmp_path, "run", MODEL=model).splitlines()
    assert printed[-1] == f"{NUM_VECTORS} of {NUM_VECTORS} as expected"
    best = hand_made().logits("floats" if model == "model_float.c" else "integer").argmax(1)
    assert printed[:-1] == [f"recording {i}: class {best[i]}" for i in range(NUM_VECTORS)]


@needs_gcc
def test_the_example_has_no_more_samples_than_there_are(tmp_path):
    made = hand_made()
    two = dataclasses.replace(made, samples=made.samples[:2])
    assert make(write(two, tmp_path), tmp_path / "build", "run").endswith("\n2 of 2 as expected\n")


@needs_gcc
def test_what_is_built_follows_the_variables(own):
    change(own / "model_float.c", r"network\(x, logits\);", "network(x, logits); logits[0] += 1.0f;")
    run = ["make", "--silent", "-C", own, "run"]
    assert "4 of 4 as expected" in subprocess.run(run, capture_output=True, text=True, check=True).stdout
    done = subprocess.run([*run, "MODEL=model_float.c"], capture_output=True, text=True, check=False)
    assert "0 of 4 as expected" in done.stdout
    assert done.returncode != 0


@needs_gcc
@pytest.mark.parametrize("wrong", ["9.0f", "(0.0f / 0.0f)"], ids=["another number", "nan"])
@pytest.mark.parametrize("model", MODELS)
def test_a_wrong_vector_ends_the_example_with_an_error(model, wrong, own, tmp_path):
    name = {"model.c": "int8", "model_float.c": "float"}[model]
    change(own / "vectors.h", rf"(vectors_{name}\[VECTORS\]\[MODEL_CLASSES\] = \{{\s*\{{.*?\{{)[^,]+", rf"\g<1>{wrong}")
    with pytest.raises(
        RuntimeError, match=r"(?s)recording 1: class .  WRONG LOGITS.*3 of 4 as expected.*Error 1"
    ) as error:
        make(own, tmp_path / "build", "run", MODEL=model)
    assert str(own) in str(error.value)


@needs_gcc
def test_a_corrupted_weight_is_found_and_the_sample_named(own):
    made = hand_made()
    change(own / "model.c", r"(head_weight_quantized[\[\]\d]+ = \{\s*\{\s*\{\s*)(-?\d+)", r"\1-127")
    with pytest.raises(ParityError) as error:
        check_int8(own, made.integer, made.samples.split(3))
    with host_program(own, "model.c") as program:
        wrong = int((program(made.samples.numpy()) != made.logits()).any(1).argmax())
    assert str(error.value) == f"{own / 'model.c'}: differs from model_integer.onnx on sample {wrong}"


@needs_gcc
def test_samples_are_counted_over_batches(own):
    made, samples = hand_made(), hand_made().samples.clone()
    samples[7, 0, 0] = 12345
    assert check_int8(own, made.integer, samples.split(3)) == len(samples)
    change(own / "model.c", r"(network\(input, logits\);)", r"\1 logits[1] += x[0] == 12345.0f ? 1.0f : 0.0f;")
    with pytest.raises(ParityError, match=r"on sample 7$"):
        check_int8(own, made.integer, samples.split(3))


@needs_gcc
def test_a_changed_float_is_found(own):
    made = hand_made()
    change(own / "model_float.c", r"network\(x, logits\);", "network(x, logits); logits[0] += 0.01f;")
    with pytest.raises(ParityError, match=r"model_float\.c: differs by 0\.0\d+; allowed: 0\.0001"):
        check_float(own, made.floats, [made.samples])


@needs_gcc
@pytest.mark.parametrize("model", MODELS)
def test_a_program_that_leaves_its_memory_is_stopped(own, model):
    change(own / model, r"(network\(\w+, logits\);)", r"\1 logits[MODEL_CLASSES] = 1.0f;")
    with host_program(own, model) as program, pytest.raises(ParityError, match="global-buffer-overflow") as error:
        program(hand_made().samples.numpy())
    assert str(error.value).startswith(f"{own / model}: stopped: ")


@needs_gcc
def test_a_warning_is_an_error(own):
    change(own / "model.c", r"void model_run", "static int unused;\nvoid model_run")
    with pytest.raises(RuntimeError, match="unused"):
        check_int8(own, hand_made().integer, [hand_made().samples])


@needs_gcc
def test_any_c_compiler_by_the_name_gcc_will_do(firmware, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", path_without(tmp_path / "bin", "cc", "c99", "c89", "clang"))
    assert missing_tools() == []
    assert make(firmware, tmp_path / "build", "run").endswith("4 of 4 as expected\n")


def test_missing_tools_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert missing_tools() == list(TOOLS) == ["make", "gcc"]
    assert missing_tools(["gcc", "as"]) == ["gcc", "as"]


def test_what_is_compared_is_relative_to_the_largest_value_of_a_sample(tmp_path):
    expected = np.float32([[100, 1], [0.5, 0.25]])
    near = expected + np.float32([[0.005, 0], [0, 0.00005]])
    assert compare(tmp_path, near, expected) == pytest.approx(5e-5, rel=0.02)
    for wrong in (expected + np.float32([[0, 0], [0, 0.002]]), expected * np.nan):
        with pytest.raises(ParityError, match=r"allowed: 0\.0001"):
            compare(tmp_path, wrong, expected)
    assert compare(tmp_path, expected, expected.reshape(2, 2, 1), tolerance=0.0) == 0
    with pytest.raises(ParityError):
        compare(tmp_path, near, expected, tolerance=0.0)


def test_a_folder_without_a_front_end_has_no_code_of_one(firmware):
    assert not list(firmware.glob("*feature*"))
    assert not list(firmware.glob("front_end*"))
    assert {"model.h", "model.c", "model_float.c", "vectors.h", "vectors.bin", "main.c", "Makefile", "README.md"} <= {
        path.name for path in firmware.iterdir()
    }
    assert not list(firmware.rglob("__pycache__"))
    samples = np.fromfile(firmware / "vectors.bin", "<f4").reshape(hand_made().samples.shape)
    np.testing.assert_array_equal(samples, hand_made().samples.numpy())


def test_a_folder_is_made_anew_and_the_same_each_time(firmware, tmp_path):
    (tmp_path / "firmware").mkdir()
    (tmp_path / "firmware" / "feature_extraction.c").write_text("#error old")
    again = write(hand_made(), tmp_path)
    files = {path.relative_to(again): path.read_bytes() for path in again.rglob("*") if path.is_file()}
    assert files == {path.relative_to(firmware): path.read_bytes() for path in firmware.rglob("*") if path.is_file()}


def test_the_headers_say_what_the_network_is(firmware):
    header = (firmware / "model.h").read_text()
    assert "#define MODEL_CHANNELS 2\n#define MODEL_STEPS 12\n#define MODEL_CLASSES 3\n" in header
    assert 'MODEL_CLASS_NAMES {"class 0", "class 1", "class 2"}\n' in header
    for name in MODELS:
        assert "nas_lightning 0.1, network abc\n" in (firmware / name).read_text()
        assert "emx-onnx-cgen 1.4 (Apache-2.0)" in (firmware / name).read_text()


@needs_gcc
def test_a_front_end_that_computes_something_else_is_found(own):
    (own / "feature_extraction.h").write_text(
        "#define FEATURE_EXTRACTION_CHANNELS 1\n#define FEATURE_EXTRACTION_ROWS 4\n"
        "#define FEATURE_EXTRACTION_FEATURES 4\nvoid feature_extraction_run(const float *rows, float *features);\n"
    )
    (own / "feature_extraction.c").write_text(
        '#include "feature_extraction.h"\nvoid feature_extraction_run(const float *rows, float *features)\n{\n'
        "    for (int i = 0; i < 4; ++i) {\n        features[i] = 2.0f * rows[i];\n    }\n}\n"
    )
    rows = torch.arange(8.0).reshape(2, 1, 4)
    assert check_front_end(own, [(rows, 2 * rows)]) == 0
    with pytest.raises(ParityError, match=r"feature_extraction\.c: differs by 0\.\d+; allowed: 0\.0001"):
        check_front_end(own, [(rows, 2 * rows), (rows, 2.5 * rows)])


def test_readme_and_header_say_the_same_of_rows(firmware, tmp_path):
    header, readme = ((firmware / name).read_text() for name in ("model.h", "README.md"))
    assert '#define MODEL_SENSOR_NAMES {"0", "1"}\n#define MODEL_WINDOW 12\n#define MODEL_STRIDE 12\n' in header
    assert "#define MODEL_SAMPLING_RATE 0.0f\n" in header
    assert "MODEL_LEAST" not in header
    assert "Nothing is taken off them: MODEL_OFFSETS are 0." in header
    assert "x: a sample: MODEL_WINDOW values of the first sensor, the oldest first" in header
    assert "| sampling rate | not known |" in readme
    assert "| `model_run` takes | these values |" in readme
    assert "feature_extraction_run(rows, x)" not in readme
    assert "@" not in readme
