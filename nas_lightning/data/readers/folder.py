"""Folders with one folder a class, and zip files of them: the layout of the user guide's data sets."""

import itertools
import logging
import os
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.io import wavfile
from tqdm import tqdm

from nas_lightning.data.annotations import read_lists
from nas_lightning.data.archive import checked_members
from nas_lightning.data.links import check_file, check_inside
from nas_lightning.data.progress import reading_bar
from nas_lightning.data.readers.text import one_line, read_many, read_numbers
from nas_lightning.data.reading import Content, Reading
from nas_lightning.data.recordings import Block, Recording, Source
from nas_lightning.errors import InputError

log = logging.getLogger("nas_lightning")

CLASSES = "classes"
"""The folder of the class folders, if the path is not that folder itself."""

_IGNORED = ("_list.txt", ".md", "LICENSE", ".DS_Store")
_LARGEST_UNZIPPED = 1 << 30


def read_folder(path: Path, reading: Reading, shown: str = "") -> Source:
    """Read ``classes/CLASS/*.csv|txt|npy|wav``; the folders below ``classes`` are the classes, in order of name.

    Args:
        path: the folder that holds ``classes``, or that folder itself.
        reading: what is known of the way in which it is written.
        shown: the folder's name in messages.

    Raises:
        InputError: naming the folder or the file and what is wrong.
    """
    shown = shown or str(path)
    root = path / CLASSES if (path / CLASSES).is_dir() else path
    folders = sorted(child for child in root.iterdir() if child.is_dir() and not child.name.startswith((".", "_")))
    names = [folder.name for folder in folders if folder.name != "annotations"]
    for place in (root, *(root / name for name in names)):
        check_inside(place, path, shown)
    with reading_bar(shown, None, "file") as bar:
        files = {name: _files(root / name, path, shown, bar) for name in names}
    empty = [name for name, found in files.items() if not found]
    if not names or len(empty) == len(names):
        raise InputError(f"{shown}: has no files in class folders; allowed: classes/CLASS/*.{{{','.join(READERS)}}}")
    if empty:
        raise InputError(f"{shown}: the class folders {empty} hold no recording; allowed: {', '.join(READERS)} files")
    lists = read_lists(root.parent if root.name == CLASSES else root, shown)
    return Source(shown, _recordings(root, files, shown), names, lists, sum(map(len, files.values())))


def read_zip(path: Path, reading: Reading) -> Source:
    """Read a zip file of such a folder; it lies unpacked in a temporary folder while it is read.

    Raises:
        InputError: if it is damaged, leads out of its folder, or unpacks to far more than its size.
    """
    folder = tempfile.TemporaryDirectory()
    try:
        unpack(path, Path(folder.name))
        inside = [child for child in Path(folder.name).iterdir() if child.is_dir() and child.name != "__MACOSX"]
        is_nested = len(inside) == 1 and inside[0].name != CLASSES
        source = read_folder(inside[0] if is_nested else Path(folder.name), reading, str(path))
    except InputError:
        folder.cleanup()
        raise

    def recordings() -> Iterator[Recording | Block]:
        with folder:
            yield from source.recordings

    return replace(source, recordings=recordings())


def unpack(path: Path, folder: Path) -> None:
    """Unpack a zip file, after a look at what it holds.

    Raises:
        InputError: as ``read_zip``.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = checked_members(path, archive, _LARGEST_UNZIPPED)
            with reading_bar(str(path), len(members), "file") as bar:
                for member in members:
                    member.filename = member.filename.replace("\\", "/")  # as some programs write it
                    archive.extract(member, folder)
                    bar.update()
    except InputError:
        raise
    except Exception as error:  # zipfile and its decompressors raise whatever they meet
        raise InputError(f"{path}: is no zip file that can be unpacked ({one_line(error)})") from error


def read_wav(path: Path, shown: str) -> Content:
    """A WAV file: whole numbers are scaled to -1 to 1, columns are its channels.

    Raises:
        InputError: if it is damaged.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)  # of chunks that hold no samples
            warnings.filterwarnings("error", ".*EOF", wavfile.WavFileWarning)
            rate, values = wavfile.read(path)
    except Exception as error:  # scipy raises whatever its unpacking meets
        raise InputError(f"{shown}: cannot be read as WAV ({one_line(error)})") from error
    kind = values.dtype
    if not values.size:
        raise InputError(f"{shown}: has no samples; at least 1 is needed")
    values = values.reshape(len(values), -1).astype(np.float64)
    if kind == np.uint8:
        values = (values - 128) / 128
    elif kind.kind == "i":
        values = values / 2.0 ** (8 * kind.itemsize - 1)
    return Content(values, sampling_rate=float(rate))


def read_npy(path: Path, shown: str) -> Content:
    """A NumPy array: 1-D ``[T]``, or 2-D ``[T, 1 + C]`` whose first column is the time and is dropped.

    Raises:
        InputError: if it is damaged, of another shape or not of numbers.
    """
    try:
        values = np.lib.format.open_memmap(path, mode="r")
    except Exception as error:  # NumPy raises whatever its look at the header meets
        raise InputError(f"{shown}: cannot be read as .npy without pickled objects ({one_line(error)})") from error
    if values.ndim not in (1, 2) or values.dtype.kind not in "fiub":
        raise InputError(
            f"{shown}: has shape {list(values.shape)} and type {values.dtype}; allowed: numbers of shape [time] or "
            "[time, 1 + variables]"
        )
    if values.ndim == 2 and values.shape[1] < 2:
        raise InputError(f"{shown}: has 1 column, which is the time; allowed: [time] or [time, 1 + variables]")
    return Content(values[:, None] if values.ndim == 1 else values[:, 1:])


def _read_text(path: Path, shown: str) -> Content:
    return read_numbers(path, shown)


READERS: dict[str, Callable[[Path, str], Content]] = {
    "csv": _read_text,
    "txt": _read_text,
    "npy": read_npy,
    "wav": read_wav,
}
"""By the ending of a file's name, in lower case."""


def _files(folder: Path, base: Path, shown: str, bar: tqdm) -> list[Path]:
    """The recordings below a class folder, sorted by name."""
    found = []
    for entry in _entries(folder, base, shown):
        bar.update()
        path = Path(entry.path)
        name = path.relative_to(folder).as_posix()
        if any(part.startswith((".", "_background_noise_")) for part in (path.parent.name, entry.name)):
            continue
        ending = path.suffix[1:].lower()
        if name.endswith(_IGNORED):
            continue
        try:
            entry.path.encode()
        except UnicodeEncodeError as error:  # the lists of the splits hold names
            raise InputError(f"{shown}: the name {entry.path!a} is no UTF-8; give it another one") from error
        if ending in ("pkl", "pickle"):
            raise InputError(f"{shown}: {path.name} is a pickle, which could run code; save it as .csv or .npy")
        if ending not in READERS:
            log.warning("data: %s is left out; files that are read end in %s", path, ", ".join(READERS))
            continue
        if entry.is_symlink() or not entry.is_file():
            check_file(path, base, shown)
        found.append(path)
    return found


def _entries(folder: Path, base: Path, shown: str) -> Iterator[os.DirEntry[str]]:
    """What lies below a folder besides folders, in order; links to folders are not followed."""
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            is_link = entry.is_symlink()
            if not (Path(entry.path).is_dir() if is_link else entry.is_dir()):
                yield entry
            elif is_link:
                check_inside(Path(entry.path), base, shown)
            else:
                yield from _entries(Path(entry.path), base, shown)


def _recordings(root: Path, files: dict[str, list[Path]], shown: str) -> Iterator[Recording]:
    for label, paths in files.items():
        for path, content in zip(paths, _contents(root, paths, shown), strict=True):
            name = path.relative_to(root).as_posix()
            yield Recording(
                name,
                content.values,
                label,
                sampling_rate=content.sampling_rate,
                channels=content.channels,
                breaks=content.breaks,
            )


def _contents(root: Path, paths: list[Path], shown: str) -> Iterator[Content]:
    """The content of each file; small text files are read many at once."""
    named = ((path, f"{shown}: {path.relative_to(root).as_posix()}") for path in paths)
    for reader, some in itertools.groupby(named, lambda pair: READERS[pair[0].suffix[1:].lower()]):
        if reader is _read_text:
            yield from read_many(some)
            continue
        for path, name in some:
            try:
                yield reader(path, name)
            except OSError as error:
                raise InputError(f"{name} cannot be read ({error.strerror or error})") from error
