"""Settings as they are shown. Pure."""

from collections.abc import Mapping

from weft.model.config import ConfigChange, ConfigView, RevisionView, SettingView
from weft.model.schema import SettingsSchema
from weft.plan.settings import STARS, Fit, effective_values, find_changes, hide_secrets
from weft.plan.settings_file import Document


def view_config(
    name: str, schema: SettingsSchema, saved: Document, running: Fit | None, damage: str = "", *, secrets: bool = False
) -> ConfigView:
    """A machine's settings: those that run, or without them those that are saved."""
    fit = saved.fit(schema) if running is None else running
    shown = {**effective_values(schema, {}), **fit.values}
    shown = shown if secrets else hide_secrets(schema, shown)
    settings = [
        SettingView(name=key, type=setting.type, value=shown.get(key), is_set=key in fit.values, help=setting.help)
        for key, setting in schema.settings.items()
    ]
    return ConfigView(
        machine=name,
        source="saved" if running is None else "running",
        revision=saved.stamp.revision,
        schema_version=schema.version,
        settings=settings,
        unknown=dict(fit.unknown),
        notes=[*([damage] if damage else []), *fit.notes, *fit.problems],
    )


def view_history(schema: SettingsSchema, history: Mapping[int, Document]) -> list[RevisionView]:
    """Revisions, the newest first."""
    return [
        RevisionView(
            revision=number,
            time=document.stamp.time,
            by=document.stamp.by,
            why=document.stamp.why,
            fits=not document.fit(schema).problems,
        )
        for number, document in sorted(history.items(), reverse=True)
    ]


def view_changes(schema: SettingsSchema, before: Fit, after: Fit) -> list[ConfigChange]:
    """What counts differently; of a secret only that it does."""
    old, new = ({**fit.unknown, **effective_values(schema, fit.values)} for fit in (before, after))
    return [_hide(schema, change) for change in find_changes(old, new)]


def _hide(schema: SettingsSchema, change: ConfigChange) -> ConfigChange:
    setting = schema.settings.get(change.name)
    if setting is None or setting.type != "secret":
        return change
    before, after = (value and STARS for value in (change.before, change.after))
    return ConfigChange(name=change.name, before=before, after=after)
