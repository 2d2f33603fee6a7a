"""What an appliance's settings have to fit, and the files that come of them: schema, place, and what a model says."""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property

from weft.balancer import BalancerModel
from weft.fabric.records.machine import Told
from weft.firewall.model import FirewallModel
from weft.model.errors import Invalid
from weft.model.image import ImageManifest
from weft.model.place import Place, Stance
from weft.model.schema import SettingsSchema
from weft.model.settings_model import SettingsModel
from weft.plan.place_files import dump_place, without_neighbours
from weft.plan.settings import Fit, Values, effective_values, require_fit

MODELS: dict[str, SettingsModel] = {"firewall": FirewallModel(), "balancer": BalancerModel()}
"""By the name that a recipe has in `settings.model`."""


def find_model(schema: SettingsSchema) -> SettingsModel | None:
    """The model that a schema names, if it names one. Raises Invalid when there is none of this name."""
    if not schema.model:
        return None
    if (model := MODELS.get(schema.model)) is None:
        hint = f"those are known: {', '.join(sorted(MODELS))}; the image may be made for a newer Weft"
        raise Invalid(f"settings of model {schema.model!r} are not known here", hint=hint)
    return model


def check_model(image: ImageManifest) -> None:
    """Raises Invalid for an image whose settings are of a model that is not known here."""
    if image.settings is not None:
        find_model(image.settings)


@dataclass(frozen=True)
class Terms:
    """What settings have to fit: the schema of the image, and the place of the machine."""

    schema: SettingsSchema
    place: Place
    _seen: dict[str, tuple[list[str], dict[str, str]]] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def model(self) -> SettingsModel | None:
        return find_model(self.schema)

    @cached_property
    def shown_place(self) -> Place:
        """What the machine is told of its place: of its neighbours only where a model says what they are for, or as
        a gateway, which knows them before they ask."""
        wants_all = self.model is not None or self.place.stance is Stance.GATEWAY
        return self.place if wants_all else without_neighbours(self.place)

    def effective(self, values: Values) -> dict[str, object]:
        """What counts: defaults included."""
        return effective_values(self.schema, values)

    def misfits(self, values: Values) -> list[str]:
        """What the model has against values that fit the schema."""
        return self._look(values)[0]

    def judge(self, fit: Fit) -> Fit:
        """With what the model has against it, once the schema has nothing."""
        if fit.problems or not (problems := self.misfits(fit.values)):
            return fit
        return Fit(fit.values, fit.unknown, fit.notes, tuple(problems))

    def require(self, fit: Fit) -> Fit:
        """Raises Invalid with everything that does not fit."""
        return require_fit(self.judge(fit))

    def render(self, values: Values) -> dict[str, str]:
        """The model's files. None of values that do not fit: the appliance's program finds them missing."""
        return self._look(values)[1]

    def _look(self, values: Values) -> tuple[list[str], dict[str, str]]:
        """Problems and files. A model takes its time, and one change asks several times for the same."""
        if self.model is None:
            return [], {}
        key = repr(sorted(values.items()))
        if key not in self._seen:
            effective = self.effective(values)
            problems = self.model.check(effective, self.place)
            self._seen[key] = problems, {} if problems else self.model.render(effective, self.place)
        return self._seen[key]

    def files(self, values: Values) -> dict[str, str]:
        """All files besides the settings themselves: the model's, and the place."""
        return {**self.render(values), **dump_place(self.shown_place)}

    def weigh(self, values: Values) -> Told:
        """What a machine knows that was told all this."""
        applied = {**self.render(values), **dump_place(without_neighbours(self.place))}
        return Told(place=weigh_place(self), applied=_digest(applied))


def weigh_place(terms: Terms) -> str:
    """A digest of what a machine is told of its place."""
    return _digest(dump_place(terms.shown_place))


def _digest(files: dict[str, str]) -> str:
    return hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()[:16]
