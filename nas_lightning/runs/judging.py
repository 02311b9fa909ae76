"""What the outputs of a network on a split say: figures, what these are made of, and the mistakes that a page draws."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from nas_lightning import progress
from nas_lightning.data.protocol import Recorded, SearchData
from nas_lightning.errors import brief
from nas_lightning.files import write_npz
from nas_lightning.report.mistakes import FILE, MOST, MOST_CHANNELS, MOST_POINTS
from nas_lightning.runs.context import Run
from nas_lightning.tasks import Details


def details_on(run: Run, split: str, outputs: Tensor, target: Tensor) -> Details:
    """What the figures of a split are made of."""
    origins = run.data.origins(split) if isinstance(run.data, Recorded) else None
    return run.task.details(outputs, target, origins)


def loader_of(data: SearchData, split: str) -> Iterable[tuple[Tensor, Tensor]]:
    """Batches of val or test."""
    return data.val_dataloader() if split == "val" else data.test_dataloader()


def shown(run: Run, batches: Iterable[Tensor], split: str, text: str) -> Iterator[Tensor]:
    """Batches with a bar that counts the samples of their split."""
    return progress.track(batches, text, run.data.sizes.get(split), "sample", len)


def write_mistakes(run: Run, split: str, outputs: Tensor, target: Tensor) -> None:
    """Write ``mistakes.npz``: a few samples of which the network is wrong, the one that it is most sure of first.

    There is no file where it is never wrong, and of a DataModule of the user's own, whose order nobody knows. Samples
    are as they lie before the front end, thinned out to what a small picture shows.
    """
    path, found, data = run.folder / FILE, run.task.mistakes(outputs, target, MOST), run.data
    path.unlink(missing_ok=True)  # of a run whose result was taken over
    batches = data.raw_batches(split)
    if not found or batches is None or not isinstance(data, Recorded):
        return
    rows, origins = _samples(batches, [mistake.sample for mistake in found]), data.origins(split)
    names = [origins.names[int(origins.recordings[mistake.sample])] for mistake in found]
    arrays = {
        "split": np.array(split),
        "values": thinned(rows[:, :MOST_CHANNELS].numpy(), MOST_POINTS),
        "rows": np.array(rows.shape[2]),
        "labels": np.array([brief(mistake.label) for mistake in found]),
        "taken_for": np.array([brief(mistake.taken_for) for mistake in found]),
        "scores": np.array([mistake.score for mistake in found]),
        "recordings": np.array([brief(name) for name in names]),
    }
    write_npz(path, arrays)


def _samples(batches: Iterable[Tensor], places: Sequence[int]) -> Tensor:
    """The samples ``[n, C, rows]`` at some places of batches; none behind the last of them is looked at."""
    found, start = dict[int, Tensor](), 0
    for batch in batches:
        found |= {place: batch[place - start].float() for place in places if start <= place < start + len(batch)}
        start += len(batch)
        if start > max(places):
            break
    return torch.stack([found[place] for place in places])


def thinned(values: np.ndarray, most: int) -> np.ndarray:
    """Signals ``[n, C, rows]`` in up to ``most`` points: the least and the largest value of each stretch, in turn.

    >>> thinned(np.arange(8.0).reshape(1, 1, 8), 4).tolist()
    [[[0.0, 3.0, 4.0, 7.0]]]
    """
    if values.shape[2] <= most:
        return values.astype(np.float32)
    ends = np.linspace(0, values.shape[2], most // 2 + 1).astype(int)
    least, largest = np.minimum.reduceat(values, ends[:-1], axis=2), np.maximum.reduceat(values, ends[:-1], axis=2)
    return np.stack([least, largest], axis=3).reshape(*values.shape[:2], -1).astype(np.float32)
