"""``mistakes.npz``: a few samples of which a network was wrong, as the page of a run draws them."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nas_lightning.files import damage

FILE = "mistakes.npz"

MOST = 12
"""Samples in the file."""

MOST_CHANNELS = 6
"""Channels of a sample."""

MOST_POINTS = 256
"""Points of a channel."""

_MOST_BYTES = 1 << 20  # unpacked; a file as it is written here has a tenth of it
_LONGEST = 210


@dataclass(frozen=True)
class Mistakes:
    """Its content, the sample that the network is most sure of first.

    Attributes:
        split: that they are from.
        values: float32 ``[n, C, points]``, the first channels, thinned out.
        rows: of a sample, before it was thinned out.
        labels: the classes.
        taken_for: the classes that they are taken for.
        scores: how sure the network is, the largest of its softmax.
        recordings: the names of their recordings.
    """

    split: str
    values: np.ndarray
    rows: int
    labels: tuple[str, ...]
    taken_for: tuple[str, ...]
    scores: tuple[float, ...]
    recordings: tuple[str, ...]

    def __post_init__(self) -> None:
        count, channels, points = self.values.shape
        if not (count <= MOST and channels <= MOST_CHANNELS and 1 <= points <= MOST_POINTS and self.rows >= 1):
            raise ValueError(f"values have the shape {self.values.shape}")
        if {len(self.labels), len(self.taken_for), len(self.scores), len(self.recordings)} != {count}:
            raise ValueError("its arrays differ in length")
        if not (np.isfinite(self.values).all() and np.isfinite(self.scores).all()):
            raise ValueError("a value is not finite")


def read_mistakes(path: Path) -> Mistakes:
    """Read the file; no pickled object in it is made.

    Raises:
        DamagedFileError: if it is not what is written here.
    """
    with damage(path):
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > _MOST_BYTES:
                raise ValueError(f"it unpacks to more than {_MOST_BYTES:,} bytes")
        with np.load(path, allow_pickle=False) as content:
            return Mistakes(
                split=str(content["split"]),
                values=content["values"].astype(np.float32),
                rows=int(content["rows"]),
                labels=_texts(content["labels"]),
                taken_for=_texts(content["taken_for"]),
                scores=tuple(content["scores"].astype(float).tolist()),
                recordings=_texts(content["recordings"]),
            )


def _texts(array: np.ndarray) -> tuple[str, ...]:
    return tuple(str(text)[:_LONGEST] for text in array.tolist())
