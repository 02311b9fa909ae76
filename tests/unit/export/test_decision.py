"""The C of decisions equals Python on thousands of windows, whatever is decided; without any, there is none."""

from dataclasses import replace

import numpy as np
import pytest
from small_firmware import C99, gcc, hand_made, write

from nas_lightning.cost.decision import decision_cost
from nas_lightning.errors import ParityError
from nas_lightning.export import emulator, host
from nas_lightning.export.contract import InputDescription
from nas_lightning.tasks import Classes
from nas_lightning.tasks.decisions import METHODS, Decision, Smoothing

needs_gcc = pytest.mark.skipif(bool(host.missing_tools()), reason="there is no gcc or make")
needs_arm = pytest.mark.skipif(bool(host.missing_tools(emulator.TOOLS)), reason="the Arm compiler or QEMU is missing")
PLAIN = InputDescription("0.1", "abc", Classes(("a", "b", "c")))
DECISIONS = {
    "threshold": Decision(0.7, 0.8),
    **{method: Decision(1.5, None, Smoothing(method, 3)) for method in METHODS},
    **{f"{method} with threshold": Decision(0.9, 0.7, Smoothing(method, 4)) for method in METHODS},
}


def described(decision):
    return replace(
        PLAIN,
        temperature=decision.temperature,
        threshold=decision.threshold,
        postprocess=decision.smoothing,
    )


def some_logits(count=3000):
    """Runs of windows of one class with noise, and a few logits that no network should give."""
    random = np.random.default_rng(0)
    logits = 2 * np.eye(3)[np.repeat(random.integers(0, 3, count // 10), 10)] + 2 * random.normal(size=(count, 3))
    logits[5], logits[6], logits[7] = (1, 1, 1), (1e30, -1e30, 0), (-200, -100, -300)
    return logits.astype(np.float32), random.random(count) < 0.05


@needs_gcc
@pytest.mark.parametrize("name", DECISIONS)
def test_c_decides_what_python_decides(name, tmp_path):
    decision = DECISIONS[name]
    folder = write(hand_made(), tmp_path, description=described(decision), prefix="imu_" if "mean" in name else "")
    logits, begins = some_logits()
    assert host.check_decision(folder, decision, logits, begins) == 3000
    with pytest.raises(ParityError, match=r"decision\.c: differs from the run on sample"):
        host.check_decision(folder, replace(decision, threshold=0.99), logits, begins)


@needs_gcc
def test_logits_that_are_no_numbers_are_unknown_in_c_too(tmp_path):
    decision = Decision(1.0, 0.5)
    folder = write(hand_made(), tmp_path, description=described(decision))
    logits = np.array([[np.nan, 1, 0], [1, 0, np.nan], [np.inf, 1, 0], [3e38, -3e38, 0]], np.float32)
    assert host.check_decision(folder, decision, logits, np.arange(4) == 0) == 4


@needs_gcc
def test_a_cpp_program_with_strict_warnings_takes_the_header(tmp_path):
    folder = write(hand_made(), tmp_path, description=described(DECISIONS["mean with threshold"]))
    gcc(*C99.split(), "-Wshadow", "-Wstrict-prototypes", "-c", "decision.c", cwd=folder)
    (folder / "use.cpp").write_text(
        '#include "decision.h"\nint main() { model_smoothing s; model_smoothing_begin(&s); float l[3] = {0, 1, 2};\n'
        "return model_smooth(&s, l) + model_decide(l) + (int)model_score(l) + MODEL_UNKNOWN; }\n"
    )
    gcc("-Wall", "-Wextra", "-Werror", "-c", "use.cpp", cwd=folder, compiler="g++")


def files_of(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_temperature_alone_is_a_macro_and_nothing_else(tmp_path):
    without = files_of(write(hand_made(), tmp_path / "without", description=PLAIN))
    found = files_of(write(hand_made(), tmp_path / "with", description=replace(PLAIN, temperature=0.5)))
    assert found.keys() == without.keys()
    assert {name for name in found if found[name] != without[name]} == {"model.h", "sources.json"}
    line = b"#define MODEL_TEMPERATURE 0.5f\n"
    assert found["model.h"].replace(line, b"") == without["model.h"]
    assert "decision.c" not in found


def test_a_threshold_leaves_the_network_as_it_is(tmp_path):
    without = files_of(write(hand_made(), tmp_path / "without", description=PLAIN))
    found = files_of(write(hand_made(), tmp_path / "with", description=described(Decision(0.5, 0.9))))
    changed = {name for name in without if found[name] != without[name]}
    assert changed == {"model.h", "README.md", "sources.json"}
    assert found.keys() - without.keys() == {"decision.c", "decision.h"}


@needs_arm
@pytest.mark.parametrize("name", ["threshold", "mean with threshold", "hysteresis"])
def test_the_cost_is_that_of_the_linked_program_or_above(name, tmp_path):
    decision = DECISIONS[name]
    folder = write(hand_made(), tmp_path, description=described(decision))
    logits, begins = some_logits(20)
    chain = host.WINDOW if decision.smoothing is None else host.STREAM
    samples = host.decision_inputs(logits, begins)
    found = emulator.measure(folder, "cortex-m4", host.EMPTY, samples, chain)
    cost = decision_cost(decision, 3, "cortex-m4")
    assert found.flash_bytes <= cost.flash_bytes < 1.15 * found.flash_bytes
    assert cost.ram_bytes == found.ram_bytes
    labels = decision.labels(logits) if decision.smoothing is None else decision.smoothed(logits, begins)
    assert found.outputs.flatten().tolist() == labels.tolist()


def test_each_core_has_a_cost_of_each_decision():
    for core in emulator.CORES:
        costs = {name: decision_cost(decision, 3, core).flash_bytes for name, decision in DECISIONS.items()}
        assert min(costs.values()) > 0
        assert costs["hysteresis"] < costs["hysteresis with threshold"]
    assert decision_cost(Decision(0.5), 3, "cortex-m4") is None
    with pytest.raises(KeyError):
        decision_cost(Decision(0.5, 0.5), 3, "C28x")
