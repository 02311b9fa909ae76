"""The columns of a table of labels, and the files that its rows name."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from nas_lightning.data.readers.levels import names_of
from nas_lightning.data.reading import Findings, Reading
from nas_lightning.errors import InputError, brief

_LONGEST_NAME = 1 << 12
_DEEPEST = 64
_ROLES: Mapping[str, tuple[str, ...]] = {
    "recording": ("recording", "file", "filename", "file_name", "file name", "path", "name"),
    "label": ("label", "class", "labels", "category", "target"),
    "group": ("group",),
    "split": ("split",),
}


class Finder:
    """Finds files by their names, with or without folder and ending."""

    def __init__(self, files: Sequence[str]) -> None:
        self._maps: list[dict[str, list[str]]] = []
        forms: tuple[Callable[[str], str], ...] = (
            str,
            _without_ending,
            lambda file: file.rpartition("/")[2],
            lambda file: _without_ending(file.rpartition("/")[2]),
        )
        for form in forms:
            found = defaultdict(list)
            for file in files:
                found[form(file)].append(file)
            self._maps.append(found)

    def has(self, name: str) -> bool:
        """Whether there is at least one."""
        return any(self._all(name))

    def __call__(self, name: str, where: str) -> str | None:
        """The file of a name, if there is one.

        Raises:
            InputError: if there are several.
        """
        found = self._all(name)
        if len(found) > 1:
            raise InputError(
                f"{where}: {brief(name)!r} can be {brief(found[0])} or {brief(found[1])}; allowed: names with their "
                "folder"
            )
        return found[0] if found else None

    def _all(self, name: str) -> list[str]:
        if len(name) > _LONGEST_NAME:
            return []
        parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")][-_DEEPEST:]
        tails = ["/".join(parts[i:]) for i in range(len(parts))]
        forms = [*tails, *(_without_ending(tail) for tail in tails)]
        return next((found[form] for found in self._maps for form in forms if form in found), [])


def _without_ending(file: str) -> str:
    folder, slash, name = file.rpartition("/")
    return folder + slash + (name.rpartition(".")[0] or name)


def columns_of(
    shown: str, rows: Sequence[Sequence[str]], find: Finder, reading: Reading, findings: Findings
) -> tuple[dict[str, int], bool]:
    """The place of each role, and whether the first row names the columns."""
    first = [cell.lower() for cell in rows[0]]
    if any(find.has(cell) for cell in rows[0] if cell) and not _is_named(first):
        return _nameless(shown, rows[0], find, findings), False
    columns = {}
    for role, words in _ROLES.items():
        if role == "group" and reading.has_none(role):
            continue
        given = reading.columns.get(role)
        if given is not None and given != role:
            if given.strip().lower() not in first:
                if role in reading.may_lack:
                    continue
                raise InputError(
                    f"{shown}: has no column {given!r}, which `columns.{role}` names; found {names_of(rows[0])}"
                )
            columns[role] = first.index(given.strip().lower())
        elif (place := next((first.index(word) for word in words if word in first), None)) is not None:
            columns[role] = place
    filled = [i for i, cell in enumerate(first) if cell]
    if len(filled) == 2 and len(set(columns) & {"recording", "label"}) < 2:
        columns = _of_two(rows, filled, columns, find)
    for role in ("recording", "label"):
        if role not in columns:
            raise InputError(
                f"{shown}: has no column of {'files' if role == 'recording' else 'labels'}; found {names_of(rows[0])}; "
                f"`columns.{role}` names it"
            )
    files, labels = rows[0][columns["recording"]], rows[0][columns["label"]]
    findings.decide(
        f"the classes are the column {labels!r} of the table, for the files in {files!r}", shown, "`columns`"
    )
    others = [rows[0][i] for i in filled if i not in columns.values()]
    if others:
        example = f"{shown}: {names_of(others)}"
        findings.decide("other columns of the table of labels are not looked at", example, "`columns.group`")
    return columns, True


def _is_named(first: Sequence[str]) -> bool:
    """Whether a first row names both columns, whatever files there are."""
    return all(any(word in first for word in _ROLES[role]) for role in ("recording", "label"))


def _nameless(shown: str, row: Sequence[str], find: Finder, findings: Findings) -> dict[str, int]:
    if len(row) != 2:
        raise InputError(
            f"{shown}: has no row that names its {len(row)} columns; allowed: names such as file,label in the first "
            "row, or two columns"
        )
    file = 0 if find.has(row[0]) else 1
    findings.decide(f"column {file + 1} of the table of labels has the files, and column {2 - file} the classes", shown)
    return {"recording": file, "label": 1 - file}


def _of_two(rows: Sequence[Sequence[str]], filled: list[int], known: dict[str, int], find: Finder) -> dict[str, int]:
    """Two columns, of which one at most has a name that is known."""
    one, other = filled
    if "recording" in known:
        file = known["recording"]
    elif "label" in known:
        file = other if known["label"] == one else one
    else:
        found = [i for i in filled if any(i < len(row) and find.has(row[i]) for row in rows[1:])]
        if not found:
            return known
        file = found[0]
    return {"recording": file, "label": other if file == one else one}
