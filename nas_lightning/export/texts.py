"""What the C header and the README of a firmware say; texts of others become C strings, and never comments."""

import re
from collections.abc import Iterable, Mapping, Sequence
from textwrap import indent

import numpy as np
from numpy.typing import NDArray

from nas_lightning.errors import brief, printable
from nas_lightning.export.contract import InputDescription

PREFIX = re.compile(r"([A-Za-z]\w{0,30})?", re.ASCII)
"""What may stand before the names of a network in C."""

_NAMES = re.compile(
    r"\b(?:model_run|feature_extraction_run|vectors_\w+|VECTORS|(?:MODEL|FEATURE_EXTRACTION)_(?!FLOAT\b)\w+)\b"
)
"""What a program sees of a network; ``MODEL_FLOAT`` is a switch of the Makefile."""


def with_prefix(text: str, prefix: str) -> str:
    """C text, or text about it, with a prefix before the names of the network; macros get it in capitals.

    >>> with_prefix("model_run(x[MODEL_STEPS], logits)", "imu_")
    'imu_model_run(x[IMU_MODEL_STEPS], logits)'
    """
    return _NAMES.sub(lambda name: (prefix.upper() if name[0].isupper() else prefix) + name[0], text)


def header(channels: int, steps: int, has_front_end: bool, description: InputDescription, prefix: str) -> str:
    """``model.h``.

    Args:
        channels: of what the network takes.
        steps: of what the network takes.
        has_front_end: whether ``feature_extraction.c`` makes that of rows.
        description: of the rows.
        prefix: before all names.
    """
    about = description
    outputs = about.outputs.in_c
    sizes = {"CHANNELS": channels, "STEPS": steps, outputs.count.removeprefix("MODEL_"): about.outputs.count}
    words = {name: c_strings(texts) for name, texts in outputs.macros.items()}
    rows = {
        "SENSORS": len(about.channels),
        "SENSOR_NAMES": c_strings(about.channels),
        "WINDOW": about.window,
        "STRIDE": about.stride,
        "SAMPLING_RATE": c_float(np.float32(about.sampling_rate or 0)),
        "UNIT": c_string(about.unit or ""),
        "OFFSETS": c_doubles(about.offsets),
        "SCALE": c_float(np.float32(about.scale or 1)),
    }
    if about.least and about.most:
        rows |= {"LEAST": c_doubles(about.least), "MOST": c_doubles(about.most)}
    rest = with_prefix(_REST.format(x=with_front_end(has_front_end), outputs=outputs), prefix)
    return f"""/* model.h: {outputs.what}, int8 (model.c) or float (model_float.c); link one of them.
 * nas_lightning {about.version}, network {about.identity} */
{with_prefix(_GUARD, prefix)}
{_defines(sizes, prefix)}
{_defines(words, prefix)}

{with_prefix(_rows(about), prefix)}
{_defines(rows, prefix)}

{rest}"""


_GUARD = """\
#ifndef MODEL_H
#define MODEL_H
"""

_REST = """\
#ifdef __cplusplus
extern "C" {{
#endif

/* x: {x}
 * logits: {outputs.count} values; {outputs.result}. Not to be called again before it returns: it works in one
 * static arena, and takes no memory from a heap. */
void model_run(const float *x, float *logits);

#ifdef __cplusplus
}}
#endif
#endif
"""


def with_front_end(has_front_end: bool) -> str:
    """What x is, in two lines of a comment."""
    if has_front_end:
        return (
            "MODEL_CHANNELS * MODEL_STEPS values as feature_extraction_run of feature_extraction.h makes them of a\n"
            " * sample, which is MODEL_WINDOW values of the first sensor, the oldest first, then those of the next one."
        )
    return "a sample: MODEL_WINDOW values of the first sensor, the oldest first, then those of the next one."


def _rows(about: InputDescription) -> str:
    """The comment that says what a value is, for numbers and names that are macros."""
    unit = (
        "The numbers of the device become values by MODEL_UNIT; reckon in float or double."
        if about.unit
        else "Values are in the unit of the recordings that the network was trained with."
    )
    offsets = (
        "Take MODEL_OFFSETS of its sensor off each value, in integers or doubles, and only then make it a float: a\n"
        " * float cannot hold values of this size."
        if any(about.offsets)
        else "Nothing is taken off them: MODEL_OFFSETS are 0."
    )
    scale = (
        "feature_extraction_run divides them by MODEL_SCALE itself: do not do that too."
        if about.scale is not None
        else "Nothing divides them: MODEL_SCALE is 1."
    )
    rate = "MODEL_SAMPLING_RATE a second" if about.sampling_rate else "at a rate that is not known"
    lines = [
        "/* What the network eats: MODEL_WINDOW readings of MODEL_SENSORS sensors in the order of MODEL_SENSOR_NAMES,",
        f" * {rate}. In training a sample began MODEL_STRIDE readings after the one before it.",
        f" * {unit}",
        f" * {offsets}",
        f" * {scale}",
    ]
    if about.least and about.most:
        lines += [
            " * In training the values, before anything is taken off or divides them, were from MODEL_LEAST to",
            " * MODEL_MOST of their sensor.",
        ]
    return "\n".join(lines) + " */"


def _define(name: str, value: object, prefix: str) -> str:
    return f"#define {prefix.upper()}MODEL_{name} {value}"


def _defines(values: Mapping[str, object], prefix: str) -> str:
    return "\n".join(_define(name, value, prefix) for name, value in values.items())


def readme(template: str, has_front_end: bool, description: InputDescription, prefix: str) -> str:
    """``README.md`` of a firmware.

    Args:
        template: of the package, with ``@INPUT@`` and ``@CALL@``.
        has_front_end: whether there is ``feature_extraction.c``.
        description: of what the network takes.
        prefix: before all names.
    """
    outputs = description.outputs.in_c
    call = (_CALL_WITH_FRONT_END if has_front_end else _CALL).format(outputs=outputs)
    names = ", ".join(macro.lower().replace("_", " ") for macro in outputs.macros)
    template = template.replace("@NAMES@", names)
    text = with_prefix(template.replace("@CALL@", indent(call, "   ")), prefix)  # it stands in a list
    return text.replace("@INPUT@", with_prefix(_INPUT, prefix) + _table(has_front_end, description))


_CALL = """\
    static float x[MODEL_CHANNELS * MODEL_STEPS], logits[{outputs.count}];
    /* fill x: MODEL_WINDOW values of the first sensor, the oldest first, then those of the next one */
    model_run(x, logits);              /* {outputs.comment} */
"""
_CALL_WITH_FRONT_END = """\
    static float rows[MODEL_SENSORS * MODEL_WINDOW], x[MODEL_CHANNELS * MODEL_STEPS], logits[{outputs.count}];
    /* fill rows: MODEL_WINDOW values of the first sensor, the oldest first, then those of the next one */
    feature_extraction_run(rows, x);
    model_run(x, logits);              /* {outputs.comment} */
"""
_INPUT = """\
A sample is `MODEL_WINDOW` readings of `MODEL_SENSORS` sensors. `model.h` has all numbers of this table as macros.

"""


def _table(has_front_end: bool, about: InputDescription) -> str:
    rate = "not known" if about.sampling_rate is None else f"{about.sampling_rate:g} a second"
    unit = (
        "those of the recordings, as they are"
        if about.unit is None
        else f"made of the numbers of the device by {_quoted([about.unit])}"
    )
    offsets = (
        "nothing"
        if not any(about.offsets)
        else (
            f"{', '.join(f'{value!r}' for value in about.offsets)}, in integers or doubles, before they become floats"
        )
    )
    scale = "nothing" if about.scale is None else f"{about.scale:g}, by `feature_extraction_run`: do not do it too"
    rows = {
        about.outputs.in_c.word: ", ".join(map(_quoted, about.outputs.in_c.macros.values())),
        "sensors, in order": _quoted(about.channels),
        "readings": f"{about.window} a sample; the next sample began {about.stride} later in training",
        "sampling rate": rate,
        "values": unit,
        "taken off the values": offsets,
        "values are divided by": scale,
        "`model_run` takes": "what `feature_extraction_run` makes of them" if has_front_end else "these values",
    }
    if has_front_end:
        rows["steps of the front end"] = ", ".join(about.steps) or "none"
    if about.least and about.most:
        pairs = zip(about.least, about.most, strict=True)
        rows["range in training, before anything is taken off"] = ", ".join(f"{a:g} to {b:g}" for a, b in pairs)
    return "\n".join(["| what | it is |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())])


def _quoted(names: Iterable[str]) -> str:
    """Names of others as words of a table."""
    return ", ".join("`" + brief(printable(name)).translate(_NOT_IN_TABLES) + "`" for name in names)


_NOT_IN_TABLES = str.maketrans({"`": "'", "|": "/", "\\": "/"})


def c_floats(values: NDArray[np.float32]) -> str:
    """An initializer of floats."""
    return "{" + ", ".join(c_float(value) for value in values) + "}"


def c_doubles(values: Sequence[float]) -> str:
    """An initializer of doubles."""
    return "{" + ", ".join(repr(float(value)) for value in values) + "}"


def c_strings(values: Iterable[str]) -> str:
    """An initializer of strings."""
    return "{" + ", ".join(c_string(value) for value in values) + "}"


def c_float(value: np.float32) -> str:
    """A float as C reads it back without a difference.

    >>> c_float(np.float32(0.1)), c_float(np.float32(3))
    ('0.1f', '3.0f')
    """
    return str(np.float32(value)) + "f"


def c_string(text: str) -> str:
    r"""A string literal of C99 in UTF-8, whatever is in it.

    >>> print(c_string('a "b" ??/ é'))
    "a \042b\042 \077\077/ \303\251"
    """
    plain = set(map(chr, range(32, 127))) - set('"\\?')
    return '"' + "".join(chr(b) if chr(b) in plain else f"\\{b:03o}" for b in text.encode()) + '"'
