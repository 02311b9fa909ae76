"""What the folders of each level are: splits, classes, groups, or nothing that matters."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from nas_lightning.data.reading import LEVELS, Findings
from nas_lightning.errors import InputError, brief

CLASSES = "classes"
"""The folder of the class folders, if the path is not that folder itself."""

SPLIT_NAMES = {
    name: split
    for split, names in {
        "train": ("train", "training", "trn"),
        "val": ("val", "valid", "validation", "dev"),
        "test": ("test", "testing"),
    }.items()
    for name in names
}
"""Names of folders (and words in tables) that stand for a split, in lower case."""

KEY = "`levels`"

_SHOWN = 6
_DEEPEST = 32

Parts = tuple[str, ...]
"""The names of the folders from the path down to a file."""


@dataclass(frozen=True)
class Place:
    """What the folders of a file say of it.

    Attributes:
        label: the class.
        group: the group; of several levels of groups, their names joined.
        split: ``train``, ``val`` or ``test``.
    """

    label: str | None = None
    group: str | None = None
    split: str | None = None


def names_of(names: Iterable[str]) -> str:
    """A few names as a part of a sentence."""
    names = list(names)
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(brief(name)[:40] for name in names[:_SHOWN]) + more


def split_of(name: str) -> str | None:
    """The split that a name stands for."""
    return SPLIT_NAMES.get(name.strip().lower())


def check_levels(levels: Sequence[str], has_labels: bool) -> list[str]:
    """The levels that the user names.

    Args:
        levels: from ``Reading``.
        has_labels: whether names of files or a table say the class.

    Raises:
        InputError: naming the key, what was found and what is allowed.
    """
    found = [levels] if isinstance(levels, str) else list(levels)
    if any(level not in LEVELS for level in found):
        raise InputError(f"{KEY}: found {brief(found)}; allowed: a list of {', '.join(LEVELS)}, one for each level")
    if found.count("split") > 1 or found.count("class") > 1:
        raise InputError(f"{KEY}: found {brief(found)}; allowed: split and class once each")
    if "class" in found and has_labels:
        raise InputError(
            f"{KEY}: found {brief(found)}, which has a class, beside `label_pattern` or `labels`; allowed: "
            "one of them says the class"
        )
    if "class" not in found and not has_labels:
        raise InputError(
            f"{KEY}: found {brief(found)}, which has no class; allowed: one class, or `label_pattern` or "
            "`labels`, which say the class of a file"
        )
    return found


def recognise(
    shown: str, folders: Collection[Parts], is_classes: bool, has_labels: bool, findings: Findings
) -> list[str]:
    """What the folders of each level look like.

    Args:
        shown: the source, for messages.
        folders: those that hold recordings themselves, at least one.
        is_classes: whether they stand below a folder named ``classes``.
        has_labels: whether names of files or a table say the class.
        findings: keeps what is decided here.

    Raises:
        InputError: where it is not clear, naming the folders and the key that says it.
    """
    first = sorted({parts[0] for parts in folders})
    with_files = [name for name in first if (name,) in folders]
    below = {parts[1:] for parts in folders if len(parts) > 1}
    splits = [name for name in first if split_of(name)]
    if len(splits) == len(first):
        return _splits(shown, first, with_files, below, has_labels, findings)
    if has_labels:
        findings.warn("folders say nothing of the recordings in them", names_of(first), f"{KEY}=[group]")
        return ["any"]
    if first == [CLASSES] and below:
        return ["any", *recognise(shown, below, True, has_labels, findings)]
    if splits and with_files != first and not is_classes:
        raise _some_splits(shown, first, splits)
    return _classes(shown, folders, first, with_files, is_classes, findings)


def _splits(
    shown: str, first: list[str], with_files: list[str], below: set[Parts], has_labels: bool, findings: Findings
) -> list[str]:
    found = {split_of(name): name for name in first}
    if "train" not in found:
        raise InputError(
            f"{shown}: its folders {names_of(first)} are splits, and none is train; {KEY}=[any,class] makes nothing "
            "of these names"
        )
    findings.decide(f"the splits are the folders {names_of(first)}", "", KEY)
    if len(found) < len(first):
        findings.warn(f"of the folders {names_of(first)}, several are the same split", "", KEY)
    if has_labels:
        return ["split", "any"]
    if with_files:
        holds = "hold" if len(with_files) > 1 else "holds"
        raise InputError(
            f"{shown}: its folders {names_of(first)} are splits, and {names_of(with_files)} {holds} files that no "
            f"folder gives a class; `label_pattern`=PATTERN takes the class from their names, "
            f"`labels`=FILE from a table, and {KEY}=[class,any] takes the folders as classes"
        )
    return ["split", *recognise(f"{shown}: {first[0]}", below, False, False, findings)]


def _classes(
    shown: str, folders: Collection[Parts], first: list[str], with_files: list[str], is_classes: bool,
    findings: Findings,
) -> list[str]:  # fmt: skip
    """Classes at the first level, if that is clear."""
    deeper = sorted(parts for parts in folders if len(parts) > 1)
    second = sorted({parts[1] for parts in deeper})
    splits = {split_of(name) for name in second}
    if not with_files and "train" in splits and None not in splits:
        findings.decide(f"the splits are the folders {names_of(second)} below the classes", "", KEY)
        _say_deeper([parts for parts in deeper if len(parts) > 2], "[class,split,group]", findings)
        return ["class", "split", "any"]
    depth = max(map(len, folders))
    if len(first) == 1 and not with_files and not is_classes and depth <= _DEEPEST:
        findings.decide(f"the one folder {brief(first[0])} is looked through", "", KEY)
        return ["any", *recognise(f"{shown}: {first[0]}", {parts[1:] for parts in deeper}, False, False, findings)]
    says_nothing = not with_files and len(second) == 1
    if not (is_classes or with_files == first or says_nothing):
        raise _doubt(shown, first, with_files, second, depth)
    named = [name for name in first if split_of(name)]
    if named:
        findings.warn("a folder with the name of a split is taken as a class", named[0], KEY, len(named))
    _say_deeper(deeper, "[class,group]", findings)
    return ["class", "any"]


def _say_deeper(deeper: list[Parts], levels: str, findings: Findings) -> None:
    if deeper:
        text = "folders below those of the classes say nothing of the recordings in them"
        findings.warn(text, "/".join(deeper[0]), f"{KEY}={levels}", len(deeper))


def _some_splits(shown: str, first: list[str], splits: list[str]) -> InputError:
    others = [name for name in first if name not in splits]
    return InputError(
        f"{shown}: the folders {names_of(splits)} have names of splits, and {names_of(others)} not; allowed: splits "
        f"alone, or {KEY}=[class,any], which takes all of them as classes"
    )


def _doubt(shown: str, first: list[str], with_files: list[str], second: list[str], depth: int) -> InputError:
    rest = ",any" if depth > 2 else ""
    if with_files:
        others = [name for name in first if name not in with_files]
        found = f"{names_of(with_files)} hold files, and {names_of(others)} hold folders only"
        return InputError(
            f"{shown}: its folders {found} ({names_of(second)}); {KEY}=[class,any] takes the first level as classes"
        )
    return InputError(
        f"{shown}: its folders {names_of(first)} hold folders only ({names_of(second)}), so that it is not clear which "
        f"are the classes; {KEY}=[class,group{rest}] takes {names_of(first[:2])}, ... as classes, "
        f"{KEY}=[group,class{rest}] {names_of(second[:2])}, ..., and any stands for a level that says nothing"
    )


def place(shown: str, levels: Sequence[str], parts: Parts, example: str) -> Place:
    """What the folders of a file say of it.

    Args:
        shown: the source, for messages.
        levels: one of ``LEVELS`` for each folder; ``any`` as the last stands for all that lie below, or for none.
        parts: the folders.
        example: the file, for messages.

    Raises:
        InputError: if there are more or fewer folders, or one is no split.
    """
    is_open = levels[-1:] == ["any"]
    if not (len(levels) - 1 <= len(parts) if is_open else len(levels) == len(parts)):
        raise InputError(
            f"{shown}: {brief(example)} lies in {len(parts)} folders, and {KEY} names {len(levels)}; allowed: one of "
            f"{', '.join(LEVELS)} for each, and any as the last for whatever lies below"
        )
    named = list(zip(levels, parts, strict=False))
    found = {level: name for level, name in named if level in ("class", "split")}
    groups = [name for level, name in named if level == "group"]
    split = None
    if "split" in found and (split := split_of(found["split"])) is None:
        raise InputError(
            f"{shown}: the folder {brief(found['split'])} of {brief(example)} is no split; allowed: "
            f"{', '.join(SPLIT_NAMES)}"
        )
    return Place(found.get("class"), "/".join(groups) or None, split)
