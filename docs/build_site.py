"""What MkDocs and mkdocstrings are told in Python when ``make docs`` builds the site.

A page lies on the site where it lies in the repository. So a link that works there works here, and MkDocs checks it.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import griffe
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

LINKED = ("nas_lightning/config/targets.py", "examples/quickstart.ipynb")
"""Files outside of ``docs`` that are no pages, but that a page links to."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Give the files of ``docs`` their places in the repository, and add those outside of it: pages and ``LINKED``."""
    root = str(Path(config.docs_dir).parent)
    found = []
    for file in files:
        if file.src_dir == config.docs_dir:
            path, inclusion = f"docs/{file.src_uri}", file.inclusion
            file = File(path, root, config.site_dir, config.use_directory_urls, inclusion=inclusion)
        found.append(file)
    for path in (*pages(config.nav), *LINKED):
        if not path.startswith("docs/"):
            found.append(File(path, root, config.site_dir, config.use_directory_urls))
    return Files(found)


def pages(nav: Any) -> Iterator[str]:
    """The paths in a navigation: a path, a list, or what titles lead to."""
    if isinstance(nav, str):
        yield nav
    else:
        for part in nav.values() if isinstance(nav, dict) else nav:
            yield from pages(part)


class Doctests(griffe.Extension):
    """Shows doctests as code; in Markdown ``>>>`` begins a quotation."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Put a fence around each doctest of a docstring: from ``>>>`` to an empty line."""
        if obj.docstring is not None:
            obj.docstring.value = re.sub(r"(?m)^>>> .*(?:\n.+)*", "```pycon\n\\g<0>\n```", obj.docstring.value)
