"""Indicators: functions of whole series (`batch`, by TA-Lib) and the same, candle by candle (`live`).

Both begin at the first candle that they are given and agree to 1e-9. A `Panel` is one of
each for a timeframe. Floats live here and in what reads them; no order and no stop does.
"""
