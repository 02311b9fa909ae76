"""The types of what the configuration hands to a constructor, from its own annotations.

OmegaConf knows the types of the typed sections only. In the others ``true`` would count for 1, and a word for a number
would be a TypeError somewhere in a library.
"""

import inspect
import math
import types
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from hydra.utils import get_object

from nas_lightning.config.ranges import ANY, range_of
from nas_lightning.errors import InputError, brief

_WORDS: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    Path: "text",
    type(None): "null",
    Any: "a value that is finite",
}
_PLAIN = (type(None), bool, int, float, str, list, tuple, dict)


def check_arguments(key: str, record: Any, sources: Mapping[str, str] | None = None) -> None:
    """Compare a record that calls a constructor, and the records in it, with what the constructors are annotated with.

    Args:
        key: of the record.
        record: with a ``_target_``, or records with one in it.
        sources: the keys from which others follow, to be named in their place.

    Raises:
        InputError: with the key, what was found and what is allowed.
    """
    if not isinstance(record, dict):
        return
    if "_target_" in record:
        _check_call(key, record, sources or {})
    for name, value in record.items():
        check_arguments(f"{key}.{name}", value, sources)


def argument_types(target: Any) -> dict[str, Any]:
    """The annotations of a class's or function's arguments, by name; Any where it says nothing that can be read."""
    function = target.__init__ if isinstance(target, type) else target  # type: ignore[misc]
    try:
        hints = get_type_hints(function)
    except (NameError, TypeError):
        hints = {}
    return {name: hints.get(name, Any) for name in _parameters(target)}


def allowed(key: str, hint: Any) -> str:
    """What a key may be, in words: by its type, and by its range if it is a number."""
    text, is_nullable = words(hint), type(None) in get_args(hint)
    if range_of(key) != ANY:
        text = f"{text.removesuffix(', or null')}, {range_of(key)}" + ", or null" * is_nullable
    return text


def shown(value: Any) -> str:
    """A value as it is written in the configuration."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return brief(value)


def words(hint: Any) -> str:
    """A type in words.

    >>> words(float | None), words(list[int]), words(Literal["a", 3])
    ('a number, or null', 'a list of: a whole number', 'a, 3')
    """
    origin, parts = get_origin(hint), get_args(hint)
    if hint in _WORDS:
        return _WORDS[hint]
    if origin in (Union, types.UnionType):
        kinds = [part for part in parts if part is not type(None)]
        plain = [part for part in kinds if not _is_made(part)] or kinds
        text = " or ".join(dict.fromkeys(words(part) for part in plain))
        return text + ", or null" * (type(None) in parts)
    if origin is Literal:
        return ", ".join(map(str, parts))
    if origin is Annotated:
        return words(parts[0])
    if _is_mapping(origin or hint):
        return "names with their values"
    if _is_list(origin or hint):
        kinds = [part for part in parts if part is not ...]
        return f"a list of: {', '.join(words(part) for part in kinds)}" if kinds else "a list"
    return f"what a _target_ makes, of the type {getattr(hint, '__name__', hint)}"


def matches(value: Any, hint: Any) -> bool:
    """Whether a value of the configuration is of a type; ``true``, NaN and infinity are no numbers."""
    if not isinstance(value, _PLAIN):
        return True  # made by the program, or by another record
    if hint is Any or isinstance(hint, TypeVar):
        return True
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return any(matches(value, part) for part in parts)
    if origin is Annotated:
        return matches(value, parts[0])
    if origin is Literal:
        return any(value == part and type(value) is type(part) for part in parts)
    if isinstance(value, bool) or hint in (bool, type(None)):
        return type(value) is hint
    if hint is float:
        return isinstance(value, int | float) and math.isfinite(value)
    if hint in (int, str):
        return isinstance(value, hint)
    if hint is Path:
        return isinstance(value, str)
    if isinstance(value, dict):
        if _is_mapping(origin or hint):
            return not parts or all(matches(each, parts[1]) for each in value.values())
        return "_target_" in value and not _is_list(origin or hint)
    if isinstance(value, list | tuple) and _is_list(origin or hint):
        if origin is tuple and ... not in parts:
            return len(value) == len(parts) and all(map(matches, value, parts))
        return not parts or all(matches(each, parts[0]) for each in value)
    return False


def _check_call(key: str, record: dict[str, Any], sources: Mapping[str, str]) -> None:
    if not isinstance(record["_target_"], str):
        raise InputError(f"{key}._target_: found {shown(record['_target_'])}; allowed: the dotted name of a class")
    for name in ("_partial_", "_recursive_"):
        if not isinstance(record.get(name, False), bool):
            raise InputError(f"{key}.{name}: found {shown(record[name])}; allowed: true or false")
    try:
        target = get_object(record["_target_"])
    except Exception:  # whatever the import of a module raises
        target = None
    if not callable(target):
        raise InputError(
            f"{key}._target_: found {record['_target_']!r}; allowed: the dotted name of a class that can be imported"
        )
    known, hints = _parameters(target), argument_types(target)
    takes_all = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in known.values())
    for name, value in record.items():
        if name.startswith("_"):
            continue
        if name not in known and not takes_all:
            raise InputError(f"{key}.{name}: is unknown; allowed: {', '.join(known)}")
        _check_value(f"{key}.{name}", value, hints.get(name, Any), sources)


def _check_value(key: str, value: Any, hint: Any, sources: Mapping[str, str]) -> None:
    parts = get_args(hint)
    if isinstance(value, dict) and parts and _is_mapping(get_origin(hint)):
        for name, each in value.items():
            _check_value(f"{key}.{name}", each, parts[1], sources)
        return
    is_finite = not isinstance(value, float) or math.isfinite(value)
    if not is_finite or not matches(value, hint):
        for follower, source in sources.items():
            if key == follower or key.startswith(f"{follower}."):
                key = source + key[len(follower) :]
        raise InputError(f"{key}: found {shown(value)}; allowed: {allowed(key, hint)}")


def _parameters(target: Any) -> dict[str, inspect.Parameter]:
    try:
        return dict(inspect.signature(target).parameters)
    except (TypeError, ValueError):  # no signature: of C
        return {"kwargs": inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD)}


def _is_made(hint: Any) -> bool:
    origin = get_origin(hint) or hint
    is_plain = hint in _WORDS or origin is Literal or _is_list(origin) or _is_mapping(origin)
    return not is_plain


def _is_list(kind: Any) -> bool:
    return kind in (list, tuple, set, Sequence, Iterable, Collection)


def _is_mapping(kind: Any) -> bool:
    return kind in (dict, Mapping)
