"""What a program reads of a command: with ``output=json`` one JSON object on stdout, and nothing else there."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any

from nas_lightning.errors import InputError, brief
from nas_lightning.files import json_bytes

OUTPUTS = ("text", "json")
"""What ``output`` can be: for people, or for programs."""

_KEY = "output="
_STDOUT, _STDERR = 1, 2  # as processes that are started know them


def asked(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """What ``output`` is set to, the last time it is set, and the other arguments.

    >>> asked(["devices", "output=json"])
    ('json', ['devices'])
    >>> asked(["seed=1"])
    ('text', ['seed=1'])
    """
    values = [argument.removeprefix(_KEY) for argument in arguments if argument.startswith(_KEY)]
    return (values or [OUTPUTS[0]])[-1], [argument for argument in arguments if not argument.startswith(_KEY)]


def check_output(value: str) -> None:
    """Refuse what ``output`` cannot be.

    Raises:
        InputError: naming what is allowed.
    """
    if value not in OUTPUTS:
        raise InputError(f"output: found {brief(value)}; allowed: {', '.join(OUTPUTS)}")


@contextmanager
def kept_stdout() -> Iterator[None]:
    """Keep stdout free: what this process and those that it starts print there goes to stderr."""
    sys.stdout.flush()
    kept = os.dup(_STDOUT)
    try:
        os.dup2(_STDERR, _STDOUT)
        with redirect_stdout(sys.stderr):
            yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, _STDOUT)
        os.close(kept)


def print_answer(content: Mapping[str, Any]) -> None:
    """Print the one JSON object."""
    print(json_bytes(content).decode(), end="", flush=True)
