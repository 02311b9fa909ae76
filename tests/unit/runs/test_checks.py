"""What the command line cannot ask for, but a configuration can."""

import pytest

from nas_lightning.errors import InputError
from nas_lightning.runs.checks import check_config


def test_an_optimizer_without_a_rate_is_refused(short_config):
    config = short_config()
    del config.optimizer["lr"]
    with pytest.raises(InputError, match=r"^optimizer.lr: found nothing; allowed: a number, or null for one that fits"):
        check_config(config)
