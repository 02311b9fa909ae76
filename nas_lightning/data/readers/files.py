"""What each file of a folder holds, by the ending of its name."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from nas_lightning.data.readers.excel import read_sheet
from nas_lightning.data.readers.hdf5 import load_hdf5
from nas_lightning.data.readers.labels import suffix_of
from nas_lightning.data.readers.matlab import load_mat
from nas_lightning.data.readers.npy import Arrays, Named, load_npy
from nas_lightning.data.readers.text import read_many
from nas_lightning.data.readers.wav import read_wav
from nas_lightning.data.reading import Content, Findings, Reading, choose
from nas_lightning.errors import InputError

READERS = {
    "csv": "text",
    "txt": "text",
    "tsv": "text",
    "npy": "array",
    "wav": "sound",
    "mat": "array",
    "h5": "array",
    "hdf5": "array",
    "xlsx": "sheet",
}
"""The kind of a file by the ending of its name, in lower case."""


class Files:
    """Reads the recordings of a folder.

    Args:
        root: the folder.
        shown: its name in messages.
        reading: what is known of the way in which they are written.
        findings: keeps what is decided here.
    """

    def __init__(self, root: Path, shown: str, reading: Reading, findings: Findings) -> None:
        self._root, self._shown, self._reading, self._findings = root, shown, reading, findings
        self._arrays = Arrays(shown, reading, findings)

    def contents(self, names: Sequence[str]) -> Iterator[Content]:
        """The content of each file; small text files are read many at once.

        Args:
            names: of the files, relative to the folder.

        Raises:
            InputError: naming the file and what is wrong with it.
        """
        kinds = [READERS[suffix_of(name)] for name in names]
        if "array" in kinds:
            arrays = (name for name, kind in zip(names, kinds, strict=True) if kind == "array")
            self._arrays.check_axes((name, self._array(name).shape) for name in arrays)
        for kind, pairs in itertools.groupby(zip(kinds, names, strict=True), lambda pair: pair[0]):
            some = (name for _, name in pairs)
            if kind == "text":
                named = ((self._root / name, f"{self._shown}: {name}") for name in some)
                yield from read_many(named, self._reading, self._findings)
            elif kind == "array":
                yield from self._arrays.contents(self._named(some))
            else:
                yield from (self._single(kind, name) for name in some)

    def _single(self, kind: str, name: str) -> Content:
        path, shown = self._root / name, f"{self._shown}: {name}"
        try:
            if kind == "sheet":
                return read_sheet(path, shown, self._reading, self._findings)
            return self._chosen(shown, read_wav(path, shown, self._findings))
        except OSError as error:
            raise _unreadable(shown, error) from error

    def _chosen(self, shown: str, content: Content) -> Content:
        """The chosen variables alone."""
        if self._reading.variables is None:
            return content
        columns = choose(shown, content.values.shape[1], content.channels, self._reading.variables)
        return replace(content, values=content.values[:, columns])

    def _named(self, names: Iterator[str]) -> Iterator[Named]:
        return ((name, self._array(name)) for name in names)

    def _array(self, name: str) -> np.ndarray:
        path, shown, ending = self._root / name, f"{self._shown}: {name}", suffix_of(name)
        try:
            if ending == "npy":
                return load_npy(path, shown)
            return (load_mat if ending == "mat" else load_hdf5)(path, shown, self._reading.array)
        except OSError as error:
            raise _unreadable(shown, error) from error


def _unreadable(shown: str, error: OSError) -> InputError:
    return InputError(f"{shown} cannot be read ({error.strerror or error})")
