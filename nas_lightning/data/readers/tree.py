"""What lies below a folder: files of recordings, tables of labels, and what is left out."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nas_lightning.data.annotations import FOLDER as ANNOTATIONS
from nas_lightning.data.links import check_file, check_inside
from nas_lightning.data.readers.labels import is_table, suffix_of
from nas_lightning.data.reading import Findings
from nas_lightning.errors import InputError, brief
from nas_lightning.progress import Bar

_PICKLES = ("pkl", "pickle")
_IGNORED = ("_list.txt", ".md", "LICENSE", "readme.txt", "license.txt", ".DS_Store", "Thumbs.db", "desktop.ini")
_NOISE = "_background_noise_"
_MOST_ENDINGS = 20


@dataclass(frozen=True)
class Tree:
    """What lies below a folder.

    Attributes:
        root: the folder.
        endings: of files that may be recordings.
        files: folder (from the root, with slashes; empty for the root) and name of each file that may be a recording,
            in order.
        tables: tables of labels, from the root.
        folders: the folders of the first level.
        left_out: how many files of each ending are left out.
        to_check: the files that are links, no regular files, or pickles.
    """

    root: Path
    endings: Sequence[str]
    files: list[tuple[str, str]] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    to_check: list[tuple[str, str]] = field(default_factory=list)

    def check(self, base: Path, shown: str, with_root: bool) -> None:
        """Refuse what must not be opened.

        Args:
            base: the folder that came from elsewhere.
            shown: its name in messages.
            with_root: whether files in the root are recordings too.

        Raises:
            InputError: naming the file.
        """
        for folder, name in self.to_check:
            if folder or with_root:
                if suffix_of(name) in _PICKLES:
                    raise InputError(f"{shown}: {name} is a pickle, which could run code; save it as .csv or .npy")
                check_file(self.root / folder / name, base, shown)


def scan(root: Path, base: Path, shown: str, endings: Sequence[str], findings: Findings, bar: Bar) -> Tree:
    """Look at all files below a folder; links to folders are followed at its first level only.

    Args:
        root: the folder.
        base: the folder that came from elsewhere, which links must not leave.
        shown: its name in messages.
        endings: of files that may be recordings.
        findings: keeps what is left out.
        bar: counts the files.

    Raises:
        InputError: for a link that leads out of the folder, or a name that is no text.
    """
    tree = Tree(root, endings)
    check_inside(root, base, shown)
    stack: list[tuple[str, Iterator[os.DirEntry[str]]]] = [("", _entries(root))]
    while stack:
        folder, entries = stack[-1]
        entry = next(entries, None)
        if entry is None:
            stack.pop()
            continue
        is_link = entry.is_symlink()
        if Path(entry.path).is_dir() if is_link else entry.is_dir():
            if _is_entered(entry, folder, is_link, base, shown, findings):
                if not folder:
                    tree.folders.append(entry.name)
                stack.append((f"{folder}/{entry.name}" if folder else entry.name, _entries(Path(entry.path))))
        else:
            bar.update()
            _add(tree, folder, entry, is_link, shown, endings, findings)
    return tree


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return iter(sorted(entries, key=lambda entry: entry.name))


def _is_entered(
    entry: os.DirEntry[str], folder: str, is_link: bool, base: Path, shown: str, findings: Findings
) -> bool:
    if not folder and entry.name == ANNOTATIONS:
        return False
    if is_hidden(entry.name, not folder):
        findings.decide("folders whose names begin with a dot or an underscore are left out", entry.name)
        return False
    if is_link:
        check_inside(Path(entry.path), base, shown)
        if folder:
            findings.warn("links to folders below the first level are not followed", f"{folder}/{entry.name}")
            return False
    return True


def is_hidden(name: str, is_first: bool) -> bool:
    """Whether a folder is none of the user's data, by its name."""
    return name.startswith((".", _NOISE)) or (is_first and name.startswith("_"))


def is_noted(name: str) -> bool:
    """Whether a file is a list of a split, a note, or what systems leave in folders."""
    return name.endswith(_IGNORED) or name.lower() in _IGNORED


def _add(
    tree: Tree, folder: str, entry: os.DirEntry[str], is_link: bool, shown: str, endings: Sequence[str],
    findings: Findings,
) -> None:  # fmt: skip
    name = entry.name
    if name[0] == "." or name.startswith(_NOISE) or is_noted(name):
        findings.decide("hidden files, notes and lists are left out", f"{folder}/{name}" if folder else name)
        return
    ending = name.rpartition(".")[2].lower() if "." in name else ""
    if ending in _PICKLES:
        tree.to_check.append((folder, name))
    elif is_table(name):
        tree.tables.append(f"{folder}/{name}" if folder else name)
    elif ending not in endings:
        _leave_out(tree, f"{folder}/{name}" if folder else name, ending, endings, findings)
    else:
        try:
            entry.path.encode()
        except UnicodeEncodeError as error:  # the lists of the splits hold names
            raise InputError(f"{shown}: the name {entry.path!a} is no UTF-8; give it another one") from error
        if is_link or not entry.is_file():
            tree.to_check.append((folder, name))
        tree.files.append((folder, name))


def _leave_out(tree: Tree, name: str, ending: str, endings: Sequence[str], findings: Findings) -> None:
    if ending not in tree.left_out and len(tree.left_out) >= _MOST_ENDINGS:
        ending = "another ending"
    tree.left_out[ending] += 1
    which = f"files that end in .{brief(ending)[:40]}" if ending else "files without an ending"
    findings.warn(f"{which} are left out; those that are read end in {', '.join(endings)}", name)
