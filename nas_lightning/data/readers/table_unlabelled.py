"""A long table without classes: of recordings that a trained network looks at."""

from collections.abc import Iterator, Sequence

import pandas as pd

from nas_lightning.data.readers.table_columns import column_of
from nas_lightning.data.readers.table_rows import Frames
from nas_lightning.data.reading import UNLABELLED, Reading

WHOLE = "all"
"""The name of the one recording of a table without a column of recordings."""


class Unlabelled(Frames):
    """A table whose labels are not looked at, and that is one recording if no column says otherwise.

    Args:
        frames: the table.
        reading: what is known of its columns.

    Attributes:
        made: names of columns that the table itself does not have.
    """

    def __init__(self, frames: Frames, reading: Reading) -> None:
        self._frames = frames
        self._filled = {column_of(reading, "label"): UNLABELLED}
        if (recording := column_of(reading, "recording")) not in frames.names and reading.recording_ends is None:
            self._filled[recording] = WHOLE
        self.names = (*(name for name in frames.names if name not in self._filled), *self._filled)
        self.made = frozenset(self._filled) - set(frames.names)
        self.total = frames.total

    def with_unit(self, name: str) -> str:
        """See ``Frames``."""
        return name if name in self._filled else self._frames.with_unit(name)

    def pieces(self, columns: Sequence[str], words: Sequence[str], rows: int) -> Iterator[pd.DataFrame]:
        """See ``Frames``."""
        own = [name for name in columns if name not in self._filled]
        filled = {name: text for name, text in self._filled.items() if name in columns}
        for piece in self._frames.pieces(own, [name for name in words if name in own], rows):
            cells = {name: pd.Categorical.from_codes([0] * len(piece), [text]) for name, text in filled.items()}
            yield piece.assign(**cells)[list(columns)]


def is_table(names: Sequence[str] | None, reading: Reading) -> bool:
    """Whether the columns of a text file are those of a long table, and not those of one recording."""
    known = {name.strip() for name in names or ()}
    return bool(known & {column_of(reading, "recording"), column_of(reading, "label")})
