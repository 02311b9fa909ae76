"""Pictures of data before a search. Each function returns a matplotlib Figure."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from nas_lightning.report.pictures import plain

_EXAMPLES = 3
_MOST_CLASSES = 20
_MOST_CHANNELS = 12


def windows_picture(raw: Sequence[np.ndarray], class_names: Sequence[str]) -> Figure:
    """A few windows of each class, of up to 20: ``raw`` holds ``[N, C, rows]`` by class, a line is a channel."""
    raw, class_names = [samples[:, :_MOST_CHANNELS] for samples in raw[:_MOST_CLASSES]], class_names[:_MOST_CLASSES]
    figure = Figure(figsize=(3.4 * _EXAMPLES, 1.2 + 1.6 * len(raw)), layout="constrained")
    axes = figure.subplots(len(raw), _EXAMPLES, squeeze=False, sharex=True)
    for row, (name, samples) in enumerate(zip(class_names, raw, strict=True)):
        for axis, sample in zip(axes[row], samples[:: max(1, len(samples) // _EXAMPLES)], strict=False):
            axis.plot(sample.T, linewidth=0.8)
        axes[row, 0].set_ylabel(plain(name))
    figure.suptitle("windows of the train split")
    return figure


def spectrum_picture(raw: Sequence[np.ndarray], class_names: Sequence[str], rate: float | None) -> Figure:
    """The mean amplitude spectrum of each class, one axis a channel; ``raw`` as in ``windows_picture``, rate in Hz."""
    raw, class_names = [samples[:, :_MOST_CHANNELS] for samples in raw[:_MOST_CLASSES]], class_names[:_MOST_CLASSES]
    channels, rows = raw[0].shape[1:]
    figure = Figure(figsize=(11, 1.0 + max(2.2 * channels, 0.25 * len(raw) + 2)), layout="constrained")
    axes = figure.subplots(channels, 1, squeeze=False, sharex=True)[:, 0]
    frequencies = np.fft.rfftfreq(rows, 1 / (rate or 1.0))
    for name, samples in zip(class_names, raw, strict=True):
        spectra = mean_spectrum(samples)
        for axis, spectrum in zip(axes, spectra, strict=True):
            axis.plot(frequencies[1:], spectrum[1:], linewidth=1, label=plain(name))  # without the mean, which is 0
    for number, axis in enumerate(axes):
        axis.set_ylabel(f"channel {number}, dB")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right upper", fontsize="small")
    axes[-1].set_xlabel("frequency in Hz" if rate else "frequency as a share of the sampling rate")
    figure.suptitle("mean spectrum by class")
    return figure


def mean_spectrum(samples: np.ndarray) -> np.ndarray:
    """``[N, C, rows]`` to the mean amplitude in dB ``[C, rows / 2 + 1]``, without each window's mean."""
    centred = samples - samples.mean(-1, keepdims=True)
    amplitude = np.abs(np.fft.rfft(centred, axis=-1)).mean(0) / samples.shape[-1]
    return 20 * np.log10(amplitude + 1e-12)


def projection_picture(points: np.ndarray, labels: np.ndarray, class_names: Sequence[str]) -> Figure:
    """Samples as points ``[N, 2]``, coloured by class."""
    figure = Figure(figsize=(9, 6), layout="constrained")
    axes = figure.subplots()
    for number, name in enumerate(class_names[:_MOST_CLASSES]):
        own = points[labels == number]
        axes.scatter(own[:, 0], own[:, 1], s=8, alpha=0.6, label=plain(name))
    axes.set(title="what the network sees, first two principal components", xlabel="first", ylabel="second")
    figure.legend(loc="outside right upper", fontsize="small")
    return figure
