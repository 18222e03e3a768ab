"""A desk whose journal is a real one, which outlives it."""

from __future__ import annotations

from typing import Any

from anchorwatch.io.journal import Journal
from anchorwatch.machine import requests
from anchorwatch.machine.kernel import Effect, Event
from tests.machine.desk_rig import DeskRig


class JournalledRig(DeskRig):
    """One life: it begins with what the journal holds, at ``now_ms`` where that is said, and writes down what it is asked to.

    ``about`` is what a `DeskRig` is told otherwise.
    """

    def __init__(self, journal: Journal, generation: int, now_ms: int | None = None, **about: Any) -> None:
        super().__init__(facts=journal.read(), generation=generation, **about)
        self._journal = journal
        self.now_ms = self.now_ms if now_ms is None else now_ms

    def handle(self, event: Event) -> tuple[Effect, ...]:
        effects = super().handle(event)
        for effect in effects:
            if isinstance(effect, requests.Record):
                self._journal.record(effect.facts)
        return effects
