"""One life of the real bot in a simulated world: its own fence, its log as entries of the merged log, its end."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import trio

from anchorwatch.io.birth import StrategyChoice
from anchorwatch.io.engine import Engine
from anchorwatch.io.okx.environments import Credentials, Endpoints
from anchorwatch.io.seams import Seams
from anchorwatch.io.settings import Settings
from anchorwatch.io.simulation.chronicle import Chronicle
from anchorwatch.io.simulation.disk import Disk
from anchorwatch.io.simulation.incarnation import Incarnation
from anchorwatch.io.simulation.observer import Conduct, Observer
from anchorwatch.io.simulation.recording import Recorder
from anchorwatch.io.telemetry import Telemetry
from anchorwatch.machine import connection, lifecycle, permission
from anchorwatch.machine.bot import PERMISSION
from anchorwatch.machine.desk import Told
from anchorwatch.machine.kernel import Event, Move
from anchorwatch.machine.lifecycle import Exit

# A field of a line in the merged log; longer texts are pages of HTML.
WORDS_MAX = 160


class Witness(Telemetry):
    """The telemetry of one life: every line goes to the merged log, as data, unless the life is over."""

    def __init__(self, chronicle: Chronicle, incarnation: Incarnation, now_ms: Callable[[], int]) -> None:
        super().__init__(None, now_ms=now_ms)
        self._chronicle = chronicle
        self._incarnation = incarnation
        self.on_move: Callable[[Move], None] = lambda _: None
        self.alarms = 0
        self.strategy_failed = ""  # how the strategy failed first

    def transition(self, at_ms: int, move: Move) -> None:
        self.on_move(move)
        own = f" {move.id}" if move.id and move.id != move.machine else ""
        cause = f"  {move.cause}" if move.cause else ""
        self._add("move", f"{move.machine}{own}: {move.source} → {move.dest}  {move.trigger}{cause}")

    def stage(self, name: str, at_ms: int, seconds: float, outcome: str) -> None:
        self._add("stage", f"{name} {outcome}")

    def stop_step(self, name: str, outcome: str, seconds: float) -> None:
        super().stop_step(name, outcome, seconds)
        self._add("stop", f"{name} {outcome}")

    def debug(self, event: str, /, **fields: Any) -> None:
        """Not said, as in a run at the usual level."""

    def say(self, event: str, /, **fields: Any) -> None:
        self._line("says", event, fields)

    def warn(self, event: str, /, **fields: Any) -> None:
        self._line("warns", event, fields)

    def alarm(self, event: str, /, **fields: Any) -> None:
        self.alarms += 1
        if event == "STRATEGY_FAILED" and not self.strategy_failed:
            self.strategy_failed = "the strategy {strategy} failed at {where}: {reason}".format(**fields)
        self._line("ALARM", event, fields)
        self.on_alarm({"alarm": event, **{name: str(value) for name, value in fields.items()}})

    def _line(self, how: str, event: str, fields: dict[str, Any]) -> None:
        self._add(how, event + "".join(f" {name}={value}" for name, value in fields.items()))

    def _add(self, what: str, words: str) -> None:
        if self._incarnation.may_act():
            self._chronicle.add(self._incarnation.name, what, words[:WORDS_MAX])


class Errand(msgspec.Struct, frozen=True):
    """What a life is started for, beyond the settings."""

    flatten: bool = False
    clear_halt: bool = False
    is_elsewhere: bool = False  # on a disk of its own: a second instance


class Life:
    """One incarnation of the engine. `run` returns when it has ended, whatever its end was."""

    def __init__(
        self,
        name: str,
        *,
        settings: Settings,
        seams: Seams,
        endpoints: Endpoints,
        credentials: Credentials,
        disk: Disk,
        chronicle: Chronicle,
        observer: Observer,
        errand: Errand,
        strategy: StrategyChoice | None = None,
        tape: Path | None = None,
        dies_at_effect: int | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        self.name = name
        self.incarnation = Incarnation(name, dies_at_effect=dies_at_effect)
        self.engine: Engine | None = None
        self.exit: Exit | None = None
        self._witness: Witness | None = None
        self.defect = ""  # the traceback of what the engine raised
        self.last_words = ""  # the error itself
        self.ended = trio.Event()
        self.disk = disk
        self._settings = settings
        self._seams = seams
        self._endpoints = endpoints
        self._credentials = credentials
        self._chronicle = chronicle
        self._observer = observer
        self._errand = errand
        self._strategy = strategy
        self._tape = tape
        self._recorder = recorder
        self._conduct: Conduct | None = None
        # Of the connections, by name: the times of the last moves, and who was live long and has not waited since.
        self._live_since: dict[str, float] = {}
        self._lasted: set[str] = set()
        self._waits_since: dict[str, float] = {}

    @property
    def is_alive(self) -> bool:
        return self.engine is not None and self.incarnation.is_alive and not self.ended.is_set()

    @property
    def was_killed(self) -> bool:
        return not self.incarnation.is_alive

    def writes_under_way(self) -> int:
        return self.engine.writes_under_way() if self.engine is not None and self.is_alive else 0

    def tell_permission(self, event: Event) -> None:
        """The operator speaks."""
        if self.engine is not None and self.is_alive:
            self.engine.mailbox.put(Told(PERMISSION, event))

    def request_stop(self, reason: str) -> None:
        if self.engine is not None and self.is_alive:
            self.engine.request_stop(reason)

    def kill(self) -> None:
        """The process is gone, here and now."""
        if self.incarnation.is_alive and not self.ended.is_set():
            self.incarnation.kill()
            self._chronicle.add("world", "killed", self.name)

    async def run(self) -> None:
        self.incarnation.when_killed(self.disk.crash)
        if self._recorder is not None:
            self.incarnation.when_killed(self._recorder.ended)
        try:
            await self.incarnation.live(self._live)
        except Exception as error:
            # The edge of a life: what the engine raises is a defect of ours, kept with its text.
            self.defect = "".join(traceback.format_exception(error))
            self.last_words = _last_words(error)
            self._chronicle.add(self.name, "DEFECT", self.last_words)
        finally:
            if self._recorder is not None:
                self._recorder.ended()
            self.ended.set()

    @property
    def strategy_failed(self) -> str:
        """How its strategy failed first; empty where it did not."""
        return self._witness.strategy_failed if self._witness is not None else ""

    async def _live(self) -> None:
        self._chronicle.add("world", "started", self.name)
        witness = self._witness = Witness(self._chronicle, self.incarnation, self._seams.wall_ms)
        generation = ""

        def recorded(facts: Any) -> None:
            tears = self.disk.tears
            self._chronicle.add(self.name, "recorded", ", ".join(type(fact).__name__ for fact in facts))
            # Whoever is told of an entry may kill inside of its record: then it is not in the journal.
            if generation and self.disk.tears == tears:
                self._observer.recorded(generation, facts)

        with self.disk.open(self.incarnation, recorded, self.kill) as journal:
            engine = Engine(
                self._settings,
                witness,
                seams=self._seams,
                endpoints=self._endpoints,
                credentials=self._credentials,
                journal=journal,
                flatten=self._errand.flatten,
                strategy=self._strategy,
                tape=self._tape,
            )
            generation = engine.generation
            self._conduct = conduct = self._observer.life_began(
                generation, is_elsewhere=self._errand.is_elsewhere
            )
            conduct.is_open = self._errand.is_elsewhere or self._observer.was_open
            witness.on_move = self._take_move
            if self._errand.clear_halt:
                engine.clear_halt()
            if self._recorder is not None:
                self._recorder.began(engine.desk)
                engine.on_answer = partial(self._recorder.handled, engine.desk)
            self.engine = engine
            self.exit = await engine.run()
        self._chronicle.add(self.name, "ended", self.exit.name)

    def _take_move(self, move: Move) -> None:
        assert self._conduct is not None
        if move.machine == "lifecycle":
            self._conduct.is_ready = move.dest == lifecycle.S.READY.name
        elif move.machine == "permission":
            self._conduct.is_open = move.dest == permission.S.OPEN.name
        elif move.machine == "connection":
            self._take_connection(move)
            return
        else:
            return
        self._conduct.judge(trio.current_time())

    def _take_connection(self, move: Move) -> None:
        """A connection that was live long enough starts its waits anew (R6.5). Unanswered silence is no life."""
        now_s, states = trio.current_time(), connection.S
        limits = self._settings.connections
        is_live, was_live = move.dest == states.LIVE.name, move.source == states.LIVE.name
        if is_live and not was_live:
            self._live_since[move.id] = now_s
        elif was_live and not is_live and self._lived_s(move.id, now_s) > limits.live_lasted_s + 1:
            self._lasted.add(move.id)
        if move.dest in (states.BACKING_OFF.name, states.EXHAUSTED.name):
            if move.id in self._lasted:
                self._lasted.remove(move.id)
                self._waits_since[move.id] = now_s
        elif move.dest == states.DIALING.name:
            waited_s = now_s - self._waits_since.pop(move.id, now_s)
            if waited_s > max(limits.backoff_first_s, limits.reconnect_delay_s) + 1:
                self._observer.violate("R6", f"{move.id} waited {waited_s:.1f} s after a long life")

    def _lived_s(self, connection_id: str, now_s: float) -> float:
        return now_s - self._live_since.pop(connection_id)


def _last_words(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"[:WORDS_MAX]
