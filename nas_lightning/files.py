"""Writing files whole, and reading what a stranger may have written: a part, garbage or another kind of file."""

import io
import json
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from nas_lightning.errors import DamagedFileError, InputError, brief

T = TypeVar("T")

ERROR = "error.txt"
"""What ended a run of a sweep."""

OVERRIDES = "overrides.txt"
"""What was set for a run of a sweep, a line each."""

_MOST_YAML_BYTES = 1 << 20
_MOST_YAML_VALUES = 100_000
_MOST_BITS = 128


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content``; a reader sees the old file or the new one, never a part, also after a power cut."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        temporary.unlink(missing_ok=True)  # of a process that was killed, or a link of somebody else
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:  # a write does not know the name
            error.filename = str(path)
        raise


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A place to write what is too large for memory, part by part; it becomes ``path`` at the end, or vanishes.

    Raises:
        OSError: naming the file.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        temporary.unlink(missing_ok=True)
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)
        raise


def write_text(path: Path, content: str) -> None:
    """Write UTF-8 text whole."""
    write_bytes(path, content.encode())


def json_bytes(content: Any) -> bytes:
    """What ``write_json`` writes."""
    return (json.dumps(content, indent=2, allow_nan=False) + "\n").encode()


def write_json(path: Path, content: Any) -> None:
    """Write JSON whole; NaN and infinity are refused with a ``ValueError``."""
    write_bytes(path, json_bytes(content))


def write_npz(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write arrays whole."""
    import numpy as np  # here and below at need: the command line writes and reads small files before anything large

    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    write_bytes(path, content.getvalue())


def write_torch(path: Path, content: Any) -> None:
    """Write what ``torch.save`` makes of ``content`` whole."""
    import torch

    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_bytes(path, buffer.getvalue())


@contextmanager
def damage(path: Path) -> Iterator[None]:
    """Whatever goes wrong while ``path`` is read and understood means that the file is damaged.

    Raises:
        DamagedFileError: naming the file and what was found.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # parsers and constructors raise whatever they meet in a damaged file
        found = brief(str(error) or type(error).__name__)
        raise DamagedFileError(path, found) from error


def read_json(path: Path, kind: type = dict) -> Any:
    """Read a JSON object, or a list.

    Raises:
        DamagedFileError: if the file cannot be read as that.
    """
    with damage(path):
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
        if not isinstance(content, kind):
            raise TypeError(f"found {brief(content)}, allowed: a {kind.__name__}")
        return content


def _refuse_constant(text: str) -> None:
    raise ValueError(f"found {text}, which is no JSON")


def read_as(path: Path, make: Callable[[Any], T], kind: type = dict) -> T:
    """Read JSON and make something of it.

    Raises:
        InputError: naming the file, if it cannot be read, or ``make`` cannot use it.
    """
    content = read_json(path, kind)
    try:
        with damage(path):
            return make(content)
    except DamagedFileError:
        raise
    except InputError as error:  # says what is wrong, and not where
        raise InputError(f"{path}: {error}") from error


def read_record(path: Path, kind: type[T]) -> T:
    """Read what ``write_json(path, plain(record))`` wrote; keys that the record does not know are left alone.

    Raises:
        DamagedFileError: naming the file and the place in it, if a value is missing or of another type.
    """
    return read_as(path, lambda content: msgspec.convert(content, kind))


def read_records(path: Path, kind: type[T]) -> list[T]:
    """The same for a list of records."""
    return read_as(path, lambda content: msgspec.convert(content, list[kind]), list)  # type: ignore[valid-type]


def plain(value: Any) -> Any:
    """A record as JSON knows it, with all in it; a field whose default is None is left out where it is None.

    >>> plain({"limits": (1, 2)})
    {'limits': [1, 2]}
    """
    if is_dataclass(value):
        own = ((field, getattr(value, field.name)) for field in fields(value))
        return {field.name: plain(part) for field, part in own if part is not None or field.default is not None}
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    return [plain(part) for part in value] if isinstance(value, list | tuple) else value


def read_yaml(path: Path) -> dict[Any, Any]:
    """Read YAML with sections; no tag makes an object of it, and what unfolds to a huge number of values is refused.

    Raises:
        InputError: naming the file, if it cannot be read as that.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    if len(content) > _MOST_YAML_BYTES:
        raise InputError(f"{path}: has {len(content):,} bytes; allowed: {_MOST_YAML_BYTES:,}")
    try:
        sections = yaml.safe_load(content.decode())
        _refuse_odd(sections)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not YAML ({brief(str(error))})") from error
    if not isinstance(sections, dict):
        raise InputError(
            f"{path}: has no sections; allowed: the layout of the user guide (common, dataset, training, ...)"
        )
    return sections


def _refuse_odd(content: Any) -> None:
    """Refuse values that no setting has; and count what aliases unfold to, without unfolding it in memory."""
    left, todo = _MOST_YAML_VALUES, [content]
    while todo:
        value = todo.pop()
        left -= 1
        if left < 0:
            raise ValueError(f"it unfolds to more than {_MOST_YAML_VALUES:,} values")
        if isinstance(value, dict):
            todo += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            todo += value
        elif isinstance(value, str):
            value.encode()  # fails for halves of characters
            if "\0" in value:
                raise ValueError("a text holds the sign 0")
        elif isinstance(value, int) and value.bit_length() > _MOST_BITS:
            raise ValueError(f"a number has {value.bit_length():,} bits")
        elif isinstance(value, bytes | set | tuple):
            raise ValueError(f"it holds a value of type {type(value).__name__}")


def read_torch(path: Path) -> Any:
    """Read what ``write_torch`` wrote: tensors and plain values; no pickle in it can run code.

    Raises:
        DamagedFileError: if it cannot be read: the checksum of every member of the archive is compared.
    """
    import torch

    with damage(path):
        with zipfile.ZipFile(path) as archive:
            if (name := archive.testzip()) is not None:
                raise ValueError(f"the checksum of {name} is wrong")
        return torch.load(path, weights_only=True, map_location="cpu")


def has_ended(run_folder: Path) -> bool:
    """Whether the run of this folder went through to its last file.

    Raises:
        DamagedFileError: if that file cannot be read.
    """
    metrics = run_folder / "metrics.json"
    return metrics.is_file() and "training" in read_json(metrics)
