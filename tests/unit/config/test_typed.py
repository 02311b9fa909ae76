"""What is typed on the command line is what the program gets, whatever signs are in it."""

from pathlib import Path

import pytest
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import QuotedString
from hypothesis import given
from hypothesis import strategies as st

from nas_lightning.config.compose import compose_config
from nas_lightning.config.keys import check_values, merge_overrides
from nas_lightning.config.typed import as_typed, parse, plain, quoted
from nas_lightning.errors import InputError

SIGNS = [
    " ",
    "=",
    ",",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "#",
    "!",
    "&",
    ";",
    "~",
    "'",
    '"',
    "ö",
    "Größe",
    "`",
    "<",
    "\\",
    "^",
]
WORDS = [f"/tmp/a{sign}b" for sign in SIGNS] + [f"{sign}ab" for sign in SIGNS] + [f"ab{sign}" for sign in SIGNS]
WORDS += [
    "a(b)",
    "a[b]",
    "[ab]",
    "{ab}",
    "{a: b}",
    'it\'s "so"',
    "'ab",
    "a''b",
    "C:\\data\\new",
    "C:\\",
    "\\\\host\\x\\",
]
WORDS += [
    "007",
    "1e5",
    "-5",
    "1_000",
    "0x10",
    "true",
    "False",
    "None",
    "nan",
    "inf",
    "1.50",
    "a:b",
    "a|b",
    "a*b",
    "a?b",
]
WORDS += [
    r"S(\d+)",
    "S[0-9]+",
    "^S.",
    r"^(?:a|b)_(\w{2,3})\.csv$",
    r"\(x\)",
    r"a\,b",
    "choice(a,b)",
    "range(1,3)",
    "日本",
]
KEYS = ["dataset.input_data_path", "dataset.group_pattern", "dataset.columns.label"]


def value_of(config, key):
    for part in key.split("."):
        config = getattr(config, part)
    return config


def runs_of(arguments):
    """The configurations of the runs of a sweep, as Hydra's sweeper divides it."""
    overrides = [argument for argument in merge_overrides({}, arguments) if argument != "-m"]
    [batch] = BasicSweeper.split_arguments(OverridesParser.create().parse_overrides(overrides), None)
    return [compose_config(list(run)) for run in batch]


def expected(key, word):
    return str(Path(word).absolute()) if key == "dataset.input_data_path" else word


@pytest.mark.parametrize("sweeps", [None, False], ids=["run", "inspect"])
@pytest.mark.parametrize("key", KEYS)
def test_text_is_taken_as_it_is_typed(key, sweeps):
    parser = OverridesParser.create()
    for word in WORDS:
        (override,) = merge_overrides({}, [f"{key}={word}"], sweeps=sweeps)
        assert parser.parse_override(override).value() == word, word
        assert merge_overrides({}, [override], sweeps=sweeps) == [override], word  # nothing is quoted twice


@pytest.mark.parametrize("words", [("/tmp/it's ö,#1=a", r"S(\d+)", "1e5"), ("C:\\", "{a, b}", "true")])
def test_the_program_gets_what_was_typed(words):
    config = compose_config(merge_overrides({}, [f"{key}={word}" for key, word in zip(KEYS, words, strict=True)]))
    assert [value_of(config, key) for key in KEYS] == list(map(expected, KEYS, words))


@pytest.mark.parametrize("key", KEYS)
def test_a_sweep_has_a_run_for_each_value_between_commas(key):
    alone = [word for word in WORDS if "," not in word and word != "range(1,3)" and word == word.strip()]
    for word in alone:
        if word[:1] in "'\"([{" or word[-1:] in "'\"([{)]}":
            continue  # a quote or bracket may begin what ends behind a comma
        flags, override = merge_overrides({}, ["-m", f"{key}={word},other"])
        assert flags == "-m"
        found = OverridesParser.create().parse_override(override).value()
        texts = [each.text if isinstance(each, QuotedString) else each for each in found.list]
        assert texts == [word, "other"], word


def test_the_runs_of_a_sweep_get_what_was_typed():
    words = ["/tmp/a=b,C:\\", r"S(\d+)", r"^(?:a|b)_(\w{2,3})\.csv$,it's,1e5"]
    configs = runs_of(["-m", *(f"{key}={word}" for key, word in zip(KEYS, words, strict=True))])
    found = [tuple(value_of(config, key) for key in KEYS) for config in configs]
    patterns = [r"^(?:a|b)_(\w{2,3})\.csv$", "it's", "1e5"]
    paths = [expected(KEYS[0], "/tmp/a=b"), expected(KEYS[0], "C:\\")]
    assert sorted(found) == sorted((path, words[1], pattern) for path in paths for pattern in patterns)


def test_one_value_of_a_sweep_may_be_odd_too():
    configs = runs_of(["seed=0,1", "dataset.group_pattern=S[0-9]+", "-m"])
    assert [config.dataset.group_pattern for config in configs] == ["S[0-9]+"] * 2


@pytest.mark.parametrize("value", ["choice(a,b)", "glob(x*)", "shuffle(a,b)", "sort(b,a)", "'a','b'", "a,b", '"a,b"'])
def test_sweeps_of_hydra_stay_what_they_are(value):
    assert merge_overrides({}, ["-m", f"dataset.group_pattern={value}"]) == ["-m", f"dataset.group_pattern={value}"]
    assert merge_overrides({}, ["-m", "seed=0,1", "search=darts,gdas"]) == ["-m", "seed=0,1", "search=darts,gdas"]


@pytest.mark.parametrize("value", ["null", "'a b'", '"a=b"', "'it\\'s'", "${oc.env:HOME}/x", "plain/x.csv", ""])
def test_what_hydra_reads_as_it_is_meant_is_left_alone(value):
    assert as_typed("dataset.annotations", value, str | None, False) == value


def test_interpolations_of_the_command_line_hold_within_quotes(monkeypatch):
    monkeypatch.setenv("THERE", "/tmp")
    merged = merge_overrides({}, ["dataset.input_data_path=${oc.env:THERE}/a=b"])
    assert compose_config(merged).dataset.input_data_path == "/tmp/a=b"


@given(st.text(st.characters(exclude_categories=["Cs"])).filter(lambda text: "${" not in text))
def test_quoted_text_is_read_back(text):
    assert parse(f"key={quoted(text)}").value() == text
    assert plain(quoted(text)) == text


def test_names_of_channels_are_taken_as_they_are_typed():
    key = "data_processing_feature_extraction.variables"
    merged = merge_overrides({}, [f"{key}=[acc (m/s2),gyr=x,it's,temp °C,plain]"])
    names = ["acc (m/s2)", "gyr=x", "it's", "temp °C", "plain"]
    assert compose_config(merged).data_processing_feature_extraction.variables == names
    configs = runs_of(["-m", f"{key}=[a(x),b],[c=d],[0,2],3"])
    found = [config.data_processing_feature_extraction.variables for config in configs]
    assert found == [["a(x)", "b"], ["c=d"], [0, 2], 3]


def test_a_tilde_is_the_home_unless_there_is_such_a_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.chdir(tmp_path)
    for key in ("dataset.input_data_path", "dataset.annotations"):
        assert as_typed(key, "~/a=b", str | None, False) == "'/home/me/a=b'"
    assert merge_overrides({}, ["hydra.run.dir=~/x"]) == ["hydra.run.dir='/home/me/x'"]
    assert as_typed("dataset.group_pattern", "~/x", str | None, False) == "'~/x'"
    (tmp_path / "~").mkdir()
    assert as_typed("dataset.input_data_path", "~", str | None, False) == "'~'"


def test_paths_in_a_row_are_a_sweep_without_its_flag(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    with pytest.raises(
        InputError, match=r"^dataset.input_data_path: found a,b, which is several paths; -m before them"
    ):
        merge_overrides({}, ["dataset.input_data_path=a,b"])
    (tmp_path / "a,b").mkdir()
    assert merge_overrides({}, ["dataset.input_data_path=a,b"]) == ["dataset.input_data_path='a,b'"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["training.batch_size=(5"], "training.batch_size: found (5; allowed: a whole number, 1 or more"),
        (["seed=1=2"], "seed: found 1=2; allowed: a whole number, 0 to 4294967295"),
        (["training.enable=ja!"], "training.enable: found ja!; allowed: true or false"),
        (["seed=0,1"], "seed: found 0,1, which is several values; -m before them makes a run of each"),
        (["search=darts,gdas"], "search: found darts,gdas, which is several values; -m before them makes a run"),
        (["optimizer.note=a=b"], "text in quotes, as in 'optimizer.note=\"a=b\"'"),
        (
            ["dataset.input_data_path=/tmp/my", "dir"],
            "'dir': is neither an option nor key=value; a value with a space is given in quotes: "
            "'dataset.input_data_path=/tmp/my dir'",
        ),
    ],
)
def test_what_stays_refused_says_what_is_allowed(arguments, text):
    with pytest.raises(InputError) as error:
        merge_overrides({}, arguments)
    message = str(error.value)
    assert text in message
    assert not any(word in message for word in ("\n", "hydra.cc", "Lexer", "EOF", "  ", "mismatched", "token"))


def test_a_deletion_that_is_none_is_refused():
    with pytest.raises(InputError, match=r"^'~a\(b': is neither an option nor key=value$"):
        check_values(["~a(b"])
