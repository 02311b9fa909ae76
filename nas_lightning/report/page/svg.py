"""Matplotlib figures as SVG within a page: in its colours, with ids of their own, the same bytes each time."""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure

INK, MUTED, LINE, PAPER = "#000001", "#000002", "#000003", "#fffffe"
"""Stand for colours that differ between a light and a dark page; figures are drawn with them."""

SERIES = tuple(f"#0001{number:02x}" for number in range(1, 9))
"""The same for the colours of lines and bars that are told apart."""

_OF_PAGE = {INK: "currentColor", MUTED: "var(--muted)", LINE: "var(--line)", PAPER: "var(--paper)"}
_OF_PAGE |= {color: f"var(--c{number})" for number, color in enumerate(SERIES, start=1)}
_OF_PAGE |= {"#ffe9b3": "var(--box-1)", "#dce9f7": "var(--box-2)"}  # of the drawing of a network
_OF_PAGE |= {"#ffffff": "var(--paper)", "#444444": "var(--muted)", "#bbbbbb": "var(--line)", "#000000": "currentColor"}
_OF_PAGE |= {"#7f7f7f": "var(--c8)", "#2ca02c": "var(--c3)", "#1f77b4": "var(--c1)", "#9467bd": "var(--c4)"}

_STYLE: Any = {
    **{"svg.fonttype": "none", "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"], "font.size": 11},
    **{"text.color": INK, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK, "axes.edgecolor": MUTED},
    **{"axes.facecolor": "none", "figure.facecolor": "none", "savefig.facecolor": "none", "grid.color": LINE},
    **{"axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.linewidth": 0.6},
    **{"legend.frameon": False, "legend.fontsize": 10.5, "axes.titlesize": 11, "axes.titleweight": "bold"},
    **{"axes.titlelocation": "left", "lines.linewidth": 1.6, "patch.edgecolor": INK, "axes.axisbelow": True},
}

_NOT_NEEDED = re.compile(r"<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>", re.DOTALL)
_HEAD = re.compile(r'<svg[^>]*?(viewBox="[-0-9. ]*")[^>]*>')
_TAG = re.compile(r"<[^>]+>")
_ID = re.compile(r'(\bid="|href="#|url\(#)')
_COLOR = re.compile(r"#[0-9a-f]{6}\b")
_DECIMALS = re.compile(r"(\.\d\d)\d+")


@contextmanager
def style_of_page() -> Iterator[None]:
    """Figures that are made in here look like the page; letters that the font of measuring lacks are no matter."""
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        yield


def inline(figure: Figure, name: str, about: str) -> Markup:
    """A figure as an ``<svg>`` element that is as wide as there is room, up to its own size.

    Args:
        figure: drawn within ``style_of_page``.
        name: letters, unlike those of other figures of the page; what its ids begin with.
        about: what it shows, for who cannot see it.
    """
    content = io.StringIO()
    with style_of_page(), mpl.rc_context({"svg.hashsalt": name}):
        # Neither date nor program: the same figure is the same text.
        figure.savefig(content, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    _, _, svg = _NOT_NEEDED.sub("", content.getvalue()).partition("<svg")
    svg = _TAG.sub(lambda tag: _in_page(tag[0], name), "<svg" + svg)
    found = _HEAD.match(svg)
    assert found is not None  # nosec B101 # for mypy: matplotlib writes it so
    opened = Markup('<svg {} role="img" aria-label="{}" style="--w:{}">')
    width = round(figure.get_figwidth() * 72)
    return opened.format(as_markup(found[1]), about, width) + as_markup(svg[found.end() :].strip())


def as_markup(text: str) -> Markup:
    """What matplotlib, which escapes its texts, or this package wrote as markup."""
    return Markup(text)  # nosec B704 # see above


def _in_page(tag: str, name: str) -> str:
    """An element with the colours of the page, fewer decimals, and its own ids."""
    if 'href="data:' in tag:
        return tag
    tag = _ID.sub(lambda found: f"{found[1]}{name}-", tag)
    tag = _COLOR.sub(lambda found: _OF_PAGE.get(found[0], found[0]), tag)
    tag = tag.replace("'DejaVu Sans', sans-serif", "var(--font)").replace("'DejaVu Sans'", "var(--font)")
    return _DECIMALS.sub(r"\1", " ".join(tag.split())).replace("xlink:href", "href")
