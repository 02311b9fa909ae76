"""Every command and every Python block of the README and of ``docs`` is run or composed; pages are found by listing.

An indented block holds commands and nothing else; outputs and formulas stand in a fence, as ``text``.
"""

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from nas_lightning.__main__ import _COMMANDS
from nas_lightning.config.compose import PLACES, compose_config, conf_dir
from nas_lightning.config.keys import guide_overrides, merge_overrides
from nas_lightning.report.answers import asked
from nas_lightning.runs.checks import check_config

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").glob("*/README.md")),
]  # fmt: skip
TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text().replace("\\\n", " ") for page in PAGES}
FENCES = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
LANGUAGES = {"text", "python", "c"}
PROGRAMS = ("nas-lightning", "python", "python3", "make", "pip", "tensorboard", ".", ".venv/bin/ruff")
OWN = ("mine", "my", "tiny")
"""The names that options of the user's own have on the pages."""

RUN_ELSEWHERE = {"docs/own_trainer.md": "tests/e2e/test_own_trainer.py", "docs/use.md": "tests/e2e/test_use.py"}
"""Pages whose Python is run by another test, which looks at what comes of it."""


def plain(text):
    """A page without its fenced blocks."""
    return FENCES.sub("", text)


def indented(text):
    """The lines of indented blocks: they follow an empty line, or another one of the block."""
    lines = plain(text).splitlines()
    for at, line in enumerate(lines):
        before = next((each for each in reversed(lines[:at]) if not re.match(r" {4}\s*\S", each)), "")
        if re.match(r" {4}\s*\S", line) and not before.strip():
            yield line.strip()


def commands():
    """All of them: lines of indented blocks, and what stands in backticks."""
    for text in TEXTS.values():
        yield from indented(text)
        for quoted in re.findall(r"(?<!`)`([^`\s][^`\n]*)`(?!`)", plain(text)):
            if quoted.split()[0] in PROGRAMS and " " in quoted.strip():
                yield quoted


COMMANDS = sorted(set(commands()))


def of(program):
    return [command for command in COMMANDS if command.split()[0] == program]


@pytest.mark.parametrize("page", TEXTS)
def test_a_block_is_of_commands_or_says_what_it_is(page):
    unknown = [line for line in indented(TEXTS[page]) if shlex.split(line, comments=True)[0] not in PROGRAMS]
    assert not unknown, "an indented block is for commands; what is shown stands in a fence: ```text"
    for _, language, content in FENCES.findall(TEXTS[page]):
        assert language in LANGUAGES
        hidden = [line for line in content.splitlines() if line.split()[:1] in ([each] for each in PROGRAMS)]
        assert not hidden or language != "text", "commands stand in an indented block"


@pytest.fixture(scope="module")
def own_options(tmp_path_factory):
    """A folder with options of the user's own: the first of each group, under the names of the pages."""
    folder = tmp_path_factory.mktemp("own")
    for group in ("nas_model_size", "model", "features", "target_device", "search", "logger"):
        first = next(
            path
            for path in sorted((conf_dir() / group).glob("*.yaml"))
            if path.stem not in ("auto", "auto_cells", "none")
        )
        (folder / group).mkdir()
        for name in OWN:
            shutil.copy(first, folder / group / f"{name}.yaml")
    return folder


@pytest.mark.parametrize("command", of("nas-lightning"))
def test_a_command_composes(command, own_options):
    _, words = asked(shlex.split(command, comments=True)[1:])
    if {"--help", "--hydra-help", "--cfg"} & {*words} or words[0].startswith("["):
        return
    config_dirs = []
    if "--config-dir" in words:
        at = words.index("--config-dir")
        words, config_dirs = words[:at] + words[at + 2 :], [own_options]
    if words and words[0] in _COMMANDS and words[0] != "inspect":
        return  # the names that follow are those of files
    assert not words or "=" in words[0] or words[0] in ("inspect", "-m") or words[0].endswith(".yaml")
    words = words[words[:1] == ["inspect"] :]
    if words and words[0].startswith("resume="):
        assert {word.partition("=")[0] for word in words[1:]} <= PLACES.keys()
        return
    defaults = {}
    if words and words[0].endswith(".yaml"):
        file = ROOT / words.pop(0)
        defaults = guide_overrides(file) if file.name != "my_config.yaml" else {}
    arguments = merge_overrides(defaults, words)
    settings = [a for a in arguments if a != "-m" and not a.startswith("hydra") and "=interval(" not in a]
    first = [a.split(",")[0] if "[" not in a else a for a in settings]
    check_config(compose_config(first, config_dirs))


@pytest.mark.parametrize("command", of("python"))
def test_a_script_is_there_with_its_options_and_settings(command):
    words = shlex.split(command, comments=True)[1:]
    if words[0] == "-m":
        assert words[1] == "nas_lightning"
        return
    script = (ROOT / words[0]).read_text()
    for option in (word for word in words if word.startswith("--")):
        assert f'"{option}"' in script
    sides = [part for side in words if re.match(r"[a-z]\w*:", side) for part in side.partition(":")[2].split(",")]
    settings = [each for each in (*words, *sides) if re.match(r"[a-z][\w.]*=", each)]
    if settings:
        check_config(compose_config(merge_overrides({}, settings)))


def test_what_pip_is_told_is_there():
    extras = re.findall(r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    for command in of("pip"):
        for word in shlex.split(command, comments=True)[2:]:
            extra = re.fullmatch(r"nas-lightning\[(\w+)\]", word)
            assert extra[1] in extras if extra else word in ("-c", "torch", ".") or (ROOT / word).is_file()


@pytest.mark.parametrize("target", sorted({word for c in of("make") for word in shlex.split(c, comments=True)[1:]}))
def test_a_make_command_is_a_target(target):
    assert "=" in target or re.search(rf"^[a-z -]*\b{target}\b[a-z -]*:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_there_are_commands_of_each_kind():
    assert len(of("nas-lightning")) > 50
    assert len(of("python")) > 30
    assert all(of(program) for program in PROGRAMS)


def blocks(page):
    return [content for _, language, content in FENCES.findall(TEXTS[page]) if language == "python"]


@pytest.fixture
def names():
    """What the pages take for granted: two loaders of a program."""
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(16, 2, 24)).astype(np.float32))
    loader = DataLoader(TensorDataset(x, torch.arange(16) % 2), batch_size=8)
    return {"train_loader": loader, "valid_loader": loader}


PYTHON = [page for page in TEXTS if blocks(page) and page not in RUN_ELSEWHERE]


@pytest.mark.slow
@pytest.mark.parametrize("page", PYTHON)
def test_the_python_of_a_page_runs(page, names, cli, quiet_fits, tmp_path):
    """In a folder with the run that the pages name."""
    if "outputs/2026-11-24/12-00-00" in "".join(blocks(page)):
        quick = "experiment=quick", "callbacks=none", "logger=none", "export.int8=false"
        status, _, err = cli(*quick, "hydra.run.dir=outputs/2026-11-24/12-00-00")
        assert status == 0, err
    for block in blocks(page):
        exec(compile(block, page, "exec"), names)


@pytest.mark.parametrize("page", RUN_ELSEWHERE)
def test_the_python_of_other_pages_is_run_by_a_test_that_reads_them(page):
    assert blocks(page)
    assert f'"{page}"' in (ROOT / RUN_ELSEWHERE[page]).read_text()


def test_the_names_of_the_pages_are_exported():
    import nas_lightning

    text = "\n".join(TEXTS.values())
    for name in re.findall(r"from nas_lightning import (\w+)", text) + re.findall(r"nas_lightning\.(\w+)\(", text):
        assert hasattr(nas_lightning, name)


def test_a_file_that_is_named_is_there():
    """In pages, and in comments that send a reader to a page."""
    sources = [
        path for room in ("nas_lightning", "tests", "benchmarks", "examples") for path in (ROOT / room).rglob("*.py")
    ]
    sources += [*(ROOT / "conf").rglob("*.yaml"), ROOT / "Makefile", ROOT / "mkdocs.yml"]
    texts = TEXTS | {str(path.relative_to(ROOT)): path.read_text() for path in sources}
    of_docs, of_code = (
        r"(?<![\w/.])docs/[\w/]+\.(?:md|svg|jsonl|py)",
        r"`((?:tests|benchmarks|conf|nas_lightning)/[\w/]+\.\w+)`",
    )
    missing = {
        (place, name)
        for place, text in texts.items()
        for name in [*re.findall(of_docs, text), *re.findall(of_code, text)]
        if not (ROOT / name).is_file()
    }
    assert not missing
