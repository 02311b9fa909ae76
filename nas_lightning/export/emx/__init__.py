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

from dataclasses import dataclass

from emx_onnx_cgen import Compiler
from emx_onnx_cgen.compiler import CompilerOptions
from onnx import ModelProto, TensorProto

from nas_lightning.export.emx.edits import rescale
from nas_lightning.export.emx.form import BYTES, CALL, FUNCTION, PARAMETER, VALUE, Array, Step, check_form, split_output
from nas_lightning.export.emx.functions import PRELUDE, called_helpers, share_functions, used_tables
from nas_lightning.export.emx.places import calls_between_moves, plan_places, pointer
from nas_lightning.export.emx.rescaling import RESCALING

NAME = "emx-onnx-cgen 1.4 (Apache-2.0)"


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
        InputError: for an operator on integers that has no C.
        FormError: if the output of emx-onnx-cgen cannot be read.
    """
    is_integer = model.graph.input[0].type.tensor_type.elem_type == TensorProto.INT8
    options = CompilerOptions(
        model_name="network", large_temp_threshold_bytes=0, large_weight_threshold=0, restrict_arrays=False
    )
    head, entry, body = split_output(Compiler(options).compile(model))
    functions = {m["name"]: m for m in FUNCTION.finditer(head)}
    values = {m["name"]: Array(m["type"], m["dims"]) for m in VALUE.finditer(body)}
    steps = [Step(m["function"], m["arguments"].split(", ")) for m in CALL.finditer(body)]
    source, logits = (Array(m["type"], m["dims"]) for m in PARAMETER.finditer(entry))
    input_name = next(PARAMETER.finditer(entry))["name"]
    check_form(model, functions, values, steps, source, body)
    texts = {name: match[0][match[0].index("EMX_NODE_FN") :] for name, match in functions.items()}
    tables = rescale(model, steps, texts)
    if is_integer:
        values = {input_name: source} | values
    places, size = plan_places(values, steps, {name: m["op"] for name, m in functions.items()})
    shared, used = share_functions(steps, {name: (m["op"], texts[name]) for name, m in functions.items()})
    lines = [f"static {source.type} arena[{size}];", ""]
    lines += [f"static void network(const {source.type} *input, float *output)", "{"]
    lines += [pointer(name, value, f"arena + {places[name][0].offset}") for name, value in values.items()]
    if is_integer:
        lines.append("    (void)input; /* it lies in the arena */")
    else:
        lines.append(pointer(input_name, Array(f"const {source.type}", source.dims), "input"))
    lines.append(pointer("logits", logits, "output"))
    lines += calls_between_moves(shared, values, places)
    tables = used_tables(head, {argument for step in steps for argument in step.arguments}) + tables
    text = "\n".join([PRELUDE, *tables, RESCALING * is_integer, called_helpers(used), used, *lines, "}", ""])
    names = tuple(step.function for step in shared)
    return CNetwork(
        text, source.type, size * BYTES[source.type], places[input_name][0].offset if is_integer else None, names
    )
