"""Every key, with values that somebody could write there: a start is made, or refused in one sentence.

The keys are found by listing (``tests/config_keys.py``), so that a new one is tried by itself. Whole runs of what is
accepted: ``tests/try_keys.py``.
"""

import inspect
import re
from typing import Literal, get_args, get_origin

import lightning as L
import pytest
from config_keys import (
    ALIASES,
    MORE_VALUES,
    NEEDS_DATA,
    SAYS_WHAT_IS_ALLOWED,
    VALUES,
    Place,
    front_end_places,
    places,
    start_all,
)
from hydra.utils import get_object

from nas_lightning.config.arguments import argument_types
from nas_lightning.config.compose import compose_config, data_links
from nas_lightning.config.keys import check_values, key_types
from nas_lightning.config.ranges import ANY, RANGES, range_of
from nas_lightning.config.settings import NOT_OF_TRAINER, OF_TRAINER
from nas_lightning.errors import InputError


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """Of all keys but those of the front end, which are tried with its steps below."""
    return start_all([(place, value) for place in places() for value in VALUES], tmp_path_factory.mktemp("starts"))


def complaints(outcomes):
    """One line for each outcome that is not what a user should meet."""
    for (place, value), outcome in outcomes.items():
        said = f"{place.name}={value}: {outcome.kind}: {outcome.text}"
        if outcome.is_wrong:
            yield said
        elif outcome.kind == "refused":
            is_named = names_key(outcome.text, place.key)
            if not is_named:
                yield f"names another key: {said}"
            if not re.search(SAYS_WHAT_IS_ALLOWED, outcome.text):
                yield f"does not say what is allowed: {said}"
            if "\n" in outcome.text or "Error" in outcome.text:
                yield f"is no sentence: {said}"
            if outcome.has_read and place.key not in NEEDS_DATA:
                yield f"could be known before data are read: {said}"


def names_key(text, key):
    """The key itself, or the group that it picks from, or behind a neighbour in its section its last part."""
    section, _, name = key.rpartition(".")
    if re.search(rf"(?<![\w.]){re.escape(ALIASES.get(key, key))}(?!\w)", text):
        return True
    return bool(section) and text.startswith(f"{section}.") and bool(re.search(rf"\b{name}\b", text))


@pytest.mark.slow
def test_every_key_takes_or_refuses_null_and_nan(tmp_path):
    """What takes seconds of the tests below."""
    cases = [(place, value) for place in places() if not place.base for value in ("null", "nan")]
    assert list(complaints(start_all(cases, tmp_path))) == []


@pytest.mark.slow
def test_every_key_is_accepted_or_refused_in_one_sentence(outcomes):
    assert len({place.key for place, _ in outcomes}) > 200
    assert list(complaints(outcomes)) == []


@pytest.mark.slow
def test_most_values_are_refused_and_the_good_ones_are_not(outcomes):
    kinds = {(place.key, value): outcome.kind for (place, value), outcome in outcomes.items() if not place.base}
    for key, value in [("seed", "1000000000"), ("training.learning_rate", "null"), ("search.clip_norm", "null")]:
        assert kinds[key, value] == "accepted"
    for key in data_links():  # another value than that of the key that it follows would be ignored
        assert kinds[key, "abc"] == "refused", key
    refused = sum(kind == "refused" for kind in kinds.values())
    assert refused > 0.7 * len(kinds)


@pytest.mark.slow
def test_every_key_with_further_values(tmp_path):
    outcomes = start_all([(place, value) for place in places() for value in MORE_VALUES], tmp_path)
    assert list(complaints(outcomes)) == []


@pytest.mark.slow
def test_every_key_of_the_front_end_with_its_steps(tmp_path):
    cases = [(place, value) for place in front_end_places() for value in (*VALUES, *MORE_VALUES)]
    assert list(complaints(start_all(cases, tmp_path))) == []


def test_a_start_that_hangs_or_fills_the_memory_is_noticed(tmp_path):
    """By the names of exceptions that no sentence is made of."""
    place = Place("seed")
    outcomes = start_all([(place, "0")], tmp_path, seconds=0.001)
    assert outcomes[place, "0"].kind == "Hangs"


def number_keys():
    """Keys whose type is a number, or a list of some: of the typed sections, and of the constructors of the others."""
    for key, hint in key_types().items():
        if is_number(hint):
            yield key
    for place in places():
        if place.target and place.key.split(".")[0] not in ("data", "augmentation"):
            name = place.key.rpartition(".")[2]
            if is_number(argument_types(get_object(place.target)).get(name, str)):
                yield place.key


def is_number(hint):
    parts = get_args(hint)
    if get_origin(hint) is Literal or str in parts:
        return False
    return hint in (int, float) or any(is_number(part) for part in parts)


def test_every_number_has_a_range():
    keys = set(number_keys())
    assert {"seed", "search.clip_norm", "optimizer.lr", "model.widths", "search.alpha_optimizer.betas"} <= keys
    assert sorted(key for key in keys if range_of(key) == ANY) == []


def test_every_range_is_of_a_key():
    """So that the table is not left behind when a key goes; a few are for keys that only a user brings along."""
    keys = {place.key for place in places()}
    brought = {"scheduler.eta_min", "optimizer.betas", "trainer.limit_train_batches"}
    assert [pattern for pattern in RANGES if not any(range_of(key) is RANGES[pattern] for key in keys | brought)] == []


def test_every_argument_of_the_trainer_is_decided_on():
    arguments = set(inspect.signature(L.Trainer.__init__).parameters) - {"self"}
    assert not set(NOT_OF_TRAINER) & set(OF_TRAINER)
    assert arguments - {*NOT_OF_TRAINER, *OF_TRAINER} == set()


@pytest.mark.parametrize("value", ["null", "3", "1e9", "nan", "true", "[darts,gdas]", "-1"])
@pytest.mark.parametrize("group", ["search", "nas_model_size", "features", "augmentation", "target_device", "logger"])
def test_a_group_takes_the_name_of_one_option(group, value):
    with pytest.raises(InputError, match=rf"^{group}: found .*; allowed: the name of an option, see nas-lightning"):
        compose_config([f"{group}={value}"])


@pytest.mark.parametrize(
    ("override", "text"),
    [
        ("hydra.run.dir=r[/bold]", r"^hydra.run.dir: found r\[/bold\], which has a sign with a meaning for Hydra"),
        ("common.run_name=a{", r"^common.run_name: found a\{, which has a sign"),
        ("training.enable=5", "^training.enable: found 5; allowed: true or false"),
        ("training.enable=true,5", "^training.enable: found true,5; allowed: true or false"),
        ("search=darts,null", "^search: found darts,null; allowed: the name of an option"),
    ],
)
def test_a_value_that_hydra_reads_otherwise(override, text):
    with pytest.raises(InputError, match=text):
        check_values([override])


def test_sweeps_deletions_and_quoted_values_pass():
    check_values(["seed=0,1", "nas_model_size=s,m", "training.enable=true,false", "~search.name", 'a="[/b]"'])
    check_values(["experiment=null", "+augmentation.Flip={}", "search=choice(darts,'gdas')", "seed=range(3)"])
