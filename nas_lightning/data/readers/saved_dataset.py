"""Hugging Face ``datasets`` saved to disk: folders of Arrow files, read without that package."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from nas_lightning.data.links import check_file, check_inside
from nas_lightning.data.readers.table_rows import import_arrow
from nas_lightning.data.readers.text import one_line
from nas_lightning.data.reading import Reading
from nas_lightning.data.recordings import Recording, Source
from nas_lightning.errors import InputError, brief

_SPLITS = {"train": "train", "validation": "val", "val": "val", "valid": "val", "test": "test"}


def is_saved_dataset(path: Path) -> bool:
    """Whether a folder holds what ``save_to_disk`` of a Dataset or a DatasetDict leaves."""
    return (path / "dataset_dict.json").is_file() or (path / "state.json").is_file()


def read_saved_dataset(path: Path, reading: Reading) -> Source:
    """Read a saved Dataset, or a DatasetDict whose splits are named train, validation (or val) and test.

    Each row is a recording: its label, and one column of numbers ``[time]`` or ``[time][variables]``.

    Raises:
        InputError: naming the folder and what is wrong.
    """
    label_column = reading.column("label")
    for found in sorted(path.rglob("*")):
        if found.is_symlink() and found.is_dir():
            check_inside(found, path, str(path))
        elif found.suffix == ".json":
            check_file(found, path, str(path))
    if not (path / "dataset_dict.json").is_file():
        return Source(str(path), _recordings(path, None, label_column), _class_names(path, label_column))
    splits = _read_json(path / "dataset_dict.json").get("splits")
    if not isinstance(splits, list) or "train" not in splits or not all(str(split) in _SPLITS for split in splits):
        raise InputError(f"{path}: has the splits {brief(splits)}; allowed: train, validation, test")

    def recordings() -> Iterator[Recording]:
        for split in splits:
            yield from _recordings(path / split, _SPLITS[split], label_column)

    return Source(str(path), recordings(), _class_names(path / "train", label_column))


def _class_names(folder: Path, label_column: str) -> list[str] | None:
    features = _read_json(folder / "dataset_info.json").get("features")
    label = features.get(label_column) if isinstance(features, dict) else None
    names = label.get("names") if isinstance(label, dict) else None
    return [str(name) for name in names] if isinstance(names, list) and names else None


def _files(folder: Path) -> list[str]:
    entries = _read_json(folder / "state.json").get("_data_files")
    if not isinstance(entries, list) or not all(
        isinstance(e, dict) and isinstance(e.get("filename"), str) for e in entries
    ):
        raise InputError(f"{folder}: state.json has no list of files; allowed: what save_to_disk writes")
    for entry in entries:
        if Path(entry["filename"]).name != entry["filename"] or "\\" in entry["filename"]:
            raise InputError(
                f"{folder}: state.json names the file {brief(entry['filename'])!r}; allowed: files of this folder"
            )
    return [entry["filename"] for entry in entries]


def _recordings(folder: Path, split: str | None, label_column: str) -> Iterator[Recording]:
    arrow = import_arrow(folder)
    names = _class_names(folder, label_column)
    number = 0
    for file in _files(folder):
        try:
            check_file(folder / file, folder, str(folder))
            with arrow.OSFile(str(folder / file)) as stream:
                batches = arrow.ipc.open_stream(stream)
                column = _value_column(folder, batches.schema, label_column)
                for batch in batches:
                    batch.validate(full=True)  # Arrow trusts the file, and reads beyond its memory where it is damaged
                    for values, label in zip(batch.column(column), batch.column(label_column), strict=True):
                        text = _label(folder, number, label.as_py(), names)
                        yield Recording(f"{split or 'all'}/{number}", _array(folder, number, values), text, split=split)
                        number += 1
        except InputError:
            raise
        except Exception as error:  # Arrow raises its own errors and Python's
            raise InputError(f"{folder}: {file} cannot be read as Arrow ({one_line(error)})") from error


def _label(folder: Path, number: int, label: Any, names: list[str] | None) -> str:
    if label is None or label == "" or (names and not (isinstance(label, int) and 0 <= label < len(names))):
        allowed = f"0 to {len(names) - 1}" if names else "a name or a number"
        raise InputError(f"{folder}: row {number} has the label {brief(label)!r}; allowed: {allowed}")
    return names[label] if names else str(label)


def _value_column(folder: Path, schema: Any, label_column: str) -> str:
    if label_column not in schema.names:
        raise InputError(
            f"{folder}: has no column {label_column!r}, which dataset.columns.label names; "
            f"found {brief(', '.join(schema.names))}"
        )
    lists = [field.name for field in schema if "list" in str(field.type)]
    if len(lists) != 1:
        raise InputError(f"{folder}: has {len(lists)} columns of lists; allowed: one, the series")
    return lists[0]


def _array(folder: Path, number: int, values: Any) -> np.ndarray:
    try:
        series = np.array(values.as_py(), dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise InputError(f"{folder}: row {number} is no array of numbers ({one_line(error)})") from error
    if series.ndim not in (1, 2) or series.size == 0:
        raise InputError(f"{folder}: row {number} has shape {list(series.shape)}; allowed: [time] or [time][variables]")
    return series[:, None] if series.ndim == 1 else series


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as JSON ({one_line(error)})") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds {type(content).__name__}; allowed: an object")
    return content
