"""What stands before the entry function: helper functions, tables, and one function for all layers of equal shapes."""

import re
from collections.abc import Mapping, Sequence

from nas_lightning.export.emx.form import TABLE, FormError, Step

PRELUDE = """#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD > 0
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
_HELPERS = {
    "ref_scalar_i8_maximum": "static inline int8_t {}(int8_t a, int8_t b) {{ return a > b ? a : b; }}",
    "ref_scalar_f32_maximum": "static inline float {}(float a, float b) {{ return a > b ? a : b; }}",
    "ref_scalar_f32_nearbyint": "static inline float {}(float a) {{ return (float)whole(a); }}",
    "ref_scalar_f32_relu": "static inline float {}(float a) {{ return a > 0.0f ? a : 0.0f; }}",
    "ref_scalar_f32_sub": "static inline float {}(float a, float b) {{ return a - b; }}",
    "ref_scalar_f32_mul": "static inline float {}(float a, float b) {{ return a * b; }}",
    "ref_scalar_f32_add": "static inline float {}(float a, float b) {{ return a + b; }}",
}


def used_tables(head: str, used: set[str]) -> list[str]:
    """The tables that calls refer to."""
    found = [match[0] for match in TABLE.finditer(head) if match["name"] in used]
    return [table.replace("const EMX_UNUSED", "static const EMX_UNUSED", 1) for table in found]


def share_functions(steps: Sequence[Step], functions: Mapping[str, tuple[str, str]]) -> tuple[list[Step], str]:
    """The same calls with one function for all layers of equal shapes, and the text of these functions."""
    names: dict[str, str] = {}
    shared = []
    for step in steps:
        operator, text = functions[step.function]
        body = text.replace(step.function, "NAME", 1)
        name = names.setdefault(body, f"{operator.lower()}_{len(names)}")
        shared.append(Step(name, step.arguments))
    return shared, "\n\n".join(body.replace("NAME", name, 1) for body, name in names.items())


def called_helpers(used: str) -> str:
    """The helper functions that the functions call, as they are here."""
    called = sorted({found[0] for found in re.finditer(r"ref_scalar_\w+", used)})
    if set(called) - set(_HELPERS):
        raise FormError(f"emx-onnx-cgen: unknown functions among {', '.join(called)}")
    return "\n".join(_HELPERS[name].format(name) for name in called)
