"""The exceptions for what the user can change."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_LONGEST_QUOTE = 200


def printable(text: str) -> str:
    r"""Text without characters that would command a terminal.

    >>> printable("a\x1b[2Jb\n")
    'a?[2Jb\n'
    """
    return "".join(char if char.isprintable() or char in "\n\t" else "?" for char in text)


def brief(found: object) -> str:
    r"""What was found, as a part of a sentence: printable, on one line, and cut where it is long.

    >>> brief("two\nlines")
    'two lines'
    """
    text = " ".join(str(found).split())
    return printable(text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + "...")


class InputError(ValueError):
    """The input or the configuration is wrong.

    The text is one sentence that names the key or file, what was found and what is allowed; the command line prints
    it and exits with status 2.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return made_again, (type(self), self.args, vars(self))


def made_again(kind: type[BaseException], args: tuple[Any, ...], attributes: dict[str, Any]) -> BaseException:
    """The error that another process has raised; its kind may be made of other arguments than its text."""
    error = kind.__new__(kind, *args)
    vars(error).update(attributes)
    return error


@contextmanager
def said_of(what: str) -> Iterator[None]:
    """Whatever a library raises, in a damaged file for example, becomes an ``InputError`` behind these words.

    Raises:
        InputError: with what was raised in brackets, and as it is where it was one.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{what} ({brief(error) or type(error).__name__})") from error


class BudgetError(InputError):
    """Nothing meets the budget; the command line exits with status 3.

    Attributes:
        limits: what was asked for, by measure.
        binding: the measures whose limits have to be raised.
        nearest: limits that can be met, each as near to the one asked for as the others allow.
    """

    def __init__(
        self, what: str, limits: Mapping[str, int], binding: Sequence[str], nearest: Mapping[str, int]
    ) -> None:
        verb = "binds" if len(binding) == 1 else "bind"
        super().__init__(
            f"budget: {what} {_text(limits)}; {' and '.join(binding)} {verb}; "
            f"the nearest limits that can be met: {_text(nearest)}"
        )
        self.limits, self.binding, self.nearest = dict(limits), tuple(binding), dict(nearest)


def _text(limits: Mapping[str, int]) -> str:
    return ", ".join(f"{measure} {limit:,}" for measure, limit in limits.items())


class FolderError(InputError):
    """What a run folder holds stands in the way, and not what was asked for."""


class DamagedFileError(FolderError):
    """A file is damaged, or of another kind than its name says.

    Attributes:
        path: of the file.
    """

    def __init__(self, path: Path, found: str) -> None:
        super().__init__(f"{path}: cannot be read; it is damaged or another kind of file ({found})")
        self.path = path


class UsedFolderError(FolderError):
    """The folder holds a run already, or another process works in it."""


class StoppedError(RuntimeError):
    """What was asked for did not come to its end, for no mistake in the input; exit status 1.

    A full disk, a folder that vanished, an archive that computes something else here. The text is one sentence.
    """


class Interruption(StoppedError):
    """It was interrupted, by Ctrl-C or SIGTERM; the text says how to go on."""


class ParityError(RuntimeError):
    """An exported file does not compute what the network computes."""
