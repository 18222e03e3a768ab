"""Faults: what the exchange does wrong on purpose, as plain data, so that a plan can come from a file.

A rule waits for occasions of its kind. It lets the first `after` of them pass, then strikes `times` of them (0 is
every one), each with `probability`, inside its window of exchange time. Which occasions are struck follows from the
seed and the count of occasions alone, so the same run meets the same faults.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Annotated, Literal, get_args

import msgspec

from anchorwatch.io.venue.noise import mix

FaultKind = Literal[
    # Requests over HTTP; `where` is the path behind /api/v5/, as in "trade/order".
    "accept_then_timeout",  # processed; the answer never comes
    "reject_then_timeout",  # not processed; the answer never comes
    "accept_then_code",  # processed; answers `code` (50004, 51149) instead of the result
    "reject_with_code",  # not processed; answers `code` (50011, 50001, 50026)
    "late_processing",  # processed `delay_ms` after it arrived, unless its expTime has passed
    "slow_answer",  # processed at once, answered after `delay_ms`
    "html_error",  # not processed; an HTML page with `status`
    "accept_then_html",  # processed; an HTML page with `status`
    "truncated_answer",  # processed; the answer breaks off in the middle
    "clock_skew",  # public/time is off by `delay_ms`
    "rest_lag",  # a private GET shows the account as it was `delay_ms` ago
    # Private and public pushes; `where` is the channel.
    "drop_push",
    "duplicate_push",
    "reorder_push",  # sent after the next push of this connection
    "delay_push",  # sent `delay_ms` later, with the content it had
    "books_gap",  # one update of `books` is left out; `where` is the instrument
    "books_reset",  # the sequence numbers of `books` start again from a low one; `where` is the instrument
    # Connections; `where` is public, private or business.
    "ws_close",  # after a received frame, with close code `code`
    "ws_refuse",  # the handshake is refused with `status`
    "login_reject",  # refused with `code`
    "subscribe_reject",  # refused with `code`; `where` is the channel
    "login_slow",
    "upgrade_notice",  # 64008 now, closed 60 s later
    # Trading; `where` is the instrument.
    "ack_then_cancel",  # acknowledged, then cancelled with cancelSource `code`
    "amend_fail_late",  # acknowledged, then amendResult -1
    "late_amendment",  # acknowledged, in force `delay_ms` later; more than three waiting are refused with 51513
    "batch_item_fails",  # one item of a batch is refused with `code`, its siblings are processed
    "algo_fail",  # at its trigger the child is refused with `code`
    "attached_missing",  # the entry fills, its stop is not created
]

# What a rule may leave unsaid.
DEFAULT_CODES = {
    "accept_then_code": "50004",
    "reject_with_code": "50001",
    "ws_close": "4006",
    "ack_then_cancel": "3",
    "algo_fail": "51008",
    "batch_item_fails": "51008",
    "login_reject": "60009",
    "subscribe_reject": "60018",
}


Count = Annotated[int, msgspec.Meta(ge=0)]
# No client waits longer; a slip of the keyboard does.
DELAY_MAX_MS = 3_600_000
# Every rule is looked at on every occasion; nobody reads a longer plan either.
RULES_MAX = 1_000


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rule. Empty `where` is anywhere; times in milliseconds of exchange time."""

    kind: FaultKind
    where: str = ""
    after: Count = 0
    times: Count = 1
    probability: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    from_ms: int = 0
    until_ms: int | None = None
    delay_ms: Annotated[int, msgspec.Meta(ge=0, le=DELAY_MAX_MS)] = 1000
    status: Annotated[int, msgspec.Meta(ge=400, le=599)] = 502
    code: Annotated[str, msgspec.Meta(pattern="^[0-9]{0,5}$")] = ""

    @property
    def code_or_default(self) -> str:
        return self.code or DEFAULT_CODES.get(self.kind, "")


InstrumentState = Literal["live", "suspend", "preopen", "rebase", "post_only", "test"]


class InstrumentChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A scheduled change of an instrument's state or steps; what is None stays.

    Raises ValueError for a state that OKX v5 does not know, or a step that is no positive number.
    """

    at_ms: int
    inst_id: str
    state: InstrumentState | None = None
    tick_sz: str | None = None
    lot_sz: str | None = None
    min_sz: str | None = None

    def __post_init__(self) -> None:
        if self.state is not None and self.state not in get_args(InstrumentState):
            raise ValueError(f"no such state: {self.state}")
        for step in (self.tick_sz, self.lot_sz, self.min_sz):
            if step is not None and not _is_step(step):
                raise ValueError(f"a step is a positive number, not {step[:40]!r}")


def _is_step(text: str) -> bool:
    try:
        step = Decimal(text)
    except InvalidOperation:
        return False
    return step.is_finite() and step > 0


class Maintenance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An announced maintenance: POSTs answer 50001 from begin to end; from `pre_open_ms` on cancels and post-only orders work again."""

    begin_ms: int
    end_ms: int
    pre_open_ms: int | None = None
    title: str = "Trading system upgrade"

    def moved(self, by_ms: int) -> Maintenance:
        pre_open_ms = None if self.pre_open_ms is None else self.pre_open_ms + by_ms
        return msgspec.structs.replace(
            self, begin_ms=self.begin_ms + by_ms, end_ms=self.end_ms + by_ms, pre_open_ms=pre_open_ms
        )


class Faults(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole plan: rules, scheduled changes and maintenance."""

    rules: tuple[Fault, ...] = ()
    changes: tuple[InstrumentChange, ...] = ()
    maintenance: tuple[Maintenance, ...] = ()
    seed: int = 0


class PlanState(msgspec.Struct, frozen=True, kw_only=True):
    """How far a plan has come: the plan it began as, the rules in force, and per rule its occasions and strikes."""

    faults: Faults
    rules: tuple[Fault, ...]
    seen: tuple[int, ...]
    struck: tuple[int, ...]


class FaultPlan:
    """The plan at work: asked at every occasion, answers with the rule that strikes or None, and counts."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self._rules = list(faults.rules)
        self._seen: Counter[int] = Counter()
        self._struck: Counter[int] = Counter()
        self.struck_by_kind: Counter[str] = Counter()
        # Told of each strike, as it happens.
        self.on_struck: Callable[[Fault], None] = lambda _: None

    @property
    def is_armed(self) -> bool:
        """Whether any rule is in force."""
        return bool(self._rules)

    def add(self, rule: Fault) -> None:
        """Put one more rule in force from now on. Raises ValueError beyond `RULES_MAX`."""
        if len(self._rules) >= RULES_MAX:
            raise ValueError(f"{RULES_MAX} rules are in force; heal them first")
        self._rules.append(rule)

    def has(self, kind: FaultKind) -> bool:
        """Whether a rule of this kind is in force."""
        return any(rule.kind == kind for rule in self._rules)

    def state(self) -> PlanState:
        numbers = range(len(self._rules))
        return PlanState(
            faults=self.faults,
            rules=tuple(self._rules),
            seen=tuple(self._seen[number] for number in numbers),
            struck=tuple(self._struck[number] for number in numbers),
        )

    def resume(self, state: PlanState) -> None:
        """Go on where a plan stopped; one that began as another plan is left alone, and this one begins anew."""
        if state.faults != self.faults:
            return
        self._rules = list(state.rules)
        self._seen = Counter(dict(enumerate(state.seen)))
        self._struck = Counter(dict(enumerate(state.struck)))

    def heal(self) -> None:
        """Drop every rule."""
        self._rules.clear()
        self._seen.clear()
        self._struck.clear()

    def draw(self, kind: FaultKind, where: str, now_ms: int) -> Fault | None:
        for number, rule in enumerate(self._rules):
            if rule.kind != kind or (rule.where and rule.where != where):
                continue
            if now_ms < rule.from_ms or (rule.until_ms is not None and now_ms > rule.until_ms):
                continue
            self._seen[number] += 1
            if self._seen[number] <= rule.after or (rule.times and self._struck[number] >= rule.times):
                continue
            if share(self.faults.seed, number, self._seen[number]) >= rule.probability:
                continue
            self._struck[number] += 1
            self.struck_by_kind[kind] += 1
            self.on_struck(rule)
            return rule
        return None


def share(seed: int, number: int, count: int) -> float:
    """A number in [0, 1) that follows from its arguments."""
    return (mix(seed, number, count) >> 11) / (1 << 53)
