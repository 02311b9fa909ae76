"""Data that a program has in memory: arrays, tensors, lists of them and tables, as a source like any other."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from nas_lightning.data.readers.sets import ArraySet, Part, read_set
from nas_lightning.data.reading import AXES, Findings, Reading
from nas_lightning.data.recordings import Source
from nas_lightning.errors import InputError

NAME = "arrays"
"""What stands for the arrays in messages."""

MakeSource = Callable[[Reading], Source]


def source_of_arrays(
    *,
    x: dict[str, Any],
    y: dict[str, Any],
    groups: dict[str, Any],
    channels: Sequence[str] | None,
    label_names: Sequence[str] | None,
    axes: str | None,
) -> MakeSource:
    """A source of arrays, which are checked here.

    Args:
        x: series by the end of their names, ``""``, ``_val`` and ``_test``; None for a split that is not there.
        y: their labels.
        groups: their groups, if there are some.
        channels: names of the channels.
        label_names: names of the labels in increasing order.
        axes: see ``TimeSeriesData.from_arrays``.

    Raises:
        InputError: naming the argument, what was found and what is allowed.
    """
    if axes not in (None, *AXES):
        raise InputError(f"axes: found {axes!r}; allowed: {', '.join(AXES)}, or None")
    given = _given(x, y)
    is_list = any(isinstance(found, list) for found in given.values())
    series = {suffix: list(found) for suffix, found in given.items()} if is_list else given
    parts = [_part(suffix, found, y, groups, len(given) > 1) for suffix, found in series.items()]
    arrays = ArraySet(NAME, parts, _names("channels", channels), _strings("class_names", label_names), key="axes")
    only = _only_order(list(series.values())) if is_list and axes is None else None

    def make(reading: Reading) -> Source:
        findings, order = Findings(), axes or reading.axes or only
        if only is not None and order == only:
            findings.decide("the axis in which all arrays agree is that of the channels", f"X[0] {only}", "axes")
        return read_set(arrays, replace(reading, axes=order), findings)

    return make


def _given(x: dict[str, Any], y: dict[str, Any]) -> dict[str, np.ndarray | list[np.ndarray]]:
    """The series that are there, each with labels."""
    for suffix in x:
        if (x[suffix] is None) != (y[suffix] is None):
            missing = f"y{suffix}" if y[suffix] is None else f"X{suffix}"
            raise InputError(f"{NAME}: {missing} is missing; X{suffix} and y{suffix} belong together")
    given = {suffix: _series(f"X{suffix}", found) for suffix, found in x.items() if found is not None}
    if "" not in given:
        raise InputError(f"{NAME}: X is missing; give series to train on")
    return given


def _part(suffix: str, series: Any, y: dict[str, Any], groups: dict[str, Any], has_split: bool) -> Part:
    own = groups.get(suffix)
    return Part(
        (suffix.removeprefix("_") or "train") if has_split else None,
        series,
        _words(f"y{suffix}", y[suffix]),
        None if own is None else _words(f"groups{suffix}", own),
        suffix,
    )


def source_of_frame(frame: Any) -> MakeSource:
    """A source of a long table of pandas or polars."""
    from nas_lightning.data.readers.table import read_frame

    return lambda reading: read_frame(frame, reading, "the table")


def _series(name: str, found: Any) -> np.ndarray | list[np.ndarray]:
    """An array, or the arrays of a list, which may differ in length."""
    if not isinstance(found, list | tuple) and not (isinstance(found, np.ndarray) and found.dtype.hasobject):
        return _numbers(name, found)
    items = [_numbers(f"{name}[{i}]", item) for i, item in enumerate(found)]
    for i, item in enumerate(items):
        if item.ndim not in (1, 2) or not item.size:
            raise InputError(
                f"{NAME}: {name}[{i}] has shape {list(item.shape)}; allowed in a list: [channels, length], or [length]"
            )
    if not items:
        raise InputError(f"{NAME}: {name} is an empty list; at least 2 series are needed")
    return items


def _numbers(name: str, found: Any) -> np.ndarray:
    if hasattr(found, "columns"):
        raise InputError(
            f"{NAME}: {name} is a table; TimeSeriesData.from_frame takes a long one, with a column of labels"
        )
    array = _plain_array(name, found)
    if array.dtype.kind not in "iufb":
        raise InputError(f"{NAME}: {name} has type {array.dtype}; allowed: real numbers")
    return array


def _words(name: str, found: Any) -> np.ndarray:
    """An array of labels or groups; those of a list stay what they are, where NumPy would make text of a number."""
    if isinstance(found, list | tuple) and all(isinstance(each, str) or np.ndim(each) == 0 for each in found):
        array = np.empty(len(found), dtype=object)
        array[:] = found
        return array
    return _plain_array(name, found)


def _plain_array(name: str, found: Any) -> np.ndarray:
    """What NumPy makes of it; tensors may lie elsewhere, and need a gradient."""
    if isinstance(found, torch.Tensor):
        found = found.detach().cpu()
        return (found.float() if found.dtype == torch.bfloat16 else found).numpy()
    try:
        return np.asarray(found)
    except Exception as error:  # whatever an object of another library raises
        raise InputError(f"{NAME}: {name} is no array, but {type(found).__name__} ({type(error).__name__})") from error


def _names(name: str, found: Sequence[str] | None) -> np.ndarray | None:
    words = _strings(name, found)
    return None if words is None else np.array(words)


def _strings(name: str, found: Sequence[str] | None) -> list[str] | None:
    if found is None:
        return None
    words = [] if isinstance(found, str) else list(found)
    if not words or not all(isinstance(word, str) for word in words):
        raise InputError(f"{name}: found {found!r}; allowed: a list of names, or None")
    return [str(word).strip() for word in words]


def _only_order(lists: Sequence[Any]) -> str | None:
    """The order of the axes if only one is possible, because all recordings have as many channels."""
    shapes = {item.shape for items in lists for item in items if item.ndim == 2}
    firsts, lasts = {shape[0] for shape in shapes}, {shape[1] for shape in shapes}
    if len(firsts) > 1 and len(lasts) == 1:
        return "time_first"
    return "channels_first" if len(firsts) == 1 and len(lasts) > 1 else None
