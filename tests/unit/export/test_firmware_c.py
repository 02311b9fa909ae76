"""The C of the firmware as a language: other compilers, settings, names and texts of others change nothing."""

import re
import shutil
import subprocess

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_firmware import C99, every_op, gcc, hand_made, hard_to_place, write

from nas_lightning.export.contract import InputDescription
from nas_lightning.export.firmware import NUM_VECTORS
from nas_lightning.export.host import host_program, make, missing_tools
from nas_lightning.export.onnx import run_onnx
from nas_lightning.export.texts import c_float, c_string
from nas_lightning.tasks import Classes

needs_gcc = pytest.mark.skipif(bool(missing_tools()), reason="there is no gcc or make")
MODELS = ("model.c", "model_float.c")
NETWORKS = {"every operation": every_op, "hard to place": hard_to_place}


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


def printed_by(folder, statements):
    """What a program of these statements, which knows the header of a firmware, prints; it must end with 0."""
    (folder / "names.c").write_text(f'#include "model.h"\n#include <stdio.h>\nint main(void)\n{{\n{statements}}}\n')
    gcc(*C99.split(), "names.c", "-o", "names", cwd=folder)
    return subprocess.run([folder / "names"], capture_output=True, check=True).stdout.decode()


@needs_gcc
def test_class_names_of_any_kind_are_printed_as_they_are(tmp_path):
    made = hand_made(1, 8, len(NAMES))
    folder = write(made, tmp_path, names=NAMES)
    printed = printed_by(
        folder,
        "    static const char *const names[] = MODEL_CLASS_NAMES;\n"
        "    for (int i = 0; i < MODEL_CLASSES; ++i) {\n        puts(names[i]);\n        putchar(0);\n    }\n"
        "    return sizeof names / sizeof *names != MODEL_CLASSES;\n",
    )
    assert printed.split("\n\0")[:-1] == NAMES
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
    printed = printed_by(
        folder,
        "    static const char *const names[] = MODEL_SENSOR_NAMES;\n    const double offsets[] = MODEL_OFFSETS;\n"
        '    printf("%s%c%.1f%c", MODEL_UNIT, 0, offsets[0], 0);\n'
        '    for (int i = 0; i < MODEL_SENSORS; ++i) {\n        printf("%s%c", names[i], 0);\n    }\n    return 0;\n',
    )
    assert printed.split("\0") == [STRANGE[0], "2147483648.0", *STRANGE, ""]
    assert make(folder, tmp_path / "build", "run").endswith("4 of 4 as expected\n")
    table = [line for line in (folder / "README.md").read_text().splitlines() if line.startswith("| sensors, in order")]
    assert len(table) == 1
    assert table[0].count("|") == 3
