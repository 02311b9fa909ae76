"""The training environment: the installed distributions that a package needs, by what their metadata say."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import Distribution, PackageMetadata, PackageNotFoundError, distribution

_FIELDS = ("License-Expression", "License")
_LONGEST_LICENCE = 80
_CLASSIFIER = "License :: OSI Approved :: "


@dataclass(frozen=True)
class Package:
    """An installed distribution.

    Attributes:
        name: as an index of packages spells it.
        version: that is installed.
        licences: as its metadata state them; one of several may be chosen where there are several.
        needs: the names of the distributions that it needs here.
    """

    name: str
    version: str
    licences: tuple[str, ...]
    needs: tuple[str, ...]


@cache
def closure(name: str) -> Mapping[str, Package]:
    """A distribution and all that it needs, directly or not, by name.

    What is required on another system, by an extra that nothing asks for, or is not installed is left out.

    >>> "numpy" in closure("scipy")
    True

    Raises:
        importlib.metadata.PackageNotFoundError: if it is not installed itself.
    """
    from packaging.utils import canonicalize_name  # at need: packaging and metadata are read for a bill alone

    found: dict[str, Package] = {}
    asked: dict[str, set[str]] = {}
    todo = [(str(canonicalize_name(name)), frozenset({""}))]
    while todo:
        own, extras = todo.pop()
        if not (new := extras - asked.get(own, set())):
            continue
        try:
            installed = distribution(own)
        except PackageNotFoundError:
            if not found:
                raise
            continue
        asked.setdefault(own, set()).update(new)
        needs = dict(_needs(installed, asked[own]))
        todo += [(each, frozenset({"", *more})) for each, more in needs.items()]
        found[own] = Package(own, installed.version, _licences(installed.metadata), tuple(sorted(needs)))
    return {
        own: Package(own, each.version, each.licences, tuple(need for need in each.needs if need in found))
        for own, each in sorted(found.items())
    }


def _needs(installed: Distribution, extras: set[str]) -> Iterator[tuple[str, set[str]]]:
    """What a distribution with some extras requires on this system, and with which extras of its own."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    for text in installed.requires or ():
        required = Requirement(text)
        if required.marker is None or any(required.marker.evaluate({"extra": extra}) for extra in extras):
            yield str(canonicalize_name(required.name)), required.extras


def _licences(metadata: PackageMetadata) -> tuple[str, ...]:
    """The expression of SPDX, or the older field where it is a name and no text, or the classifiers."""
    expression, text = (str(metadata[key]).strip() if key in metadata else "" for key in _FIELDS)
    if expression:
        return (expression,)
    if _is_name(text):
        return (text,)
    classifiers = (str(each) for each in metadata.get_all("Classifier") or ())
    if known := tuple(each.removeprefix(_CLASSIFIER) for each in classifiers if each.startswith(_CLASSIFIER)):
        return known
    title = text.partition("\n")[0].strip()
    return (title,) if _is_name(title) else ()


def _is_name(text: str) -> bool:
    return text not in ("", "UNKNOWN") and "\n" not in text and len(text) <= _LONGEST_LICENCE
