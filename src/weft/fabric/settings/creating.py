"""Settings that a machine is to be made with, checked before anything is made."""

from collections.abc import Mapping
from typing import Any

from weft.fabric.records.machine import FirstSettings, MachineRecord
from weft.fabric.settings.floppies import is_appliance
from weft.fabric.settings.models import Terms
from weft.fabric.settings.places import find_place, place_insert
from weft.fabric.site import Site
from weft.model.errors import Invalid
from weft.model.image import ImageManifest
from weft.model.insert import InsertSpec
from weft.model.place import Place
from weft.model.schema import flatten_settings
from weft.plan.settings import Fit, change_values, complete_schema


def plan_first(site: Site, machine: MachineRecord, first: FirstSettings) -> FirstSettings:
    """The settings of a machine that is not on record yet, as they are to be kept. Raises Invalid."""
    image = site.images.get(machine.spec.image)
    if machine.spec.floppy is not None:
        raise Invalid("settings are given, and a floppy that has its own", hint="weft config set changes them then")
    values = plan_settings(image, machine.name, machine.spec.hostname, first.values, find_place(site, machine))
    return FirstSettings(values=values, by=first.by)


def check_insert(site: Site, spec: InsertSpec, image: ImageManifest) -> None:
    """Whether the settings that an insert is to begin with fit where it goes. Raises Invalid."""
    plan_settings(image, spec.name, None, spec.settings, place_insert(site, spec, ()))


def plan_settings(
    image: ImageManifest, name: str, hostname: str | None, wanted: Mapping[str, Any], place: Place
) -> dict[str, Any]:
    """Settings by their whole names, of their types: a table means the same as names with dots.

    Raises Invalid with everything that is wrong with them, and for an image that has none.
    """
    if not is_appliance(image):
        raise Invalid(f"image {image.name!r} is no appliance and has no settings")
    schema = complete_schema(image.settings, name, hostname)
    fit = Fit(change_values(schema, {}, dict(flatten_settings(wanted)), ()))
    return dict(Terms(schema, place).require(fit).values)
