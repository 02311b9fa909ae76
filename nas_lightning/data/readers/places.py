"""The class, group and split of each file: from its folders, its name, or a table beside it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nas_lightning.data.links import check_file
from nas_lightning.data.readers.labels import by_pattern, by_table, find_table, proposal
from nas_lightning.data.readers.levels import (
    CLASSES,
    KEY,
    Parts,
    Place,
    check_levels,
    names_of,
    place,
    recognise,
)
from nas_lightning.data.readers.tree import Tree
from nas_lightning.data.reading import UNLABELLED, Findings, Reading
from nas_lightning.data.words import in_order
from nas_lightning.errors import InputError

Placed = tuple[str, Place]
"""The name of a file, from the root, and what is known of it."""


@dataclass(frozen=True)
class Given:
    """Where the files come from, and what the user says of them.

    Attributes:
        tree: the files.
        base: the folder that the user names; the root of the tree, or above it.
        shown: its name in messages.
        reading: what the user says.
        findings: keeps what is decided here.
    """

    tree: Tree
    base: Path
    shown: str
    reading: Reading
    findings: Findings

    @property
    def is_classes(self) -> bool:
        """Whether the folders stand below one named ``classes``."""
        return self.tree.root.name == CLASSES


def place_files(given: Given) -> list[Placed]:
    """The files that are recordings, each with its class.

    Raises:
        InputError: where it is not clear what says the class, naming the keys that settle it.
    """
    tree, reading, shown, findings = given.tree, given.reading, given.shown, given.findings
    if reading.label_pattern is not None and reading.labels is not None:
        raise InputError("`label_pattern`: is given beside `labels`; allowed: one of them says the class")
    folders = {folder: tuple(folder.split("/")) if folder else () for folder in dict.fromkeys(f for f, _ in tree.files)}
    tables = _tables(given, [parts for parts in folders.values() if parts])
    has_labels = bool(tables) or reading.label_pattern is not None
    levels = _levels(given, [parts for parts in folders.values() if parts], has_labels)
    files = _used(given, levels, tables)
    tree.check(given.base, shown, with_root=not levels or levels[0] == "any")
    examples = {folder: f"{folder}/{name}" for folder, name in reversed(files)}
    by_folder = {
        folder: place(shown, levels, parts, examples[folder]) for folder, parts in folders.items() if folder in examples
    }
    placed = [(f"{folder}/{name}" if folder else name, by_folder[folder]) for folder, name in files]
    if has_labels:
        placed = _labelled(given, placed, tables)
        _say(
            Counter(str(one.label) for _, one in placed),
            "words of the " + ("table" if tables else "names"),
            placed[0][0],
            "",
            findings,
        )
    else:
        _check_empty(given, levels, placed)
        _say(Counter(str(one.label) for _, one in placed), "folders", placed[0][0], KEY, findings)
    return placed


def every_file(given: Given) -> list[Placed]:
    """All files that can be recordings, without a look at what could say their class.

    Raises:
        InputError: if there is none, or one must not be opened.
    """
    given.tree.check(given.base, given.shown, with_root=True)
    if not given.tree.files:
        endings = ",".join(given.tree.endings)
        raise InputError(f"{given.shown}: has no recordings; allowed: files *.{{{endings}}}, in folders or not")
    where = Place(UNLABELLED)
    return [(f"{folder}/{name}" if folder else name, where) for folder, name in given.tree.files]


def _say(labels: Counter[str], what: str, example: str, key: str, findings: Findings) -> None:
    counts = [f"{label} ({labels[label]:,})" for label in in_order(labels)]
    findings.decide(f"the classes are the {what} {names_of(counts)}", example, key)


def _levels(given: Given, folders: Sequence[Parts], has_labels: bool) -> list[str]:
    """The levels of the folders; none if the recordings lie in the root."""
    if given.reading.levels is not None:
        return check_levels(given.reading.levels, has_labels)
    roots = [name for folder, name in given.tree.files if not folder]
    if not has_labels and (
        not folders or (roots and len({parts[0] for parts in folders}) == 1 and not given.is_classes)
    ):
        raise _no_classes(given, roots)
    return recognise(given.shown, folders, given.is_classes, has_labels, given.findings) if folders else []


def _no_classes(given: Given, roots: list[str]) -> InputError:
    shown, tree = given.shown, given.tree
    if not roots:
        found = [f"{count:,} that end in .{ending}" for ending, count in tree.left_out.most_common(3)]
        return InputError(
            f"{shown}: has no files in class folders; allowed: classes/CLASS/*.{{{','.join(tree.endings)}}}"
            + (f"; found files that are not read: {names_of(found)}" if found else "")
        )
    evident = proposal(roots)
    folders = f" beside the folder {tree.folders[0]}" if tree.folders else ""
    return InputError(
        f"{shown}: has {len(roots):,} files in no class folder{folders}, such as {roots[0]}; "
        + (evident or "`label_pattern`=PATTERN takes the class from their names")
        + "; `labels`=FILE takes it from a table"
    )


def _tables(given: Given, folders: Sequence[Parts]) -> list[Path]:
    """The tables of labels that hold: the one that the user names, or those that lie beside the files."""
    reading, tree, shown = given.reading, given.tree, given.shown
    if reading.labels is not None:
        return [find_table(tree.root, given.base, reading.labels, shown)]
    found = [tree.root / table for table in tree.tables]
    if found and (reading.label_pattern is not None or "class" in (reading.levels or ())):
        given.findings.decide("a table of labels is not looked at", str(tree.tables[0]), "`labels`")
        return []
    if len({path.parent for path in found}) < len(found) or (
        found and tree.root in (p.parent for p in found) and len(found) > 1
    ):
        raise InputError(
            f"{shown}: has the tables of labels {names_of(tree.tables)}; `labels`={tree.tables[0]} takes one of them"
        )
    if found and reading.levels is None and (names := _look_like_classes(given, folders)):
        raise InputError(
            f"{shown}: has the folders {names_of(names)} and the table {tree.tables[0]}; {KEY}=[class] takes the "
            f"classes from the folders, `labels`={tree.tables[0]} from the table"
        )
    for path in found:
        check_file(path, given.base, shown)
    return found


def _look_like_classes(given: Given, folders: Sequence[Parts]) -> list[str]:
    """The folders that would be the classes if there was no table."""
    try:
        levels = recognise(given.shown, folders, given.is_classes, False, Findings()) if folders else []
    except InputError:
        return []
    if "class" not in levels:
        return []
    names = sorted({parts[levels.index("class")] for parts in folders if len(parts) > levels.index("class")})
    return names if len(names) > 1 or given.is_classes else []


def _used(given: Given, levels: Sequence[str], tables: Sequence[Path]) -> list[tuple[str, str]]:
    """The files that can be recordings."""
    tree, findings = given.tree, given.findings
    own = {str(path) for path in tables}
    files = [pair for pair in tree.files if not own or str(tree.root / pair[0] / pair[1]) not in own]
    if not levels or levels[0] == "any":
        return files
    beside = [name for folder, name in files if not folder]
    if beside:
        findings.warn("files beside the folders are left out", beside[0], count=len(beside))
    return [pair for pair in files if pair[0]]


def _labelled(given: Given, placed: list[Placed], tables: Sequence[Path]) -> list[Placed]:
    """The files with the class that their name or a table says."""
    shown, reading = given.shown, given.reading
    names = [name for name, _ in placed]
    if not names:
        raise _no_classes(given, [])
    if not tables:
        labels = by_pattern(shown, names, str(reading.label_pattern))
        return [(name, Place(labels[name], where.group, where.split)) for name, where in placed]
    found: dict[str, Place] = {}
    for table in tables:
        inside = "" if reading.labels is not None else table.parent.relative_to(given.tree.root).as_posix() + "/"
        inside = inside.removeprefix("./")
        own = [name.removeprefix(inside) for name in names if name.startswith(inside)]
        rows = by_table(table, f"{shown}: {table.name}", own, reading, given.findings)
        found |= {inside + name: where for name, where in rows.items()}
    return [(name, _joined(given, name, where, found[name])) for name, where in placed if name in found]


def _joined(given: Given, name: str, folder: Place, table: Place) -> Place:
    """What a table says of a file, and what its folders say besides."""
    if folder.split and table.split and folder.split != table.split:
        raise InputError(
            f"{given.shown}: {name} lies in a folder of the split {folder.split}, and the table of labels says "
            f"{table.split}; allowed: the same, or {KEY}=[any], which does not look at the folder"
        )
    return Place(table.label, table.group or folder.group, table.split or folder.split)


def _check_empty(given: Given, levels: Sequence[str], placed: Sequence[Placed]) -> None:
    shown, tree = given.shown, given.tree
    filled = {name.split("/", 1)[0] for name, _ in placed}
    empty = [name for name in tree.folders if name not in filled]
    if not filled:
        raise _no_classes(given, [])
    if empty and levels[0] == "class":
        raise InputError(
            f"{shown}: the class folders {empty} hold no recording; allowed: {', '.join(tree.endings)} files"
        )
    if empty:
        given.findings.warn("a folder holds no recording", empty[0], count=len(empty))
