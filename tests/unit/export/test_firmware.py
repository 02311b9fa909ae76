"""The firmware compiled for this computer, with sanitizers: it computes what the ONNX files compute."""

import dataclasses
import re
import shutil
import subprocess
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_firmware import BUILT_OPS, every_op, hand_made, hard_to_place, path_without, write

from nas_lightning.errors import ParityError
from nas_lightning.export import host
from nas_lightning.export.contract import InputDescription
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
from nas_lightning.export.onnx import TOLERANCE, run_onnx
from nas_lightning.export.texts import c_float, c_string
from nas_lightning.space.cells.size import edge_stride
from nas_lightning.space.ops import OPS
from nas_lightning.tasks import Classes

needs_gcc = pytest.mark.skipif(bool(missing_tools()), reason="there is no gcc or make")
MODELS = ("model.c", "model_float.c")
NETWORKS = {"every operation": every_op, "hard to place": hard_to_place}
C99 = "-std=c99 -Wall -Wextra -Werror -ffp-contract=off -I."


@pytest.fixture(scope="module")
def firmware(tmp_path_factory):
    """Of the smallest network; not to be changed."""
    return write(hand_made(), tmp_path_factory.mktemp("small"))


@pytest.fixture
def own(firmware, tmp_path):
    """A copy to be changed."""
    return shutil.copytree(firmware, tmp_path / "firmware")


def change(path, pattern, replacement):
    text = path.read_text()
    changed = re.sub(pattern, replacement, text, count=1, flags=re.M | re.S)
    assert changed != text
    path.write_text(changed)


def gcc(*arguments, cwd, compiler="gcc"):
    done = subprocess.run([compiler, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


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


NAMES = [
    '"quoted"',
    "back\\slash\\n",
    "what??/ ??= ??'",
    "naïve 走る 🏃",
    "100 %d %s",
    "a\nb\tc",
    "*/ // {",
    "0" * 300,
    "",
]


@needs_gcc
def test_class_names_of_any_kind_are_printed_as_they_are(tmp_path):
    made = hand_made(1, 8, len(NAMES))
    folder = write(made, tmp_path, names=NAMES)
    (folder / "names.c").write_text(
        '#include "model.h"\n#include <stdio.h>\nint main(void)\n{\n'
        "    static const char *const names[] = MODEL_CLASS_NAMES;\n"
        "    for (int i = 0; i < MODEL_CLASSES; ++i) {\n        puts(names[i]);\n        putchar(0);\n    }\n"
        "    return sizeof names / sizeof *names != MODEL_CLASSES;\n}\n"
    )
    gcc(*C99.split(), "names.c", "-o", "names", cwd=folder)
    printed = subprocess.run([folder / "names"], capture_output=True, check=True).stdout
    assert printed.decode().split("\n\0")[:-1] == NAMES
    assert make(folder, tmp_path / "build", "run").endswith("4 of 4 as expected\n")


@needs_gcc
@pytest.mark.parametrize("level", ["-O0", "-O3"])
@pytest.mark.parametrize("model", MODELS)
def test_the_level_of_optimisation_changes_nothing(level, model, firmware, tmp_path):
    define = " -DMODEL_FLOAT" * (model == "model_float.c")
    printed = make(firmware, tmp_path, "run", MODEL=model, C_FLAGS=f"{C99} {level}{define}")
    assert printed.endswith("4 of 4 as expected\n")


@needs_gcc
@pytest.mark.parametrize("model", MODELS)
def test_no_double_no_conversion_that_loses_and_one_name_for_the_linker(model, firmware, tmp_path):
    gcc(*C99.split(), "-O2", "-Wdouble-promotion", "-Wshadow", "-c", model, "-o", tmp_path / "model.o", cwd=firmware)
    names = gcc("-g", "--defined-only", tmp_path / "model.o", cwd=firmware, compiler="nm").split()
    assert names[2::3] == ["model_run"]
    needed = gcc("-u", tmp_path / "model.o", cwd=firmware, compiler="nm").split()[1::2]
    assert set(needed) <= {"memcpy", "memset", "memmove"}


@needs_gcc
@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no g++")
@pytest.mark.parametrize("model", MODELS)
def test_the_header_is_for_cpp_too(model, firmware, tmp_path):
    (tmp_path / "main.cpp").write_text(
        '#include "model.h"\n#include "vectors.h"\n#include <cstdio>\nint main() {\n'
        "    float logits[MODEL_CLASSES];\n    const char *const names[] = MODEL_CLASS_NAMES;\n"
        '    model_run(vectors_input[0], logits);\n    std::printf("%a %s", logits[0], names[0]);\n}\n'
    )
    gcc(*C99.split(), "-c", firmware / model, "-o", "model.o", cwd=tmp_path)
    warnings = ("-Wall", "-Wextra", "-Werror", "-Wno-unused-variable")
    gcc(*warnings, "-std=c++11", f"-I{firmware}", "main.cpp", "model.o", "-o", "main", cwd=tmp_path, compiler="g++")
    number, name = subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=True).stdout.split(" ", 1)
    with host_program(firmware, model) as program:
        assert np.float32(float.fromhex(number)) == program(hand_made().samples.numpy()[:1])[0, 0]
    assert name == "class 0"


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


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_float_is_read_back_as_it_was(value):
    text = c_float(np.float32(value))
    assert re.fullmatch(r"-?(\d+\.\d+|\d+(\.\d+)?e[+-]\d+)f", text)
    assert np.float32(text[:-1]).tobytes() == np.float32(value).tobytes()


@needs_gcc
def test_gcc_reads_floats_as_they_were(tmp_path):
    bits = np.random.default_rng(0).integers(0, 2**32, 3000, dtype=np.uint32)
    edges = np.array([0, 0x80000000, 1, 0x80000001, 0x7FFFFF, 0x800000, 0x7F7FFFFF, 0x3F7FFFFF, 0x4B800001], np.uint32)
    values = np.concatenate([bits, edges]).view(np.float32)
    values = values[np.isfinite(values)]
    table = ",\n".join(c_float(value) for value in values)
    (tmp_path / "floats.c").write_text(
        f"#include <stdio.h>\nstatic const float table[] = {{{table}}};\n"
        "int main(void)\n{\n    return fwrite(table, sizeof table, 1, stdout) != 1;\n}\n"
    )
    gcc(*C99.split(), "floats.c", "-o", "floats", cwd=tmp_path)
    printed = subprocess.run([tmp_path / "floats"], capture_output=True, check=True).stdout
    assert printed == values.tobytes()


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_string_holds_plain_characters_and_octal_numbers_only(text):
    found = c_string(text)
    assert re.fullmatch(r'"([ !#->@-\[\]-~]|\\[0-3][0-7]{2})*"', found)
    plain = re.sub(rb"\\(\d{3})", lambda found: bytes([int(found[1], 8)]), found[1:-1].encode())
    assert plain.decode() == text


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


FAST = ["-ffast-math", "-Ofast", "-funsafe-math-optimizations", "-O2 -freciprocal-math"]


@needs_gcc
@pytest.mark.parametrize("flags", FAST)
@pytest.mark.parametrize("model", MODELS)
def test_other_arithmetic_is_refused_by_the_compiler(flags, model, firmware, tmp_path):
    command = ["gcc", "-std=c99", "-O2", *flags.split(), "-c", model, "-o", str(tmp_path / "model.o")]
    done = subprocess.run(command, cwd=firmware, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "compile this file without -ffast-math and -Ofast: they round otherwise" in done.stderr


ASSOCIATIVE = "-fassociative-math -fno-signed-zeros -fno-trapping-math"


@needs_gcc
@pytest.mark.parametrize("flags", [f"-O3 {ASSOCIATIVE}", f"-O2 {ASSOCIATIVE}", "-O3 -ffinite-math-only", "-Os"])
@pytest.mark.parametrize("made", NETWORKS.values(), ids=NETWORKS)
def test_sums_in_another_order_give_the_same_bits_of_int8(flags, made, tmp_path):
    """As an option that allows them alone is no macro that every compiler has; far values take the paths in float."""
    made = made()
    folder = write(made, tmp_path)
    gcc(*C99.split(), *flags.split(), "-DCHAIN=1", "check.c", "model.c", "-lm", "-o", tmp_path / "check", cwd=folder)
    samples = np.concatenate([made.samples.numpy(), 7.3 * made.samples.numpy()])
    done = subprocess.run([tmp_path / "check"], input=samples.tobytes(), capture_output=True, check=True)
    expected = run_onnx(made.integer.SerializeToString(), [torch.from_numpy(samples)]).numpy()
    np.testing.assert_array_equal(np.frombuffer(done.stdout, np.float32).reshape(expected.shape), expected)


TWO = """#include "imu/firmware/model.h"
#include "audio/firmware/model.h"
#include "imu/firmware/vectors.h"
#include "audio/firmware/vectors.h"
#include <stdio.h>
int main(void)
{
    static float one[IMU_MODEL_CLASSES], two[Audio2MODEL_CLASSES];
    int wrong = 0;
    for (int i = 0; i < IMU_VECTORS; ++i) {
        imu_model_run(imu_vectors_input[i], one);
        Audio2model_run(Audio2vectors_input[i], two);
        for (int k = 0; k < IMU_MODEL_CLASSES; ++k) {
            wrong += one[k] != imu_vectors_int8[i][k];
        }
        for (int k = 0; k < Audio2MODEL_CLASSES; ++k) {
            wrong += two[k] != Audio2vectors_int8[i][k];
        }
    }
    printf("%d %d %d %d\\n", wrong, IMU_VECTORS, IMU_MODEL_STEPS, Audio2MODEL_STEPS);
    return 0;
}
""".replace("Audio2MODEL", "AUDIO2MODEL")


@needs_gcc
def test_two_networks_are_linked_into_one_program(tmp_path):
    small, large = hand_made(), hand_made(1, 20, 4)
    one = write(small, tmp_path / "imu", prefix="imu_")
    two = write(large, tmp_path / "audio", prefix="Audio2")
    (tmp_path / "main.c").write_text(TWO)
    for name, folder in (("one.o", one), ("two.o", two)):
        gcc(*C99.split(), "-O2", "-c", folder / "model.c", "-o", name, cwd=tmp_path)
    unused = "-Wno-unused-variable"
    gcc(*C99.split(), unused, "main.c", "one.o", "two.o", "-o", "both", cwd=tmp_path)
    printed = subprocess.run([tmp_path / "both"], capture_output=True, text=True, check=True).stdout
    assert printed.split() == ["0", str(NUM_VECTORS), "12", "20"]
    names = gcc("-g", "--defined-only", "one.o", "two.o", cwd=tmp_path, compiler="nm").split()
    assert {name for name in names if "model_run" in name} == {"imu_model_run", "Audio2model_run"}


@needs_gcc
@pytest.mark.parametrize("model", MODELS)
def test_a_prefix_changes_names_and_nothing_else(model, firmware, tmp_path):
    folder = write(hand_made(), tmp_path, prefix="imu_")
    assert make(folder, tmp_path / "build", "run", MODEL=model).endswith("4 of 4 as expected\n")
    names = {path.relative_to(folder) for path in folder.rglob("*")}
    assert names == {path.relative_to(firmware) for path in firmware.rglob("*")}
    for path in (*firmware.rglob("*.c"), *firmware.rglob("*.h"), firmware / "README.md"):
        text = (folder / path.relative_to(firmware)).read_text()
        back = text.replace("imu_", "").replace("IMU_", "")
        assert back == path.read_text().replace("imu_", "").replace("IMU_", "")
    assert "`void imu_model_run(const float *x, float *logits)`" in (folder / "README.md").read_text()
    assert "#define IMU_MODEL_CHANNELS 2\n" in (folder / "model.h").read_text()
    assert not re.search(r"\b(model_run|MODEL_(?!FLOAT)\w+)", (folder / "model.h").read_text())


STRANGE = ('*/ int x; /* "', "a\\\nb", "??/", "100 %d", "naïve 走る", "`|")


@needs_gcc
def test_texts_of_others_are_strings_and_nothing_else(tmp_path):
    made = hand_made(len(STRANGE), 12)
    count = (0.0,) * len(STRANGE)
    about = InputDescription(
        *("0.1", "abc", Classes(("a", "b", "c")), "rows", (len(STRANGE), 12), STRANGE, 12, 6, 50.0, STRANGE[0]),
        *((2147483648.0, *count[1:]), None, STRANGE[0], STRANGE, count, count, 20),
    )
    folder = write(made, tmp_path, description=about)
    (folder / "names.c").write_text(
        '#include "model.h"\n#include <stdio.h>\nint main(void)\n{\n'
        "    static const char *const names[] = MODEL_SENSOR_NAMES;\n    const double offsets[] = MODEL_OFFSETS;\n"
        '    printf("%s%c%.1f%c", MODEL_UNIT, 0, offsets[0], 0);\n'
        '    for (int i = 0; i < MODEL_SENSORS; ++i) {\n        printf("%s%c", names[i], 0);\n    }\n    return 0;\n}\n'
    )
    gcc(*C99.split(), "names.c", "-o", "names", cwd=folder)
    printed = subprocess.run([folder / "names"], capture_output=True, check=True).stdout.decode().split("\0")
    assert printed == [STRANGE[0], "2147483648.0", *STRANGE, ""]
    assert make(folder, tmp_path / "build", "run").endswith("4 of 4 as expected\n")
    table = [line for line in (folder / "README.md").read_text().splitlines() if line.startswith("| sensors, in order")]
    assert len(table) == 1
    assert table[0].count("|") == 3


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
