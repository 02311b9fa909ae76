"""Sources that hold arrays ``[samples, channels, length]``: ``.npz`` files and the UCR/UEA archive through aeon."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from nas_lightning.data.readers.series import read_ts
from nas_lightning.data.readers.sets import ArraySet, Part, read_set
from nas_lightning.data.readers.stored import StoredArray, load_whole, open_series, unreadable
from nas_lightning.data.readers.targets import words_of
from nas_lightning.data.reading import UNLABELLED, Findings, Reading
from nas_lightning.data.recordings import Recording, Source
from nas_lightning.errors import InputError, brief, said_of

_SPLITS = ("train", "test")
_REQUIRED = ("X_train", "y_train", "X_test", "y_test")
_OF_PART = re.compile(r"(x|y|groups)(?:_(train|val|valid|validation|test))?", re.IGNORECASE)
_OF_ALL = ("class_names", "channel_names", "sampling_rate")
_NAMES_OF_VAL = ("valid", "validation")


@dataclass
class _Keys:
    """The names of the arrays in a file by what they are.

    Attributes:
        parts: by split (None: not decided), the names for ``x``, ``y`` and ``groups``.
        others: those of ``_OF_ALL``.
        unread: all others.
    """

    parts: dict[str | None, dict[str, str]] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)


def read_npz(path: Path, reading: Reading) -> Source:
    """Read ``X_train`` [N, C, L], ``y_train`` [N], ``X_test``, ``y_test``; or ``X`` and ``y``, and splits are made.

    There may be ``X_val`` and ``y_val``, ``groups_train`` (``_val``, ``_test``) or ``groups``, ``class_names``,
    ``channel_names`` and ``sampling_rate``. Pickled arrays are refused: a file from elsewhere must not run code here.
    The series are read in parts, while the source is, and never lie in memory as a whole.

    Raises:
        InputError: naming the file and what is wrong.
    """
    findings = Findings()
    with said_of(unreadable(path)), path.open("rb") as file, np.load(file, allow_pickle=False) as content:
        keys = _keys(path, content.files, findings, reading.is_labelled)
        parts = [_part(path, content, split, keys.parts[split], reading.is_labelled) for split in keys.parts]
        others = {key: load_whole(content, key) for key in keys.others}
    names = others.get("class_names")
    arrays = ArraySet(
        str(path),
        parts,
        channels=_names(path, "channel_names", others.get("channel_names")),
        label_names=_names(path, "class_names", names).tolist() if names is not None and reading.is_labelled else None,
        sampling_rate=_rate(path, others.get("sampling_rate")),
    )
    return read_set(arrays, reading, findings)


def _keys(path: Path, found: Sequence[str], findings: Findings, is_labelled: bool) -> _Keys:
    """What the arrays of a file are; parts in the order train, val, test.

    Raises:
        InputError: if one is missing, or there is one twice.
    """
    keys = _Keys()
    for key in sorted(found):
        match = _OF_PART.fullmatch(key)
        if match is None:
            (keys.others if key in _OF_ALL else keys.unread).append(key)
            continue
        split = match[2] and match[2].lower()
        own = keys.parts.setdefault("val" if split in _NAMES_OF_VAL else split, {})
        if (before := own.setdefault(match[1].lower(), key)) != key:
            raise InputError(f"{path}: has {before} and {key}; allowed: one of them")
    if len(keys.parts) > 1 and None in keys.parts:
        keys.unread += keys.parts.pop(None).values()
    _check_complete(path, keys, sorted(found), is_labelled)
    keys.parts = {split: keys.parts[split] for split in (None, "train", "val", "test") if split in keys.parts}
    if keys.unread:
        findings.warn("arrays of other names are not read", ", ".join(keys.unread))
    if "test" not in keys.parts and is_labelled:
        findings.decide("there is no X_test; a test split is taken from the others", ", ".join(sorted(found)))
    return keys


def _check_complete(path: Path, keys: _Keys, found: Sequence[str], is_labelled: bool) -> None:
    if not is_labelled:
        keys.parts = {split: roles for split, roles in keys.parts.items() if "x" in roles}
        if not keys.parts:
            raise InputError(f"{path}: lacks X; found {brief(found)}, needed X, or X_test and the like")
        return
    needed = {None: ("X", "y")} if None in keys.parts else dict.fromkeys(["train", *keys.parts], ("X", "y"))
    missing = [
        role if split is None else f"{role}_{split}"
        for split, roles in needed.items()
        for role in roles
        if role.lower() not in keys.parts.get(split, {})
    ]
    if not keys.parts:
        missing = list(_REQUIRED)
    if missing:
        allowed = f"{list(_REQUIRED)}, or X and y"
        raise InputError(f"{path}: lacks {', '.join(missing)}; found {brief(found)}, needed {allowed}")


def _part(path: Path, content: Any, split: str | None, keys: Mapping[str, str], is_labelled: bool) -> Part:
    groups = load_whole(content, keys["groups"]) if "groups" in keys else None
    x: np.ndarray | StoredArray = open_series(path, content, keys["x"])
    y = load_whole(content, keys["y"]) if is_labelled else np.full(len(x), UNLABELLED)
    return Part(split, x, y, groups, keys["x"][1:])


def _names(path: Path, key: str, found: np.ndarray | None) -> Any:
    """An array of names; whole numbers are names, too."""
    if found is None:
        return None
    if found.ndim != 1 or found.dtype.kind not in "USiu":
        raise InputError(
            f"{path}: {key} has shape {list(found.shape)} and type {found.dtype}; allowed: a list of names"
        )
    return words_of(str(path), key, found if found.dtype.kind in "US" else found.astype(str))


def _rate(path: Path, found: np.ndarray | None) -> float | None:
    if found is None:
        return None
    rate = float(found.reshape(-1)[0]) if found.size == 1 and found.dtype.kind in "iuf" else 0.0
    if not 0 < rate < float("inf"):
        raise InputError(f"{path}: sampling_rate is {brief(found.tolist())}; allowed: one number of Hz above 0")
    return rate


def _that_come_with_aeon(name: str) -> list[Recording] | None:
    """The recordings of a set that lies inside of aeon, as aeon gives them, without its import, which takes long."""
    spec = find_spec("aeon")
    if spec is None or spec.origin is None or not name.isidentifier():
        return None
    folder = Path(spec.origin).parent / "datasets" / "data" / name
    files = {split: folder / f"{name}_{split.upper()}.ts" for split in _SPLITS}
    if not all(path.is_file() for path in files.values()):
        return None
    return [
        Recording(f"{split}/{number}", values, label.lower(), split=split)
        for split, path in files.items()
        for number, (values, label) in enumerate(read_ts(path, Reading(), Findings()))
    ]


def read_archive(name: str | None) -> Source:
    """Read a set of the UCR/UEA archive through aeon; some come inside the package, the others are downloaded once.

    Raises:
        InputError: if aeon does not know the name or cannot reach the archive.
    """
    with suppress(InputError):  # what this package cannot read of them, aeon may
        if (found := _that_come_with_aeon(str(name))) is not None:
            return Source(str(name), found)
    from aeon.datasets import load_classification  # slow to import, and not needed for files

    try:
        loaded = {split: load_classification(name, split=split) for split in _SPLITS}
    except Exception as error:  # aeon raises ValueError, OSError or URLError, by the version and the cause
        raise InputError(
            f"`name`: cannot load {name!r} from the UCR/UEA archive ({brief(error)}); give a name of "
            "https://timeseriesclassification.com, or a file or folder with `path`"
        ) from error
    recordings = [
        Recording(f"{split}/{number}", values.T, str(label).strip(), split=split)
        for split, (x, labels) in loaded.items()
        for number, (values, label) in enumerate(zip(x, labels, strict=True))
    ]
    return Source(str(name), recordings)
