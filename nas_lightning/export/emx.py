"""The back end emx-onnx-cgen: C for a network, with what its output lacks for a microcontroller.

It writes one function per operator, plain loops over plain arrays, and what ONNX Runtime computes. Its output is
changed in five ways, each tied to the form that version 1.4 writes and refused if that form is another:

- its values, which are local arrays on the stack, move into one static arena that is planned by when each is alive;
- int8 is rescaled in fixed point, and only where the float arithmetic of ONNX Runtime may round to another side, in
  that arithmetic: bit for bit the same, and nearly free of float on cores without a unit for it;
- its helper functions of ``math.h`` become a few operations, with the same results for what they are called with;
- layers of equal shapes share one function, which it writes once for each;
- its tables become static, and functions are compiled each for itself (``noipa``), so that their sizes add up.
"""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from emx_onnx_cgen import Compiler
from emx_onnx_cgen.compiler import CompilerOptions
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from nas_lightning.export.arena import Buffer, Place, plan_moving

NAME = "emx-onnx-cgen 1.4 (Apache-2.0)"

_HELPERS = {
    "ref_scalar_i8_maximum": "static inline int8_t {}(int8_t a, int8_t b) {{ return a > b ? a : b; }}",
    "ref_scalar_f32_maximum": "static inline float {}(float a, float b) {{ return a > b ? a : b; }}",
    "ref_scalar_f32_nearbyint": "static inline float {}(float a) {{ return (float)whole(a); }}",
    "ref_scalar_f32_relu": "static inline float {}(float a) {{ return a > 0.0f ? a : 0.0f; }}",
    "ref_scalar_f32_sub": "static inline float {}(float a, float b) {{ return a - b; }}",
    "ref_scalar_f32_mul": "static inline float {}(float a, float b) {{ return a * b; }}",
    "ref_scalar_f32_add": "static inline float {}(float a, float b) {{ return a + b; }}",
}
RESCALING = """
/* To rescale int8, values and their zero points are put in fixed point: a half and a margin are added, so that the
 * integer below is the value rounded. It is what float arithmetic gives, unless what is behind the point is within the
 * margin of an integer: none of decided_bits is set. Then it is computed in float, as ONNX Runtime does. */

static inline EMX_UNUSED int8_t clamped(int32_t value)
{
    return (int8_t)(value < INT8_MIN ? INT8_MIN : value > INT8_MAX ? INT8_MAX : value);
}

/* Half to even, because x + 3 * 2^22 has no bits behind the point; the last of its bits are those of the whole number.
 * They are read as an integer, because a compiler may think that a subtraction undoes the addition. */
static inline EMX_UNUSED int32_t whole(float value)
{
    int32_t bits;
    value += 12582912.0f;
    memcpy(&bits, &value, sizeof bits);
    return bits - 0x4B400000;
}

/* Beyond all of int8 it need not be exact. */
EMX_NODE_FN EMX_UNUSED int8_t rounded(float value, int32_t zero)
{
    value = value < 512.0f ? value : 512.0f;
    value = value > -512.0f ? value : -512.0f;
    return clamped(whole(value) + zero);
}

EMX_NODE_FN EMX_UNUSED int8_t requantized_in_float(int32_t acc, int32_t multiplier, int32_t shift, int32_t zero)
{
    const uint32_t bits = (uint32_t)(127 - 32 - shift) << 23;
    float unit; /* 2^-(32 + shift) */
    memcpy(&unit, &bits, sizeof unit);
    return rounded((float)acc * ((float)multiplier * unit), zero);
}

EMX_NODE_FN EMX_UNUSED int8_t mean_in_float(
    const int8_t *values, idx_t count, float scale, int32_t zero, float to_scale, int32_t to_zero)
{
    volatile float sum = 0.0f; /* added up in this order */
    for (idx_t i = 0; i < count; ++i) {
        sum = sum + (float)((int32_t)values[i] - zero) * scale;
    }
    return rounded(sum / (float)count / to_scale + (float)to_zero, 0);
}

/* 2^-12, more than what floats and fixed point may be off by, or else the last bit. */
static inline EMX_UNUSED int32_t margin_of(int32_t shift)
{
    return shift > 12 ? shift - 12 : 0;
}

/* Of the bits behind the point those that are not of the margin on either side, which is 1 << margin. */
static inline EMX_UNUSED int32_t decided_bits(int32_t shift, int32_t margin)
{
    return shift > margin + 1 ? (1 << shift) - (2 << margin) : 0;
}

/* The zero point, a half and the margin. */
static inline EMX_UNUSED int32_t offset_of(int32_t zero, int32_t shift, int32_t decided)
{
    return shift < 0 ? 0 : (zero + 1) * (1 << shift) - decided / 2;
}

static inline EMX_UNUSED int8_t requantized(
    int32_t acc, int32_t multiplier, int32_t shift, int32_t zero, int32_t decided, int32_t offset)
{
    const int32_t fixed = (int32_t)(((int64_t)acc * multiplier) >> 32) + offset;
    return fixed & decided ? clamped(fixed >> shift) : requantized_in_float(acc, multiplier, shift, zero);
}
"""
"""The C functions that rescale int8."""
_IN_PLACE = {"Relu", "Sub", "Mul", "Add"}
_BYTES = {"float": 4, "int8_t": 1}


class FormError(RuntimeError):
    """The output of emx-onnx-cgen has another form than the one that is known."""


@dataclass(frozen=True)
class CNetwork:
    """A network as C text.

    The text defines ``static TYPE arena[]`` and ``static void network(const TYPE *input, float *logits)``.

    Attributes:
        text: tables, functions and arena.
        dtype: TYPE, ``float`` or ``int8_t``.
        arena_bytes: of the arena.
        input_offset: where in the arena the input may lie, in elements; None if it must lie elsewhere.
        functions: for each operator of the network the function that computes it.
    """

    text: str
    dtype: str
    arena_bytes: int
    input_offset: int | None
    functions: tuple[str, ...]


def compile_network(model: ModelProto) -> CNetwork:
    """C for a network of one input and one output ``logits``, all other values of the input's type.

    The input of an integer network is given a place in the arena; that of a float network is the caller's.

    Raises:
        FormError: if the output of emx-onnx-cgen cannot be read.
    """
    is_integer = model.graph.input[0].type.tensor_type.elem_type == TensorProto.INT8
    options = CompilerOptions(
        model_name="network", large_temp_threshold_bytes=0, large_weight_threshold=0, restrict_arrays=False
    )
    head, entry, body = _split(Compiler(options).compile(model))
    functions = {m["name"]: m for m in _FUNCTION.finditer(head)}
    values = {m["name"]: _Array(m["type"], m["dims"]) for m in _VALUE.finditer(body)}
    steps = [_Step(m["function"], m["arguments"].split(", ")) for m in _CALL.finditer(body)]
    source, logits = (_Array(m["type"], m["dims"]) for m in _PARAMETER.finditer(entry))
    input_name = next(_PARAMETER.finditer(entry))["name"]
    _check(model, functions, values, steps, source, body)
    texts = {name: match[0][match[0].index("EMX_NODE_FN") :] for name, match in functions.items()}
    tables = _rescale(model, steps, texts)
    if is_integer:
        values = {input_name: source} | values
    places, size = _plan(values, steps, {name: m["op"] for name, m in functions.items()})
    shared, used = _share(steps, {name: (m["op"], texts[name]) for name, m in functions.items()})
    lines = [f"static {source.type} arena[{size}];", ""]
    lines += [f"static void network(const {source.type} *input, float *output)", "{"]
    lines += [_pointer(name, value, f"arena + {places[name][0].offset}") for name, value in values.items()]
    if is_integer:
        lines.append("    (void)input; /* it lies in the arena */")
    else:
        lines.append(_pointer(input_name, _Array(f"const {source.type}", source.dims), "input"))
    lines.append(_pointer("logits", logits, "output"))
    lines += _calls(shared, values, places)
    tables = _tables(head, {argument for step in steps for argument in step.arguments}) + tables
    text = "\n".join([_PRELUDE, *tables, RESCALING * is_integer, _helpers(used), used, *lines, "}", ""])
    names = tuple(step.function for step in shared)
    return CNetwork(
        text, source.type, size * _BYTES[source.type], places[input_name][0].offset if is_integer else None, names
    )


_PRELUDE = """#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD > 0
#error "float must be computed as float, else the rounding of this file is another"
#endif
#if defined(__FAST_MATH__) || defined(__RECIPROCAL_MATH__)
#error "compile this file without -ffast-math and -Ofast: they round otherwise than the network that was tested"
#endif
typedef int32_t idx_t;
#if defined(__clang__)
#define EMX_NODE_FN static __attribute__((noinline))
#define EMX_UNUSED __attribute__((unused))
#elif defined(__GNUC__)
#define EMX_NODE_FN static __attribute__((noipa))
#define EMX_UNUSED __attribute__((unused))
#else
#define EMX_NODE_FN static
#define EMX_UNUSED
#endif
"""
_DIMS = r"(?P<dims>(?:\[\d+\])+)"
_TABLE = re.compile(r"^const EMX_UNUSED \w+ (?P<name>\w+)(?:\[\d+\])+ = \{.*?^\};$", re.M | re.S)
_FUNCTION = re.compile(
    r"^/\*\n \* Node \d+:\n \* OpType: (?P<op>\w+)\n.*?^EMX_NODE_FN void (?P<name>\w+)\(.*?^\}$", re.M | re.S
)
_VALUE = re.compile(rf"^    (?P<type>\w+) (?P<name>tmp\w+){_DIMS};$", re.M)
_CALL = re.compile(r"^    (?P<function>node\w+)\((?P<arguments>.*)\);$", re.M)
_PARAMETER = re.compile(rf"(?P<type>\w+) (?P<name>\w+){_DIMS}")


@dataclass(frozen=True)
class _Array:
    type: str
    dims: str

    @property
    def size(self) -> int:
        """Its number of elements."""
        return math.prod(int(dim) for dim in re.findall(r"\d+", self.dims))


@dataclass(frozen=True)
class _Step:
    """One call; its last argument is what it makes."""

    function: str
    arguments: list[str]


def _split(text: str) -> tuple[str, str, str]:
    """What is before the entry function, its parameters, and its body."""
    found = re.search(r"^void network\((.*)\) \{$", text, re.M)
    if found is None:
        raise FormError("emx-onnx-cgen: no function network in its output")
    return text[: found.start()], found[1], text[found.end() :]


def _check(
    model: ModelProto,
    functions: dict[str, re.Match[str]],
    values: dict[str, _Array],
    steps: Sequence[_Step],
    source: _Array,
    body: str,
) -> None:
    """Refuse output that was not read to its end."""
    lines = [line for line in body.splitlines() if line not in ("", "}")]
    if len(lines) != len(values) + len(steps) or not len(steps) == len(functions) == len(model.graph.node):
        raise FormError(
            f"emx-onnx-cgen: {len(lines)} lines hold {len(values)} values and {len(steps)} calls of {len(functions)} "
            f"functions for {len(model.graph.node)} operators"
        )
    types = {value.type for value in values.values()}
    if types - {source.type} or source.type not in _BYTES:
        raise FormError(f"emx-onnx-cgen: an input of {source.type} and values of {', '.join(sorted(types))}")


def _tables(head: str, used: set[str]) -> list[str]:
    """Those that calls refer to."""
    found = [match[0] for match in _TABLE.finditer(head) if match["name"] in used]
    return [table.replace("const EMX_UNUSED", "static const EMX_UNUSED", 1) for table in found]


def _share(steps: Sequence[_Step], functions: Mapping[str, tuple[str, str]]) -> tuple[list[_Step], str]:
    """The same calls with one function for all layers of equal shapes, and the text of these functions."""
    names: dict[str, str] = {}
    shared = []
    for step in steps:
        operator, text = functions[step.function]
        body = text.replace(step.function, "NAME", 1)
        name = names.setdefault(body, f"{operator.lower()}_{len(names)}")
        shared.append(_Step(name, step.arguments))
    return shared, "\n\n".join(body.replace("NAME", name, 1) for body, name in names.items())


def _helpers(used: str) -> str:
    """Those that the functions call, as they are here."""
    called = sorted({found[0] for found in re.finditer(r"ref_scalar_\w+", used)})
    if set(called) - set(_HELPERS):
        raise FormError(f"emx-onnx-cgen: unknown functions among {', '.join(called)}")
    return "\n".join(_HELPERS[name].format(name) for name in called)


def fixed_point(scale: float) -> tuple[int, int]:
    """What ``requantized`` multiplies an int32 by for its product with a scale: a multiplier and a shift.

    The scale is ``multiplier * 2^-(32 + shift)``, exactly; below 2^-32, where all products round to 0, it is 0.

    Args:
        scale: a positive float32.

    Returns:
        A multiplier below 2^31, and a shift of at most 23, so that a value and its zero point have room in 32 bits.
    """
    fraction, exponent = math.frexp(scale)
    multiplier, shift = int(fraction * 2**31), -1 - exponent
    dropped = max(0, shift - 23)
    return multiplier >> dropped if dropped <= 7 else 0, shift - dropped  # a float has 24 bits, so 7 of the 31 are 0


def bits_behind_the_point(ratio: Fraction) -> int:
    """How many there can be if differences of int8 times a ratio, with a zero point, are to have room in 32 bits.

    A result within int8 is then off by less than ``margin_of`` allows: by half of the last bit of the ratio, times at
    most 255 and 256 over the ratio, and in floats by two roundings, each of 2^-24 of it.

    Args:
        ratio: of two scales, a positive number.
    """
    most = math.ceil(255 * ratio + 130)  # 128, a half, and what rounding the ratio adds
    return min(22, (2**31 // most).bit_length() - 1)


_Rows = NDArray[np.int8] | NDArray[np.int32]
_Inputs = list[Any]  # arrays, and None for what is no constant


def _rescale(model: ModelProto, steps: Sequence[_Step], texts: dict[str, str]) -> list[str]:
    """Have the functions of integer operators and their calls rescale in fixed point; the tables for it."""
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    tables = []
    for i, (step, node) in enumerate(zip(steps, model.graph.node, strict=True)):
        if node.op_type in _FIXED_POINT:
            change = _FIXED_POINT[node.op_type]
            found = change.numbers(node, [constants.get(name) for name in node.input])
            tables += [_table(f"{name}{i}", rows) for name, rows in found.items() if not isinstance(rows, int)]
            names = [str(rows) if isinstance(rows, int) else f"{name}{i}" for name, rows in found.items()]
            texts[step.function] = _edited(step.function, texts[step.function], change.edits)
            step.arguments[:] = change.arguments(step.arguments, names)
    return tables


def _edited(name: str, text: str, edits: Mapping[str, str]) -> str:
    """A function with what stands in it once replaced; spaces are any spaces, @ any number, % a channel."""
    for theirs, ours in edits.items():
        pattern = r"\s+".join(
            re.escape(word).replace("@", r"(\d+)").replace("%", "(oc_global|0)") for word in theirs.split()
        )
        text, count = re.subn(pattern, ours, text)
        if count != 1:
            raise FormError(f"emx-onnx-cgen: {theirs!r} stands {count} times in {name}")
    return text


def _table(name: str, rows: _Rows) -> str:
    dims = "".join(f"[{size}]" for size in rows.shape)
    body = json.dumps(rows.tolist()).replace("[", "{").replace("]", "}")
    return f"static const EMX_UNUSED {rows.dtype}_t {name}{dims} = {{\n    {body[1:-1]}\n}};"


def _scales(values: NDArray[np.float32], most: int) -> dict[str, _Rows | int]:
    """Numbers for the products of scales with integers of at most some size, which are first made as large as can be.

    A product in fixed point then has more bits behind the point, and is seldom too near to a half.
    """
    room = max(0, min(16, 31 - most.bit_length()))
    multipliers, shifts = zip(*(fixed_point(float(value) / 2**room) for value in np.ravel(values)), strict=True)
    return {"multipliers": np.array(multipliers, np.int32), "shifts": np.array(shifts, np.int8), "": 2**room}


def _convolution_numbers(node: NodeProto, inputs: _Inputs) -> dict[str, _Rows | int]:
    _, x_scale, _, weights, scales, zero_points, scale, _, *biases = inputs
    if zero_points.any():
        raise FormError(f"{node.name}: its weights have a zero point")
    sums = np.abs(weights.astype(np.int64)).reshape(len(weights), -1).sum(1) * 255
    most = sums + sum(np.abs(bias.astype(np.int64)) for bias in biases)
    return _scales(x_scale * scales / scale, int(most.max()))


def _mean_numbers(node: NodeProto, inputs: _Inputs) -> dict[str, _Rows | int]:
    """Bits behind the point, and the multipliers of the sums of one value, of two, and so on."""
    most, ratio = math.prod(helper.get_node_attr_value(node, "kernel_shape")), _ratio(inputs[1], inputs[3])
    shift = bits_behind_the_point(ratio)
    in_float = (most + 3) * 255 * ratio / 2**24 + Fraction(1, 2**15)  # its error, of results within int8
    if shift < 0 or 128 * most + in_float * Fraction(2) ** shift > 2**_MEAN_MARGIN:
        return {"rescaling": np.zeros(1 + most, np.int32)}  # no bit decides
    return {"rescaling": np.array([shift, *(round(ratio * 2**shift / n) for n in range(1, most + 1))], np.int32)}


def _concatenation_numbers(node: NodeProto, inputs: _Inputs) -> dict[str, _Rows | int]:
    """For each input the multiplier, and above its 24 bits how many are behind the point."""
    numbers = []
    for ratio in (_ratio(scale, inputs[0]) for scale in inputs[3::3]):
        shift = bits_behind_the_point(ratio)
        numbers.append(shift << 24 | round(ratio * 2**shift) if shift > 0 else 0)
    return {"rescaling": np.array(numbers, np.int32)}


def _ratio(scale: NDArray[np.float32], to_scale: NDArray[np.float32]) -> Fraction:
    return Fraction(scale.item()) / Fraction(to_scale.item())


@dataclass(frozen=True)
class _Change:
    """How the function of an operator comes to rescale in fixed point.

    Attributes:
        edits: what is replaced in it.
        numbers: what is needed for it, tables and single numbers, from an operator and its constant inputs.
        arguments: of a call, with these instead of what is no longer needed.
    """

    edits: Mapping[str, str]
    numbers: Callable[[NodeProto, _Inputs], dict[str, _Rows | int]]
    arguments: Callable[[list[str], list[str]], list[str]]


_MEAN_MARGIN = 11  # a bit behind the point
_CONVOLUTION = {
    "const float input_scale[1],": "",
    "const float weight_scale[@], const int8_t weight_zero_point[@], const float output_scale[1],": (
        r"const int32_t multipliers[\1], const int8_t shifts[\1], const int32_t times,"
    ),
    "const float scale = ((float)input_scale[0]) * ((float)weight_scale[%]) / ((float)output_scale[0]);": (
        r"""const int32_t multiplier = multipliers[\1], shift = shifts[\1];
                const int32_t zero = output_zero_point[0];
                const int32_t decided = decided_bits(shift, margin_of(shift));
                const int32_t offset = offset_of(zero, shift, decided);"""
    ),
    "[kd0] - (int32_t)(weight_zero_point[%]);": "[kd0];",
    """float scaled = ((float)acc) * scale;
    float rounded = ref_scalar_f64_nearbyint(scaled) + (float)(output_zero_point[0]);
    rounded = ref_scalar_f32_maximum(rounded, (float)INT8_MIN);
    rounded = ref_scalar_f32_minimum(rounded, (float)INT8_MAX);
    output[n][oc_global][od0] = (int8_t)rounded;""": (
        "output[n][oc_global][od0] = requantized(acc * times, multiplier, shift, zero, decided, offset);"
    ),
}
_MEAN = {
    "int8_t output[@][@][@])": r"const int32_t rescaling[], int8_t output[\1][\2][\3])",
    "const int32_t output_zero = (int32_t)output_zero_point[0];": f"""const int32_t zero = output_zero_point[0];
    const int32_t shift = rescaling[0], decided = decided_bits(shift, {_MEAN_MARGIN});
    const int32_t offset = offset_of(zero, shift, decided);""",
    "idx_t count = 0;": "idx_t count = 0, last = 0;",
    "acc += ((int32_t)input0[n][c][iw]) - input_zero; ++count;": """acc += ((int32_t)input0[n][c][iw]) - input_zero;
                        ++count;
                        last = iw;""",
    """const idx_t denom = 0 ? @ : count;
    float mean = (denom > 0) ? (((float)acc) / (float)denom) : (float)0;
    int32_t result = (int32_t)roundf(mean * scale) + output_zero;
    result = result < (INT8_MIN) ? (INT8_MIN) : result;
    result = result > (INT8_MAX) ? (INT8_MAX) : result;
    output[n][c][ow] = (int8_t)result;""": """const int32_t fixed = acc * rescaling[count] + offset;
                output[n][c][ow] = fixed & decided ? clamped(fixed >> shift) : mean_in_float(
                    &input0[n][c][last + 1 - count], count, input_scale[0], input_zero, output_scale[0], zero);""",
    "const float scale = ((float)input_scale[0]) / ((float)output_scale[0]);": "",
}
_CONCATENATION = {
    "int8_t output[@][@][@])": r"const int32_t rescaling[], int8_t output[\1][\2][\3])",
    "const float y_zero_val = (float)output_zero_point[0];": "const int32_t zero = output_zero_point[0];",
    "const int8_t *x_flat = (const int8_t *)x_ptrs[inp];": """const int8_t *x_flat = (const int8_t *)x_ptrs[inp];
            const int32_t multiplier = rescaling[inp] & 0xffffff, shift = rescaling[inp] >> 24;
            const int32_t x_zero = x_zeros[inp], decided = decided_bits(shift, margin_of(shift));
            const int32_t offset = offset_of(zero, shift, decided);""",
    """float real_val = (float)((int32_t)x_flat[outer_idx * n_elems + elem] - x_zeros[inp]) * x_scales[inp];
    float scaled = real_val / y_scale_val + y_zero_val;
    float rounded = ref_scalar_f32_nearbyint(scaled);
    rounded = ref_scalar_f32_maximum(rounded, (float)INT8_MIN);
    rounded = ref_scalar_f32_minimum(rounded, (float)INT8_MAX);
    y_flat[outer_idx * total_axis * @ + axis_elem_offset + elem] = (int8_t)rounded;""": (
        r"""const int8_t *x = &x_flat[outer_idx * n_elems + elem];
                const int32_t fixed = (*x - x_zero) * multiplier + offset;
                y_flat[outer_idx * total_axis * \1 + axis_elem_offset + elem] =
                    fixed & decided ? clamped(fixed >> shift)
                                    : rounded((float)(*x - x_zero) * x_scales[inp] / y_scale_val, zero);"""
    ),
}
_FIXED_POINT = {
    "QLinearConv": _Change(_CONVOLUTION, _convolution_numbers, lambda old, new: [old[0], *old[2:4], *new, *old[7:]]),
    "QLinearAveragePool": _Change(_MEAN, _mean_numbers, lambda old, new: [*old[:-1], *new, old[-1]]),
    "QLinearConcat": _Change(_CONCATENATION, _concatenation_numbers, lambda old, new: [*old[:-1], *new, old[-1]]),
}


def _plan(
    values: dict[str, _Array], steps: Sequence[_Step], operators: dict[str, str]
) -> tuple[dict[str, list[Place]], int]:
    """Where each value lies in the arena, and the size of the arena, in elements.

    A value that is made in place of another shares that one's list of places, and has only those from its own step on.
    """
    uses = {name: [i for i, step in enumerate(steps) if name in step.arguments] for name in values}
    place = {name: name for name in values}  # what works in place shares that of what it reads
    spans = {name: (min(used), max(used)) for name, used in uses.items()}
    for i, step in enumerate(steps):
        read, made = step.arguments[0], step.arguments[-1]
        if operators[step.function] in _IN_PLACE and made in place and uses.get(read, [None])[-1] == i:
            place[made] = place[read]
            spans[place[read]] = (spans[place[read]][0], spans[made][1])
    names = [name for name in values if place[name] == name]
    found, size = plan_moving([Buffer(values[name].size, *spans[name]) for name in names])
    where = dict(zip(names, found, strict=True))
    return {name: _within(where[place[name]], uses[name][0], uses[name][-1]) for name in values}, size


def _within(places: Sequence[Place], first: int, last: int) -> list[Place]:
    """Those of a value that is there from one step to another."""
    before = [place for place in places if place.first <= first]
    return [before[-1], *(place for place in places if first < place.first <= last)]


def _calls(steps: Sequence[_Step], values: dict[str, _Array], places: dict[str, list[Place]]) -> list[str]:
    """The calls, and between them what moves a value to another place in the arena."""
    lines, at = [], {name: of_one[0].offset for name, of_one in places.items()}
    now = {name: name for name in values}
    for i, step in enumerate(steps):
        for name, of_one in places.items():
            for place in of_one[1:]:
                if place.first == i:
                    value, now[name] = values[name], f"{name}_at_{i}"
                    size = f"{value.size} * sizeof *arena"
                    lines.append(f"    memmove(arena + {place.offset}, arena + {at[name]}, {size});")
                    lines.append(_pointer(now[name], value, f"arena + {place.offset}"))
                    at[name] = place.offset
        arguments = ", ".join(now.get(argument, argument) for argument in step.arguments)
        lines.append(f"    {step.function}({arguments});")
    return lines


def _pointer(name: str, value: _Array, address: str) -> str:
    """A declaration by which an address is used as an array."""
    rest = value.dims[value.dims.index("]") + 1 :]
    return f"    {value.type} (*const {name}){rest} = ({value.type} (*){rest})({address});"
