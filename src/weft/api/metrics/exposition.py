"""Sheets as text, in the formats that Prometheus reads. To import this takes 80 ms: it is for who needs it."""

from collections.abc import Iterator
from typing import Any, NamedTuple, cast

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder

from weft.api.metrics.sheet import Kind, Sheet

_OPENMETRICS = "application/openmetrics-text"


class Exposition(NamedTuple):
    """What is sent, and its media type."""

    body: bytes
    media_type: str


class _Collected:
    """What a registry asks for its families: those of a sheet."""

    def __init__(self, sheet: Sheet) -> None:
        self._sheet = sheet

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        for name, family in self._sheet.families.items():
            make = CounterMetricFamily if family.kind is Kind.COUNTER else GaugeMetricFamily
            metric = make(name, family.meaning, labels=family.labels)
            for sample in self._sheet.samples.get(name, ()):
                metric.add_metric(sample.labels, sample.value)
            yield metric


def dump_sheet(sheet: Sheet, accept: str) -> Exposition:
    """A sheet and what this process uses itself, in the format that somebody accepts; version 0.0.4 if any will do."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    registry.register(cast(Any, _Collected(sheet)))
    encode, media_type = choose_encoder(accept)
    body: bytes = encode(registry)
    return Exposition(body, media_type)


def accept_of(form: str) -> str:
    """What somebody accepts who wants `text` or `openmetrics`."""
    return f"{_OPENMETRICS};version=1.0.0" if form == "openmetrics" else "text/plain;version=0.0.4"
