"""What lies in a folder that came from elsewhere: a link must not lead out of it, and a pipe is no file."""

import os
import stat
from pathlib import Path

from nas_lightning.errors import InputError, brief

_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}


def check_file(path: Path, folder: Path, shown: str) -> None:
    """Refuse what must not be opened: a message would show a line of a foreign file, and a pipe would wait for ever.

    Args:
        path: in ``folder``.
        folder: that came from elsewhere.
        shown: its name in messages.

    Raises:
        InputError: unless it is a regular file, or a link that leads to one within the folder.
    """
    name = brief(path.name)
    if not path.exists():
        raise InputError(f"{shown}: {name} {'is a link that leads to no file' if path.is_symlink() else 'is missing'}")
    check_inside(path, folder, shown)
    if (kind := kind_of(path)) is not None:
        raise InputError(f"{shown}: {name} is no regular file but {kind}; allowed: files")


def check_inside(path: Path, folder: Path, shown: str) -> None:
    """Refuse a link that leads out of the folder.

    Raises:
        InputError: naming the link.
    """
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
        raise InputError(
            f"{shown}: {brief(path.name)} is a link that leads out of the folder; allowed: links within it"
        )


def kind_of(path: Path) -> str | None:
    """What there is instead of a regular file, a link followed; None for a regular one."""
    mode = path.stat().st_mode
    return None if stat.S_ISREG(mode) else _KINDS.get(stat.S_IFMT(mode), "something else")
