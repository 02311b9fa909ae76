"""What CMSIS-DSP's own C gives, for ``tests/numeric/test_fixed_point.py``, and how many frames differ from ours.

    pip download --no-deps --no-build-isolation cmsisdsp==1.10.3 && tar xzf cmsisdsp-1.10.3.tar.gz
    python tests/numeric/golden_q15.py cmsisdsp-1.10.3 --frames 1000

Compiles the sources with gcc, writes ``tests/numeric/cmsis_q15.npz`` and prints one JSON line. Outputs of long frames
are kept as SHA-256 of their little-endian bytes.
"""

import argparse
import ctypes
import hashlib
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nas_lightning.data.fixed_point import FFT_SIZES, magnitude_q15, rfft_q15

SOURCES = {
    "TransformFunctions": "arm_rfft_q15 arm_rfft_init_q15 arm_cfft_q15 arm_cfft_radix4_q15 arm_bitreversal "
    "arm_bitreversal2",
    "CommonTables": "arm_common_tables arm_const_structs",
    "BasicMathFunctions": "arm_shift_q15",
    "ComplexMathFunctions": "arm_cmplx_mag_q15",
    "FastMathFunctions": "arm_sqrt_q31",
}
LARGEST_WHOLE = 256
PRESETS = ((1024, 4, 128), (512, 5, 32), (256, 5, 16), (256, 5, 8))
TWIDDLE_SIZES = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096)


class Cmsis:
    """The compiled library."""

    def __init__(self, folder: Path, scratch: Path) -> None:
        files = [folder / "Source" / part / f"{name}.c" for part, names in SOURCES.items() for name in names.split()]
        # int32 that wraps, as on the device; without it gcc may assume that no sum overflows.
        call = ["gcc", "-O1", "-fwrapv", "-shared", "-fPIC", "-w", "-D__GNUC_PYTHON__"]
        call += [f"-I{folder / name}" for name in ("Include", "PrivateInclude")]
        subprocess.run([*call, *map(str, files), "-o", str(scratch / "q15.so"), "-lm"], check=True)
        self.library = ctypes.CDLL(str(scratch / "q15.so"))

    def table(self, name: str, count: int, kind: Any = ctypes.c_int16) -> np.ndarray:
        """A table of constants."""
        return np.array((kind * count).in_dll(self.library, name)[:])

    def rfft(self, frames: np.ndarray) -> np.ndarray:
        """``[K, N]`` to ``[K, 2 N]``."""
        count, size = frames.shape
        instance, outputs = ctypes.create_string_buffer(256), np.zeros((count, 2 * size), np.int16)
        assert self.library.arm_rfft_init_q15(instance, ctypes.c_uint32(size), 0, 1) == 0
        for frame, output in zip(frames, outputs, strict=True):
            self.library.arm_rfft_q15(instance, _pointer(frame.copy()), _pointer(output))
        return outputs

    def shift(self, values: np.ndarray, bits: int) -> np.ndarray:
        """``[K] int16``, shifted."""
        values, output = np.ascontiguousarray(values), np.zeros_like(values)
        self.library.arm_shift_q15(
            _pointer(values), ctypes.c_int8(bits), _pointer(output), ctypes.c_uint32(values.size)
        )
        return output

    def magnitude(self, pairs: np.ndarray) -> np.ndarray:
        """``[..., 2 M]`` to ``[..., M]``."""
        pairs, output = np.ascontiguousarray(pairs), np.zeros((*pairs.shape[:-1], pairs.shape[-1] // 2), np.int16)
        self.library.arm_cmplx_mag_q15(_pointer(pairs), _pointer(output), ctypes.c_uint32(output.size))
        return output


def _pointer(array: np.ndarray) -> ctypes.c_void_p:
    return array.ctypes.data_as(ctypes.c_void_p)


def digest(array: np.ndarray) -> np.ndarray:
    """SHA-256, ``[32] uint8``."""
    return np.frombuffer(hashlib.sha256(np.ascontiguousarray(array).astype("<i2").tobytes()).digest(), np.uint8)


def golden_frames(size: int) -> np.ndarray:
    """Frames ``[13, size] int16`` whose first N values are the inputs for N."""
    rng, steps = np.random.default_rng(0), np.arange(size)
    noise = rng.integers(-32768, 32768, size)
    signs = np.where(rng.random(size) < 0.5, -32768, 32767)
    square = np.where(np.cos(2 * np.pi * steps / 8 + 0.3) >= 0, 32767, -32768)
    frames = [noise, noise >> 4, noise >> 10, signs, square, corners(steps, 1 / 8, 1e-9)]
    frames += [np.where(steps % 2, 32767, -32768), np.full(size, -32768), np.full(size, 32767), 0 * steps]
    frames += [32767 * (steps == 0), -32768 * (steps == 3), np.rint(20000 * np.sin(2 * np.pi * steps * 0.0731))]
    return np.stack(frames).astype(np.int16)


def corners(steps: np.ndarray, frequency: float | np.ndarray, phase: float | np.ndarray) -> np.ndarray:
    """Pairs of values that go around the corners of int16: the largest transforms of pairs, which overflow."""
    turned = 2 * np.pi * frequency * (steps // 2) + phase - np.pi / 2 * (steps % 2)
    return np.where(np.cos(turned) >= 0, 32767, -32768)


def random_frames(rng: np.random.Generator, count: int, size: int) -> np.ndarray:
    """Noise, extremes, sines and square waves of random scale, and corners, ``[count, size] int16``."""
    scales = 2.0 ** rng.uniform(0, 15.1, (count, 1))
    phases = 2 * np.pi * (rng.uniform(0, 0.5, (count, 1)) * np.arange(size) + rng.random((count, 1)))
    unit = rng.uniform(-1, 1, (count, size))
    bins = rng.integers(0, size // 2, (count, 1)) / (size // 2)
    shapes = [unit, np.sign(unit), np.sin(phases), np.where(np.sin(phases) >= 0, 1, -1), np.sign(unit) * (unit > -0.8)]
    shapes = [*(scales * shape for shape in shapes), corners(np.arange(size), bins, phases[:, :1])]
    return np.clip(np.rint(np.choose(np.arange(count)[:, None] % 6, shapes)), -32768, 32767).astype(np.int16)


def binned(magnitudes: np.ndarray, num_bins: int, width: int, offset: int) -> np.ndarray:
    """Group means as the feature extraction defines them: a floor division of the sums."""
    groups = [magnitudes[:, offset + index * width :][:, :width] for index in range(num_bins)]
    return np.stack([group.astype(np.int64).sum(1) // width for group in groups], axis=1).astype(np.int16)


def golden(cmsis: Cmsis) -> dict[str, np.ndarray]:
    """All arrays of the file."""
    inputs = golden_frames(max(FFT_SIZES))
    rng = np.random.default_rng(1)
    edges = np.array([-32768, -32767, -23170, -181, -2, -1, 0, 1, 2, 3, 181, 23170, 32766, 32767])
    pairs = np.concatenate([np.stack(np.meshgrid(edges, edges), -1).reshape(-1, 2), rng.integers(-300, 300, (500, 2))])
    pairs = np.concatenate([pairs, rng.integers(-32768, 32768, (1500, 2))]).astype(np.int16)
    arrays = {"inputs": inputs, "pairs": pairs, "magnitudes": cmsis.magnitude(pairs)[:, 0]}
    arrays["edges"] = edges.astype(np.int16)
    arrays["shifts"] = np.stack([cmsis.shift(arrays["edges"], bits) for bits in range(-15, 16)])
    arrays["sqrt_start_values"] = cmsis.table("sqrt_initial_lut_q31", 24, ctypes.c_int32)
    for name in ("realCoefAQ15", "realCoefBQ15"):
        arrays[f"{name}_sha256"] = digest(cmsis.table(name, 8192))
    for size in TWIDDLE_SIZES:
        arrays[f"twiddles_{size}_sha256"] = digest(cmsis.table(f"twiddleCoef_{size}_q15", 3 * size // 2))
    for size in FFT_SIZES:
        spectrum = cmsis.rfft(inputs[:, :size])
        arrays[f"rfft_{size}_sha256"] = digest(spectrum)
        if size <= LARGEST_WHOLE:
            arrays[f"rfft_{size}"] = spectrum
    for size, bits, num_bins in PRESETS:
        magnitudes = cmsis.magnitude(cmsis.shift(cmsis.rfft(inputs[:, :size]), bits)[:, : size + 2])[:, 1:]
        for offset in (0, 1):
            name = f"preset_{size}_{bits}_{num_bins}_{offset}"
            arrays[name] = binned(magnitudes, num_bins, size // 2 // num_bins, offset)
    return arrays


def num_differing(cmsis: Cmsis, size: int, count: int) -> int:
    """Frames of ``count`` random ones whose spectrum or magnitudes are not the same."""
    frames = random_frames(np.random.default_rng(size), count, size)
    spectrum = cmsis.rfft(frames)
    ours = rfft_q15(torch.from_numpy(frames))
    differs = (ours.numpy() != spectrum).any(1)
    return int((differs | (magnitude_q15(ours).numpy() != cmsis.magnitude(spectrum)).any(1)).sum())


def main() -> None:
    """Write the file and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="the unpacked source package of cmsisdsp")
    parser.add_argument("--frames", type=int, default=0, help="random frames to compare, for each length")
    default = Path(__file__).parent.parent / "tests" / "numeric" / "cmsis_q15.npz"
    parser.add_argument("--out", type=Path, default=default)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        cmsis = Cmsis(arguments.folder.resolve(), Path(scratch))
        np.savez_compressed(arguments.out, allow_pickle=False, **golden(cmsis))
        differing = {size: num_differing(cmsis, size, arguments.frames) for size in FFT_SIZES if arguments.frames}
    row = {"bytes": arguments.out.stat().st_size, "frames_per_length": arguments.frames, "differing": differing}
    print(json.dumps(row))


if __name__ == "__main__":
    main()
