"""An appliance with settings, for tests and benchmarks: the root of `base`, and a program that applies or refuses."""

import json
import os
import shutil
from pathlib import Path

from weft.model.image import ImageManifest
from weft.model.schema import Setting, SettingsSchema

NAME = "gate"
APPLY = """\
. /run/weft/settings.env
if [ "$WEFT_MODE" = broken ]; then echo "mode $WEFT_MODE is not possible here" >&2; exit 1; fi
if [ -d /sys/class/net/eth0 ]; then ip link set eth0 mtu "$WEFT_LAN_MTU" || exit 1; fi
cat >/run/applied
"""
"""Refuses a value that its schema allows, as a real appliance does that knows more than its schema can say."""
SCHEMA = SettingsSchema(
    version=2,
    settings={
        "mode": Setting(choices=("open", "strict", "broken"), default="open", help="What the gate lets through."),
        "lan.mtu": Setting(type="integer", default=1500, minimum=576, maximum=9000, help="Largest packet."),
        "lan.dns": Setting(type="list", help="Name servers."),
        "key": Setting(type="secret", help="What opens it."),
    },
    apply=("/bin/sh", "-c", APPLY),
)


def add_appliance(home: Path, schema: SettingsSchema = SCHEMA, name: str = NAME) -> None:
    """Put it into a fabric's store of images, beside `base`."""
    base, folder = home / "images" / "base", home / "images" / name
    manifest = ImageManifest.model_validate_json((base / "image.json").read_text())
    folder.mkdir(exist_ok=True)
    root = folder / manifest.root_file
    if not root.exists():
        try:
            os.link(base / manifest.root_file, root)
        except OSError:  # another file system
            shutil.copyfile(base / manifest.root_file, root)
    kept = manifest.model_copy(update={"name": name, "settings": schema})
    (folder / "image.json").write_text(json.dumps(kept.model_dump(mode="json")))
