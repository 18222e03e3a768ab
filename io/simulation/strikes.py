"""How each kind of fault is done to a world, and undone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
import trio

from anchorwatch.io.simulation.deeds import Deeds
from anchorwatch.io.simulation.disk import Disk
from anchorwatch.io.simulation.faults import Fault, Kind
from anchorwatch.io.simulation.ghost import live_covers
from anchorwatch.io.simulation.life import Errand
from anchorwatch.io.simulation.network import Connection, HostFault, Weather
from anchorwatch.io.simulation.world import HOST, KEY, World
from anchorwatch.io.venue.faults import Fault as Rule
from anchorwatch.io.venue.faults import FaultKind, InstrumentChange, Maintenance
from anchorwatch.io.venue.orders import AlgoOrder
from anchorwatch.io.venue.sessions import Session
from anchorwatch.machine import ids, permission
from anchorwatch.machine.kernel import Event

# The exchange's own rules that are kinds of fault here, and the code that they answer with.
RULES: dict[Kind, tuple[FaultKind, str]] = {
    Kind.HTTP_5XX: ("reject_with_code", "50001"),
    Kind.HTML_BODY: ("html_error", ""),
    Kind.HTML_AFTER: ("accept_then_html", ""),
    Kind.TIMEOUT_AFTER: ("accept_then_timeout", ""),
    Kind.TIMEOUT_BEFORE: ("reject_then_timeout", ""),
    Kind.LATE_PROCESSING: ("late_processing", ""),
    Kind.SLOW_ANSWER: ("slow_answer", ""),
    Kind.CUT_ANSWER: ("truncated_answer", ""),
    Kind.IN_DOUBT_CODE: ("accept_then_code", "50004"),
    Kind.RATE_LIMIT: ("reject_with_code", "50011"),
    Kind.STALE_READING: ("rest_lag", ""),
    Kind.PUSH_DUPLICATED: ("duplicate_push", ""),
    Kind.PUSH_REORDERED: ("reorder_push", ""),
    Kind.PUSH_DROPPED: ("drop_push", ""),
    Kind.PUSH_DELAYED: ("delay_push", ""),
    Kind.LOGIN_REFUSED: ("login_reject", ""),
    Kind.LOGIN_SLOW: ("login_slow", ""),
    Kind.UPGRADE_NOTICE: ("upgrade_notice", ""),
    Kind.SOCKET_CLOSED: ("ws_close", ""),
    Kind.HANDSHAKE_REFUSED: ("ws_refuse", ""),
    Kind.STOP_FAILS: ("algo_fail", ""),
    Kind.ATTACHED_MISSING: ("attached_missing", ""),
    Kind.ACK_THEN_CANCEL: ("ack_then_cancel", ""),
}
# These are met while a connection is made, so the present ones are closed.
ON_DIAL = (Kind.LOGIN_REFUSED, Kind.LOGIN_SLOW, Kind.HANDSHAKE_REFUSED)
LOGINS = (Kind.LOGIN_REFUSED, Kind.LOGIN_SLOW)
# As rules they are met at the next frame of ours; where a write is waited for that would be long after it.
AT_ONCE = (Kind.SOCKET_CLOSED, Kind.UPGRADE_NOTICE)
WEATHERS = (Kind.LATENCY, Kind.JITTER, Kind.SHORT_WRITES, Kind.FRAGMENTATION)
CLOSED_CODE = 1006  # gone without a word
ROUGH_SHARE = 0.9
STEPS_FACTOR = 10
"""A rule change makes tick, lot or minimum coarser by this."""


class Strikes:
    """Carries out the faults of one run. `heal` puts everything right at once."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._deeds = Deeds(world)
        self._kinds: dict[Rule, Kind] = {}
        # Those whose connections were closed while a write was under way, until they have struck.
        self._closed_in_write: set[Rule] = set()
        self._weathers: list[Fault] = []
        self._broken: list[HostFault] = []
        self._twins = 0
        world.venue.faults.on_struck = self._rule_struck
        self._before = {one.inst_id: one for one in world.venue.instruments()}

    async def strike(self, fault: Fault) -> None:
        """Wait for the fault's time, and for a write where it wants one; then do it."""
        await trio.sleep_until(fault.at_s)
        if fault.on == "write":
            await self._world.write_begins()
        await self._deed(fault.kind)(fault)

    def heal(self) -> None:
        """Everything that is wrong is put right; what has happened stays."""
        world = self._world
        world.venue.faults.heal()
        world.venue.faults.faults = msgspec.structs.replace(world.venue.faults.faults, maintenance=())
        for inst_id in self._before:
            self._restore(inst_id)
        self._weathers.clear()
        self._broken.clear()
        self._blow()
        world.network.mend_host(HOST)
        for connection in world.network.connections():
            if connection.is_half_open:
                # A wire that is mended does not bring back what was lost on it: the ends find out.
                connection.reset()
        world.skew_ms = 0
        world.disk.is_full = False
        world.disk.take_tear()
        if world.twin is not None:
            world.twin.kill()
        if world.life is not None:
            world.life.tell_permission(permission.HaltCleared())
            world.life.tell_permission(permission.ResumeRequested())

    def _deed(self, kind: Kind) -> Callable[[Fault], Awaitable[None]]:
        own: dict[Kind, Callable[[Fault], Awaitable[None]]] = {
            Kind.RESET: self._reset,
            Kind.HALF_OPEN: self._half_open,
            Kind.REFUSED: self._refused,
            Kind.BLACK_HOLE: self._black_hole,
            Kind.CLOCK_SKEW: self._clock_skew,
            Kind.STOP_FAILS: self._stop_fails,
            Kind.MAINTENANCE: self._maintenance,
            Kind.RULE_CHANGE: self._rule_change,
            Kind.KILLED: self._killed,
            Kind.TORN_WRITE: self._torn_write,
            Kind.DISK_FULL: self._disk_full,
            Kind.TWO_INSTANCES: self._two_instances,
            Kind.HUMAN: self._deeds.human,
            Kind.PAUSE: self._pause,
            Kind.RESUME: self._resume,
            Kind.HALT: self._halt,
            Kind.FLATTEN: self._flatten,
            Kind.STOP: self._stop,
        }
        if kind in own:
            return own[kind]
        return self._rule if kind in RULES else self._weather

    # What the exchange does wrong.

    def _rule_struck(self, rule: Rule) -> None:
        kind = self._kinds.get(rule)
        if kind is not None:
            began_in_write = rule in self._closed_in_write
            self._closed_in_write.discard(rule)
            self._world.struck(kind, rule.where, began_in_write=began_in_write)

    def _sessions(self, where: str) -> list[Session]:
        every = self._world.venue.connections.all()
        return [one for one in every if one.is_open and where in ("", one.path)]

    def _at_once(self, fault: Fault) -> None:
        sessions = self._sessions(fault.where)
        if sessions:
            self._world.struck(fault.kind, fault.where)
        for session in sessions:
            if fault.kind is Kind.UPGRADE_NOTICE:
                session.give_notice()
            else:
                session.close(CLOSED_CODE, "")

    async def _rule(self, fault: Fault) -> None:
        if fault.on == "write" and fault.kind in AT_ONCE:
            self._at_once(fault)
            return
        kind, code = RULES[fault.kind]
        where = fault.where
        if fault.kind in LOGINS and where == "public":
            where = "private"
        rule = Rule(
            kind=kind,
            where=where,
            times=fault.times,
            code=code,
            status=503 if fault.kind is Kind.HANDSHAKE_REFUSED else 502,
            delay_ms=max(round(abs(fault.size) * 1000), 1),
            # Tells two rules of the same words apart, and never begins too late.
            from_ms=len(self._kinds),
        )
        self._kinds[rule] = fault.kind
        self._world.venue.faults.add(rule)
        if fault.kind in ON_DIAL:
            # The fault begins here: what the exchange has to say of a write under way finds nobody, until the
            # refused or slow return is over.
            sessions = self._sessions(where)
            if sessions and self._world.is_writing():
                self._closed_in_write.add(rule)
            for session in sessions:
                session.close(CLOSED_CODE, "")

    async def _stop_fails(self, fault: Fault) -> None:
        """A stop that the price reaches by itself fails; or the price comes for one while a write is under way."""
        if fault.on != "write":
            await self._rule(fault)
            return
        while (algo := self._stop_in_reach()) is None:
            await self._world.write_begins()
        assert algo.sl_trigger_px is not None
        await self._rule(msgspec.structs.replace(fault, where=algo.inst_id))
        self._world.chronicle.add(
            "world", "spike", f"{algo.inst_id} {algo.sl_trigger_type} {algo.sl_trigger_px}"
        )
        self._world.venue.spike(algo.inst_id, algo.sl_trigger_px, algo.sl_trigger_type)

    def _stop_in_reach(self) -> AlgoOrder | None:
        """A stop of the bot that covers a position and that a wick can reach now, while a write is under way."""
        world = self._world
        world.venue.advance()
        if not world.is_writing():
            return None
        stops = [
            algo
            for position in world.account.open_positions()
            for algo in live_covers(world.account, position)
            if ids.parse(algo.client_id) is not None
            and algo.sl_trigger_px is not None
            and world.venue.market.can_spike(algo.inst_id)
        ]
        return world.random.choice(stops) if stops else None

    async def _clock_skew(self, fault: Fault) -> None:
        """The exchange's clock runs ahead (size above 0), or the host's own clock is set (below 0)."""
        world = self._world
        if fault.size > 0:
            rule = Rule(kind="clock_skew", times=fault.times, delay_ms=round(fault.size * 1000))
            self._kinds[rule] = Kind.CLOCK_SKEW
            world.venue.faults.add(rule)
            return
        world.struck(Kind.CLOCK_SKEW, f"of the host {fault.size:g} s")
        world.skew_ms = round(fault.size * 1000)
        await trio.sleep(fault.for_s)
        world.skew_ms = 0

    async def _maintenance(self, fault: Fault) -> None:
        plan = self._world.venue.faults
        now_ms = self._world.venue.wall_ms()
        window = Maintenance(begin_ms=now_ms, end_ms=now_ms + round(fault.for_s * 1000))
        plan.faults = msgspec.structs.replace(plan.faults, maintenance=(*plan.faults.maintenance, window))
        self._world.struck(Kind.MAINTENANCE)

    async def _rule_change(self, fault: Fault) -> None:
        world = self._world
        inst_id = world.random.choice(world.scenario.market.instruments)
        what = fault.where or world.random.choice(("tick", "lot", "suspend"))
        before = self._before[inst_id]
        change = InstrumentChange(
            at_ms=world.venue.wall_ms(),
            inst_id=inst_id,
            tick_sz=str(before.tick_sz * STEPS_FACTOR) if what == "tick" else None,
            lot_sz=str(before.lot_sz * STEPS_FACTOR) if what == "lot" else None,
            min_sz=str(before.min_sz * STEPS_FACTOR) if what == "lot" else None,
            state="suspend" if what == "suspend" else None,
        )
        world.struck(Kind.RULE_CHANGE, f"{inst_id} {what}")
        world.venue.advance()
        world.venue.change_instrument(change)
        await trio.sleep(fault.for_s)
        self._restore(inst_id)

    def _restore(self, inst_id: str) -> None:
        world, before = self._world, self._before[inst_id]
        now = next(one for one in world.venue.instruments() if one.inst_id == inst_id)
        if now == before:
            return
        world.venue.advance()
        world.venue.change_instrument(
            InstrumentChange(
                at_ms=world.venue.wall_ms(),
                inst_id=inst_id,
                state="live",
                tick_sz=str(before.tick_sz),
                lot_sz=str(before.lot_sz),
                min_sz=str(before.min_sz),
            )
        )

    # What the network does wrong.

    async def _weather(self, fault: Fault) -> None:
        self._weathers.append(fault)
        self._blow()
        self._world.struck(fault.kind, f"{fault.size:g}")
        await trio.sleep(fault.for_s)
        self._weathers.remove(fault)
        self._blow()

    def _blow(self) -> None:
        base = self._world.base_weather
        sizes = {
            kind: max((one.size for one in self._weathers if one.kind is kind), default=None)
            for kind in WEATHERS
        }
        latency_s, jitter_s = sizes[Kind.LATENCY], sizes[Kind.JITTER]
        weather = Weather(
            latency_s=base.latency_s if latency_s is None else abs(latency_s),
            jitter_s=base.jitter_s if jitter_s is None else abs(jitter_s),
            short_write_share=base.short_write_share if sizes[Kind.SHORT_WRITES] is None else ROUGH_SHARE,
            fragment_share=base.fragment_share if sizes[Kind.FRAGMENTATION] is None else ROUGH_SHARE,
        )
        self._world.network.add_host(HOST, weather)

    def _chosen(self, fault: Fault) -> list[Connection]:
        """The connections that the fault means: all, or one; the one of the write that it waited for."""
        every = list(self._world.network.connections())
        if fault.where == "all" or not every:
            return every
        if fault.on == "write":
            own = [one for one in every if one.number == self._world.last_write_connection]
            if own:
                return own
        return [self._world.random.choice(every)]

    async def _reset(self, fault: Fault) -> None:
        chosen = self._chosen(fault)
        if chosen:
            self._world.struck(Kind.RESET, f"{len(chosen)} connections")
        for connection in chosen:
            connection.reset()

    async def _half_open(self, fault: Fault) -> None:
        chosen = self._chosen(fault)
        if chosen:
            self._world.struck(Kind.HALF_OPEN, f"{len(chosen)} connections")
        for connection in chosen:
            connection.half_open()

    async def _refused(self, fault: Fault) -> None:
        self._world.struck(Kind.REFUSED)
        for connection in self._world.network.connections():
            connection.reset()
        await self._host_fault(HostFault.REFUSES, fault.for_s)

    async def _black_hole(self, fault: Fault) -> None:
        self._world.struck(Kind.BLACK_HOLE)
        for connection in self._world.network.connections():
            connection.half_open()
        await self._host_fault(HostFault.BLACK_HOLE, fault.for_s)

    async def _host_fault(self, what: HostFault, for_s: float) -> None:
        self._broken.append(what)
        self._world.network.break_host(HOST, what)
        await trio.sleep(for_s)
        self._broken.remove(what)
        if self._broken:
            self._world.network.break_host(HOST, self._broken[-1])
        else:
            self._world.network.mend_host(HOST)

    # What happens to the bot's machine.

    async def _killed(self, fault: Fault) -> None:
        life = self._world.life
        if life is None or not life.is_alive:
            return
        self._world.struck(Kind.KILLED)
        self._world.restart_after_s = fault.for_s
        life.kill()

    async def _torn_write(self, fault: Fault) -> None:
        world = self._world

        def torn() -> None:
            world.struck(Kind.TORN_WRITE)
            world.restart_after_s = fault.for_s

        world.disk.tear_next(world.random, torn)

    async def _disk_full(self, fault: Fault) -> None:
        world = self._world
        world.disk.is_full = True
        world.disk.on_refusal = lambda: world.struck(Kind.DISK_FULL)
        await trio.sleep(fault.for_s)
        world.disk.is_full = False

    async def _two_instances(self, fault: Fault) -> None:
        world = self._world
        if world.twin is not None and world.twin.is_alive:
            return
        self._twins += 1
        disk = Disk(world.folder / f"twin-{self._twins}", "sim", KEY.key)
        twin = world.twin = world.new_life(f"twin {self._twins}", disk, Errand(is_elsewhere=True))
        world.struck(Kind.TWO_INSTANCES)
        world.observer.twin_came()
        try:
            with trio.move_on_after(fault.for_s):
                await twin.run()
        finally:
            twin.kill()
            world.observer.twin_left()
        if twin.defect:
            world.observer.violate("S0", twin.last_words)

    # What people do.

    async def _pause(self, fault: Fault) -> None:
        await self._permit(fault, permission.PauseRequested("the simulation"), permission.ResumeRequested())

    async def _halt(self, fault: Fault) -> None:
        await self._permit(fault, permission.HaltRequested("the simulation"), permission.HaltCleared())

    async def _permit(self, fault: Fault, first: Event, then: Event) -> None:
        life = self._world.life
        if life is None or not life.is_alive:
            return
        self._world.struck(fault.kind)
        life.tell_permission(first)
        await trio.sleep(fault.for_s)
        if self._world.life is not None:
            self._world.life.tell_permission(then)

    async def _resume(self, fault: Fault) -> None:
        life = self._world.life
        if life is not None and life.is_alive:
            self._world.struck(Kind.RESUME)
            life.tell_permission(permission.ResumeRequested())

    async def _stop(self, fault: Fault) -> None:
        life = self._world.life
        if life is None or not life.is_alive:
            return
        self._world.struck(Kind.STOP)
        self._world.restart_after_s = fault.for_s
        life.request_stop("the operator")

    async def _flatten(self, fault: Fault) -> None:
        """Stopped; started with --flatten and stopped, which closes everything; started with --clear-halt."""
        world = self._world
        life = world.life
        if life is None or not life.is_alive:
            return
        world.struck(Kind.FLATTEN)
        world.errand = Errand(flatten=True)
        life.request_stop("the operator flattens")
        await life.ended.wait()
        await trio.sleep(world.restart_after_s + fault.for_s)
        world.errand = Errand(clear_halt=True)
        if world.life is not None:
            world.life.request_stop("the operator flattens")
