"""Machines that the firewall's lines name. Pure."""

from collections.abc import Iterator

from weft.firewall.addresses import MachineName, Target, parse_set
from weft.firewall.rule_lines import parse_rule
from weft.firewall.translation_lines import parse_forward, parse_management, parse_snat
from weft.model.setting_lines import Values, parse_items


def find_machines(values: Values) -> Iterator[tuple[str, str]]:
    """The item and the machine's name. Lines that cannot be read name none."""
    for where, target in _find_targets(values):
        if isinstance(target, MachineName):
            yield where, target.name


def _find_targets(values: Values) -> Iterator[tuple[str, Target]]:
    lines: dict[str, tuple[Target, ...]] = {}
    lines |= {where: targets for where, (_, targets) in parse_items(values, "sets", parse_set).items()}
    for where, rule in parse_items(values, "rules", parse_rule).items():
        lines[where] = (*rule.match.source, *rule.match.destination)
    for where, forward in parse_items(values, "forwards", parse_forward).items():
        lines[where] = (forward.host, *forward.source)
    lines |= {where: (line.source,) for where, line in parse_items(values, "snat", parse_snat).items()}
    lines |= {where: way.source for where, way in parse_items(values, "management", parse_management).items()}
    for where, targets in lines.items():
        for target in targets:
            yield where, target
