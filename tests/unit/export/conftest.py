"""The firmware of the smallest network."""

import pytest
from small_firmware import hand_made, write


@pytest.fixture(scope="session")
def firmware(tmp_path_factory):
    """Of the smallest network; not to be changed."""
    return write(hand_made(), tmp_path_factory.mktemp("small"))
