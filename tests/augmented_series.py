"""Series, and augmenters that keep their length."""

import torch

from nas_lightning.data.augment import AUGMENTATIONS


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def series(batch=16, channels=3, length=64):
    """Channels of different range and offset."""
    x = torch.randn(batch, channels, length, generator=generator(99))
    return x * torch.logspace(0, 2, channels)[:, None] + 5


def make(name, length=64, **parameters):
    """An augmenter that keeps the length."""
    required = {"Crop": {"size": max(1, length // 2), "resize": length}, "Resize": {"size": length}}
    return AUGMENTATIONS[name](**required.get(name, {}), **parameters)


def ramp(batch, length):
    """Channel 0 holds its own time, so that a change of time can be read off; channel 1 is random."""
    x = torch.randn(batch, 2, length, dtype=torch.float64, generator=generator(99))
    x[:, 0] = torch.arange(length)
    return x


def kept(augmenter, x, dtype=torch.float32):
    out = augmenter(x, generator())
    assert out.dtype == dtype
    return out.numpy()
