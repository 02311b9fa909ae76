"""``sbom.json``: what firmware and training are made of, as a bill of materials in the form of CycloneDX."""

import hashlib
import json
import platform
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas_lightning.export.environment import Package, closure
from nas_lightning.export.firmware import FLOAT, INTEGER, PACKAGE, SOURCES, writers

if TYPE_CHECKING:
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component
    from cyclonedx.model.license import License

NAME = "sbom.json"

_OWN = "Apache-2.0"
_GENERATED = ("model.c", "model_float.c")
_OF_DATA = (FLOAT, INTEGER, SOURCES, "vectors.h", "vectors.bin")
"""Files of ``firmware`` that hold the network or its data alone, and no text of this package to be licensed."""


def bill_of_materials(folder: Path, identity: str) -> dict[str, Any]:
    """The content of ``sbom.json`` of a run folder with ``firmware``: CycloneDX 1.6.

    Two things are listed: the files of the firmware, with SHA-256, licence and who wrote them; and, with the scope
    ``excluded`` because nothing of it is on the device, the Python packages that the network was trained and exported
    with. Equal files and equal packages give equal bytes: there is no time, and the serial number follows from the
    content. No path and no name of the machine is in it.

    Args:
        folder: of the run.
        identity: which network it is, the version of the firmware.
    """
    from cyclonedx.model.bom import Bom, BomMetaData  # here and below at need: nothing else uses it
    from cyclonedx.model.component import Component, ComponentType

    root = Component(
        name="network", group=PACKAGE, version=identity, type=ComponentType.FIRMWARE, bom_ref=f"network@{identity}"
    )
    bom = Bom(serial_number=uuid.UUID(int=0), metadata=BomMetaData(component=root))
    bom.metadata.timestamp = None  # type: ignore[assignment] # optional in the format
    files = [_file(path, folder) for path in sorted((folder / "firmware").rglob("*")) if path.is_file()]
    bom.components.update(files)
    bom.register_dependency(root, files)
    _add_environment(bom, closure(PACKAGE))
    digest = hashlib.sha256(_text(bom).encode()).hexdigest()
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_OID, digest)
    content: dict[str, Any] = json.loads(_text(bom))
    return content


def _text(bom: "Bom") -> str:
    from cyclonedx.output.json import JsonV1Dot6

    return JsonV1Dot6(bom).output_as_string()


def _file(path: Path, folder: Path) -> "Component":
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.component import Component, ComponentScope, ComponentType

    name = path.relative_to(folder).as_posix()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Component(
        name=name,
        type=ComponentType.FILE,
        bom_ref=name,
        scope=ComponentScope.REQUIRED,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
        licenses=_licences(() if path.name in _OF_DATA else (_OWN,)),
        properties=[_written_by(path)],
    )


def _written_by(path: Path) -> Any:
    """The packages that wrote a file, and their versions; the generator comes first, then who changes its output."""
    from cyclonedx.model import Property

    wrote = writers()
    names = [name for name in wrote if name != PACKAGE] if path.name in _GENERATED else []
    text = ", changed by ".join(f"{name} {wrote[name]}" for name in (*names, PACKAGE))
    return Property(name="nas-lightning:written-by", value=text)


def _add_environment(bom: "Bom", packages: Mapping[str, Package]) -> None:
    """The Python packages, what each needs, and Python itself."""
    from cyclonedx.model.component import Component, ComponentScope, ComponentType
    from packageurl import PackageURL

    made: dict[str, Component] = {}
    for name, package in packages.items():
        url = PackageURL("pypi", name=name, version=package.version)
        made[name] = Component(
            name=name,
            version=package.version,
            bom_ref=url.to_string(),
            purl=url,
            scope=ComponentScope.EXCLUDED,
            licenses=_licences(package.licences),
        )
    version = platform.python_version()
    python = Component(
        name="python",
        version=version,
        type=ComponentType.PLATFORM,
        bom_ref=f"python@{version}",
        scope=ComponentScope.EXCLUDED,
    )
    bom.components.update([*made.values(), python])
    for name, package in packages.items():
        bom.register_dependency(made[name], [made[need] for need in package.needs])
    bom.register_dependency(python)


def _licences(texts: Iterable[str]) -> "list[License]":
    """Identifiers and expressions of SPDX where they are such, else names; an expression is never one of several."""
    from cyclonedx.contrib.license.factories import LicenseFactory

    texts = tuple(texts)
    make = LicenseFactory()
    return [make.make_from_string(text) if len(texts) == 1 else make.make_with_name(text) for text in texts]
