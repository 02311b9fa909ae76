import pytest
import torch

from nas_lightning.kernels import workspaces
from nas_lightning.kernels.workspaces import Workspace


@pytest.fixture(autouse=True)
def _none_spare(monkeypatch):
    monkeypatch.setattr(workspaces, "_SPARE", type(workspaces._SPARE)(maxlen=3))


def place(workspace):
    return workspace.data.untyped_storage().data_ptr()


def test_memory_is_used_again_once_it_is_free():
    first = Workspace(100, torch.float64)
    known = place(first)
    del first
    second = Workspace(150, torch.float32)
    assert (place(second), len(second.data), second.data.dtype) == (known, 150, torch.float32)


def test_two_at_a_time_have_memory_of_their_own():
    first, second = Workspace(10, torch.float32), Workspace(10, torch.float32)
    assert place(first) != place(second)


def test_memory_that_is_too_small_is_given_up():
    del_me = Workspace(10, torch.float32)
    del del_me
    assert len(Workspace(1000, torch.float32).data) == 1000
    assert len(workspaces._SPARE) == 1


def test_no_more_than_three_are_kept():
    several = [Workspace(10, torch.float32) for _ in range(5)]
    del several
    assert len(workspaces._SPARE) == 3


def test_without_memory_nothing_is_given_back():
    with pytest.raises(RuntimeError):
        Workspace(-1, torch.float32)
    assert not workspaces._SPARE
