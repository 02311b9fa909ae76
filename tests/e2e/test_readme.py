"""Every command of the README and the architecture page composes; those of make are targets."""

import re
import shlex
from pathlib import Path

import pytest

from nas_lightning.config.compose import compose_config
from nas_lightning.config.keys import guide_overrides, merge_overrides
from nas_lightning.runs.checks import check_config

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "examples").glob("*/README.md")),
]  # fmt: skip
TEXT = "\n".join(page.read_text() for page in PAGES).replace("\\\n", " ")
PLACEHOLDERS = (
    "nas-lightning devices",
    "nas-lightning verify",
    "nas-lightning predict",
    "nas-lightning evaluate",
    "resume=",
    "my_config.yaml",
    "--config-dir my_conf",
    "--config-dir FOLDER",
    "--help",
    "--cfg",
)
FOUND = re.findall(r"^    (nas-lightning .*)$|`(nas-lightning [^`]*)`", TEXT, re.MULTILINE)
COMMANDS = sorted({"".join(pair) for pair in FOUND if not any(word in "".join(pair) for word in PLACEHOLDERS)})


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_composes(command):
    words = shlex.split(command, comments=True)[1:]
    words = words[1:] if words[:1] == ["inspect"] else words
    defaults = guide_overrides(ROOT / words.pop(0)) if words and words[0].endswith(".yaml") else {}
    arguments = merge_overrides(defaults, words)
    settings = [a for a in arguments if a != "-m" and not a.startswith("hydra") and "=interval(" not in a]
    plain = [a.split(",")[0] if "[" not in a else a for a in settings]
    check_config(compose_config(plain))


def test_there_are_commands():
    assert len(COMMANDS) > 5


@pytest.mark.parametrize("target", sorted(set(re.findall(r"(?:^    |`)make ([a-z-]+)", TEXT, re.MULTILINE))))
def test_a_make_command_is_a_target(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_the_names_of_the_readme_are_exported():
    import nas_lightning

    for name in re.findall(r"from nas_lightning import (\w+)", TEXT) + re.findall(r"nas_lightning\.(\w+)\(", TEXT):
        assert hasattr(nas_lightning, name)
