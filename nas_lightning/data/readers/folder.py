"""Folders of recordings, one file each, and zip files of them; folders, names or a table say the class."""

import os
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from nas_lightning import progress
from nas_lightning.data.annotations import read_lists
from nas_lightning.data.archive import checked_members
from nas_lightning.data.links import check_inside
from nas_lightning.data.readers.files import READERS, Files
from nas_lightning.data.readers.labels import is_table, suffix_of
from nas_lightning.data.readers.levels import CLASSES, Place, split_of
from nas_lightning.data.readers.places import Given, Placed, every_file, place_files
from nas_lightning.data.readers.tree import is_hidden, is_noted, scan
from nas_lightning.data.readers.used import FOLDERS, check_used
from nas_lightning.data.reading import UNLABELLED, Findings, Reading
from nas_lightning.data.recordings import Block, Recording, Source
from nas_lightning.errors import InputError, said_of

__all__ = ["READERS", "read_file", "read_folder", "read_zip", "unpack"]

_LARGEST_UNZIPPED = 1 << 30
_MOST_WRAPPERS = 16


def read_folder(path: Path, reading: Reading, shown: str = "") -> Source:
    """Read the files of a folder: ``classes/CLASS/*.csv`` and the like, or what ``levels`` and ``labels`` know of.

    Args:
        path: the folder.
        reading: what is known of the way in which it is written.
        shown: the folder's name in messages.

    Raises:
        InputError: naming the folder or the file and what is wrong.
    """
    shown, findings = shown or str(path), Findings()
    inner = _unwrapped(path, shown, findings)
    root = inner / CLASSES if (inner / CLASSES).is_dir() else inner
    with progress.bar(f"reading {shown}", None, "file") as bar:
        tree = scan(root, path, shown, tuple(READERS), findings, bar)
    if root != inner and (tables := sorted(child.name for child in inner.iterdir() if is_table(child.name))):
        findings.decide(f"a table of labels beside the folder {CLASSES} is not looked at", tables[0], "`labels`")
    given = Given(tree, path, shown, reading, findings)
    placed = place_files(given) if reading.is_labelled else every_file(given)
    check_used(shown, reading, (f"{suffix_of(name)} files" for name, _ in placed), FOLDERS)
    lists = read_lists(inner, shown)
    if lists is not None and any(where.split for _, where in placed):
        findings.warn("the lists that lie beside the data decide the splits, and the folders of splits do not", shown)
    return Source(
        shown,
        _recordings(root, placed, shown, reading, findings),
        lists=lists,
        total=len(placed),
        is_chosen=reading.variables is not None,
        findings=findings,
    )


def _unwrapped(path: Path, shown: str, findings: Findings) -> Path:
    """The folder itself, or the one below it that stands around everything."""
    inner = path
    for _ in range(_MOST_WRAPPERS):
        one = _only_folder(inner)
        if one is None or CLASSES in (inner.name, one.name) or split_of(one.name):
            break
        check_inside(one, path, shown)
        inner = one
        findings.decide("the one folder around everything is looked through", inner.relative_to(path).as_posix())
    return inner


def _only_folder(path: Path) -> Path | None:
    """The folder in a folder that holds no other, and no recording."""
    found = None
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.is_dir():
                if is_hidden(entry.name, True):
                    continue
                if found is not None:
                    return None
                found = Path(entry.path)
            elif not is_noted(entry.name) and (is_table(entry.name) or suffix_of(entry.name) in READERS):
                return None
    return found


def read_zip(path: Path, reading: Reading) -> Source:
    """Read a zip file of such a folder; it lies unpacked in a temporary folder while it is read.

    Raises:
        InputError: if it is damaged, leads out of its folder, or unpacks to far more than its size.
    """
    folder = tempfile.TemporaryDirectory()
    try:
        unpack(path, Path(folder.name))
        source = read_folder(Path(folder.name), reading, str(path))
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
    with said_of(f"{path}: is no zip file that can be unpacked"), zipfile.ZipFile(path) as archive:
        members = checked_members(path, archive, _LARGEST_UNZIPPED)
        for member in progress.track(members, f"unpacking {path}", unit="file"):
            member.filename = member.filename.replace("\\", "/")  # as some programs write it
            archive.extract(member, folder)


def read_file(path: Path, reading: Reading) -> Source:
    """Read one file as one recording, whose class is not looked at.

    Raises:
        InputError: naming the file and what is wrong.
    """
    findings, shown = Findings(), str(path.parent)
    placed = [(path.name, Place(UNLABELLED))]
    recordings = _recordings(path.parent, placed, shown, reading, findings)
    return Source(str(path), recordings, total=1, is_chosen=reading.variables is not None, findings=findings)


def _recordings(
    root: Path, placed: Sequence[Placed], shown: str, reading: Reading, findings: Findings
) -> Iterator[Recording]:
    contents = Files(root, shown, reading, findings).contents([name for name, _ in placed])
    for (name, where), content in zip(placed, contents, strict=True):
        yield Recording(
            name,
            content.values,
            str(where.label),
            where.group,
            where.split,
            content.sampling_rate,
            content.channels,
            content.breaks,
            content.unit,
        )
