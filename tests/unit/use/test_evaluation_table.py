"""What an evaluation says of drift, and of how much its intervals rest on."""

from dataclasses import replace

import numpy as np
import pytest

from nas_lightning.tasks.details import class_details
from nas_lightning.use.evaluation import ChannelDrift, Drift, Evaluation
from nas_lightning.use.evaluation_table import drift_lines, print_evaluation
from nas_lightning.use.figures import Figure

SAME = ChannelDrift(name="a", least=-1.0, most=100.0, trained_least=-1.0, trained_most=100.0, outside=0.0)
RATE = 100.00000000000213
RATES = "the sampling rates are"
OUTSIDE = "the rows lie outside of -1 to 100, the range in training; here -1 to "


def lines(rates=None, trained=None, **changes):
    return drift_lines(Drift(channels=(replace(SAME, **changes),), rates=rates, trained_rates=trained, absent=()))


@pytest.mark.parametrize(
    ("most", "outside", "said"),
    [
        (RATE, 0.3, None),
        (100.04, 0.3, None),
        (100.1, 0.0, None),
        (100.1, 0.00004, f"a: less than 0.01% of {OUTSIDE}100.1"),
        (101.0, 0.0312, f"a: 3.12% of {OUTSIDE}101"),
    ],
)  # fmt: skip
def test_a_channel_drifts_where_the_digits_show_it(most, outside, said):
    nothing = "nothing: all values lie within the ranges of the training, to four digits"
    assert lines(most=most, outside=outside) == [said or nothing]


@pytest.mark.parametrize(
    ("rates", "trained", "said"),
    [
        ((100.0, RATE), (RATE, RATE), None),
        ((100.00004, 100.00004), (100.0, 100.0), None),
        ((100.0, 100.002), (100.0, 100.0), f"{RATES} 100 to 100.002 Hz; those of the training were 100 Hz"),
        ((50.0, 50.0), None, f"{RATES} 50 Hz; those of the training were none"),
        (None, (50.0, 50.0), None),
    ],
)  # fmt: skip
def test_rates_differ_where_the_digits_show_it(rates, trained, said):
    found = lines(rates, trained)
    assert found == [said] if said else found[0].startswith("nothing")


@pytest.mark.parametrize(
    ("unit", "units", "said"),
    [
        ("group", 3, "95 % intervals by group (3), which are wide because there are 3 groups only\n"),
        ("recording", 1, "95 % intervals by recording (1), which are wide because there is 1 recording only\n"),
        ("recording", 20, "95 % intervals by recording (20)\n"),
    ],
)
def test_few_units_are_said_to_be_few(capsys, unit, units, said):
    figure = Figure(0.5, (0.2, 0.8))
    means = dict.fromkeys(("accuracy", "balanced_accuracy", "macro_f1", "of_recordings"), figure)
    classes = (class_details("calm", *np.ones((3, 1), int)),)
    drift = Drift(channels=(SAME,), rates=None, trained_rates=None, absent=())
    sizes = {"unit": unit, "units": units, "recordings": 20, "windows": 40}
    print_evaluation(
        Evaluation(run="r", data="d", backend="torch", **sizes, **means, loss=0.5, classes=classes, drift=drift)
    )
    assert said in capsys.readouterr().out
