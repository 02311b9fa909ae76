"""The schedule of one cycle, beside that of PyTorch."""

import pytest
import torch
from torch.optim.lr_scheduler import OneCycleLR

from nas_lightning.training.schedule import one_cycle


def optimizer_of(rate):
    return torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=rate)


def rates_of(schedule, optimizer, count):
    found = []
    for _ in range(count):
        found.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    return found


def test_its_rates_are_those_of_pytorch_where_both_have_the_same_steps():
    """PyTorch's has its last rate in the last step, ours after it: 101 steps there are 100 here."""
    theirs, ours = optimizer_of(1.0), optimizer_of(0.3)
    expected = rates_of(OneCycleLR(theirs, 0.3, total_steps=101, pct_start=0.31, cycle_momentum=False), theirs, 100)
    found = rates_of(one_cycle(ours, 100, 0.3031), ours, 100)  # the peak at step 30.31 in both
    assert found == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("warmup", [0.0, 0.5])
def test_the_rate_rises_in_the_warmup_and_ends_near_0(warmup):
    optimizer = optimizer_of(1.0)
    rates = rates_of(one_cycle(optimizer, 40, warmup), optimizer, 40)
    top = rates.index(max(rates))
    assert top == 40 * warmup
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[top] == 1
    assert rates[-1] < 0.01


def test_it_goes_on_from_a_checkpoint():
    first, second = optimizer_of(1.0), optimizer_of(1.0)
    one, other = one_cycle(first, 10), one_cycle(second, 10)
    whole = rates_of(one, first, 10)
    rates_of(other, second, 4)
    again = optimizer_of(1.0)
    resumed = one_cycle(again, 10)
    resumed.load_state_dict(other.state_dict())
    again.load_state_dict(second.state_dict())
    assert rates_of(resumed, again, 6) == whole[4:]
