"""Compiles the C++ files here at their first use, and loads the library, which is kept in the user's cache folder."""

import ctypes
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import torch

SOURCES = tuple(sorted(Path(__file__).parent.glob("*.cpp")))
HEADERS = tuple(sorted(Path(__file__).parent.glob("*.h")))
_FLAGS = ("-std=c++17", "-O3", "-fPIC", "-shared")
_VECTOR_FLAGS = {"AVX2": ("-mavx2", "-mfma"), "AVX512": ("-mavx2", "-mfma")}
_SCALARS = {torch.float32: "float", torch.float64: "double"}
_TIMEOUT_SECONDS = 300


class BuildError(RuntimeError):
    """The kernels cannot be compiled or loaded here; the text says why."""


def cache_folder() -> Path:
    """Where the library is kept: ``$XDG_CACHE_HOME/nas_lightning``, or ``~/.cache/nas_lightning``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nas_lightning"


@cache
def library(dtype: torch.dtype = torch.float32) -> ctypes.CDLL:
    """The kernels compiled for float32 or float64.

    Raises:
        BuildError: if there is no C++ compiler, it fails, or the cache folder cannot be used safely.
    """
    if sys.platform == "win32":
        raise BuildError("the kernels are not built on Windows")
    compiler = next(filter(None, map(shutil.which, [os.environ.get("CXX") or "c++", "g++", "clang++"])), None)
    if compiler is None:
        raise BuildError("there is no C++ compiler (c++, g++ or clang++)")
    flags = (*_FLAGS, *_VECTOR_FLAGS.get(torch.backends.cpu.get_cpu_capability(), ()))
    flags += (f"-DNAS_SCALAR={_SCALARS[dtype]}",)
    try:
        folder = _private_folder()
        texts = [path.read_bytes() for path in (*SOURCES, *HEADERS)]
        key = hashlib.sha256(repr((texts, compiler, _version(compiler), flags)).encode()).hexdigest()
        path = folder / f"kernels-{key[:16]}.so"
        if not path.is_file():
            _compile([compiler, *flags], path)
        loaded = ctypes.CDLL(str(path))
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(f"the kernels cannot be built or loaded ({error})") from error
    loaded.mask_bytes.restype = ctypes.c_int64
    return loaded


@cache
def why_not_native() -> str | None:
    """Why the compiled kernels cannot be used on this machine, in a few words; None if they can."""
    try:
        library()
    except BuildError as error:
        return str(error)
    return None


def _version(compiler: str) -> str:
    return subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False).stdout


def _private_folder() -> Path:
    """The cache folder; code is loaded from it, so nobody else may be able to write there."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    status = folder.stat()
    if status.st_uid != os.getuid() or status.st_mode & 0o022:
        raise BuildError(f"{folder} belongs to, or can be written by, another user")
    return folder


def _compile(command: list[str], path: Path) -> None:
    """Compile to a temporary file and rename it, so that two processes cannot disturb each other."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        target = Path(folder) / "kernels.so"
        # Apple's compiler has no OpenMP: then the kernels run on one thread.
        for threads in (["-fopenmp"], []):
            call = [*command, *threads, *map(str, SOURCES), "-o", str(target)]
            done = subprocess.run(call, capture_output=True, text=True, check=False, timeout=_TIMEOUT_SECONDS)
            if done.returncode == 0:
                target.replace(path)
                return
    names, text = " or ".join(path.name for path in SOURCES), " ".join(done.stderr.split())
    raise BuildError(f"{command[0]} fails on {names}: {text[:300]}")
