"""What the C of an int8 network computes, operator by operator: to the bit what ONNX Runtime does."""

import itertools
import re
import subprocess
from contextlib import nullcontext
from fractions import Fraction

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from small_firmware import hand_made

from nas_lightning.export.emx import compile_network
from nas_lightning.export.emx.form import FormError
from nas_lightning.export.emx.rescaling import RESCALING, fixed_point
from nas_lightning.export.int8 import integer_core
from nas_lightning.export.session import open_session


def program(source, folder):
    """A C program that was compiled with sanitizers, from bytes to bytes."""
    path = folder / "program"
    path.with_suffix(".c").write_text(source)
    flags = ["-std=c99", "-O2", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror"]
    flags += ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    subprocess.run(["gcc", *flags, path.with_suffix(".c"), "-lm", "-o", path], check=True)
    return lambda data: subprocess.run([path], input=data, capture_output=True, check=True).stdout


HEAD = """#include <float.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
"""
REQUANTIZE = """
int main(void)
{
    int32_t x[4]; /* accumulator, multiplier, shift, zero point */
    while (fread(x, sizeof x, 1, stdin) == 1) {
        const int32_t decided = decided_bits(x[2], margin_of(x[2]));
        const int8_t result = requantized(x[0], x[1], x[2], x[3], decided, offset_of(x[3], x[2], decided));
        putchar(result);
    }
}
"""


@pytest.fixture(scope="module")
def requantize(tmp_path_factory):
    text = compile_network(integer_core(hand_made().integer)[0]).text
    head = text[: text.index("static const")]  # macros and types
    run = program(HEAD + head + RESCALING + REQUANTIZE, tmp_path_factory.mktemp("requantize"))

    def of(cases, times):
        """Of cases (sums, scale, zero point) all at once, for starting a program takes longer than what it computes."""
        rows = np.empty((sum(len(sums) for sums, _, _ in cases), 4), "<i4")
        ends = np.cumsum([len(sums) for sums, _, _ in cases])
        for (sums, scale, zero), end in zip(cases, ends, strict=True):
            multiplier, shift = fixed_point(float(scale) / times)
            rows[end - len(sums) : end] = (0, multiplier, shift, zero)
            rows[end - len(sums) : end, 0] = sums * times
        return np.split(np.frombuffer(run(rows.tobytes()), np.int8), ends[:-1])

    return of


def in_float32(sums, scale, zero):
    """What ONNX Runtime computes."""
    return np.clip(np.rint(sums.astype(np.float32) * scale) + np.float32(zero), -128, 127).astype(np.int8)


def hard_sums(scale, most, rng):
    """Integers whose product with a scale is next to a half, small ones, and the largest."""
    halves = (np.arange(-400, 400) + 0.5) / float(scale)
    near = (np.clip(np.rint(halves), -most, most)[:, None] + np.arange(-2, 3)).ravel()
    ends = np.concatenate([np.arange(-300, 301), most - np.arange(4), np.arange(4) - most, [2**24 + 1, -(2**24) - 1]])
    some = rng.integers(-most, most, 500) >> rng.integers(0, 31, 500)
    return np.clip(np.concatenate([near, ends, some]), -most, most).astype(np.int64)


def scales_to_try(rng):
    some = np.exp2(rng.uniform(-36, 8, 150))
    round_ones = np.exp2(np.arange(-36, 10.0))  # their products lie on halves
    few_bits = rng.integers(1, 64, 60) * np.exp2(rng.integers(-30, -2, 60))
    usual = np.exp2(rng.uniform(-12, -4, 150))
    return np.concatenate([some, round_ones, few_bits, usual, round_ones * (1 + 2.0**-23)]).astype(np.float32)


@pytest.mark.parametrize("room", [0, 7, 16])
def test_requantization_is_that_of_float32(requantize, room):
    rng = np.random.default_rng(room)
    most = 2 ** (31 - room) - 1
    cases = [(hard_sums(scale, most, rng), scale, int(rng.integers(-128, 128))) for scale in scales_to_try(rng)]
    for (sums, scale, zero), found in zip(cases, requantize(cases, 2**room), strict=True):
        expected = in_float32(sums, scale, zero)
        wrong = found != expected
        assert not wrong.any(), (scale, zero, sums[wrong][0], found[wrong][0], expected[wrong][0])


def test_a_scale_in_fixed_point_is_the_scale():
    for scale in scales_to_try(np.random.default_rng(0)):
        multiplier, shift = fixed_point(float(scale))
        assert 0 <= multiplier < 2**31
        assert shift <= 23
        if scale >= 2.0**-32:
            assert Fraction(multiplier) / Fraction(2) ** (32 + shift) == Fraction(float(scale))
        else:
            assert multiplier == 0


def constant(name, value):
    return numpy_helper.from_array(np.asarray(value), name)


def integer_model(operator, shape, out_shape, inputs, **attributes):
    """One integer operator, and a last one that shows its result. ``x`` among the inputs is the network's."""
    names = [value if isinstance(value, str) else f"c{i}" for i, value in enumerate(inputs)]
    constants = [constant(name, value) for name, value in zip(names, inputs, strict=True) if name != "x"]
    domain = "" if operator == "QLinearConv" else "com.microsoft"
    node = helper.make_node(operator, names, ["y"], name="node", domain=domain, **attributes)
    last = helper.make_node("DequantizeLinear", ["y", "one", "zero"], ["logits"], name="last")
    constants += [constant("one", np.float32(1)), constant("zero", np.int8(0))]
    given = helper.make_tensor_value_info("x", TensorProto.INT8, shape)
    made = helper.make_tensor_value_info("logits", TensorProto.FLOAT, out_shape)
    info = [helper.make_tensor_value_info("y", TensorProto.INT8, out_shape)]
    graph = helper.make_graph([node, last], "graph", [given], [made], constants, value_info=info)
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def differences(model, x, folder):
    """How many results of the C differ from those of ONNX Runtime."""
    found = compile_network(model)
    expected = open_session(model.SerializeToString()).run(None, {"x": x})[0]
    main = f"""
int main(void)
{{
    static float logits[{expected.size}];
    if (fread(arena + {found.input_offset}, {x.size}, 1, stdin) == 1) {{
        network(arena + {found.input_offset}, logits);
        fwrite(logits, sizeof logits, 1, stdout);
    }}
}}
"""
    made = np.frombuffer(program(HEAD + found.text + main, folder)(x.tobytes()), np.float32)
    return int((made.reshape(expected.shape) != expected).sum())


ALL_INT8 = np.arange(-128, 128, dtype=np.int8)


def test_a_concatenation_rescales_all_values_as_onnx_runtime_does(tmp_path):
    rng = np.random.default_rng(0)
    ratios = [1, 0.5, 0.25, 1 / 3, 2, 3, 64, 1000, 2344, 1e5, 1e8, 1e-4, 1e-9, *rng.uniform(0.02, 1, 30)]
    ratios += [*(1 - 2.0 ** -rng.uniform(1, 24, 9)), *rng.uniform(1, 100, 9)]
    scale = np.float32(0.0123)
    parts = [(("x"), np.float32(scale * ratio), np.int8(rng.integers(-128, 128))) for ratio in ratios]
    inputs = [scale, np.int8(-7), *itertools.chain(*parts)]
    model = integer_model("QLinearConcat", (1, 1, 256), (1, len(parts), 256), inputs, axis=1)
    assert differences(model, ALL_INT8.reshape(1, 1, 256), tmp_path) == 0


@pytest.mark.parametrize("ratio", [1, 0.5, 2, 1.5, 1.37, 0.83, 7.1, 40, 1e6, 1e-3])
def test_an_average_is_that_of_onnx_runtime(ratio, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.integers(-128, 128, (1, 40, 1001), dtype=np.int8)
    x[0, ::2] >>= rng.integers(0, 7, (20, 1), dtype=np.int8)
    scale = np.float32(0.0371)
    inputs = ["x", np.float32(scale * ratio), np.int8(-128 + 9 * (ratio > 1)), scale, np.int8(-5)]
    settings = {"kernel_shape": [3], "pads": [1, 1], "strides": [1], "count_include_pad": 0}
    model = integer_model("QLinearAveragePool", x.shape, x.shape, inputs, **settings)
    assert differences(model, x, tmp_path) == 0


def test_a_convolution_is_that_of_onnx_runtime(tmp_path):
    rng = np.random.default_rng(0)
    channels, x_scale, scale = 200, np.float32(0.7), np.float32(0.9)
    scales = np.exp2(rng.uniform(-16, 2, channels))
    bias = rng.integers(-(2**28), 2**28, channels) >> rng.integers(0, 28, channels)
    weights = rng.integers(-127, 128, channels)
    at_halves = np.exp2(rng.uniform(-20, -12, 1000))  # so small that sums lie as near to a half as floats can tell
    halves = np.rint((rng.integers(-110, 110, 1000) + 0.5) / (at_halves * x_scale / scale))
    weights, bias = np.append(weights, np.ones(1000)), np.append(bias, halves)
    scales = np.append(scales, at_halves).astype(np.float32)
    inputs = ["x", x_scale, np.int8(-90), weights.astype(np.int8)[:, None, None], scales, np.zeros(1200, np.int8)]
    inputs += [scale, np.int8(12), bias.astype(np.int32)]
    model = integer_model("QLinearConv", (1, 1, 256), (1, 1200, 256), inputs, kernel_shape=[1])
    assert differences(model, ALL_INT8.reshape(1, 1, 256), tmp_path) == 0


@pytest.mark.parametrize("ratio", [0.01, 1, 1.5, 8, 40])
def test_means_and_concatenations_of_usual_scales_are_in_fixed_point(ratio):
    scale, none = np.float32(0.0371), np.int8(0)
    inputs = ["x", np.float32(scale * ratio), none, scale, none]
    settings = {"kernel_shape": [3], "pads": [1, 1], "strides": [1], "count_include_pad": 0}
    mean = integer_model("QLinearAveragePool", (1, 2, 9), (1, 2, 9), inputs, **settings)
    both = integer_model("QLinearConcat", (1, 2, 9), (1, 4, 9), [scale, none, *inputs[:3], *inputs[:3]], axis=1)
    tables = [
        re.search(r"rescaling0\[\d\] = \{(.*?)\}", compile_network(model).text, re.S)[1] for model in (mean, both)
    ]
    assert all(int(number) > 0 for table in tables for number in table.split(","))


def test_weights_with_a_zero_point_are_refused():
    zeros = [np.zeros(2, np.int8), np.array([0, 1], np.int8)]
    for zero, is_refused in zip(zeros, (False, True), strict=True):
        weights = np.ones((2, 1, 1), np.int8)
        one, none = np.float32(1), np.int8(0)
        inputs = ["x", one, none, weights, np.ones(2, np.float32), zero, one, none]
        model = integer_model("QLinearConv", (1, 1, 4), (1, 2, 4), inputs, kernel_shape=[1])
        with pytest.raises(FormError, match="node: its weights have a zero point") if is_refused else nullcontext():
            compile_network(model)
