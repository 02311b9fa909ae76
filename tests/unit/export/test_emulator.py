"""The firmware in an emulated core: it computes the same bits, and what is measured is what was built."""

import math
import re
import shutil
import subprocess
from functools import cache

import numpy as np
import pytest
from small_firmware import hand_made, random_small, write

from nas_lightning.cost.exact import Numbers, cost_of
from nas_lightning.export import emulator
from nas_lightning.export.emulator import CORES, FIGURES, TOOLS, compiler_version, measure, overflow
from nas_lightning.export.emx import compile_network
from nas_lightning.export.host import NETWORK, missing_tools
from nas_lightning.export.int8 import integer_core
from nas_lightning.files import plain

pytestmark = pytest.mark.skipif(bool(missing_tools(TOOLS)), reason="the Arm compiler or QEMU is missing")
MEASURED = 3


@pytest.fixture(scope="module")
def firmware(tmp_path_factory):
    return write(random_small(10), tmp_path_factory.mktemp("emulated"))


@cache
def compiled():
    """The C text of the network that is measured."""
    return compile_network(integer_core(random_small(10).integer)[0])


@pytest.fixture(scope="module")
def on_core(firmware):
    """What was measured of int8 on a core; once for each."""
    known = {}

    def find(core):
        if core not in known:
            known[core] = measure(firmware, core, "model.c", random_small(10).samples[:MEASURED].numpy())
        return known[core]

    return find


@pytest.mark.parametrize("core", CORES)
def test_each_core_computes_the_same_bits_in_the_memory_that_was_planned(core, on_core):
    found, made = on_core(core), random_small(10)
    np.testing.assert_array_equal(found.outputs, made.logits()[:MEASURED])
    cost = cost_of(made.network, made.task.in_channels, made.task.length)
    assert found.ram_bytes == math.ceil(compiled().arena_bytes / 8) * 8 == cost.ram_bytes
    assert cost.params < found.flash_bytes < found.program_flash_bytes
    assert found.ram_bytes < found.program_ram_bytes
    buffers = 4 * (made.samples[0].numel() + made.task.num_classes)
    assert found.program_ram_bytes - found.ram_bytes == pytest.approx(buffers, abs=64)
    assert 0 < found.stack_bytes < 1000
    assert found.instructions > cost.macs


@pytest.mark.parametrize("core", CORES)
def test_instructions_and_bytes_of_the_functions_add_up(core, on_core):
    found, names = on_core(core), set(compiled().functions)
    assert sum(count for _, count in found.functions.values()) == pytest.approx(found.instructions, abs=1)
    assert names <= found.functions.keys()
    assert all(found.functions[name][0] > 0 and found.functions[name][1] > 0 for name in names)
    if core in ("cortex-m4", "cortex-m7", "cortex-m33"):  # the others compute floats in functions of a library
        assert sum(found.functions[name][1] for name in names) > 0.9 * found.instructions
    assert sum(found.functions[name][0] for name in names) < found.flash_bytes


def test_cores_differ_as_they_should(on_core):
    """A core without a floating-point unit and with the smallest instruction set takes most instructions."""
    counts = {core: on_core(core).instructions for core in CORES}
    assert counts["cortex-m0plus"] == max(counts.values())
    assert counts["cortex-m3"] > counts["cortex-m4"]
    assert counts["cortex-m4"] == pytest.approx(counts["cortex-m7"], rel=0.1)


def test_a_second_measurement_finds_the_same(on_core, firmware):
    first = on_core("cortex-m4")
    second = measure(firmware, "cortex-m4", "model.c", random_small(10).samples[:MEASURED].numpy())
    for name in ("flash_bytes", "ram_bytes", "stack_bytes", "instructions", "program_flash_bytes", "functions"):
        assert getattr(first, name) == getattr(second, name)


def test_the_number_of_samples_hardly_changes_the_instructions_of_one(on_core, firmware):
    of_two = measure(firmware, "cortex-m4", "model.c", random_small(10).samples[:2].numpy()).instructions
    assert of_two == pytest.approx(on_core("cortex-m4").instructions, rel=0.02)


def test_instructions_are_those_of_the_network_alone(firmware, tmp_path, on_core):
    """A loop of 1000 turns more is counted as such."""
    own = shutil.copytree(firmware, tmp_path / "firmware")
    source = (own / "model.c").read_text()
    loop = r'\1 for (int i = 0; i < 1000; ++i) { __asm__ volatile(""); }'
    (own / "model.c").write_text(re.sub(r"(network\(input, logits\);)", loop, source))
    more = measure(own, "cortex-m4", "model.c", random_small(10).samples[:MEASURED].numpy())
    assert 2000 <= more.instructions - on_core("cortex-m4").instructions <= 5000
    assert 0 < more.flash_bytes - on_core("cortex-m4").flash_bytes < 64


def test_memory_that_the_network_takes_is_counted(firmware, tmp_path, on_core):
    own = shutil.copytree(firmware, tmp_path / "firmware")
    source = (own / "model.c").read_text()
    table = "static float taken[100] = {1.0f};\nvoid model_run"
    source = source.replace("void model_run", table).replace("network(input, logits);", "network(input, logits);use();")
    use = "static __attribute__((noinline)) void use(void) { volatile float on_stack[200]; on_stack[0] = taken[1]++; "
    use += "on_stack[199] = on_stack[0]; }\nvoid model_run"
    (own / "model.c").write_text(source.replace("void model_run", use))
    found, before = measure(own, "cortex-m4", "model.c", random_small(10).samples[:2].numpy()), on_core("cortex-m4")
    assert found.ram_bytes - before.ram_bytes == 400
    assert found.flash_bytes - before.flash_bytes > 400  # what it starts with is kept in flash
    assert 600 <= found.stack_bytes - before.stack_bytes <= 900


@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m4"])
def test_floats_are_measured_too(core, firmware):
    made = random_small(10)
    found = measure(firmware, core, "model_float.c", made.samples[:2].numpy())
    expected = made.logits("floats")[:2]
    assert np.abs(found.outputs - expected).max() <= 1e-4 * max(1, np.abs(expected).max())
    assert found.ram_bytes == cost_of(made.network, made.task.in_channels, made.task.length, Numbers(32, 32)).ram_bytes
    assert found.flash_bytes > 4 * cost_of(made.network, made.task.in_channels, made.task.length).params


def test_figures_are_what_the_cost_file_holds(on_core):
    found = on_core("cortex-m0plus")
    untimed, timed = plain(found.usage(None)), plain(found.usage(80))
    assert tuple(untimed) == FIGURES == ("flash_bytes", "ram_bytes", "stack_bytes", "instructions")
    assert untimed == {name: getattr(found, name) for name in FIGURES}
    assert timed.pop("assumption") == emulator.ASSUMPTION
    assert timed.pop("milliseconds") == pytest.approx(found.instructions / 80e6 * 1000)
    assert timed == untimed


def memories(found, **more):
    """The memories that the program needs to the byte."""
    ram = math.ceil(found.program_ram_bytes / 8) * 8 + found.stack_bytes + emulator._STACK_MARGIN
    needed = {"flash_bytes": found.program_flash_bytes, "ram_bytes": ram, "stack_bytes": found.stack_bytes}
    return {name: size + more.get(name, 0) for name, size in needed.items()}


@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m33"])
def test_a_program_fits_memories_of_its_size(core, on_core, firmware):
    assert overflow(firmware, core, "model.c", NETWORK, memories(on_core(core))) == {}


@pytest.mark.parametrize("missing", [1, 4, 64])
@pytest.mark.parametrize("memory", ["flash_bytes", "ram_bytes"])
def test_what_is_missing_is_found_to_the_byte(memory, missing, on_core, firmware):
    found = overflow(firmware, "cortex-m4", "model.c", NETWORK, memories(on_core("cortex-m4"), **{memory: -missing}))
    assert found == {memory: missing}


def test_both_memories_can_be_too_small(on_core, firmware):
    sizes = memories(on_core("cortex-m0plus"), flash_bytes=-12, ram_bytes=-16)
    assert overflow(firmware, "cortex-m0plus", "model.c", NETWORK, sizes) == {"flash_bytes": 12, "ram_bytes": 16}
    sizes = memories(on_core("cortex-m0plus"), stack_bytes=800)
    assert overflow(firmware, "cortex-m0plus", "model.c", NETWORK, sizes) == {"ram_bytes": 800}


def test_another_failure_of_the_linker_is_no_overflow(firmware, tmp_path):
    own = shutil.copytree(firmware, tmp_path / "firmware")
    (own / "model.c").write_text("int unfinished(")
    with pytest.raises(RuntimeError, match=r"model\.c:1"):
        overflow(own, "cortex-m4", "model.c", NETWORK, {"flash_bytes": 1 << 20, "ram_bytes": 1 << 20, "stack_bytes": 0})


@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m33"])
def test_a_fault_ends_the_measurement(core, firmware, tmp_path):
    own = shutil.copytree(firmware, tmp_path / "firmware")
    source = (own / "model.c").read_text()
    (own / "model.c").write_text(source.replace("network(input, logits);", "network(input, logits); __builtin_trap();"))
    with pytest.raises(RuntimeError, match=r"(?m): fault$"):
        measure(own, core, "model.c", random_small(10).samples[:2].numpy())


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m33"])
def test_no_multiplication_is_fused_with_an_addition(core, firmware, tmp_path):
    emulator.make(firmware, tmp_path, "elf", CORE=core, MODEL="model_float.c")
    code = subprocess.run(
        ["arm-none-eabi-objdump", "-d", tmp_path / "measure.elf"], capture_output=True, text=True, check=True
    ).stdout
    assert "vmul.f32" in code
    assert not re.search(r"\bvf(ma|ms|nma|nms)", code)


def test_a_measurement_leaves_nothing_in_the_folder(firmware):
    assert not (firmware / "build").exists()
    assert not list(firmware.rglob("*.elf"))


def test_the_makefile_runs_the_samples_of_the_folder(tmp_path):
    printed = emulator.make(write(hand_made(), tmp_path), tmp_path / "build", "qemu", CORE="cortex-m3")
    assert f"samples {len(hand_made().samples)}\n" in printed
    logits = np.fromfile(tmp_path / "build" / "out.bin", "<f4").reshape(len(hand_made().samples), -1)
    np.testing.assert_array_equal(logits, hand_made().logits())


def test_the_compiler_says_what_it_is():
    assert re.match(r"arm-none-eabi-gcc .*\d+\.\d+\.\d+", compiler_version())
    assert "\n" not in compiler_version()
