"""Compiling and loading the native kernels, with the real compiler and with none."""

import logging
import os
import shutil
import subprocess
import sys
import textwrap

import pytest
import torch

from nas_lightning.config.compose import compose_config
from nas_lightning.errors import InputError
from nas_lightning.kernels import build, choice, native_ops, torch_ops
from nas_lightning.kernels.choice import describe, implementation, warn_if_slow
from nas_lightning.runs.checks import check_config

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _forget():
    """Each test starts without a loaded library, and leaves none of its own."""
    for remembered in (build.library, build.why_not_native, choice._warn):
        remembered.cache_clear()
    yield
    for remembered in (build.library, build.why_not_native, choice._warn):
        remembered.cache_clear()


@pytest.fixture
def no_compiler(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("CXX", raising=False)


def test_without_a_compiler_auto_means_torch(no_compiler):
    assert build.why_not_native() == "there is no C++ compiler (c++, g++ or clang++)"
    assert implementation("auto", torch.zeros(1)) is torch_ops
    because = "torch kernels, several times slower than native ones: there is no C++ compiler"
    assert describe("auto", CPU).startswith(because)
    with pytest.raises(build.BuildError, match="there is no C"):
        native_ops.fold_batch_norm(torch.zeros(2, 1, 4), torch.zeros(1, 1, 1, 1, 3), 1e-5)


def test_without_a_compiler_a_warning_says_so_once(no_compiler, caplog):
    with caplog.at_level(logging.WARNING, "nas_lightning"):
        for kernels, device in (("torch", "cpu"), ("auto", "meta"), ("auto", "cpu"), ("auto", "cpu")):
            warn_if_slow(kernels, torch.device(device))
    assert [record.getMessage() for record in caplog.records] == [
        "kernels: PyTorch computes, several times slower than compiled kernels, because there is no C++ compiler (c++, "
        "g++ or clang++)"
    ]
    assert caplog.records[0].levelno == logging.WARNING


@pytest.mark.parametrize("kernels", ["auto", "native", "torch"])
def test_what_is_not_on_a_cpu_is_left_to_torch_and_said_so(kernels):
    elsewhere = torch.zeros(1, device="meta")
    assert implementation(kernels, elsewhere) is torch_ops
    assert describe(kernels, elsewhere.device) == "torch kernels on meta"


def test_native_kernels_that_cannot_be_built_are_refused(no_compiler):
    config = compose_config(["training.nas_kernels=native"])
    with pytest.raises(InputError) as error:
        check_config(config)
    reason = "there is no C++ compiler (c++, g++ or clang++)"
    assert str(error.value) == f"training.nas_kernels: native is not possible here ({reason}); allowed: auto, torch"


def test_what_native_kernels_cannot_take_is_left_to_torch():
    assert implementation("native", torch.zeros(1, dtype=torch.bfloat16)) is torch_ops
    assert implementation("native", torch.zeros(1, device="meta")) is torch_ops
    assert implementation("torch", torch.zeros(1)) is torch_ops
    assert describe("torch", CPU) == "torch kernels"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("no-such-compiler -O1", "CXX=no-such-compiler -O1: there is no no-such-compiler"),
        ("'g++", "CXX='g++ cannot be read (No closing quotation)"),
    ],
)
def test_a_compiler_that_is_given_and_not_there_is_named(given, reason, monkeypatch):
    """No other one is taken for it."""
    monkeypatch.setenv("CXX", given)
    assert build.why_not_native() == reason


TINY = 'extern "C" {\n' + "".join(f"long {name}() {{ return 7; }}\n" for name in build.FUNCTIONS) + "}\n"
"""What the library exports, compiled in a moment."""

has_compiler = shutil.which(os.environ.get("CXX", "c++")) is not None


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """Small sources instead of the kernels; the folder of the cache."""
    (tmp_path / "tiny.cpp").write_text(TINY)
    monkeypatch.setattr(build, "SOURCES", (tmp_path / "tiny.cpp",))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "nas_lightning"


def reason_of(folder):
    """Why the kernels cannot be used, and that nothing is left of the attempt."""
    reason = build.why_not_native()
    assert not list(folder.iterdir())
    return reason


DAMAGES = """
import os, sys
from pathlib import Path
import torch
from nas_lightning.kernels import build

build.SOURCES = (Path(sys.argv[1]),)

def status_of_loading():
    child = os.fork()  # a bad load ends it; and what is loaded already would not be loaded again
    if child == 0:
        try:
            os._exit(0 if build.library().mask_bytes() == 7 else 1)
        finally:
            os._exit(2)
    return os.waitpid(child, 0)[1]

assert status_of_loading() == 0
folder = build.cache_folder()
(path,) = folder.glob("*")
whole, rng = path.read_bytes(), __import__("random").Random(0)

def flipped(count):
    data = bytearray(whole)
    for _ in range(count):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)

def link():
    other = Path(sys.argv[1]).with_name("other.so")
    other.write_bytes(whole)
    path.symlink_to(other)

def mode(bits):
    path.write_bytes(whole)
    path.chmod(bits)

def owner():
    mode(0o700)
    os.chown(path, 12345, 12345)

def folder_in_its_place():
    path.mkdir()
    (path / "file").touch()

cases = {f"cut to {share}": lambda share=share: path.write_bytes(whole[: int(share * len(whole))])
         for share in (0, 0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.9999)}
cases |= {f"{count} bits": lambda count=count: path.write_bytes(flipped(count)) for count in (1, 1, 5, 50, 500)}
cases |= {f"bit {i}": lambda: path.write_bytes(flipped(1)) for i in range(20)}
cases |= {
    "longer": lambda: path.write_bytes(whole + b"x"),
    "garbage": lambda: path.write_bytes(b"garbage" * 1000),
    "a folder": folder_in_its_place,
    "a link": link,
    "a link to nothing": lambda: path.symlink_to("/nowhere/at/all"),
    "a pipe": lambda: os.mkfifo(path),
    "writable by all": lambda: mode(0o777),
    "writable by the group": lambda: mode(0o770),
    "not there": lambda: None,
}
if os.getuid() == 0:
    cases["of another user"] = owner
for name, damage in cases.items():
    path.unlink()
    damage()
    status = status_of_loading()
    found = [place.name for place in folder.iterdir()]
    ok = status == 0 and found == [path.name] and path.read_bytes() == whole and not path.is_symlink()
    print(name, "ok" if ok else f"status {status}, found {found}")
"""


@pytest.mark.skipif(not has_compiler, reason="needs a compiler")
class TestWithCompiler:
    def test_it_is_compiled_once(self, monkeypatch, tmp_path):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        build.library()
        (path,) = (tmp_path / "nas_lightning").glob("*")
        changed = path.stat().st_mtime_ns
        build.library.cache_clear()
        build.library()
        assert [path] == list((tmp_path / "nas_lightning").glob("*"))
        assert path.stat().st_mtime_ns == changed
        assert implementation("auto", torch.zeros(1)) is native_ops
        assert describe("auto", CPU) == "native kernels"

    def test_a_damaged_library_is_compiled_anew_and_never_loaded(self, tiny, tmp_path):
        command = [sys.executable, "-c", textwrap.dedent(DAMAGES), str(tmp_path / "tiny.cpp")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        lines = done.stdout.splitlines()
        assert len(lines) > 40
        assert [line for line in lines if not line.endswith(" ok")] == []

    def test_a_library_without_the_functions_is_compiled_anew(self, tiny, tmp_path):
        """Whole by its digest, but of something else."""
        build.library()
        (path,) = tiny.iterdir()
        (tmp_path / "tiny.cpp").write_text(TINY.replace("network_forward", "network_sideways"))
        other = build._compile([*build._compiler(), "-shared", "-fPIC"], tiny, path.stem.split("-")[1])
        path.unlink()
        (tmp_path / "tiny.cpp").write_text(TINY)
        build.library.cache_clear()
        assert build.library().network_forward() == 7
        assert [path] == list(tiny.iterdir()) != [other]

    def test_a_compiler_that_makes_something_else_is_named(self, tiny, tmp_path):
        (tmp_path / "tiny.cpp").write_text("int x;\n")
        assert "makes a library without mask_bytes, mixture_forward" in build.why_not_native()

    @pytest.mark.slow
    def test_two_at_once_disturb_neither(self, tiny, tmp_path):
        code = "import sys; from pathlib import Path; from nas_lightning.kernels import build\n"
        code += "build.SOURCES = (Path(sys.argv[1]),); sys.exit(build.library().mask_bytes() != 7)"
        command = [sys.executable, "-c", code, str(tmp_path / "tiny.cpp")]
        for process in [subprocess.Popen(command) for _ in range(3)]:
            assert process.wait() == 0
        assert len(list(tiny.iterdir())) == 1

    def test_a_compiler_with_arguments_is_taken(self, tiny, monkeypatch, tmp_path):
        """As a program before the compiler that keeps what it made."""
        (tmp_path / "keep it").write_text(f'#!/bin/sh\ntouch {tmp_path}/called\nexec "$@"\n')
        (tmp_path / "keep it").chmod(0o700)
        monkeypatch.setenv("CXX", f"'{tmp_path}/keep it' c++ -DMORE=1")
        assert build.library().mask_bytes() == 7
        assert (tmp_path / "called").exists()
        monkeypatch.setenv("CXX", "c++ '-DNOT WELL'")
        build.library.cache_clear()
        assert build.library().mask_bytes() == 7
        assert len(list(tiny.iterdir())) == 2  # the compiler is part of the key

    def test_a_cache_that_others_can_write_is_refused(self, monkeypatch, tmp_path):
        folder = tmp_path / "nas_lightning"
        folder.mkdir()
        folder.chmod(0o777)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        assert reason_of(folder) == f"{folder} belongs to, or can be written by, another user"

    @pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
    def test_a_folder_above_it_that_others_can_write_is_refused(self, mode, monkeypatch, tmp_path):
        folder = tmp_path / "above" / "cache" / "nas_lightning"
        folder.mkdir(parents=True)
        (tmp_path / "above").chmod(mode)
        monkeypatch.setenv("XDG_CACHE_HOME", str(folder.parent))
        assert reason_of(folder) == (
            f"{tmp_path / 'above'}, above nas_lightning, belongs to, or can be written by, another user"
        )

    def test_a_folder_above_it_that_is_sticky_will_do(self, tiny, tmp_path):
        (tmp_path / "cache").mkdir()
        (tmp_path / "cache").chmod(0o1777)
        assert build.library().mask_bytes() == 7

    @pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
    @pytest.mark.parametrize("name", ["cache", "cache/nas_lightning"])
    def test_a_folder_of_another_user_is_refused(self, name, tiny, tmp_path):
        tiny.mkdir(parents=True)
        os.chown(tmp_path / name, 12345, 12345)
        assert "belongs to, or can be written by, another user" in reason_of(tiny)

    def test_no_umask_makes_folders_that_are_refused(self, tiny):
        before = os.umask(0)
        try:
            build.library()
            build.library.cache_clear()
            build.library()
        finally:
            os.umask(before)
        assert len(list(tiny.iterdir())) == 1

    @pytest.mark.skipif(os.getuid() != 0 or sys.platform != "linux", reason="only root can mount")
    def test_a_file_system_that_runs_nothing_is_found_before_it_is_compiled(self, tiny, tmp_path):
        (tmp_path / "cache").mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "noexec,mode=755", "none", str(tmp_path / "cache")]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("mount is not allowed here")
        try:
            assert build.why_not_native() == (
                f"{tiny} lies on a file system that is mounted noexec; set XDG_CACHE_HOME to another folder"
            )
            assert not list(tiny.iterdir())
        finally:
            subprocess.run(["umount", str(tmp_path / "cache")], check=True)

    def test_a_compiler_that_fails_is_named(self, monkeypatch, tmp_path):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        monkeypatch.setattr(build, "_FLAGS", ("-no-such-flag",))
        reason = build.why_not_native()
        assert "fails on native.cpp" in reason
        assert "no-such-flag" in reason
        assert not list((tmp_path / "nas_lightning").iterdir())

    @pytest.mark.parametrize("compiler", ["true", "false"])
    def test_a_compiler_that_makes_nothing_is_named(self, compiler, tiny, monkeypatch):
        monkeypatch.setenv("CXX", compiler)
        assert f"{compiler} fails on tiny.cpp" in reason_of(tiny)
