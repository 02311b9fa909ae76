"""Compiling and loading the native kernels, with the real compiler and with none."""

import pytest
import torch

from nas_lightning.config.checks import check_config
from nas_lightning.config.compose import compose_config
from nas_lightning.errors import InputError
from nas_lightning.kernels import build, native_ops, torch_ops
from nas_lightning.kernels.choice import describe, implementation

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _forget():
    """Each test starts without a loaded library, and leaves none of its own."""
    build.library.cache_clear()
    build.why_not_native.cache_clear()
    yield
    build.library.cache_clear()
    build.why_not_native.cache_clear()


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


@pytest.mark.skipif(build.why_not_native() is not None, reason="needs a compiler")
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

    def test_a_cache_that_others_can_write_is_refused(self, monkeypatch, tmp_path):
        folder = tmp_path / "nas_lightning"
        folder.mkdir()
        folder.chmod(0o777)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        assert build.why_not_native() == f"{folder} belongs to, or can be written by, another user"
        assert not list(folder.iterdir())

    def test_a_compiler_that_fails_is_named(self, monkeypatch, tmp_path):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        monkeypatch.setattr(build, "_FLAGS", ("-no-such-flag",))
        reason = build.why_not_native()
        assert "fails on native.cpp" in reason
        assert "no-such-flag" in reason
        assert not list((tmp_path / "nas_lightning").iterdir())
