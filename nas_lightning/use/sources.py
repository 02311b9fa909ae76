"""What a program hands to a classifier, as a source like any other: arrays, tables, files and folders."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nas_lightning.data.readers import open_source
from nas_lightning.data.reading import UNLABELLED, Reading
from nas_lightning.data.recordings import Recording, Source
from nas_lightning.errors import InputError

_ALLOWED = (
    "arrays [N, C, T] or [C, T], a list of arrays [C, T], a data frame, the path of a file or a folder, or a DataLoader"
)


def source_of(x: Any, reading: Reading, channels: int) -> Source:
    """The recordings that ``x`` is.

    Args:
        x: arrays, a list of them, a data frame, or a path.
        reading: what is known of the way in which a path or a data frame is written.
        channels: of the network.

    Raises:
        InputError: if it is none of them.
    """
    if isinstance(x, str | Path):
        return open_source(None, str(x), replace(reading, is_for_use=True))
    if hasattr(x, "columns"):
        from nas_lightning.data.readers.table import read_frame  # at need: pandas takes long to import

        return read_frame(x, replace(reading, is_for_use=True), "the data frame")
    return Source("x", list(_recordings(x, channels if reading.variables is None else None)))


def _recordings(x: Any, channels: int | None) -> Iterator[Recording]:
    """Those of arrays; ``channels`` that each has to have, None if some of them are chosen later."""
    is_list = isinstance(x, list | tuple)
    items = list(x) if is_list else [_array("x", x)]
    if not is_list and items[0].ndim == 3:
        items = list(items[0])
    for number, item in enumerate(items):
        values = _array(f"x[{number}]", item)
        if values.ndim != 2 or not values.size:
            raise InputError(f"x: has a recording of shape {list(values.shape)}; allowed: {_ALLOWED}")
        if channels is not None and values.shape[0] != channels == values.shape[1]:
            raise InputError(
                f"x: {number} has shape {list(values.shape)}; channels come first, [C, T], and the network takes "
                f"{channels}: its transpose has that order"
            )
        yield Recording(str(number), values.T, UNLABELLED)


def _array(name: str, found: Any) -> np.ndarray:
    if isinstance(found, torch.Tensor):
        found = found.detach().cpu().numpy()
    try:
        values = np.asarray(found)
    except Exception as error:  # whatever an object of another library raises
        raise InputError(f"{name}: is {type(found).__name__}; allowed: {_ALLOWED}") from error
    if values.dtype.kind not in "iufb":
        raise InputError(f"{name}: is {type(found).__name__} of type {values.dtype}; allowed: {_ALLOWED}")
    return values
