"""What the C header and the README of a firmware say; texts of others become C strings, and never comments."""

import re
from collections.abc import Iterable, Mapping
from importlib.resources import files
from textwrap import indent

import numpy as np

from nas_lightning.errors import brief, printable
from nas_lightning.export.contract import InputDescription

PREFIX = re.compile(r"([A-Za-z]\w{0,30})?", re.ASCII)
"""What may stand before the names of a network in C."""

_NAMES = re.compile(
    r"\b(?:model_(?:run|decide|score|smooth|smoothing|smoothing_begin)|feature_extraction_run|vectors_\w+|VECTORS|"
    r"(?:MODEL|FEATURE_EXTRACTION)_(?!FLOAT\b)\w+)\b"
)
"""What a program sees of a network; ``MODEL_FLOAT`` is a switch of the Makefile."""


def with_prefix(text: str, prefix: str) -> str:
    """C text, or text about it, with a prefix before the names of the network; macros get it in capitals.

    >>> with_prefix("model_run(x[MODEL_STEPS], logits)", "imu_")
    'imu_model_run(x[IMU_MODEL_STEPS], logits)'
    """
    return _NAMES.sub(lambda name: (prefix.upper() if name[0].isupper() else prefix) + name[0], text)


def filled(name: str, words: Mapping[str, str], prefix: str = "") -> str:
    """A file of ``c/filled`` with words in place of ``@NAME@``; what they hold is not looked at.

    Args:
        name: of the file.
        words: by name.
        prefix: before the names of the network in the file itself.
    """
    text = (files("nas_lightning.export") / "c" / "filled" / name).read_text(encoding="utf-8")
    return re.sub(r"@(\w+)@", lambda mark: words[mark[1]], with_prefix(text, prefix))


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
    names = {name: c_list(map(c_string, texts)) for name, texts in outputs.macros.items()}
    rows = {
        "SENSORS": len(about.channels),
        "SENSOR_NAMES": c_list(map(c_string, about.channels)),
        "WINDOW": about.window,
        "STRIDE": about.stride,
        "SAMPLING_RATE": c_float(np.float32(about.sampling_rate or 0)),
        "UNIT": c_string(about.unit or ""),
        "OFFSETS": c_list(map(repr, map(float, about.offsets))),
        "SCALE": c_float(np.float32(about.scale or 1)),
    }
    if about.least and about.most:
        rows |= {"LEAST": c_list(map(repr, map(float, about.least))), "MOST": c_list(map(repr, map(float, about.most)))}
    words = {
        **{"WHAT": outputs.what, "VERSION": about.version, "IDENTITY": about.identity, "RESULT": outputs.result},
        **{"COUNT": with_prefix(outputs.count, prefix), "X": with_prefix(with_front_end(has_front_end), prefix)},
        **{"ROWS": with_prefix(_rows(about), prefix), "NUMBERS": _defines(rows | _decided(about), prefix)},
        **{"SIZES": _defines(sizes, prefix), "NAMES": _defines(names, prefix)},
    }
    return filled("model.h", words, prefix)


def _decided(about: InputDescription) -> dict[str, object]:
    """Macros of what is decided by the logits, where that is known."""
    found: dict[str, object] = {}
    if about.temperature is not None or about.decision.has_code:
        found["TEMPERATURE"] = c_float(np.float32(about.decision.temperature))
    if about.threshold is not None:
        found |= {"THRESHOLD": c_float(np.float32(about.threshold)), "UNKNOWN": "(-1)"}
    if about.postprocess is not None:
        found["SMOOTHING_WINDOWS"] = about.postprocess.windows
    return found


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


def _defines(values: Mapping[str, object], prefix: str) -> str:
    return "\n".join(f"#define {prefix.upper()}MODEL_{name} {value}" for name, value in values.items())


def readme(has_front_end: bool, description: InputDescription, prefix: str) -> str:
    """``README.md`` of a firmware.

    Args:
        has_front_end: whether there is ``feature_extraction.c``.
        description: of what the network takes.
        prefix: before all names.
    """
    outputs = description.outputs.in_c
    call = (_CALL_WITH_FRONT_END if has_front_end else _CALL).format(outputs=outputs)
    if description.decision.has_code:
        call += _CALL_SMOOTHED if description.postprocess else _CALL_DECIDED
    words = {
        "NAMES": ", ".join(macro.lower().replace("_", " ") for macro in outputs.macros),
        "CALL": with_prefix(indent(call, "   "), prefix),  # it stands in a list
        "INPUT": with_prefix(_INPUT, prefix) + _table(has_front_end, description),
    }
    return filled("README.md", words, prefix)


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
_CALL_DECIDED = """\
    const int decided = model_decide(logits); /* a number of a class, or MODEL_UNKNOWN: decision.h */
"""
_CALL_SMOOTHED = """\
    static model_smoothing state;      /* model_smoothing_begin(&state) comes before the first window of a recording */
    const int decided = model_smooth(&state, logits); /* of the last windows together: decision.h */
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


def c_list(values: Iterable[str]) -> str:
    """An initializer."""
    return "{" + ", ".join(values) + "}"


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
