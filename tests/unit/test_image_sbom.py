"""The list of what an image is made of."""

import json
from pathlib import Path

from weft.image.packages import Package, PackageFiles
from weft.image.sbom import dump_sbom, find_licenses, make_sbom, package_url, sbom_path
from weft.image.tree import File, Symlink

BUSYBOX = Package("busybox", "1:1.35+b1", Path("/c/busybox_1%3a1.35+b1_amd64.deb"))
TZDATA = Package("tzdata", "2024a", Path("/c/tzdata_2024a_all.deb"))
COPYRIGHT = (
    b"Format: https://www.debian.org/\nFiles: *\nLicense: GPL-2\n text\n\nFiles: x\nLicense: BSD-3\nLicense: GPL-2\n"
)


def test_packages_have_urls() -> None:
    assert package_url(BUSYBOX) == "pkg:deb/debian/busybox@1%3A1.35%2Bb1?arch=amd64"
    assert package_url(TZDATA) == "pkg:deb/debian/tzdata@2024a?arch=all"


def test_the_order_of_packages_changes_nothing() -> None:
    first = dump_sbom("web", "1", [BUSYBOX, TZDATA])
    assert first == dump_sbom("web", "1", [TZDATA, BUSYBOX])
    document = json.loads(first)
    assert (document["bomFormat"], document["specVersion"], document["version"]) == ("CycloneDX", "1.5", 1)
    assert "serialNumber" not in document and "timestamp" not in document["metadata"]
    assert [component["name"] for component in document["components"]] == ["busybox", "tzdata"]
    assert document["metadata"]["component"]["version"] == "1"


def test_licences_are_read_where_they_can_be() -> None:
    nodes = {"usr/share/doc/x/copyright": File(COPYRIGHT), "usr/share/doc/y/copyright": File(b"License: mine\n")}
    assert find_licenses("x", nodes) == ("BSD-3", "GPL-2")
    assert find_licenses("y", nodes) == ()
    assert find_licenses("z", {"usr/share/doc/z": Symlink("x")}) == ()


async def test_a_document_from_packages() -> None:
    async def read(package: Package) -> dict[str, File]:
        return {f"usr/share/doc/{package.name}/copyright": File(COPYRIGHT)}

    files = PackageFiles([BUSYBOX], read)  # type: ignore[arg-type]
    document = json.loads(await make_sbom("web", "1", [BUSYBOX], files))
    assert document["components"][0]["licenses"] == [{"license": {"name": "BSD-3"}}, {"license": {"name": "GPL-2"}}]
    assert sbom_path("web") == "/usr/share/sbom/web.cdx.json"
