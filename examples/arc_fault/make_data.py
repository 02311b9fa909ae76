"""Makes a data set of string currents of photovoltaic plants, without and with a series DC arc fault.

    python examples/arc_fault/make_data.py data/arc_fault

Everything is synthetic. It stands for real recordings in examples and tests; a detector trained on it protects
nothing. It writes ``FOLDER/classes/{normal,arc}/recording01.csv`` with the columns ``time`` (s) and ``current`` (A),
sampled at 250 kHz. Each recording has its own plant, so a split by file asks for plants that were never seen.

What the literature says:

- Detectors look at the alternating part of the string current; each inverter has a noise of its own, which must not
  trip them (Johnson and Kang, "Arc-Fault Detector Algorithm Evaluation Method Utilizing Prerecorded Arcing
  Signatures", Sandia National Laboratories and Sensata Technologies). UL 1699B tests for arcs that are missed, and
  for trips by inverters, converters and switches.
- The noise of an arc is Gaussian and reaches some MHz. 10 to 100 kHz is where to look: from 200 kHz the cabling
  shapes it differently in each plant. The inverter's switching lies in that band too. An FFT of 1024 samples at 250
  kHz is usual (Texas Instruments, design guide TIDUEZ9).
- In that band an arc's spectrum is that of pink noise, 1/f in power (Kim et al., "A Series DC Arc Fault Detection
  Algorithm Based on PV Operating Characteristics and Detailed Extraction of Pink Noise Behavior", APEC 2021).

The model is a string with current ``I`` and voltage ``V`` near the point of its maximum power, where a small voltage
``v`` in series changes the current by ``-v I / V``. The ranges in ``draw_plant`` are choices, not measurements.

- normal: I with a slow ramp, the ripple of a single-phase inverter at twice the mains frequency, and the small steps
  by which it looks for the maximum power; lines at 16 to 20 kHz and their multiples, whose frequency wanders slowly;
  ringing after switches, and larger steps of the load; the plant's noise, white or a little pink, at levels from 1 to
  13.
- arc: all of that, and ``v = V_arc (1 + m n)`` with 20 to 40 V and pink noise ``n``. The depth ``m`` is the strength
  of the gap, less at higher currents, and wanders from one millisecond to the next. The cabling adds a resonance.
  ``v`` is 0 in pauses, when the contacts touch; those are labelled arc too, as they are where labels are given by the
  file.
- both: an anti-alias filter, white noise of the sensor, and a converter of 16 bits over 50 A.

So the standard deviation of a frame says little, its spectrum much, and the loudest normal plants look like weak
arcs.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.signal import butter, sosfilt

RATE = 250_000
"""Samples a second."""

CLASSES = ("normal", "arc")

Array = np.ndarray


@dataclass(frozen=True)
class Plant:
    """What is the same throughout a recording.

    Attributes:
        current: of the string, A.
        voltage: of the string, V.
        mains: frequency, Hz.
        ripple: amplitude at twice the mains frequency, as a share of the current.
        switching: frequency of the inverter, Hz.
        line: amplitude of its first line, A.
        decay: the k-th multiple has ``k ** -decay`` of that.
        noise: standard deviation, A.
        slope: of the noise's power, -slope decades a decade.
        events: ringing after a switch, a second.
        steps: of the load, a second.
        resonance: of the cabling, Hz.
        arc_voltage: V.
        gap: standard deviation of the arc's voltage at 6 A, as a share of it.
        pauses: of the arc, a second.
    """

    current: float
    voltage: float
    mains: float
    ripple: float
    switching: float
    line: float
    decay: float
    noise: float
    slope: float
    events: float
    steps: float
    resonance: float
    arc_voltage: float
    gap: float
    pauses: float


def draw_plant(rng: np.random.Generator) -> Plant:
    """A plant at random; the class has no say in it."""
    return Plant(
        current=rng.uniform(3, 10),
        voltage=rng.uniform(250, 500),
        mains=rng.choice([50.0, 60.0]),
        ripple=_log_uniform(rng, 0.005, 0.05),
        switching=rng.uniform(16e3, 20e3),
        line=_log_uniform(rng, 0.01, 0.15),
        decay=rng.uniform(0.7, 1.6),
        noise=_log_uniform(rng, 0.003, 0.04),
        slope=rng.uniform(0, 0.2),
        events=_log_uniform(rng, 3, 40),
        steps=_log_uniform(rng, 2, 10),
        resonance=rng.uniform(25e3, 90e3),
        arc_voltage=rng.uniform(20, 40),
        gap=_log_uniform(rng, 0.08, 0.16),
        pauses=_log_uniform(rng, 2, 10),
    )


def make_recording(label: str, num_rows: int, rng: np.random.Generator) -> Array:
    """The measured current of a plant.

    Args:
        label: one of ``CLASSES``.
        num_rows: T, samples.
        rng: of everything that is drawn.

    Returns:
        float64 ``[T]``, A.
    """
    plant = draw_plant(rng)
    time = np.arange(num_rows) / RATE
    current = operating_current(plant, time, rng) + switching_lines(plant, time, rng) + ringing(plant, time, rng)
    current += plant.noise * coloured_noise(num_rows, plant.slope, rng)
    if label == "arc":
        current -= plant.current / plant.voltage * arc_voltage(plant, num_rows, rng)
    return measure(current, rng)


def operating_current(plant: Plant, time: Array, rng: np.random.Generator) -> Array:
    """The current that the inverter draws, without its switching: ``[T]``, A."""
    search = 0.005 * steps_at(_events(time, rng.uniform(20, 60), rng), time, rng)
    load = 0.05 * steps_at(_events(time, plant.steps, rng), time, rng)
    ramp = rng.uniform(-0.1, 0.1) * time
    phases = 2 * np.pi * (2 * plant.mains * time + rng.uniform())
    ripple = plant.ripple * (np.sin(phases) + 0.2 * np.sin(2 * phases + 1))
    return plant.current * (1 + ramp + ripple + search + load)


def steps_at(starts: Array, time: Array, rng: np.random.Generator) -> Array:
    """Steps of random size around 1, down and up in turn, each with its own time constant: ``[T]``."""
    total = np.zeros_like(time)
    for i, start in enumerate(starts):
        later = np.maximum(time - start, 0)
        total += (-1) ** i * rng.uniform(0.5, 1.5) * np.expm1(-later / _log_uniform(rng, 1e-4, 2e-3))
    return total


def switching_lines(plant: Plant, time: Array, rng: np.random.Generator) -> Array:
    """The inverter's switching frequency and its multiples, whose frequency wanders by some tens of Hz: ``[T]``, A."""
    wander = 30 * np.sin(2 * np.pi * (rng.uniform(1, 8) * time + rng.uniform()))
    phase = 2 * np.pi * np.cumsum(plant.switching + wander) / RATE
    strength = 1 + 0.3 * np.sin(4 * np.pi * plant.mains * time)
    total = np.zeros_like(time)
    for k in range(1, 7):  # 6 * 20 kHz is still below half the sampling rate
        line = plant.line * k**-plant.decay * _log_uniform(rng, 0.5, 2)
        total += line * np.sin(k * phase + rng.uniform(0, 2 * np.pi))
    return strength * total


def ringing(plant: Plant, time: Array, rng: np.random.Generator) -> Array:
    """Decaying oscillations after switches elsewhere in the plant: ``[T]``, A."""
    total = np.zeros_like(time)
    for start in _events(time, plant.events, rng):
        first = int(start * RATE)
        later = time[: len(time) - first]
        height = _log_uniform(rng, 0.02, 0.5) * np.exp(-later / _log_uniform(rng, 5e-5, 1e-3))
        total[first:] += height * np.sin(2 * np.pi * _log_uniform(rng, 4e3, 6e4) * later)
    return total


def arc_voltage(plant: Plant, num_rows: int, rng: np.random.Generator) -> Array:
    """The voltage over the gap, seen through the cabling: ``[T]``, V."""
    depth = plant.gap * (6 / plant.current) * np.exp(0.5 * slow_noise(num_rows, 1e-3, rng))
    noise = coloured_noise(num_rows, 1.0, rng, plant.resonance)
    return plant.arc_voltage * burning(plant, num_rows, rng) * (1 + depth * noise)


def burning(plant: Plant, num_rows: int, rng: np.random.Generator) -> Array:
    """1 while the arc burns, 0 in its pauses of 1 to 10 ms: ``[T]``."""
    state = np.ones(num_rows)
    for start in rng.uniform(0, num_rows, rng.poisson(plant.pauses * num_rows / RATE)):
        state[int(start) : int(start + RATE * _log_uniform(rng, 1e-3, 1e-2))] = 0
    return state


def coloured_noise(num_rows: int, slope: float, rng: np.random.Generator, resonance: float | None = None) -> Array:
    """Gaussian noise with a power like ``f ** -slope`` above 2 kHz, the same everywhere below.

    Args:
        num_rows: T.
        slope: 0 is white, 1 is pink.
        rng: of the noise.
        resonance: Hz, where the power is up to 4 times as high; None for none.

    Returns:
        ``[T]`` of variance 1.
    """
    frequencies = np.fft.rfftfreq(num_rows, 1 / RATE)
    gain = np.maximum(frequencies, 2e3) ** (-slope / 2)
    if resonance is not None:
        gain *= 1 + 1 / (1 + ((frequencies - resonance) / 8e3) ** 2)
    return _shaped(gain, num_rows, rng)


def slow_noise(num_rows: int, correlation: float, rng: np.random.Generator) -> Array:
    """Gaussian noise ``[T]`` of variance 1 that changes within ``correlation`` seconds."""
    frequencies = np.fft.rfftfreq(num_rows, 1 / RATE)
    return _shaped(1 / np.hypot(1, 2 * np.pi * frequencies * correlation), num_rows, rng)


def measure(current: Array, rng: np.random.Generator) -> Array:
    """Filter, sensor and converter: ``[T]`` A in and out."""
    anti_alias = butter(4, 90e3, fs=RATE, output="sos")
    filtered = current[0] + sosfilt(anti_alias, current - current[0])
    noise = _log_uniform(rng, 5e-4, 3e-3) * rng.standard_normal(len(current))
    step = 50 / 2**16
    return step * np.round((filtered + noise) / step)


def write_data(folder: Path, num_recordings: int, seconds: float, seed: int) -> None:
    """Write the recordings of both classes; a recording is the same whatever the number of the others."""
    num_rows = round(seconds * RATE)
    for kind, label in enumerate(CLASSES):
        (folder / "classes" / label).mkdir(parents=True)
        for i in range(1, num_recordings + 1):
            current = make_recording(label, num_rows, np.random.default_rng([seed, kind, i]))
            rows = np.column_stack([np.arange(num_rows) / RATE, current])
            path = folder / "classes" / label / f"recording{i:02d}.csv"
            np.savetxt(path, rows, fmt="%.6f,%.4f", header="time,current", comments="")


def _events(time: Array, per_second: float, rng: np.random.Generator) -> Array:
    """Times of a Poisson process, sorted, s."""
    duration = len(time) / RATE
    return np.sort(rng.uniform(0, duration, rng.poisson(per_second * duration)))


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _shaped(gain: Array, num_rows: int, rng: np.random.Generator) -> Array:
    """Gaussian noise ``[T]`` of mean 0 and variance 1 whose spectrum is ``gain`` ``[T // 2 + 1]``."""
    values = np.fft.irfft(gain * np.fft.rfft(rng.standard_normal(num_rows)), num_rows)
    return (values - values.mean()) / values.std()


def _refuse_used(folder: Path) -> None:
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        print(f"{folder} is there and is no empty folder; give the name of a new one", file=sys.stderr)
        sys.exit(2)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Make synthetic string currents without and with a series DC arc.")
    parser.add_argument("folder", type=Path, help="where to write; it must be new or empty")
    parser.add_argument("--recordings", type=int, default=20, help="of each class (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=0.25, help="of each recording (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other plants (default: %(default)s)")
    arguments = parser.parse_args()
    if arguments.recordings < 1 or arguments.seconds < 0.005 or arguments.seed < 0:
        parser.error("at least 1 recording, 0.005 seconds (one frame of 1024 samples) and seed 0 are needed")
    _refuse_used(arguments.folder)
    write_data(arguments.folder, arguments.recordings, arguments.seconds, arguments.seed)


if __name__ == "__main__":
    main()
