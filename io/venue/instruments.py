"""The swaps that the venue lists, and how a market file's name says which one it holds."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import msgspec


class Tier(msgspec.Struct, frozen=True):
    """One row of a position-tier table. Sizes in contracts; the tier holds `min_sz` < size <= `max_sz`.

    `mmr` and `imr` are plain ratios of notional (0.004 = 0.4 %).
    """

    tier: int
    min_sz: Decimal
    max_sz: Decimal
    mmr: Decimal
    imr: Decimal
    max_lever: Decimal


class Instrument(msgspec.Struct, frozen=True, cache_hash=True):
    """One linear, USDT-settled perpetual swap, with the fields that OKX v5 publishes for it.

    Prices are USDT per coin in steps of `tick_sz`; sizes are contracts in steps of `lot_sz`;
    one contract is `ct_val * ct_mult` coins. `maker_fee` and `taker_fee` are positive rates that the
    trader pays (OKX reports them negative).
    """

    inst_id: str
    inst_id_code: int
    inst_family: str
    base: str
    settle: str
    ct_val: Decimal
    ct_mult: Decimal
    tick_sz: Decimal
    lot_sz: Decimal
    min_sz: Decimal
    max_lmt_sz: Decimal
    max_mkt_sz: Decimal
    max_stop_sz: Decimal
    max_trigger_sz: Decimal
    max_lmt_amt: Decimal
    lever: Decimal
    state: str
    list_time_ms: int
    maker_fee: Decimal
    taker_fee: Decimal
    tiers: tuple[Tier, ...]

    @property
    def coin_per_contract(self) -> Decimal:
        """Coins in one contract."""
        return self.ct_val * self.ct_mult

    def px(self, ticks: int) -> Decimal:
        """The price of so many ticks."""
        return ticks * self.tick_sz

    def contracts(self, lots: int) -> Decimal:
        """The size of so many lots, in contracts."""
        return lots * self.lot_sz


# OKX regular users (VIP 0): maker 0.02 %, taker 0.05 %.
MAKER_FEE = Decimal("0.0002")
TAKER_FEE = Decimal("0.0005")

# (upper bound as a multiple of the first tier, maintenance ratio, maximum leverage as a share of the instrument's).
# The shape follows the venue's published tables: each tier wider, dearer and less levered than the one before.
_TIER_STEPS = (
    (1, "0.004", "1"),
    (2, "0.005", "0.75"),
    (4, "0.0065", "0.5"),
    (8, "0.01", "0.4"),
    (16, "0.015", "0.3"),
    (32, "0.025", "0.2"),
    (64, "0.05", "0.1"),
    (128, "0.1", "0.05"),
)


def _tiers(first_max_sz: str, lever: str, mmr_factor: str) -> tuple[Tier, ...]:
    rows: list[Tier] = []
    below = Decimal(0)
    for number, (multiple, mmr, share) in enumerate(_TIER_STEPS, start=1):
        top = Decimal(first_max_sz) * multiple
        max_lever = max(Decimal(int(Decimal(lever) * Decimal(share))), Decimal(1))
        imr = (Decimal(1) / max_lever).quantize(Decimal("0.0001"))
        rows.append(Tier(number, below, top, Decimal(mmr) * Decimal(mmr_factor), imr, max_lever))
        below = top
    return tuple(rows)


def _swap(
    base: str,
    code: int,
    ct_val: str,
    tick_sz: str,
    lot_sz: str,
    max_mkt_sz: str,
    lever: str,
    list_time_ms: int,
    first_tier_sz: str,
    mmr_factor: str = "1",
) -> Instrument:
    return Instrument(
        inst_id=f"{base}-USDT-SWAP",
        inst_id_code=code,
        inst_family=f"{base}-USDT",
        base=base,
        settle="USDT",
        ct_val=Decimal(ct_val),
        ct_mult=Decimal(1),
        tick_sz=Decimal(tick_sz),
        lot_sz=Decimal(lot_sz),
        min_sz=Decimal(lot_sz),  # every listed swap has minSz = lotSz
        max_lmt_sz=Decimal("100000000"),
        max_mkt_sz=Decimal(max_mkt_sz),
        max_stop_sz=Decimal(max_mkt_sz),
        max_trigger_sz=Decimal("100000000"),
        max_lmt_amt=Decimal("20000000"),
        lever=Decimal(lever),
        state="live",
        list_time_ms=list_time_ms,
        maker_fee=MAKER_FEE,
        taker_fee=TAKER_FEE,
        tiers=_tiers(first_tier_sz, lever, mmr_factor),
    )


# Contract values, ticks, lots and maxima as OKX v5 lists them (GET /public/instruments); codes are the venue's own
# and differ between its environments, so a client must read them.
# fmt: off
INSTRUMENTS: tuple[Instrument, ...] = (
    #      base    code   ctVal   tick      lot     maxMkt     lever  listed         tier 1
    _swap("BTC",  10459, "0.01", "0.1",     "0.01", "12000",   "100", 1573557408000, "1000"),
    _swap("ETH",  10461, "0.1",  "0.01",    "0.01", "20000",   "100", 1573557408000, "1500"),
    _swap("SOL",  10463, "1",    "0.01",    "0.01", "150000",  "50",  1648896491877, "3000",  "1.5"),
    _swap("XRP",  10465, "100",  "0.0001",  "0.01", "15000",   "50",  1628652662528, "2000",  "1.5"),
    _swap("DOGE", 10467, "1000", "0.00001", "0.01", "12000",   "50",  1628664891195, "2500",  "1.5"),
    _swap("BNB",  10469, "0.01", "0.1",     "1",    "100000",  "50",  1679310713593, "30000", "2"),
    _swap("SUI",  10471, "1",    "0.0001",  "1",    "200000",  "50",  1683203486358, "60000", "2"),
    _swap("ADA",  10473, "100",  "0.0001",  "0.1",  "100000",  "50",  1605101194984, "3000",  "2"),
    _swap("LTC",  10475, "1",    "0.01",    "0.1",  "10000",   "50",  1605101151095, "1500",  "2"),
    _swap("LINK", 10477, "1",    "0.001",   "0.1",  "55000",   "50",  1628506816709, "8000",  "2"),
    _swap("AVAX", 10479, "1",    "0.001",   "0.1",  "150000",  "50",  1653621961542, "6000",  "2"),
    _swap("DOT",  10481, "1",    "0.001",   "0.1",  "700000",  "50",  1628686084854, "20000", "2"),
)
# fmt: on

_BY_INST_ID = {instrument.inst_id: instrument for instrument in INSTRUMENTS}

_PAIR_IN_NAME = re.compile(r"(?:^|[_.\-])([A-Z0-9]{2,10}?)[-_]?USDT(?=[_.\-]|$)")
_PERP_IN_NAME = re.compile(r"(?:^|[_.\-])PERP[_\-]([A-Z0-9]{2,10})(?=[_.\-]|$)")


def instrument_for(name: str) -> Instrument | None:
    """The listed swap with this instrument id ("BTC-USDT-SWAP"), or None."""
    return _BY_INST_ID.get(name)


def inst_id_from_file_name(path: Path) -> str | None:
    """The instrument id that a market file's name tells, or None when it tells none.

    Recognised, in either case of letters: BTCUSDT, BTC-USDT, BTC_USDT, BTC-USDT-SWAP and perp_BTC, each as a whole
    word between underscores, dots, dashes or the ends. The id need not be listed: ask `instrument_for`.
    """
    name = path.name.upper()
    found = _PAIR_IN_NAME.search(name) or _PERP_IN_NAME.search(name)
    return f"{found[1]}-USDT-SWAP" if found else None
