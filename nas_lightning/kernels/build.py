"""Compiles the C++ files here at their first use, and loads the library, which is kept in the user's cache folder.

Its name holds its digest, so that a file and what it should be are one thing, whoever else writes there at the time.
"""

import ctypes
import hashlib
import os
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import torch

from nas_lightning import progress

SOURCES = tuple(sorted(Path(__file__).parent.glob("*.cpp")))
HEADERS = tuple(sorted(Path(__file__).parent.glob("*.h")))
_FLAGS = ("-std=c++17", "-O3", "-fPIC", "-shared")
_VECTOR_FLAGS = {"AVX2": ("-mavx2", "-mfma"), "AVX512": ("-mavx2", "-mfma")}
_SCALARS = {torch.float32: "float", torch.float64: "double"}
_TIMEOUT_SECONDS = 300
FUNCTIONS = (
    *("mask_bytes", "mixture_forward", "mixture_backward", "fold_forward", "fold_backward", "fold_double_backward"),
    *("network_forward", "network_backward"),
    *("convolution_forward", "convolution_to_inputs", "convolution_to_weights"),
)
"""What the library exports."""


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
    compiler = _compiler()
    flags = (*_FLAGS, *_VECTOR_FLAGS.get(torch.backends.cpu.get_cpu_capability(), ()))
    flags += (f"-DNAS_SCALAR={_SCALARS[dtype]}",)
    try:
        folder = _private_folder()
        texts = [path.read_bytes() for path in (*SOURCES, *HEADERS)]
        key = hashlib.sha256(repr((texts, compiler, _version(compiler), flags)).encode()).hexdigest()[:16]
        loaded = _load_kept(folder, key) or _load(_compile([*compiler, *flags], folder, key))
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(f"the kernels cannot be built or loaded ({error})") from error
    if loaded is None:
        raise BuildError(f"{compiler[0]} makes a library without {', '.join(FUNCTIONS)}")
    loaded.mask_bytes.restype = ctypes.c_int64
    return loaded


def _compiler() -> tuple[str, ...]:
    """The compiler and its first arguments: ``$CXX``, else the first that is there."""
    given = os.environ.get("CXX", "")
    try:
        words = shlex.split(given)
    except ValueError as error:
        raise BuildError(f"CXX={given} cannot be read ({error})") from error
    if words and shutil.which(words[0]) is None:
        raise BuildError(f"CXX={given}: there is no {words[0]}")
    names = words[:1] or ["c++", "g++", "clang++"]
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        raise BuildError("there is no C++ compiler (c++, g++ or clang++)")
    return found, *words[1:]


def _load_kept(folder: Path, key: str) -> ctypes.CDLL | None:
    """The library that was compiled before; what is damaged, or may be another user's, is removed."""
    for path in sorted(folder.glob(f"kernels-{key}-*.so")):
        loaded = _load(path) if _is_whole(path) else None
        if loaded is not None:
            return loaded
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return None


def _is_whole(path: Path) -> bool:
    """Whether a file is the user's own, and has the digest that its name says."""
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o022:
        return False
    return path.stem.rpartition("-")[2] == hashlib.sha256(path.read_bytes()).hexdigest()


def _load(path: Path) -> ctypes.CDLL | None:
    """Load a library; None if it has not all functions."""
    loaded = ctypes.CDLL(str(path))
    return loaded if all(hasattr(loaded, name) for name in FUNCTIONS) else None


@cache
def why_not_native() -> str | None:
    """Why the compiled kernels cannot be used on this machine, in a few words; None if they can."""
    try:
        library()
    except BuildError as error:
        return str(error)
    return None


def _version(compiler: tuple[str, ...]) -> str:
    call = [*compiler, "--version"]  # what the user names as the compiler, or one of three names on PATH
    return subprocess.run(call, capture_output=True, text=True, check=False).stdout  # nosec B603 # see above


def _private_folder() -> Path:
    """The cache folder; code is loaded from it, so nobody else may be able to write there, or put another in its place.

    Raises:
        BuildError: if somebody may, or if no code may be loaded from there.
    """
    folder = cache_folder()
    for missing in reversed([place for place in (folder, *folder.parents) if not place.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)  # whatever the umask
    folder = folder.resolve()
    status = folder.stat()
    if status.st_uid != os.getuid() or status.st_mode & 0o022:
        raise BuildError(f"{folder} belongs to, or can be written by, another user")
    for parent in folder.parents:
        status = parent.stat()
        is_open = status.st_mode & 0o022 and not status.st_mode & stat.S_ISVTX
        if status.st_uid not in (0, os.getuid()) or is_open:
            raise BuildError(f"{parent}, above {folder.name}, belongs to, or can be written by, another user")
    if os.statvfs(folder).f_flag & getattr(os, "ST_NOEXEC", 0):
        raise BuildError(f"{folder} lies on a file system that is mounted noexec; set XDG_CACHE_HOME to another folder")
    return folder


def _compile(command: list[str], folder: Path, key: str) -> Path:
    """Compile to a temporary file and rename it, so that two processes cannot disturb each other."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        target = Path(place) / "kernels.so"
        # Apple's compiler has no OpenMP: then the kernels run on one thread.
        for threads in (["-fopenmp"], []):
            call = [*command, *threads, *map(str, SOURCES), "-o", str(target)]
            with progress.step("compiling the kernels"):
                done = subprocess.run(  # nosec B603 # the compiler that was named or found, on files of the package
                    call, capture_output=True, text=True, check=False, timeout=_TIMEOUT_SECONDS
                )
            if done.returncode == 0 and target.is_file():
                target.chmod(0o700)  # whatever the umask
                digest = hashlib.sha256(target.read_bytes()).hexdigest()
                return target.replace(folder / f"kernels-{key}-{digest}.so")
    names, text = " or ".join(path.name for path in SOURCES), " ".join(done.stderr.split())
    raise BuildError(f"{command[0]} fails on {names}: {text[:300]}")
