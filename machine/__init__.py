"""Decides: pure, synchronous, deterministic. It knows no clock, socket, file or randomness."""
