"""Values as a user types them: where a key takes text, no sign of a path, a pattern or a name has another meaning."""

import re
from functools import cache
from pathlib import Path
from typing import Any, get_args

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from nas_lightning.errors import InputError, brief

FOLDERS = ("hydra.run.dir", "hydra.sweep.dir")
"""Keys of Hydra that take the path of a folder, and never several."""

_PATHS = ("dataset.input_data_path", "dataset.annotations", "dataset.labels", *FOLDERS)
_NAMES = "data_processing_feature_extraction.variables"
_PAIRS = {"(": ")", "[": "]", "{": "}"}


@cache
def _parser() -> OverridesParser:
    return OverridesParser.create()


def parse(override: str) -> Override | None:
    """What Hydra reads; None where it cannot."""
    try:
        return _parser().parse_override(override)
    except HydraException:
        return None


def quoted(text: str) -> str:
    r"""Text in Hydra's grammar, in quotes, so that nothing in it has a meaning; ``${`` is left to OmegaConf.

    >>> print(quoted(r"it's S(\d+)"))
    'it\'s S(\d+)'
    """
    # Hydra reads a backslash as itself, except in a run of them before a quote.
    return "'" + re.sub(r"(\\*)('|\Z)", lambda m: m[1] * 2 + ("\\'" if m[2] else ""), text) + "'"


def plain(text: str) -> str:
    """The text of a value that may stand in quotes."""
    found = parse(f"key={text}").value() if _is_quoted(text) else text  # type: ignore[union-attr]
    return str(found)


def as_typed(key: str, text: str, hint: Any, sweeps: bool) -> str:
    """A value in Hydra's grammar that means what was typed; values that need no help are left as they are.

    Args:
        key: without signs before it.
        text: behind the equals sign.
        hint: the type of the key, if it is known.
        sweeps: whether a comma divides the values of several runs.

    Raises:
        InputError: for paths in a row that are no sweep.
    """
    if key in FOLDERS:
        return _text(key, text)
    if key == _NAMES or hint == list[str]:
        return ",".join(_list(part) for part in _split(text)) if sweeps else _list(text)
    if hint is not str and set(get_args(hint)) != {str, type(None)}:
        return text
    if not sweeps:
        _refuse_row(key, text)
        return _text(key, text)
    found = parse(f"key={text}")
    is_function = found is not None and found.is_sweep_override() and re.match(r"\w+\(", text) is not None
    return text if is_function else ",".join(_text(key, part) for part in _split(text))


def _text(key: str, text: str) -> str:
    found = parse(f"key={text}")
    is_read = found is not None and found.value() == text and isinstance(found.value(), str)
    is_read = is_read and not text.endswith("\\")  # it would take the meaning of a comma behind it
    is_fine = is_read or text == "null" or _is_quoted(text) or (found is not None and "${" in text)
    own = text if is_fine else quoted(text)
    is_home = key in _PATHS and (text == "~" or text.startswith("~/")) and not Path(text).exists()
    return quoted(str(Path(text).expanduser())) if is_home else own


def _list(text: str) -> str:
    """A list of names; those that Hydra would not read get quotes."""
    if parse(f"key={text}") is not None or not (text.startswith("[") and text.endswith("]")):
        return text
    parts = _split(text[1:-1])
    return "[" + ",".join(part if parse(f"key={part}") is not None else quoted(part) for part in parts) + "]"


def _is_quoted(text: str) -> bool:
    is_between = len(text) > 1 and text[0] in "'\"" and text[-1] == text[0]
    found = parse(f"key={text}") if is_between else None
    return found is not None and isinstance(found.value(), str)


def _split(text: str) -> list[str]:
    """The parts between commas that stand in no quotes or brackets; between all of them where those do not end."""
    parts = [""]
    ends: list[str] = []
    for sign in text:
        if ends and sign == ends[-1]:
            ends.pop()
        elif not (ends and ends[-1] in "'\"") and (sign in _PAIRS or (sign in "'\"" and not parts[-1].strip())):
            ends.append(_PAIRS.get(sign, sign))
        if sign == "," and not ends:
            parts.append("")
        else:
            parts[-1] += sign
    return [part.strip() for part in (text.split(",") if ends else parts)]


def _refuse_row(key: str, text: str) -> None:
    """Paths between commas that are all there, while there is none of the whole name, are meant for a sweep."""
    parts = [part.strip() for part in text.split(",")]
    if key in _PATHS and len(parts) > 1 and not Path(text).exists() and all(p and Path(p).exists() for p in parts):
        raise InputError(f"{key}: found {brief(text)}, which is several paths; -m before them makes a run of each")
