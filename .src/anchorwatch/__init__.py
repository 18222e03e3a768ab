"""A trading-bot engine for OKX USDT perpetual swaps whose whole behaviour is explicit state machines."""

__version__ = "0.1.0"
