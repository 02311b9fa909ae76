"""The back end emx-onnx-cgen: C for a network, with what its output lacks for a microcontroller.

It writes one function per operator, plain loops over plain arrays, and bit for bit what ONNX Runtime computes. Its
output is changed in five ways, each tied to the form that version 1.4 writes and refused if that form is another:

- its values, which are local arrays on the stack, move into one static arena that is planned by when each is alive;
- its helper functions of ``math.h`` become a few operations, with the same results for what they are called with;
- averages are taken and rounded in the order in which ONNX Runtime does it, which differs by one in a few of 10,000;
- layers of equal shapes share one function, which it writes once for each;
- its tables become static, and functions are compiled each for itself (``noipa``), so that their sizes add up.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from emx_onnx_cgen import Compiler
from emx_onnx_cgen.compiler import CompilerOptions
from onnx import ModelProto, TensorProto

from nas_lightning.export.arena import Buffer, Place, plan_moving

NAME = "emx-onnx-cgen 1.4 (Apache-2.0)"

_HELPERS = {
    # x + 1.5 * 2^23 has no bits behind the point, and rounds half to even. The double version is called with floats.
    "ref_scalar_f64_nearbyint": "static inline float {}(float a) {{ return (a + 12582912.0f) - 12582912.0f; }}",
    "ref_scalar_f32_nearbyint": "static inline float {}(float a) {{ return (a + 12582912.0f) - 12582912.0f; }}",
    "ref_scalar_f32_maximum": "static inline float {}(float a, float b) {{ return a > b ? a : b; }}",
    "ref_scalar_f32_minimum": "static inline float {}(float a, float b) {{ return a < b ? a : b; }}",
    "ref_scalar_i8_maximum": "static inline int8_t {}(int8_t a, int8_t b) {{ return a > b ? a : b; }}",
    "ref_scalar_f32_relu": "static inline float {}(float a) {{ return a > 0.0f ? a : 0.0f; }}",
    "ref_scalar_f32_mul": "static inline float {}(float a, float b) {{ return a * b; }}",
    "ref_scalar_f32_add": "static inline float {}(float a, float b) {{ return a + b; }}",
}
_AVERAGE = {
    "int32_t acc = 0;": "float acc = 0.0f;",
    "acc += ((int32_t)input0[n][c][iw]) - input_zero;": (
        "acc += (float)((int32_t)input0[n][c][iw] - input_zero) * input_scale[0];"
    ),
    "const float scale = ((float)input_scale[0]) / ((float)output_scale[0]);\n": "",
    "int32_t result = (int32_t)roundf(mean * scale) + output_zero;": (
        "int32_t result = (int32_t)ref_scalar_f32_nearbyint(mean / output_scale[0] + (float)output_zero);"
    ),
}
"""What is replaced in the function of a ``QLinearAveragePool``."""
_IN_PLACE = {"Relu", "Mul", "Add"}
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
    if is_integer:
        values = {input_name: source} | values
    places, size = _plan(values, steps, {name: m["op"] for name, m in functions.items()})
    shared, used = _share(steps, functions)
    lines = [f"static {source.type} arena[{size}];", ""]
    lines += [f"static void network(const {source.type} *input, float *output)", "{"]
    lines += [_pointer(name, value, f"arena + {places[name][0].offset}") for name, value in values.items()]
    if is_integer:
        lines.append("    (void)input; /* it lies in the arena */")
    else:
        lines.append(_pointer(input_name, _Array(f"const {source.type}", source.dims), "input"))
    lines.append(_pointer("logits", logits, "output"))
    lines += _calls(shared, values, places)
    text = "\n".join([_PRELUDE, _tables(head), _helpers(used), used, *lines, "}", ""])
    names = tuple(step.function for step in shared)
    return CNetwork(
        text, source.type, size * _BYTES[source.type], places[input_name][0].offset if is_integer else None, names
    )


_PRELUDE = """#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD > 0
#error "float must be computed as float, else the rounding of this file is another"
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
_TABLE = re.compile(r"^const EMX_UNUSED \w+ \w+(?:\[\d+\])+ = \{.*?^\};$", re.M | re.S)
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


def _tables(head: str) -> str:
    return "\n".join(
        found[0].replace("const EMX_UNUSED", "static const EMX_UNUSED", 1) for found in _TABLE.finditer(head)
    )


def _share(steps: Sequence[_Step], functions: dict[str, re.Match[str]]) -> tuple[list[_Step], str]:
    """The same calls with one function for all layers of equal shapes, and the text of these functions."""
    names: dict[str, str] = {}
    shared = []
    for step in steps:
        function = functions[step.function]
        body = _corrected(function).replace(step.function, "NAME", 1)
        name = names.setdefault(body, f"{function['op'].lower()}_{len(names)}")
        shared.append(_Step(name, step.arguments))
    return shared, "\n\n".join(body.replace("NAME", name, 1) for body, name in names.items())


def _corrected(function: re.Match[str]) -> str:
    """A function without its comment, with ONNX Runtime's arithmetic if it takes averages."""
    text = function[0][function[0].index("EMX_NODE_FN") :]
    if function["op"] == "QLinearAveragePool":
        for theirs, ours in _AVERAGE.items():
            if text.count(theirs) != 1:
                raise FormError(f"emx-onnx-cgen: {theirs!r} stands {text.count(theirs)} times in {function['name']}")
            text = text.replace(theirs, ours)
    return text


def _helpers(used: str) -> str:
    """Those that the functions call, as they are here."""
    called = sorted({found[0] for found in re.finditer(r"ref_scalar_\w+", used)})
    doubles = used.count("ref_scalar_f64_nearbyint(")
    if set(called) - set(_HELPERS) or doubles != used.count("float rounded = ref_scalar_f64_nearbyint(scaled)"):
        raise FormError(f"emx-onnx-cgen: calls of {', '.join(called)} in an unknown form")
    return "\n".join(_HELPERS[name].format(name) for name in called)


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
