"""A look into a zip file before anything of it is unpacked."""

import re
import zipfile
from pathlib import Path, PurePosixPath

from nas_lightning.errors import InputError, brief

_LARGEST_RATIO = 100
_DEEPEST = 64


def checked_members(
    path: Path, archive: zipfile.ZipFile, always_allowed: int, shown: str = ""
) -> list[zipfile.ZipInfo]:
    """What a zip file holds, if all of it stays in the folder it is unpacked to and is not far larger than the file.

    Args:
        path: of the file.
        archive: the same, open.
        always_allowed: bytes that it may unpack to, however small it is.
        shown: its name in messages.

    Raises:
        InputError: naming the member.
    """
    shown, members = shown or str(path), archive.infolist()
    for member in members:
        name = member.filename
        parts = PurePosixPath(name.replace("\\", "/")).parts
        if name.startswith(("/", "\\")) or ".." in parts or re.match("[A-Za-z]:", name):
            raise InputError(f"{shown}: its member {brief(name)!r} leads out of the folder; allowed: relative names")
        if len(parts) > _DEEPEST:
            depth = len(parts) - 1
            raise InputError(f"{shown}: its member {brief(name)!r} lies in {depth} folders; allowed: up to {_DEEPEST}")
        if (member.external_attr >> 16) & 0o170000 == 0o120000:
            raise InputError(f"{shown}: its member {brief(name)!r} is a link; allowed: files")
    size, most = sum(member.file_size for member in members), max(always_allowed, _LARGEST_RATIO * path.stat().st_size)
    if size > most:
        raise InputError(f"{shown}: unpacks to {size:,} bytes; allowed for its size: {most:,}")
    return members
