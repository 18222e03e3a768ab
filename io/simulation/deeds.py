"""What a person does on the account that the bot trades: by hand, in the exchange's own interface."""

from __future__ import annotations

from decimal import Decimal

import trio

from anchorwatch.io.simulation.faults import Fault, Kind
from anchorwatch.io.simulation.world import World
from anchorwatch.io.venue.orders import AlgoOrder
from anchorwatch.io.venue.parameters import plain
from anchorwatch.io.venue.positions import Position

# A person who wants to close something looks now and then whether it is open.
LOOK_EVERY_S = 1.0
PATIENCE_S = 120.0
TIGHTER = Decimal("0.2")
"""A stop that a person tightens goes this part of its way towards mark."""


class Deeds:
    def __init__(self, world: World) -> None:
        self._world = world

    async def human(self, fault: Fault) -> None:
        """Do what `where` says, as soon as it can be done."""
        world = self._world
        deed = {
            "open": self._open,
            "close": self._close,
            "part": self._part,
            "add": self._add,
            "cancel_stop": self._cancel_stop,
            "tighten_stop": self._tighten_stop,
        }[fault.where or "open"]
        with trio.move_on_after(PATIENCE_S):
            while True:
                world.venue.advance()
                world.observer.hand("human")
                try:
                    words = deed()
                finally:
                    world.observer.hand("")
                if words:
                    world.struck(Kind.HUMAN, f"{fault.where} {words}")
                    return
                await trio.sleep(LOOK_EVERY_S)

    def _open(self) -> str:
        world = self._world
        inst_id = world.random.choice(world.scenario.market.instruments)
        side = world.random.choice(("buy", "sell"))
        size = world.venue.instrument(inst_id).min_sz * world.random.choice((1, 3, 10))
        return self._order(inst_id, side, "long" if side == "buy" else "short", size)

    def _close(self) -> str:
        held = self._some_position()
        return self._less(held, abs(held.contracts)) if held is not None else ""

    def _part(self) -> str:
        held = self._some_position()
        if held is None:
            return ""
        lot = self._world.venue.instrument(held.inst_id).lot_sz
        half = abs(held.contracts) / 2 // lot * lot
        return self._less(held, half) if half else ""

    def _add(self) -> str:
        held = self._some_position()
        if held is None:
            return ""
        size = self._world.venue.instrument(held.inst_id).min_sz * 3
        return self._order(held.inst_id, "buy" if held.direction > 0 else "sell", held.pos_side, size)

    def _cancel_stop(self) -> str:
        algo = self._some_stop()
        if algo is None:
            return ""
        self._world.venue.algos_room.cancel(self._world.account, algo)
        return algo.inst_id

    def _tighten_stop(self) -> str:
        algo = self._some_stop()
        if algo is None or algo.sl_trigger_px is None:
            return ""
        venue = self._world.venue
        mark, tick = venue.market.mark(algo.inst_id), venue.instrument(algo.inst_id).tick_sz
        px = (algo.sl_trigger_px + (mark - algo.sl_trigger_px) * TIGHTER) // tick * tick
        answer = venue.trading.amend_algo(
            self._world.account, {"instId": algo.inst_id, "algoId": algo.algo_id, "newSlTriggerPx": plain(px)}
        )
        return algo.inst_id if answer["sCode"] == "0" else ""

    def _less(self, held: Position, size: Decimal) -> str:
        side = "sell" if held.direction > 0 else "buy"
        return self._order(held.inst_id, side, held.pos_side, size, reduce_only=True)

    def _order(
        self, inst_id: str, side: str, pos_side: str, size: Decimal, *, reduce_only: bool = False
    ) -> str:
        is_hedged = self._world.account.is_hedged
        request: dict[str, object] = {
            "instId": inst_id,
            "tdMode": self._world.settings.account.margin_mode.value,
            "side": side,
            "ordType": "market",
            "sz": plain(size),
        }
        if is_hedged:
            request["posSide"] = pos_side
        elif reduce_only:
            request["reduceOnly"] = True
        answer = self._world.venue.place_as("main", request)
        return f"{inst_id} {side} {plain(size)}" if answer["sCode"] == "0" else ""

    def _some_position(self) -> Position | None:
        held = list(self._world.account.open_positions())
        return self._world.random.choice(held) if held else None

    def _some_stop(self) -> AlgoOrder | None:
        stops = [algo for algo in self._world.account.algos.values() if algo.sl_trigger_px is not None]
        return self._world.random.choice(stops) if stops else None
