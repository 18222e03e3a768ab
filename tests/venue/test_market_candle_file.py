"""Reading market files: exact numbers, and one clear sentence for everything that is no market."""

import gzip
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from anchorwatch.io.venue import candle_file
from anchorwatch.io.venue.candle_file import BadMarketFile, CandleSeries, Gap, read_candles
from anchorwatch.io.venue.feeds import MINUTE_MS
from anchorwatch.io.venue.instruments import inst_id_from_file_name, instrument_for
from tests.venue.market_data import candle_files, swap

T0 = 1_746_372_780_000

BTC = swap("BTC")


def row(minute: int, *cells: object) -> str:
    return ",".join(str(cell) for cell in (T0 + minute * MINUTE_MS, *cells))


GOOD = (
    row(0, "95505.4", "95505.5", "95502.7", "95502.7", "16.536"),
    row(1, "95502.8", "95502.8", 95478, "95478.1", 28.313),
)


def written(path: Path, *rows: str, header: str = candle_file.HEADER) -> Path:
    path.write_text("\n".join((header, *rows)) + "\n")
    return path


def test_prices_become_whole_ticks_and_coins_become_contracts(tmp_path: Path) -> None:
    series = read_candles(written(tmp_path / "BTCUSDT.csv", *GOOD), BTC)
    assert series.ts_ms.tolist() == [T0, T0 + MINUTE_MS]
    assert series.open.tolist() == [955054, 955028]
    assert series.high.tolist() == [955055, 955028]
    assert series.low.tolist() == [955027, 954780]
    assert series.close.tolist() == [955027, 954781]
    assert series.open.dtype == np.int64
    assert series.volume.tolist() == pytest.approx([1653.6, 2831.3])
    assert series.gaps == ()


def test_a_price_between_two_ticks_goes_to_the_nearer_and_a_tie_to_the_even_one(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", row(0, "100.15", "100.25", "100.04999999", "100.14999999", 1))
    series = read_candles(path, BTC)
    assert [column.item() for column in (series.open, series.high, series.low, series.close)] == [
        1002,
        1002,
        1000,
        1001,
    ]


def test_the_same_text_zipped_gives_the_same_market(tmp_path: Path) -> None:
    plain = written(tmp_path / "BTCUSDT.csv", *GOOD)
    packed = tmp_path / "BTCUSDT.csv.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes().replace(b"\n", b"\r\n")))
    assert read_candles(packed, BTC).close.tolist() == read_candles(plain, BTC).close.tolist()


@pytest.mark.parametrize(
    ("name", "unit", "contracts"),
    [
        ("okx_swap_BTC-USDT-SWAP.csv", None, 100.0),
        ("binance_BTCUSDT.csv", None, 10_000.0),
        ("perp_BTC.csv", None, 0.2),
        ("binance_BTCUSDT.csv", "contracts", 100.0),
    ],
)
def test_the_name_says_what_the_volume_counts_unless_told(
    tmp_path: Path, name: str, unit: candle_file.VolumeUnit | None, contracts: float
) -> None:
    path = written(tmp_path / name, row(0, 50_000, 50_000, 50_000, 50_000, 100))
    assert read_candles(path, BTC, unit).volume.tolist() == pytest.approx([contracts])


def test_missing_minutes_are_reported_and_served_as_quiet_ones(tmp_path: Path) -> None:
    path = written(
        tmp_path / "a.csv", row(0, 10, 12, 9, 11, 1), row(3, 13, 14, 12, 13, 2), row(4, 13, 13, 13, 13, 0)
    )
    series = read_candles(path, BTC)
    assert series.gaps == (Gap(T0 + MINUTE_MS, 2),)
    minutes = series.minutes(series.first_ms, 5)
    assert minutes.open.tolist() == [100, 110, 110, 130, 130]
    assert minutes.high.tolist() == [120, 110, 110, 140, 130]
    assert minutes.low.tolist() == [90, 110, 110, 120, 130]
    assert minutes.close.tolist() == [110, 110, 110, 130, 130]
    assert minutes.lots.tolist() == [10_000, 0, 0, 20_000, 0]
    with pytest.raises(ValueError, match="outside the series"):
        series.minutes(series.first_ms, 6)


BAD_ROWS = {
    "five columns": (row(2, 1, 1, 1, 1), "line 4: 5 columns; allowed: 6"),
    "a blank line": ("", "line 4: 0 columns; allowed: 6"),
    "a word": (row(2, 1, "much", 1, 1, 1), "line 4: high is 'much'; allowed: a number"),
    "an empty cell": (row(2, 1, 1, 1, 1, ""), "line 4: volume is ''; allowed: a number"),
    "not a number": (row(2, 1, "nan", 1, 1, 1), "line 4: high is 'nan'; allowed: a finite number"),
    "infinity": (row(2, 1, "inf", 1, 1, 1), "line 4: high is 'inf'; allowed: a finite number"),
    "a price of zero": (row(2, 1, 1, 0, 1, 1), "line 4: low is 0; allowed: a price above 0"),
    "a negative price": (row(2, -1, 1, -1, 1, 1), "line 4: open is -1; allowed: a price above 0"),
    "a price beyond bounds": (row(2, 1, 1e8, 1, 1, 1), "line 4: high is 100000000.0; allowed: a price"),
    "a negative volume": (row(2, 1, 1, 1, 1, -0.5), "line 4: volume is -0.5; allowed: 0 to"),
    "a high below the close": (row(2, 1, 2, 1, 3, 1), "line 4: high 2 is below open 1 or close 3"),
    "a low above the open": (row(2, 1, 5, 2, 3, 1), "line 4: low 2 is above open 1 or close 3"),
    "half a minute": (f"{T0 + 150_000},1,1,1,1,1", "line 4: ts 1746372930000 is not on a whole minute"),
    "seconds": (f"{T0 // 1000},1,1,1,1,1", "line 4: ts is 1746372780; allowed: UTC milliseconds"),
    "an earlier minute": (row(-5, 1, 1, 1, 1, 1), "line 4: ts 1746372480000 is out of order"),
    "the same minute": (row(1, 1, 1, 1, 1, 1), "line 4: ts 1746372840000 is there twice"),
    "another century": (
        row(6_000_000, 1, 1, 1, 1, 1),
        "line 4: ts 2106372780000 is more than 5000000 minutes",
    ),
    "less than a tick": (row(2, 1, 1, "0.04", 1, 1), "line 4: the low is below BTC-USDT-SWAP's tick 0.1"),
    "an absurd volume": (row(2, 1e5, 1e5, 1e5, 1e5, 1e9), "line 4: a volume of 1000000000 (coin) is beyond"),
}


@pytest.mark.parametrize(("line", "said"), BAD_ROWS.values(), ids=BAD_ROWS.keys())
def test_a_bad_row_is_refused_by_its_line(tmp_path: Path, line: str, said: str) -> None:
    path = written(tmp_path / "BTCUSDT.csv", *GOOD, line, row(9, 1, 1, 1, 1, 1))
    with pytest.raises(BadMarketFile) as refused:
        read_candles(path, BTC)
    assert str(refused.value).startswith(f"{path}: {said}")
    assert "\n" not in str(refused.value)


def test_a_file_that_is_no_file_of_candles_is_refused(tmp_path: Path) -> None:
    packed = gzip.compress(written(tmp_path / "good.csv", *GOOD).read_bytes())
    (tmp_path / "directory.csv").mkdir()
    contents = {
        "plain.csv.gz": (b"ts,open", "is not gzip data"),
        "cut.csv.gz": (packed[:-12], "cut off or damaged"),
        "damaged.csv.gz": (packed[:20] + b"\x00\x00\x00\x00" + packed[24:], "cut off or damaged"),
        "nothing.csv": (b"", "the file is empty"),
        "nothing.csv.gz": (gzip.compress(b""), "the file is empty"),
        "header_only.csv": (candle_file.HEADER.encode() + b"\n", "there is no row"),
        "trades.csv": (
            b"ts,trade_id,px,sz,side\n",
            "line 1: the header is 'ts,trade_id,px,sz,side'; allowed: ts,open",
        ),
        "binary.csv": (b"ts,open,\xff\xfe\n", "is not text"),
        "candles.xlsx": (b"PK", "unknown kind of file"),
        "candles.parquet": (b"PAR1", "Parquet"),
    }
    for name, (content, said) in contents.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BadMarketFile, match=said):
            read_candles(tmp_path / name, BTC)
    with pytest.raises(BadMarketFile, match="is a directory"):
        read_candles(tmp_path / "directory.csv", BTC)
    with pytest.raises(BadMarketFile, match="there is no such file"):
        read_candles(tmp_path / "missing.csv", BTC)


def test_a_small_zip_that_unfolds_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candle_file, "MAX_ROWS", 100)
    path = tmp_path / "bomb.csv.gz"
    path.write_bytes(gzip.compress(b" " * 1_000_000))
    with pytest.raises(BadMarketFile, match="longer than 12000 bytes"):
        read_candles(path, BTC)
    with pytest.raises(BadMarketFile, match="more than 100 rows"):
        read_candles(written(tmp_path / "long.csv", *(row(k, 1, 1, 1, 1, 1) for k in range(101))), BTC)


def test_a_month_loads_whole(tmp_path: Path) -> None:
    rows = (row(minute, "95505.4", "95505.5", "95502.7", "95502.7", "16.536") for minute in range(43_000))
    path = written(tmp_path / "BTCUSDT.csv", *rows)
    assert len(read_candles(path, BTC)) == 43_000


@pytest.mark.parametrize(
    ("name", "inst_id"),
    [
        ("binance_usdm_BTCUSDT_1m_setA.csv.gz", "BTC-USDT-SWAP"),
        ("okx_swap_ETH-USDT-SWAP_1m_2025_12_17.csv.gz", "ETH-USDT-SWAP"),
        ("perp_BTC_1m_2022_01.csv.gz", "BTC-USDT-SWAP"),
        ("BTC_USDT_USDT-1m-futures.csv", "BTC-USDT-SWAP"),
        ("solusdt.csv", "SOL-USDT-SWAP"),
        ("candles.csv", None),
        ("USDT.csv", None),
    ],
)
def test_a_files_name_tells_its_instrument(name: str, inst_id: str | None) -> None:
    assert inst_id_from_file_name(Path("/anywhere/BTCUSDT") / name) == inst_id


def test_the_listed_swaps_are_what_the_venue_lists() -> None:
    assert (BTC.coin_per_contract, BTC.tick_sz, BTC.lot_sz) == (
        Decimal("0.01"),
        Decimal("0.1"),
        Decimal("0.01"),
    )
    assert swap("ETH").coin_per_contract == Decimal("0.1")
    assert swap("SOL").coin_per_contract == 1
    assert instrument_for("PEPE-USDT-SWAP") is None
    for tier, wider in zip(BTC.tiers, BTC.tiers[1:], strict=False):
        assert (tier.max_sz, tier.tier + 1) == (wider.min_sz, wider.tier)
        assert tier.mmr < wider.mmr < wider.imr
        assert tier.max_lever > wider.max_lever


@pytest.mark.data
@pytest.mark.parametrize("path", candle_files(), ids=lambda path: path.name)
def test_a_recorded_file_loads_whole(path: Path) -> None:
    inst_id = inst_id_from_file_name(path)
    assert inst_id is not None
    instrument = instrument_for(inst_id)
    assert instrument is not None
    series = read_candles(path, instrument)
    minutes = series.minutes(series.first_ms, (series.end_ms - series.first_ms) // MINUTE_MS)
    assert len(minutes.open) == len(series) + sum(gap.minutes for gap in series.gaps)
    assert (minutes.low <= np.minimum(minutes.open, minutes.close)).all()
    assert (minutes.high >= np.maximum(minutes.open, minutes.close)).all()
    assert isinstance(series, CandleSeries)
