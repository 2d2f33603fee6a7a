"""What an image is made of, as a CycloneDX document inside it.

CycloneDX 1.5 in JSON (https://cyclonedx.org/docs/1.5/json/). It has neither a serial number nor a time, which the
format allows to leave out: equal images have equal documents. Names of packages are package URLs
(https://github.com/package-url/purl-spec, type deb); licences are as the packages' own copyright files name them
(https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/).
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from weft.image.packages import Package, PackageFiles
from weft.image.tree import File, Node

FOLDER = "/usr/share/sbom"
SPEC_VERSION = "1.5"

_LICENSE = re.compile(r"^License:[ \t]*(\S[^\n]*)$", re.MULTILINE)
_FORMAT = re.compile(r"^Format(-Specification)?:", re.MULTILINE)


def sbom_path(name: str) -> str:
    """Where the document of the appliance `name` lies in its image."""
    return f"{FOLDER}/{name}.cdx.json"


async def make_sbom(name: str, version: str, packages: Sequence[Package], files: PackageFiles) -> bytes:
    """The document for an appliance made of these packages."""
    licenses = {package.name: find_licenses(package.name, await files.open(package.name)) for package in packages}
    return dump_sbom(name, version, packages, licenses)


def dump_sbom(
    name: str, version: str, packages: Sequence[Package], licenses: Mapping[str, Sequence[str]] | None = None
) -> bytes:
    """The document as text. Equal arguments, in whatever order packages come, give equal bytes."""
    components = [_component(package, (licenses or {}).get(package.name, ())) for package in packages]
    components.sort(key=lambda component: str(component["bom-ref"]))
    document = {
        "$schema": f"http://cyclonedx.org/schema/bom-{SPEC_VERSION}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SPEC_VERSION,
        "version": 1,
        "metadata": {
            "tools": {"components": [{"type": "application", "name": "weft"}]},
            "component": {"type": "container", "bom-ref": f"weft:{name}", "name": name, "version": version},
        },
        "components": components,
        "dependencies": [
            {"ref": f"weft:{name}", "dependsOn": [component["bom-ref"] for component in components]},
            *({"ref": component["bom-ref"]} for component in components),
        ],
    }
    return json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n"


def package_url(package: Package) -> str:
    """`pkg:deb/debian/NAME@VERSION?arch=ARCH`."""
    architecture = package.archive.name.removesuffix(".deb").rpartition("_")[2]
    return f"pkg:deb/debian/{quote(package.name, safe='')}@{quote(package.version, safe='')}?arch={architecture}"


def _component(package: Package, licenses: Sequence[str]) -> dict[str, Any]:
    url = package_url(package)
    component: dict[str, Any] = {"type": "library", "bom-ref": url, "name": package.name, "version": package.version}
    if licenses:
        component["licenses"] = [{"license": {"name": name}} for name in licenses]
    return component | {"purl": url}


def find_licenses(package: str, nodes: Mapping[str, Node]) -> tuple[str, ...]:
    """The licences that a package's copyright file names, if that is in the form for machines; else none."""
    node = nodes.get(f"usr/share/doc/{package}/copyright")
    if not isinstance(node, File):
        return ()
    text = node.data.decode("utf-8", "replace")
    if not _FORMAT.search(text):
        return ()
    return tuple(sorted({name.strip() for name in _LICENSE.findall(text)}))
