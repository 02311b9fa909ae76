"""How the functions of integer operators come to rescale in fixed point: what is replaced in their text."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from onnx import ModelProto, NodeProto, numpy_helper

from nas_lightning.errors import InputError
from nas_lightning.export.emx.form import FormError, Step
from nas_lightning.export.emx.rescaling import (
    Inputs,
    Rows,
    concatenation_numbers,
    convolution_numbers,
    mean_numbers,
)
from nas_lightning.export.operators import INTEGERS
from nas_lightning.graph.layers import PRODUCTS


@dataclass(frozen=True)
class _Change:
    """How the function of an operator comes to rescale in fixed point.

    Attributes:
        edits: what is replaced in it.
        numbers: what is needed for it, tables and single numbers, from an operator and its constant inputs.
        arguments: of a call, with these instead of what is no longer needed.
    """

    edits: Mapping[str, str]
    numbers: Callable[[NodeProto, Inputs], dict[str, Rows | int]]
    arguments: Callable[[list[str], list[str]], list[str]]


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
    "const int32_t output_zero = (int32_t)output_zero_point[0];": """const int32_t zero = output_zero_point[0];
    const int32_t shift = rescaling[0] & 31, decided = decided_bits(shift, rescaling[0] >> 5);
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
CHANGES: dict[str, _Change | str | None] = {
    **dict.fromkeys(
        PRODUCTS, _Change(_CONVOLUTION, convolution_numbers, lambda old, new: [old[0], *old[2:4], *new, *old[7:]])
    ),
    **dict.fromkeys(("affine", "relu", "max_pool", "segment_max", "flatten"), None),
    **dict.fromkeys(
        ("avg_pool", "segment_mean"), _Change(_MEAN, mean_numbers, lambda old, new: [*old[:-1], *new, old[-1]])
    ),
    "concat": _Change(_CONCATENATION, concatenation_numbers, lambda old, new: [*old[:-1], *new, old[-1]]),
    "global_avg_pool": None,  # once a network: its floats cost little
    "add": "ONNX Runtime rounds a sum of int8 otherwise on each kind of processor, so no C has its bits",
}
"""By kind how its integers come to be rescaled in fixed point; None for what is left as it is written, and why there is
no C where there is none."""
_BY_OPERATOR = {row.operator: CHANGES[kind] for kind, row in INTEGERS.items() if row}


def rescale(model: ModelProto, steps: Sequence[Step], texts: dict[str, str]) -> list[str]:
    """Have the functions of integer operators and their calls rescale in fixed point; the tables for it.

    Raises:
        InputError: for an operator that has no C.
    """
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    tables = []
    for i, (step, node) in enumerate(zip(steps, model.graph.node, strict=True)):
        change = _BY_OPERATOR.get(node.op_type)
        if isinstance(change, str):
            raise InputError(
                f"C: found the int8 operator {node.op_type} ({node.name}), which cannot be written; {change}"
            )
        if change is not None:
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


def _table(name: str, rows: Rows) -> str:
    dims = "".join(f"[{size}]" for size in rows.shape)
    body = json.dumps(rows.tolist()).replace("[", "{").replace("]", "}")
    return f"static const EMX_UNUSED {rows.dtype}_t {name}{dims} = {{\n    {body[1:-1]}\n}};"
