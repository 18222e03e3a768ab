"""The moments at which the bot is killed: what leads up to each, and the log line by which it is known.

A moment is killed by a line of the bot's own log, the moment that it has been read; so much has been done when
the signal arrives, and perhaps a little more. The table that is printed names the last line that was said.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

import msgspec

from anchorwatch.io.demo.processes import Line

TRADED = "SOL-USDT-SWAP"
"""The instrument that things happen to; on the two others positions are held all the while."""


class Config(Enum):
    """What the bot is set to do."""

    QUIET = "quiet"  # protect and trail, and nothing else
    ENTERING = "entering"  # the strategy trades with every candle
    MAKING = "making"  # it trades with every candle, and its entries rest
    TAKING = "taking"  # the smallest profit closes
    PARTING = "parting"  # the smallest profit takes a half, once in a position's life


TRADING = (Config.ENTERING, Config.MAKING)
"""Under these it opens positions by itself."""


class Lead(Enum):
    """What leads up to a moment, once the bot is READY (but for the first two)."""

    START = "it starts with positions open"
    START_AFTER_CHANGES = "it starts, and a position was opened meanwhile"
    NOTHING = "nothing"
    OPENED = "a position is opened by hand"
    OPENED_BOTH = "a long and a short are opened by hand"
    CANDLE = "a candle closes"
    CUT = "all connections break"
    CUT_AND_CLOSED = "all connections break, and a position is closed by hand"
    STOP = "it is asked to stop"


class Meanwhile(Enum):
    """What happens between the death and the next life."""

    NOTHING = ""
    CLOSED = "closed by hand while dead"
    OPENED = "opened by hand while dead"
    BOTH = "one closed, one opened by hand while dead"


Trap = Callable[[Line], bool]


class Moment(msgspec.Struct, frozen=True):
    """``trap`` None: killed ``after_s`` seconds after the lead-up."""

    name: str
    lead: Lead
    trap: Trap | None = None
    after_s: float = 0.0
    config: Config = Config.QUIET
    meanwhile: Meanwhile = Meanwhile.NOTHING


def moved(machine: str, dest: str, id_: str = "") -> Trap:
    """The line of a transition of ``machine`` into ``dest``; ``id_`` is how its id begins, and after a colon ends."""
    head, _, tail = id_.partition(":")

    def is_it(line: Line) -> bool:
        return (
            line.get("event") == "transition"
            and line["machine"] == machine
            and line["dest"] == dest
            and line["id"].startswith(head)
            and (not tail or line["id"].endswith(":" + tail))
        )

    return is_it


def _parted(line: Line) -> bool:
    """A part has been taken, and the book has been read again."""
    return moved("position", "OPEN", TRADED)(line) and line["source"] == "REDUCING"


def _stepped(name: str) -> Trap:
    def is_it(line: Line) -> bool:
        return line.get("event") == "stop_step" and line["name"] == name

    return is_it


def _started(stage: str) -> Moment:
    return Moment(f"start: {stage} begins", Lead.START, moved("lifecycle", stage))


STAGES = ("CLIENT", "MODULES", "WS", "SAFETY", "RESET", "CANDLES", "POSITIONS", "SYNC", "READY")

ON_ITS_WAY_S = 0.005
"""The exchange answers within a few milliseconds: the request is sent, and has perhaps arrived."""

ENTRIES = tuple(
    Moment(f"entry: {words}", Lead.CANDLE, moved(machine, dest, id_), after_s=after_s, config=Config.ENTERING)
    for words, machine, dest, id_, after_s in (
        ("planned", "order", "PLANNED", f"{TRADED}:entry", 0.0),
        ("sent", "order", "SENT", f"{TRADED}:entry", 0.0),
        ("on its way", "order", "SENT", f"{TRADED}:entry", ON_ITS_WAY_S),
        ("first fill", "position", "OPEN", TRADED, 0.0),
        ("its stop asked for", "protection", "ARMING", TRADED, 0.0),
        ("filled", "order", "FILLED", f"{TRADED}:entry", 0.0),
        ("its stop live", "protection", "COVERED", TRADED, 0.0),
    )
)
"""They need a candle to close, once a minute."""

MAKERS = tuple(
    Moment(f"maker: {words}", Lead.CANDLE, moved(machine, dest, id_), after_s=after_s, config=Config.MAKING)
    for words, machine, dest, id_, after_s in (
        ("sent", "order", "SENT", f"{TRADED}:entry", 0.0),
        ("resting", "order", "LIVE", f"{TRADED}:entry", 0.0),
        ("first fill", "position", "OPEN", TRADED, 0.0),
        ("its stop asked for", "protection", "ARMING", TRADED, 0.0),
        ("its stop live", "protection", "COVERED", TRADED, 0.0),
    )
)
"""As those, with entries that rest: what rests at the death may fill before the next life takes it back."""

OTHERS = (
    *(_started(stage) for stage in STAGES),
    Moment("start: logging in", Lead.START, moved("connection", "LOGGING_IN", "private")),
    Moment("start: interpreter loading", Lead.START, after_s=0.3),
    Moment("start: stop being placed", Lead.START_AFTER_CHANGES, moved("protection", "ARMING", TRADED)),
    Moment(
        "start: stop on its way",
        Lead.START_AFTER_CHANGES,
        moved("protection", "ARMING", TRADED),
        after_s=ON_ITS_WAY_S,
    ),
    Moment("running: 0.1 s", Lead.NOTHING, after_s=0.1),
    Moment("running: 1.7 s", Lead.NOTHING, after_s=1.7),
    Moment("dead while one is closed", Lead.NOTHING, after_s=0.5, meanwhile=Meanwhile.CLOSED),
    Moment("dead while one is opened", Lead.NOTHING, after_s=0.5, meanwhile=Meanwhile.OPENED),
    Moment("dead while both", Lead.NOTHING, after_s=0.5, meanwhile=Meanwhile.BOTH),
    Moment("opened by hand: seen", Lead.OPENED, moved("position", "OPEN", TRADED)),
    Moment("opened by hand: stop asked for", Lead.OPENED, moved("protection", "ARMING", TRADED)),
    Moment(
        "opened by hand: stop on its way",
        Lead.OPENED,
        moved("protection", "ARMING", TRADED),
        after_s=ON_ITS_WAY_S,
    ),
    Moment("trailing: move under way", Lead.OPENED, moved("protection", "MOVING", TRADED)),
    Moment(
        "trailing: move on its way", Lead.OPENED, moved("protection", "MOVING", TRADED), after_s=ON_ITS_WAY_S
    ),
    Moment("close: decided", Lead.OPENED_BOTH, moved("position", "CLOSING", TRADED), config=Config.TAKING),
    Moment("close: sent", Lead.OPENED_BOTH, moved("order", "SENT", f"{TRADED}:close"), config=Config.TAKING),
    Moment(
        "close: on its way",
        Lead.OPENED_BOTH,
        moved("order", "SENT", f"{TRADED}:close"),
        after_s=ON_ITS_WAY_S,
        config=Config.TAKING,
    ),
    Moment(
        "close: filled", Lead.OPENED_BOTH, moved("order", "FILLED", f"{TRADED}:close"), config=Config.TAKING
    ),
    Moment("close: flat", Lead.OPENED_BOTH, moved("position", "FLAT", TRADED), config=Config.TAKING),
    *(
        Moment(f"part: {words}", Lead.OPENED_BOTH, trap, after_s=after_s, config=Config.PARTING)
        for words, trap, after_s in (
            ("decided", moved("position", "REDUCING", TRADED), 0.0),
            ("sent", moved("order", "SENT", f"{TRADED}:close"), 0.0),
            ("on its way", moved("order", "SENT", f"{TRADED}:close"), ON_ITS_WAY_S),
            ("filled", moved("order", "FILLED", f"{TRADED}:close"), 0.0),
            ("taken", _parted, 0.0),
        )
    ),
    Moment("cut: waiting to redial", Lead.CUT, moved("connection", "BACKING_OFF", "private")),
    Moment("cut: logging in again", Lead.CUT, moved("connection", "LOGGING_IN", "private")),
    Moment("cut: back", Lead.CUT, moved("connection", "LIVE", "private")),
    Moment("cut, closed by hand: back", Lead.CUT_AND_CLOSED, moved("connection", "LIVE", "private")),
    Moment("stop: asked for", Lead.STOP, moved("lifecycle", "STOPPING")),
    Moment("stop: position monitor ended", Lead.STOP, _stepped("position_monitor")),
    Moment("stop: private closing", Lead.STOP, moved("connection", "CLOSED", "private")),
)
