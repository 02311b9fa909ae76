"""The tables of all keys on the site are those of the configuration: every key, its default and its comment."""

import sys
from pathlib import Path

import pytest
from config_keys import composition
from omegaconf import OmegaConf

from nas_lightning.config.keys import known_keys

pytest.importorskip("mkdocs", reason="needs the extra docs")

ROOT = Path(__file__).parents[2]


@pytest.fixture
def reference(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")
    import key_reference

    yield key_reference
    del sys.modules["key_reference"]


def test_every_key_has_its_row_with_the_default_of_a_run(reference):
    composed = composition(())
    keys = list(reference.all_keys())
    assert {*known_keys()} - {key.name for key in keys} == {"common.config_dirs", *composed_groups()}
    assert len(keys) == len({key.name for key in keys})
    for key in keys:
        found = OmegaConf.select(composed, key.name, throw_on_resolution_failure=False)
        if "${" not in key.default:
            written = found if not OmegaConf.is_config(found) else OmegaConf.to_container(found)
            assert written == OmegaConf.to_container(OmegaConf.create(f"it: {key.default}"))["it"], key.name


def composed_groups():
    """Sections without a record, whose keys are those of the option that is picked."""
    return {"search", "data", "augmentation", "model", "optimizer", "scheduler", "trainer", "logger", "callbacks"}


def test_a_row_says_what_is_allowed_and_what_the_comment_says(reference):
    tables = reference.tables()
    assert (
        "| `target_rounds` | `6` | a whole number, 1 to 100 | how many such runs there are after the first |" in tables
    )
    assert "| `device.core` | `null` | text, or null |  |" in tables
    assert "## search\n\nMade by `search._target_`: `nas_lightning.search.strategy.Strategy`" in tables
    text = "a: # of a\n  b: [1, 2] # two | numbers\n  c: '#' # a sign\n  d:\n    - x\n    - y\ne: null\n"
    keys = [(key.name, key.default, key.comment) for key in reference.keys_of(text, "p.")]
    assert keys == [
        ("p.a.b", "[1, 2]", "two | numbers"), ("p.a.c", "'#'", "a sign"), ("p.a.d", "[x, y]", ""), ("p.e", "null", ""),
    ]  # fmt: skip


def test_the_tables_stand_in_the_place_of_the_mark(reference):
    assert (ROOT / reference.PAGE).read_text().count(reference.MARK) == 1
