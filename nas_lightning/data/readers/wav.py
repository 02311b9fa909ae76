"""WAV files: PCM and float samples, also of recorders that did not come to write the sizes of their header."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from nas_lightning.data.reading import Content, Findings
from nas_lightning.errors import InputError

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_CODINGS = {2: "ADPCM", 6: "A-law", 7: "mu-law", 17: "IMA ADPCM", 49: "GSM", 80: "MPEG", 85: "MP3"}
_UNKNOWN_SIZE = 0xFFFFFFFF
_MOST_CHUNKS = 10_000
_LONGEST_FORMAT = 1 << 12
_USUAL = (b"data", b"fmt ", b"LIST", b"fact", b"bext", b"cue ", b"JUNK", b"junk", b"id3 ", b"smpl")
_NAME = re.compile(rb"[A-Za-z0-9_ ]{3}[A-Za-z0-9_ .\0]")


@dataclass(frozen=True)
class _Format:
    """How samples are written.

    Attributes:
        channels: of a frame.
        rate: Hz.
        width: bytes of a sample.
        is_float: whether samples are floats.
        order: of the bytes, ``<`` or ``>``.
    """

    channels: int
    rate: int
    width: int
    is_float: bool
    order: str


@dataclass(frozen=True)
class _Samples:
    """Where the samples lie: their format, their first byte, and how many bytes there are."""

    written: _Format
    start: int
    size: int


def read_wav(path: Path, shown: str, findings: Findings) -> Content:
    """A WAV file: whole numbers are scaled to -1 to 1, columns are its channels.

    Sizes of 0 or beyond the end of the file, as a recorder leaves them that lost power or did not know the end, mean
    the end of the file.

    Args:
        path: the file.
        shown: its name in messages.
        findings: keeps what is decided here.

    Raises:
        InputError: if it is damaged, or its samples are compressed.
    """
    with path.open("rb") as file:
        found = _find_samples(file, shown, findings)
        written = found.written
        frame = written.channels * written.width
        file.seek(found.start)
        content = file.read(found.size - found.size % frame)
    content = content[: len(content) - len(content) % frame]
    if not content:
        raise InputError(f"{shown}: has no samples; at least 1 is needed")
    values = _values(content, written).reshape(-1, written.channels)
    if not written.is_float:
        bits = 8 * written.width
        findings.decide(f"whole numbers of {bits}-bit WAV files are divided by {2 ** (bits - 1):,}", shown)
    if not written.rate:
        findings.warn("a WAV file says no sampling rate", shown, "`sampling_rate`")
    return Content(values, sampling_rate=float(written.rate) or None, unit=_unit(written))


def _find_samples(file: IO[bytes], shown: str, findings: Findings) -> _Samples:
    """Look at the chunks up to the one of the samples."""
    end = os.fstat(file.fileno()).st_size
    head = file.read(12)
    order = {b"RIFF": "<", b"RF64": "<", b"BW64": "<", b"RIFX": ">"}.get(head[:4])
    if order is None or head[8:] != b"WAVE":
        raise _unreadable(shown, f"it begins with {head!r}; allowed: RIFF, a size, WAVE")
    written, long_size = None, None
    for name, start, size in _chunks(file, end, order):
        if name == b"fmt ":
            written = _format(_bytes_at(file, start, min(size, _LONGEST_FORMAT)), order, shown)
        elif name == b"ds64" and size >= 24:
            long_size = int.from_bytes(_bytes_at(file, start + 8, 8), "little")
        elif name == b"data":
            if written is None:
                raise _unreadable(shown, "its samples stand before the chunk 'fmt ', which says how they are written")
            whole = int.from_bytes(head[4:8], "little" if order == "<" else "big") + 8
            known = long_size if size == _UNKNOWN_SIZE and long_size is not None else size
            size = _size(known, start, end, whole, shown, findings)
            behind = _bytes_at(file, start + size + size % 2, 8)
            if len(behind) == 8 and not _NAME.fullmatch(behind[:4]):
                findings.warn(
                    "behind the samples that its header counts, a WAV file has others, which are left out", shown
                )
            return _Samples(written, start, size)
    raise _unreadable(shown, f"it has no chunk {'data' if written else 'fmt '!r}")


def _chunks(file: IO[bytes], end: int, order: str) -> list[tuple[bytes, int, int]]:
    """Name, first byte and size of each chunk up to the one of the samples."""
    found: list[tuple[bytes, int, int]] = []
    place = 12
    while place + 8 <= end and len(found) < _MOST_CHUNKS:
        head = _bytes_at(file, place, 9)
        if found and found[-1][2] % 2 and head[:4] not in _USUAL:
            shifted = _bytes_at(file, place - 1, 8)  # a chunk of odd size without the byte that fills it up
            if _NAME.fullmatch(shifted[:4]):
                place, head = place - 1, shifted
        size = int.from_bytes(head[4:8], "little" if order == "<" else "big")
        found.append((head[:4], place + 8, size))
        if head[:4] == b"data":
            break
        place += 8 + size + size % 2
    return found


def _bytes_at(file: IO[bytes], place: int, count: int) -> bytes:
    file.seek(place)
    return file.read(count)


def _size(size: int, start: int, end: int, whole: int, shown: str, findings: Findings) -> int:
    """The bytes of the samples: as the header says, if it can be."""
    rest = end - start
    if size == 0 and rest and abs(whole - end) <= 1:
        return 0  # what lies behind are other chunks
    if (size == 0 and rest) or size > rest:
        findings.warn(
            "the header of a WAV file has a wrong size, and its samples are read to the end of the file", shown
        )
        return rest
    return size


def _format(content: bytes, order: str, shown: str) -> _Format:
    """The chunk ``fmt``."""
    if len(content) < 16:
        raise _unreadable(shown, f"its chunk 'fmt ' has {len(content)} bytes; allowed: 16 or more")
    code, channels = np.frombuffer(content, f"{order}u2", 2).tolist()
    rate = int(np.frombuffer(content, f"{order}u4", 1, 4)[0])
    frame, bits = np.frombuffer(content, f"{order}u2", 2, 12).tolist()
    if code == _EXTENSIBLE and len(content) >= 26:
        code = int(np.frombuffer(content, f"{order}u2", 1, 24)[0])
    if code not in (_PCM, _FLOAT):
        raise _unreadable(
            shown, f"its samples are written as {_CODINGS.get(code, f'coding {code}')}; allowed: PCM and float"
        )
    width = -(-bits // 8)
    if channels and frame % channels == 0 and frame // channels >= width > 0:
        width = frame // channels
    is_float = code == _FLOAT
    if not channels or width not in ((4, 8) if is_float else (1, 2, 3, 4)):
        raise _unreadable(
            shown,
            f"its header says {channels} channels of {bits} bits; allowed: PCM of 8, 16, 24, 32 and floats of 32, 64",
        )
    return _Format(channels, rate, width, is_float, order)


def _unit(written: _Format) -> str | None:
    """How a value came from a sample of the file."""
    if written.is_float:
        return None
    return "(samples - 128) / 128" if written.width == 1 else f"samples / {2 ** (8 * written.width - 1)}"


def _values(content: bytes, written: _Format) -> np.ndarray:
    """All samples, whole numbers scaled; float32 where it holds them exactly."""
    width, order = written.width, written.order
    if written.is_float:
        return np.frombuffer(content, f"{order}f{width}").astype(f"f{width}")
    if width == 1:
        return (np.frombuffer(content, np.uint8).astype(np.float32) - 128) / 128
    if width == 3:
        parts = np.frombuffer(content, np.uint8).reshape(-1, 3)
        padded = np.zeros((len(parts), 4), dtype=np.uint8)
        padded[:, 1:] = parts if order == "<" else parts[:, ::-1]
        return padded.view("<i4")[:, 0].astype(np.float32) / 2.0**31
    whole = np.frombuffer(content, f"{order}i{width}").astype(np.float32 if width == 2 else np.float64)
    return np.divide(whole, 2.0 ** (8 * width - 1))


def _unreadable(shown: str, found: str) -> InputError:
    return InputError(f"{shown}: cannot be read as WAV ({found})")
