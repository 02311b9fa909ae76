"""Sources that hold arrays ``[samples, channels, length]``: ``.npz`` files and the UCR/UEA archive through aeon."""

import math
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nas_lightning.data.reading import Reading
from nas_lightning.data.recordings import Block, Recording, Source
from nas_lightning.data.words import Numbered, Words
from nas_lightning.errors import InputError, brief

_SPLITS = ("train", "test")
_REQUIRED = ("X_train", "y_train", "X_test", "y_test")
_OPTIONAL = ("groups_train", "class_names")
_PART_VALUES = 1 << 20


@dataclass(frozen=True)
class StoredArray:
    """An array of an ``.npz`` file that is read in parts.

    Attributes:
        path: the file.
        member: its name in it.
        shape: as it says.
        dtype: of its values.
    """

    path: Path
    member: str
    shape: tuple[int, ...]
    dtype: np.dtype

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def parts(self, rows: int) -> Iterator[np.ndarray]:
        """Up to ``rows`` entries of the first axis at a time.

        Raises:
            InputError: if the file is damaged.
        """
        bytes_of_one = math.prod(self.shape[1:]) * self.dtype.itemsize
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(self.member) as stream:
                if _read_header(stream) != (self.shape, False, self.dtype):
                    raise ValueError("it changed while it was read")
                for start in range(0, len(self), rows):
                    count = min(rows, len(self) - start)
                    content = stream.read(count * bytes_of_one)
                    if len(content) < count * bytes_of_one:
                        raise ValueError(f"{self.member} ends after {start + len(content) // bytes_of_one} samples")
                    yield np.frombuffer(content, self.dtype).reshape(count, *self.shape[1:])
        except Exception as error:  # as in read_npz
            raise _unreadable(self.path, error) from error


Series = np.ndarray | StoredArray
"""``[N, C, L]``."""


def read_npz(path: Path, reading: Reading) -> Source:
    """Read ``X_train`` [N, C, L], ``y_train`` [N], ``X_test``, ``y_test``; ``groups_train``, ``class_names`` if there.

    Pickled arrays are refused: a file from elsewhere must not run code here. The series are read in parts, while the
    source is, and never lie in memory as a whole.

    Raises:
        InputError: naming the file and what is wrong.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
            found = sorted(content.files)
            arrays = {key: _open_array(path, content, key) for key in (*_REQUIRED, *_OPTIONAL) if key in found}
    except Exception as error:  # NumPy and zipfile raise whatever they meet in a damaged file
        raise _unreadable(path, error) from error
    missing = [key for key in _REQUIRED if key not in arrays]
    if missing:
        raise InputError(f"{path}: lacks {', '.join(missing)}; found {found}, needed {list(_REQUIRED)}")
    names = arrays.pop("class_names", None)
    return from_arrays(str(path), arrays, None if names is None else [str(name) for name in names.tolist()])


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(
        f"dataset.input_data_path: {path} cannot be read as .npz without pickled objects ({brief(error)})"
    )


def _open_array(path: Path, content: Any, key: str) -> Any:
    """An array of an open file; series as they can be read in parts, unless they are stored by columns."""
    member = f"{key}.npy" if f"{key}.npy" in content.zip.namelist() else key
    with content.zip.open(member) as stream:
        shape, is_by_columns, dtype = _read_header(stream)
    if key.startswith("X_") and len(shape) == 3 and not is_by_columns and not dtype.hasobject:
        return StoredArray(path, member, shape, dtype)
    return content[key]


def _read_header(stream: Any) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether the array is stored by columns, and type; the stream is then at the first value."""
    read = np.lib.format.read_array_header_1_0
    return (read if np.lib.format.read_magic(stream) == (1, 0) else np.lib.format.read_array_header_2_0)(stream)


def read_archive(name: str | None) -> Source:
    """Read a set of the UCR/UEA archive through aeon; some come inside the package, the others are downloaded once.

    Raises:
        InputError: if aeon does not know the name or cannot reach the archive.
    """
    from aeon.datasets import load_classification  # slow to import, and not needed for files

    try:
        loaded = {split: load_classification(name, split=split) for split in _SPLITS}
    except Exception as error:  # aeon raises ValueError, OSError or URLError, by the version and the cause
        raise InputError(
            f"dataset.dataset_name: cannot load {name!r} from the UCR/UEA archive ({brief(error)}); give a name of "
            "https://timeseriesclassification.com, or a file or folder with dataset.input_data_path"
        ) from error
    return Source(
        str(name), [recording for split in _SPLITS for recording in _series(loaded[split][0], loaded[split][1], split)]
    )


def _series(x: Sequence[np.ndarray], labels: Sequence[object], split: str | None) -> Iterator[Recording]:
    """Recordings of N series ``[C, L]``, named by the split and a number."""
    for i, (values, label) in enumerate(zip(x, labels, strict=True)):
        yield Recording(f"{split or 'all'}/{i}", values.T, str(label), split=split)


def from_arrays(source: str, arrays: Mapping[str, Any], class_names: list[str] | None = None) -> Source:
    """Check arrays named as in the npz format.

    Args:
        source: the file, for messages.
        arrays: ``X_train``, ``y_train``, ``X_test``, ``y_test`` and optionally ``groups_train``; series may be stored.
        class_names: names of the labels in increasing order; the labels themselves if None.

    Raises:
        InputError: naming the source, the array, what was found and what is allowed.
    """
    x = {split: _check_series(source, f"X_{split}", arrays[f"X_{split}"]) for split in _SPLITS}
    if x["train"].shape[1:] != x["test"].shape[1:]:
        raise InputError(
            f"{source}: X_train has [channels, length] {list(x['train'].shape[1:])} and X_test "
            f"{list(x['test'].shape[1:])}; they must agree"
        )
    for split in _SPLITS:
        shape = arrays[f"y_{split}"].shape
        if shape != (len(x[split]),):
            raise InputError(f"{source}: y_{split} has shape {list(shape)}; X_{split} asks for [{len(x[split])}]")
    y = {split: _check_labels(source, f"y_{split}", arrays[f"y_{split}"]) for split in _SPLITS}
    labels = np.unique(y["train"])
    unseen = sorted(set(np.unique(y["test"]).tolist()) - set(labels.tolist()))
    if unseen:
        raise InputError(f"{source}: y_test has labels that y_train lacks: {unseen}; allowed: {labels.tolist()}")
    if class_names is not None and len(class_names) != len(labels):
        raise InputError(f"{source}: class_names has {len(class_names)} names for {len(labels)} labels in y_train")
    names = [str(name) for name in (class_names or labels)]
    words = {split: Words(np.searchsorted(labels, y[split]), names) for split in _SPLITS}
    groups = _groups(source, arrays.get("groups_train"), len(x["train"]), len(x["test"]))
    return Source(source, _blocks(x, words, groups), names, total=len(x["train"]) + len(x["test"]))


def _blocks(
    x: Mapping[str, Series], labels: Mapping[str, Words], groups: Mapping[str, Words] | None
) -> Iterator[Block]:
    for split in _SPLITS:
        start = 0
        for part in _parts(x[split]):
            count, channels, length = part.shape
            here = slice(start, start + count)
            yield Block(
                names=Numbered(split, range(start, start + count)),
                values=part.transpose(0, 2, 1).reshape(-1, channels),
                lengths=np.full(count, length),
                labels=labels[split][here],
                groups=None if groups is None else groups[split][here],
                splits=Words(np.zeros(count, dtype=np.int64), [split]),
            )
            start += count


def _parts(x: Series) -> Iterator[np.ndarray]:
    rows = max(1, _PART_VALUES // math.prod(x.shape[1:]))
    return x.parts(rows) if isinstance(x, StoredArray) else (x[i : i + rows] for i in range(0, len(x), rows))


def _check_series(source: str, name: str, x: Series) -> Series:
    if x.ndim != 3 or 0 in x.shape:
        raise InputError(
            f"{source}: {name} has shape {list(x.shape)}; allowed: [samples, channels, length], none of them 0"
        )
    if not (np.issubdtype(x.dtype, np.floating) or np.issubdtype(x.dtype, np.integer)):
        raise InputError(f"{source}: {name} has type {x.dtype}; allowed: numbers")
    return x


def _check_labels(source: str, name: str, y: np.ndarray) -> np.ndarray:
    """Strings as they are; whole numbers of any type, and booleans, as int64."""
    if y.dtype.kind in "US":
        return y
    if y.dtype.kind not in "iubf" or not np.array_equal(y.astype(np.float64) % 1, np.zeros(len(y))):
        raise InputError(f"{source}: {name} has type {y.dtype} and other values than allowed: whole numbers or strings")
    return y.astype(np.int64)


def _groups(source: str, groups: np.ndarray | None, num_train: int, num_test: int) -> dict[str, Words] | None:
    """The groups by split; the test split is one of its own."""
    if groups is None:
        return None
    if groups.shape != (num_train,) or not np.issubdtype(groups.dtype, np.integer):
        raise InputError(
            f"{source}: groups_train has shape {list(groups.shape)} and type {groups.dtype}; "
            f"allowed: [{num_train}] whole numbers"
        )
    found, numbers = np.unique(groups, return_inverse=True)
    test = Words(np.zeros(num_test, dtype=np.int64), ["test"])
    return {"train": Words(numbers, [str(group) for group in found]), "test": test}
