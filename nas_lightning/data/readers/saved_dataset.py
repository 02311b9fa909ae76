"""Hugging Face ``datasets`` saved to disk: folders of Arrow files, read without that package."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nas_lightning.data.links import check_file, check_inside
from nas_lightning.data.readers.axes import Orientation
from nas_lightning.data.readers.table_rows import import_arrow
from nas_lightning.data.readers.text_lines import one_line
from nas_lightning.data.reading import Findings, Reading
from nas_lightning.data.recordings import Recording, Source
from nas_lightning.errors import InputError, brief, said_of

_SPLITS = {"train": "train", "validation": "val", "val": "val", "valid": "val", "test": "test"}


def is_saved_dataset(path: Path) -> bool:
    """Whether a folder holds what ``save_to_disk`` of a Dataset or a DatasetDict leaves."""
    return (path / "dataset_dict.json").is_file() or (path / "state.json").is_file()


@dataclass(frozen=True)
class _How:
    """What is known of the rows of all splits.

    Attributes:
        label: the column of the labels.
        group: the column of the groups, which need not be there; None if there is none.
        turned: brings series to ``[T, C]``.
        findings: gets what is decided.
    """

    label: str
    group: str | None
    turned: Orientation
    findings: Findings


def read_saved_dataset(path: Path, reading: Reading) -> Source:
    """Read a saved Dataset, or a DatasetDict whose splits are named train, validation (or val) and test.

    Each row is a recording: its label, one column of numbers ``[time]`` or ``[time][variables]``, and a group if there
    is a column for it.

    Raises:
        InputError: naming the folder and what is wrong.
    """
    findings = Findings()
    turned = Orientation(str(path), reading.axes, "time_first", findings)
    how = _How(
        reading.column("label"), None if reading.has_none("group") else reading.column("group"), turned, findings
    )
    for found in sorted(path.rglob("*")):
        if found.is_symlink() and found.is_dir():
            check_inside(found, path, str(path))
        elif found.suffix == ".json":
            check_file(found, path, str(path))
    folders: dict[str | None, Path] = {None: path}
    if (path / "dataset_dict.json").is_file():
        folders = {_SPLITS[split]: path / split for split in _splits(path)}
    first = folders.get("train", path)

    def recordings() -> Iterator[Recording]:
        for split, folder in folders.items():
            yield from _recordings(folder, split, how)
        turned.end()

    return Source(str(path), recordings(), _label_names(first, how.label), findings=findings)


def _splits(path: Path) -> list[str]:
    splits = _read_json(path / "dataset_dict.json").get("splits")
    if not isinstance(splits, list) or "train" not in splits or not all(str(split) in _SPLITS for split in splits):
        raise InputError(f"{path}: has the splits {brief(splits)}; allowed: train, validation, test")
    if len({_SPLITS[split] for split in splits}) < len(splits):
        raise InputError(f"{path}: has the splits {brief(splits)}, of which two are the same; allowed: each once")
    return splits


def _label_names(folder: Path, label_column: str) -> list[str] | None:
    features = _read_json(folder / "dataset_info.json").get("features")
    label = features.get(label_column) if isinstance(features, dict) else None
    names = label.get("names") if isinstance(label, dict) else None
    return [str(name).strip() for name in names] if isinstance(names, list) and names else None


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


def _recordings(folder: Path, split: str | None, how: _How) -> Iterator[Recording]:
    arrow = import_arrow(folder)
    names = _label_names(folder, how.label)
    number = 0
    for file in _files(folder):
        with said_of(f"{folder}: {file} cannot be read as Arrow"):
            check_file(folder / file, folder, str(folder))
            with arrow.OSFile(str(folder / file)) as stream:
                batches = arrow.ipc.open_stream(stream)
                column = _value_column(folder, batches.schema, how)
                for batch in batches:
                    batch.validate(full=True)  # Arrow trusts the file, and reads beyond its memory where it is damaged
                    groups = batch.column(how.group).to_pylist() if how.group in batches.schema.names else None
                    for i, (values, label) in enumerate(
                        zip(batch.column(column), batch.column(how.label), strict=True)
                    ):
                        text = _label(folder, number, label.as_py(), names)
                        rows = _array(folder, number, values)
                        if rows.ndim == 2:
                            rows = how.turned.turned(f"row {number} of {folder.name}", rows)
                        group = None if groups is None else _group(folder, number, groups[i])
                        name = f"{split or 'all'}/{number}"
                        yield Recording(name, rows.reshape(len(rows), -1), text, group, split)
                        number += 1


def _label(folder: Path, number: int, label: Any, names: list[str] | None) -> str:
    """The label as text: a number by its name if there are names, whole numbers without decimals, words stripped."""
    if isinstance(label, float) and label.is_integer():
        label = int(label)
    text = str(label).strip()
    is_good = isinstance(label, str | int) and bool(text)
    if names:
        is_good = isinstance(label, int) and 0 <= label < len(names)
    if not is_good:
        allowed = f"0 to {len(names) - 1}" if names else "a name or a whole number"
        raise InputError(f"{folder}: row {number} has the label {brief(label)!r}; allowed: {allowed}")
    return names[label] if names else text


def _group(folder: Path, number: int, group: Any) -> str:
    if not isinstance(group, str | int) or not str(group).strip():
        raise InputError(f"{folder}: row {number} has the group {brief(group)!r}; allowed: a name or a whole number")
    return str(group).strip()


def _value_column(folder: Path, schema: Any, how: _How) -> str:
    if how.label not in schema.names:
        raise InputError(
            f"{folder}: has no column {how.label!r}, which `columns.label` names; "
            f"found {brief(', '.join(schema.names))}"
        )
    lists = [field.name for field in schema if "list" in str(field.type) and field.name not in (how.label, how.group)]
    if len(lists) != 1:
        raise InputError(f"{folder}: has {len(lists)} columns of lists; allowed: one, the series")
    if unread := [name for name in schema.names if name not in (how.label, how.group, *lists)]:
        how.findings.warn("columns of other names are not read", f"{folder.name}: {', '.join(unread)}")
    return lists[0]


def _array(folder: Path, number: int, values: Any) -> np.ndarray:
    try:
        series = np.array(values.as_py(), dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise InputError(f"{folder}: row {number} is no array of numbers ({one_line(error)})") from error
    if series.ndim not in (1, 2) or series.size == 0:
        raise InputError(f"{folder}: row {number} has shape {list(series.shape)}; allowed: [time] or [time][variables]")
    return series


def _read_json(path: Path) -> dict[str, Any]:
    with said_of(f"{path}: cannot be read as JSON"):
        content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds {type(content).__name__}; allowed: an object")
    return content
