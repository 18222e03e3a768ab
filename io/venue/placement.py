"""Placing a normal order: what is asked, whether the rules allow it, and the order that comes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_EVEN, Decimal

from anchorwatch.io.venue.accounts import Account
from anchorwatch.io.venue.ids import Ids
from anchorwatch.io.venue.instruments import Instrument
from anchorwatch.io.venue.margin import Margin
from anchorwatch.io.venue.market import Market
from anchorwatch.io.venue.orders import ZERO, AttachedStop, Order
from anchorwatch.io.venue.parameters import Parameters
from anchorwatch.io.venue.refusals import Refusal
from anchorwatch.io.venue.switches import Switches

KINDS = ("limit", "market", "post_only", "fok", "ioc", "optimal_limit_ioc")
PRICED = ("limit", "post_only", "fok", "ioc")
STP_MODES = ("cancel_maker", "cancel_taker", "cancel_both")
TRIGGER_TYPES = ("last", "mark", "index")
# OKX: pending orders per account and per instrument.
PENDING_MAX = 4000
PENDING_PER_INSTRUMENT_MAX = 500
# OKX: take-profits attached to one order.
SPLIT_MAX = 10
AT_MARKET = Decimal(-1)


class Placement:
    """Turns the parameters of a request into an order, or refuses. It changes nothing."""

    def __init__(
        self,
        market: Market,
        instrument: Callable[[str], Instrument],
        margin: Margin,
        ids: Ids,
        switches: Switches,
        now_ms: Callable[[], int],
    ) -> None:
        self._market = market
        self._instrument = instrument
        self._margin = margin
        self._ids = ids
        self._switches = switches
        self._now_ms = now_ms

    def order(self, account: Account, raw: Mapping[str, object], *, by_venue: bool = False) -> Order:
        """The order asked for; `by_venue` skips the rules that bind clients only (unique ids, counts)."""
        asked = Parameters(raw)
        instrument = self._instrument(asked.required("instId"))
        margin_mode = self.margin_mode(asked)
        side = asked.one_of("side", ("buy", "sell"))
        pos_side = position_side(account, asked)
        kind = asked.one_of("ordType", KINDS)
        self._check_state(instrument, kind)
        contracts = asked.decimal("sz")
        if contracts is None or contracts <= 0:
            raise Refusal("51000", "sz")
        px = self._price(asked, instrument, kind, side)
        check_size(instrument, contracts, is_market=kind == "market")
        client_id = asked.client_id("clOrdId")
        if not by_venue:
            self._check_room(account, instrument, client_id)
        stp_mode = asked.one_of("stpMode", STP_MODES, "cancel_maker")
        if kind == "fok" and stp_mode == "cancel_both":
            raise Refusal("54036")
        closes = account.is_hedged and (side == "buy") != (pos_side == "long")
        reduce_only = asked.claim("reduceOnly") and not account.is_hedged
        if closes or reduce_only:
            contracts = self._reducing(account, instrument, margin_mode, side, pos_side, contracts, kind, px)
        attached = [
            self.attached(one, instrument, side, px or self._market.last(instrument.inst_id), account)
            for one in asked.items("attachAlgoOrds")
        ]
        if attached and (closes or reduce_only):
            raise Refusal("51100")
        check_split(attached, contracts)
        lever = self.lever_in_force(account, instrument.inst_id, margin_mode, pos_side)
        opening = (
            ZERO
            if closes or reduce_only
            else self._opening(account, instrument, margin_mode, pos_side, side, contracts)
        )
        if opening:
            self._check_margin(account, instrument, margin_mode, pos_side, opening, lever, px, side)
        now_ms = self._now_ms()
        return Order(
            order_id=self._ids.next(),
            client_id=client_id,
            tag=asked.tag(),
            account=account.name,
            inst_id=instrument.inst_id,
            margin_mode=margin_mode,
            side=side,
            pos_side=pos_side,
            kind=kind,
            px=px,
            contracts=contracts,
            is_reduce_only=reduce_only or closes,
            stp_mode=stp_mode,
            lever=lever,
            created_ms=now_ms,
            updated_ms=now_ms,
            attached=attached,
            opening=opening,
        )

    def margin_mode(self, asked: Parameters) -> str:
        mode = asked.one_of("tdMode", ("cross", "isolated"))
        if mode == "isolated" and not self._switches.isolated_offered:
            raise Refusal("51010")
        return mode

    def lever_in_force(self, account: Account, inst_id: str, margin_mode: str, pos_side: str) -> Decimal:
        """An open position keeps its leverage; otherwise what the account has set, at most the instrument's."""
        held = account.position(inst_id, margin_mode, pos_side)
        if held is not None:
            return held.lever
        return min(account.lever(inst_id, margin_mode, pos_side), self._instrument(inst_id).lever)

    def amended_price(self, order: Order, px: Decimal) -> Decimal:
        """The new price of an amendment, after the rules that a new order's price obeys."""
        instrument = self._instrument(order.inst_id)
        return self._within_limits(instrument, order.side, self.on_tick(instrument, px, "newPx"), clamp=False)

    def on_tick(self, instrument: Instrument, px: Decimal, name: str) -> Decimal:
        if px <= 0:
            raise Refusal("51000", name)
        if px % instrument.tick_sz == 0:
            return px
        if self._switches.off_tick_price == "reject":
            raise Refusal("51000", name)
        return (px / instrument.tick_sz).to_integral_value(ROUND_HALF_EVEN) * instrument.tick_sz

    def _check_state(self, instrument: Instrument, kind: str) -> None:
        if instrument.state == "live" or (instrument.state == "post_only" and kind == "post_only"):
            return
        raise Refusal("54012" if instrument.state == "post_only" else "51022")

    def _price(self, asked: Parameters, instrument: Instrument, kind: str, side: str) -> Decimal | None:
        if kind not in PRICED:
            return None
        px = asked.decimal("px")
        if px is None:
            raise Refusal("51000", "px")
        clamp = asked.one_of("pxAmendType", ("0", "1"), "0") == "1"
        return self._within_limits(instrument, side, self.on_tick(instrument, px, "px"), clamp=clamp)

    def _within_limits(self, instrument: Instrument, side: str, px: Decimal, *, clamp: bool) -> Decimal:
        highest_buy, lowest_sell = self._market.price_limit(instrument.inst_id)
        allowed = min(px, highest_buy) if side == "buy" else max(px, lowest_sell)
        if allowed != px and not clamp:
            raise Refusal("51006")
        return allowed

    def _check_room(self, account: Account, instrument: Instrument, client_id: str) -> None:
        if client_id and account.pending_with(client_id) is not None:
            raise Refusal(self._switches.duplicate_client_id_code)
        if len(account.pending) >= PENDING_MAX:
            raise Refusal("51025")
        if len(account.orders_of(instrument.inst_id)) >= PENDING_PER_INSTRUMENT_MAX:
            raise Refusal("51025")

    def _reducing(
        self,
        account: Account,
        instrument: Instrument,
        margin_mode: str,
        side: str,
        pos_side: str,
        contracts: Decimal,
        kind: str,
        px: Decimal | None,
    ) -> Decimal:
        """The size that a reducing order may have: refuses, or trims where the switch says so."""
        held = account.position(instrument.inst_id, margin_mode, pos_side)
        if held is None:
            raise Refusal("51169")
        if held.closable_by(side) == 0:
            raise Refusal("51170" if pos_side == "net" else "51169")
        ahead = ZERO
        for order in account.orders_of(instrument.inst_id):
            same = (order.margin_mode, order.pos_side, order.side) == (margin_mode, pos_side, side)
            if order.is_reduce_only and same and (account.is_hedged or _is_before(order, side, px)):
                ahead += order.remaining
        free = abs(held.contracts) - ahead
        if contracts <= free:
            return contracts
        if self._switches.oversized_reduce_only == "trim" and free > 0:
            return free
        raise Refusal("51112" if account.is_hedged else "51169")

    def _opening(
        self,
        account: Account,
        instrument: Instrument,
        margin_mode: str,
        pos_side: str,
        side: str,
        contracts: Decimal,
    ) -> Decimal:
        held = account.position(instrument.inst_id, margin_mode, pos_side)
        return contracts if held is None else max(contracts - held.closable_by(side), ZERO)

    def _check_margin(
        self,
        account: Account,
        instrument: Instrument,
        margin_mode: str,
        pos_side: str,
        opening: Decimal,
        lever: Decimal,
        px: Decimal | None,
        side: str,
    ) -> None:
        held = account.position(instrument.inst_id, margin_mode, pos_side)
        size = opening + (abs(held.contracts) if held is not None and held.closable_by(side) == 0 else ZERO)
        tier = self._margin.tier(instrument.inst_id, size)
        if size > instrument.tiers[-1].max_sz or lever > tier.max_lever:
            raise Refusal("51004", sub_code="1101")
        if px is None:
            touch = self._market.best_ask if side == "buy" else self._market.best_bid
            px = touch(instrument.inst_id)
        if opening > self._margin.affordable(account, instrument.inst_id, lever, px):
            raise Refusal("51008", sub_code="1001")

    def attached(
        self, asked: Parameters, instrument: Instrument, side: str, entry_px: Decimal, account: Account
    ) -> AttachedStop:
        """A take-profit and/or stop-loss that an entry carries, on the right sides of the entry's price."""
        client_id = asked.client_id("attachAlgoClOrdId")
        if client_id and any(algo.client_id == client_id for algo in account.algos.values()):
            raise Refusal("51068")
        tp, tp_order = asked.decimal("tpTriggerPx"), asked.decimal("tpOrdPx")
        sl, sl_order = asked.decimal("slTriggerPx"), asked.decimal("slOrdPx")
        ratio, spread, active_px = callback(asked)
        if (tp is None and sl is None) == (ratio is None and spread is None):
            # Either fixed levels or a trailing stop.
            raise Refusal("51000", "attachAlgoOrds")
        if (tp is not None and tp_order is None) or (sl is not None and sl_order is None):
            raise Refusal("51000", "tpOrdPx" if tp is not None and tp_order is None else "slOrdPx")
        long = side == "buy"
        if tp is not None and (tp <= entry_px if long else tp >= entry_px):
            raise Refusal("51046" if long else "51048")
        if sl is not None and (sl >= entry_px if long else sl <= entry_px):
            raise Refusal("51047" if long else "51049")
        return AttachedStop(
            attach_id=self._ids.next(),
            client_id=client_id,
            tp_trigger_px=None if tp is None else self.on_tick(instrument, tp, "tpTriggerPx"),
            tp_trigger_type=asked.one_of("tpTriggerPxType", TRIGGER_TYPES, "last") if tp is not None else "",
            tp_order_px=tp_order,
            sl_trigger_px=None if sl is None else self.on_tick(instrument, sl, "slTriggerPx"),
            sl_trigger_type=asked.one_of("slTriggerPxType", TRIGGER_TYPES, "last") if sl is not None else "",
            sl_order_px=sl_order,
            callback_ratio=ratio,
            callback_spread=spread,
            active_px=None if active_px is None else self.on_tick(instrument, active_px, "activePx"),
            contracts=asked.decimal("sz"),
        )


def callback(asked: Parameters) -> tuple[Decimal | None, Decimal | None, Decimal | None]:
    """What a trailing stop is told: callbackRatio or callbackSpread, and perhaps activePx. None where absent."""
    ratio, spread = asked.decimal("callbackRatio"), asked.decimal("callbackSpread")
    if (ratio is not None and spread is not None) or (ratio is not None and not 0 < ratio <= 1):
        raise Refusal("51000", "callbackRatio")
    if spread is not None and spread <= 0:
        raise Refusal("51000", "callbackSpread")
    return ratio, spread, asked.decimal("activePx")


def check_split(attached: list[AttachedStop], contracts: Decimal) -> None:
    """Several take-profits of one entry: at most ten, of one trigger type, at different prices, together its size."""
    takes = [one for one in attached if one.tp_trigger_px is not None]
    if sum(1 for one in attached if one.sl_trigger_px is not None) > 1:
        raise Refusal("51084")
    if len(takes) < 2:
        return
    if len(takes) > SPLIT_MAX:
        raise Refusal("51079")
    if len({one.tp_trigger_type for one in takes}) > 1:
        raise Refusal("51080")
    if len({one.tp_trigger_px for one in takes}) < len(takes):
        raise Refusal("51081")
    if sum((one.contracts or ZERO for one in takes), ZERO) != contracts:
        raise Refusal("51083")


def position_side(account: Account, asked: Parameters) -> str:
    """``posSide``: in net mode absent or ``net``; in hedge mode ``long`` or ``short``, without a default."""
    if account.is_hedged:
        return asked.one_of("posSide", ("long", "short"))
    return asked.one_of("posSide", ("net",), "net")


def check_size(instrument: Instrument, contracts: Decimal, *, is_market: bool) -> None:
    """Minimum, lot and maximum of one order."""
    if contracts < instrument.min_sz:
        raise Refusal("51020")
    if contracts % instrument.lot_sz != 0:
        raise Refusal("51121")
    if contracts > (instrument.max_mkt_sz if is_market else instrument.max_lmt_sz):
        raise Refusal("51202" if is_market else "51005")


def _is_before(order: Order, side: str, px: Decimal | None) -> bool:
    """Whether a resting order has better price-time priority than a new one at `px` (None is at market)."""
    if px is None or order.px is None:
        return px is not None
    return order.px <= px if side == "sell" else order.px >= px
