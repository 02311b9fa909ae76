"""Mean, deviation and range of the channels, and a digest, over data that need not be in memory together."""

import hashlib
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from nas_lightning import progress
from nas_lightning.data.recordings import Recordings, give_back
from nas_lightning.data.windows import Samples, Windows

_CHUNK_VALUES = 1 << 22
_CHUNK_ROWS = 1 << 20


def channel_constants(samples: Samples | Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation ``[C]`` of samples ``[N, C, L]``; a constant channel gets a deviation of 1."""
    chunks = _chunks(samples) if isinstance(samples, Samples) else [samples]
    mean, std = moments(chunk.transpose(0, 1).flatten(1) for chunk in chunks)
    return mean.float(), torch.where(std > 1e-6 * (1 + mean.abs()), std, 1.0).float()


def moments(chunks: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation, float64 ``[C]``, over chunks ``[C, T]`` that need not be in memory together.

    The moments of the chunks are merged (Chan, Golub and LeVeque 1983, equation 2.1).
    """
    count, mean, squares = 0, torch.zeros(()), torch.zeros(())
    for chunk in chunks:
        values = chunk.double()
        own, num = values.mean(1), values.shape[1]
        difference = own - mean
        squares = squares + values.var(1, correction=0) * num + difference**2 * (count * num / (count + num))
        mean = mean + difference * (num / (count + num))
        count += num
    return mean, (squares / count).sqrt()


def _chunks(samples: Samples) -> Iterator[Tensor]:
    values = samples[0][0].numel()
    parts = torch.arange(len(samples)).split(max(1, _CHUNK_VALUES // values))
    for indices in progress.track(parts, "mean and deviation of train", len(samples), "sample", len):
        yield samples.__getitems__(indices)[0]
        give_back(samples.windows.values)


def ranges(batches: Iterable[Tensor]) -> tuple[np.ndarray, np.ndarray]:
    """The smallest and the largest value of each channel of samples ``[B, C, L]``, float64 ``[C]``."""
    least, most = zip(*((x.amin((0, 2)), x.amax((0, 2))) for x in batches), strict=True)
    return torch.stack(least).amin(0).double().numpy(), torch.stack(most).amax(0).double().numpy()


def digest(recordings: Recordings, windows: Iterable[Windows]) -> str:
    """A digest of recordings, labels and windows, whatever their names are."""
    found = hashlib.blake2b(digest_size=16)
    parts = recordings.values.split(_CHUNK_ROWS)
    for rows in progress.track(parts, "digest of the data", len(recordings.values), "row", len):
        found.update(rows.numpy().tobytes())
        give_back(recordings.values)
    found.update(recordings.starts.tobytes() + recordings.labels.tobytes() + repr(recordings.label_names).encode())
    for each in windows:
        found.update(each.starts.numpy().tobytes())
    return found.hexdigest()
