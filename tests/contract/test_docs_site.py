"""The documentation as a site: it can be built, nothing in it leads nowhere, and every public name is explained."""

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import nas_lightning

pytest.importorskip("mkdocs", reason="needs the extra docs")

ROOT = Path(__file__).parents[2]
LOADED = {"img", "script", "iframe", "source"}  # and a link, unless it says only where the page itself lies


class Page(HTMLParser):
    """What a page of HTML has and wants: anchors, links, and the addresses that a browser loads by itself."""

    def __init__(self, path):
        super().__init__()
        self.ids, self.links, self.loaded = set(), [], []
        self.feed(path.read_text())

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids.add(attrs.get("id"))
        self.links += [attrs[name] for name in ("href", "src") if attrs.get(name)]
        if tag in LOADED or (tag == "link" and attrs.get("rel") != "canonical"):
            self.loaded += [attrs[name] for name in ("href", "src") if attrs.get(name)]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site").resolve()
    # Not with --quiet: it silences the warnings that --strict counts.
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site):
    return {path: Page(path) for path in site.rglob("*.html") if path.name != "404.html"}


def test_every_public_name_has_its_place_in_the_reference(site, pages):
    names = {f"nas_lightning.{name}" for name in nas_lightning.__all__}
    assert names <= pages[site / "docs/reference/public.html"].ids


def test_the_home_page_is_the_readme(site):
    assert "sets up .venv, then searches" in (site / "index.html").read_text()


def test_the_page_of_keys_has_the_tables(site):
    page = (site / "docs/reference/keys.html").read_text()
    assert "<td><code>training.nas_steps</code></td>\n<td><code>null</code></td>" in page


def test_every_link_leads_to_something_in_the_site(pages):
    broken = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchor = unquote(parts.fragment)
            if not target.is_file() or (anchor and target in pages and anchor not in pages[target].ids):
                broken.append(f"{path.name}: {link}")
    assert not broken


def test_pages_load_nothing_from_elsewhere(pages):
    assert not [link for page in pages.values() for link in page.loaded if urlsplit(link).netloc]
