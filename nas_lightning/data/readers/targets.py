"""Labels and groups that come as arrays: whole numbers or strings, also one-hot or in one column."""

from collections.abc import Sequence

import numpy as np

from nas_lightning.data.reading import Findings
from nas_lightning.data.words import Words
from nas_lightning.errors import InputError, brief

_MOST_WHOLE = 2.0**53
_NUMBERS = "whole numbers or strings"


def labels_of(source: str, name: str, y: np.ndarray, findings: Findings) -> np.ndarray:
    """Strings without the spaces around them, or int64 ``[N]``.

    Args:
        source: for messages.
        name: of the array.
        y: ``[N]``, ``[N, 1]``, or one-hot ``[N, K]``; strings, whole numbers of any type, or booleans.
        findings: gets what is decided.

    Raises:
        InputError: naming the array and the row.
    """
    if y.ndim == 2 and y.shape[1] == 1:
        findings.decide("labels in one column are taken as a list", f"{name} {list(y.shape)}")
        y = y[:, 0]
    elif y.ndim == 2 and len(y):
        return _from_one_hot(source, name, y, findings)
    if y.ndim != 1:
        raise InputError(f"{source}: {name} has shape {list(y.shape)}; allowed: one label a sample, or one-hot labels")
    if y.dtype.kind == "O":
        y = _of_one_type(source, name, y)
    return words_of(source, name, y) if y.dtype.kind in "US" else _whole(source, name, y)


def words_of(source: str, name: str, words: np.ndarray) -> np.ndarray:
    """Strings without the spaces around them; bytes are UTF-8.

    Raises:
        InputError: for one that is empty or no text.
    """
    if words.dtype.kind == "S":
        try:
            words = np.char.decode(words, "utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"{source}: {name} holds bytes that are no UTF-8; allowed: {_NUMBERS}") from error
    words = np.char.strip(words)
    if len(empty := np.flatnonzero(words == "")):
        raise InputError(f"{source}: {name} is empty in row {empty[0]}; allowed: {_NUMBERS}")
    return words


def _from_one_hot(source: str, name: str, y: np.ndarray, findings: Findings) -> np.ndarray:
    is_number = y.dtype.kind in "iubf"
    is_good = (((y == 0) | (y == 1)).all(1) & ((y == 1).sum(1) == 1)) if is_number else np.zeros(len(y), dtype=bool)
    if len(bad := np.flatnonzero(~is_good)):
        raise InputError(
            f"{source}: {name} has shape {list(y.shape)}, and its row {bad[0]} is {brief(y[bad[0]].tolist())}; "
            "allowed: one label a sample, or one-hot labels, whose rows hold a 1 and else 0"
        )
    findings.decide("labels are one-hot: the place of the 1 is the label", f"{name} {list(y.shape)}")
    return y.argmax(1).astype(np.int64)


def _of_one_type(source: str, name: str, y: np.ndarray) -> np.ndarray:
    """Python objects as an array of strings or numbers, if they are all of one of these kinds."""
    is_text = np.array([isinstance(label, str) for label in y], dtype=bool)
    if is_text.all():
        return y.astype(str)
    is_number = np.array([isinstance(label, bool | int | float | np.number | np.bool_) for label in y], dtype=bool)
    if not is_number.all():
        row = int(np.flatnonzero(~(is_text if is_text[0] else is_number))[0])
        raise InputError(f"{source}: {name} is {brief(repr(y[row]))} in row {row}; allowed: {_NUMBERS}, all of a kind")
    return np.array(y.tolist())


def _whole(source: str, name: str, y: np.ndarray) -> np.ndarray:
    """Whole numbers of any type, and booleans, as int64."""
    known = y.astype(np.float64) if y.dtype.kind in "iubf" else np.full(len(y), np.nan)
    with np.errstate(invalid="ignore"):
        is_good = (known % 1 == 0) & (abs(known) <= _MOST_WHOLE)
    if len(bad := np.flatnonzero(~is_good)):
        raise InputError(
            f"{source}: {name} has type {y.dtype} and other values than allowed: {_NUMBERS}; "
            f"row {bad[0]} is {brief(y[bad[0]])}"
        )
    return y.astype(np.int64)


def words_by_number(
    source: str, names: Sequence[str], labels: Sequence[np.ndarray], label_names: Sequence[str] | None
) -> list[Words]:
    """Each part's labels as the names of its classes.

    Args:
        source: for messages.
        names: of the arrays; the first has all classes.
        labels: from ``labels_of``.
        label_names: names of the labels in increasing order, or the labels in another order; None for the labels.

    Raises:
        InputError: for labels that the first array lacks, or another number of names.
    """
    for name, part in zip(names[1:], labels[1:], strict=True):
        if part.dtype.kind != labels[0].dtype.kind:
            kinds = ["strings" if each.dtype.kind == "U" else "whole numbers" for each in (labels[0], part)]
            raise InputError(f"{source}: {names[0]} holds {kinds[0]} and {name} {kinds[1]}; they must agree")
    known = np.unique(labels[0])
    for name, part in zip(names[1:], labels[1:], strict=True):
        unseen = sorted(set(np.unique(part).tolist()) - set(known.tolist()))
        if unseen:
            raise InputError(
                f"{source}: {name} has labels that {names[0]} lacks: {brief(unseen)}; allowed: {brief(known.tolist())}"
            )
    if label_names is not None and len(label_names) != len(known):
        raise InputError(f"{source}: class_names has {len(label_names)} names for {len(known)} labels in {names[0]}")
    own = [str(label) for label in known]
    is_order = label_names is None or set(label_names) == set(own)
    chosen = own if is_order else [str(name) for name in label_names or ()]
    return [Words(np.searchsorted(known, part), chosen) for part in labels]


def groups_of(source: str, name: str, groups: np.ndarray, count: int) -> Words:
    """The groups of ``count`` recordings.

    Raises:
        InputError: unless there is a whole number or a string for each.
    """
    if groups.dtype.kind == "O" and groups.ndim == 1:
        groups = _of_one_type(source, name, groups)
    if groups.shape != (count,) or groups.dtype.kind not in "USiu":
        raise InputError(
            f"{source}: {name} has shape {list(groups.shape)} and type {groups.dtype}; "
            f"allowed: [{count}] whole numbers or strings"
        )
    words = words_of(source, name, groups) if groups.dtype.kind in "US" else groups
    found, numbers = np.unique(words, return_inverse=True)
    return Words(numbers, [str(group) for group in found])
