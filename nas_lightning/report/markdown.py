"""Text from data as a part of a Markdown page, in which nothing of it has a meaning."""

from collections.abc import Iterable, Sequence

from nas_lightning.errors import brief

_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_MARKS = {mark: f"\\{mark}" for mark in r"\`*_[]#|~"}
_TABLE = str.maketrans(_HTML | _MARKS)


def escaped(text: object) -> str:
    r"""Text as it is read: on one line, cut where it is long, and without a meaning for Markdown or HTML.

    >>> print(escaped("a|b <img>"))
    a\|b &lt;img&gt;
    """
    return brief(text).translate(_TABLE).replace("://", "\\://")  # an address is no link


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are Markdown already.

    >>> print(table(("a", "b"), [("1", "2")]))
    | a | b |
    |---|---|
    | 1 | 2 |
    """
    lines = (head, *rows)
    made = [f"| {' | '.join(line)} |" for line in lines]
    return "\n".join([made[0], "|" + "---|" * len(head), *made[1:]])
