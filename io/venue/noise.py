"""Repeatable noise: numbers that look random and are a function of integers alone.

An invented market must be the same for every reader, in every order of asking and on every machine, so it cannot
draw from a generator that has a position. These functions mix a seed and some integers (splitmix64's finaliser)
and keep nothing.
"""

from __future__ import annotations

import zlib
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

UInt64s = NDArray[np.uint64]

_MASK = (1 << 64) - 1
_STEP = 0x9E3779B97F4A7C15
_FIRST = 0xBF58476D1CE4E5B9
_SECOND = 0x94D049BB133111EB


def mix(seed: int, *parts: int) -> int:
    """64 well-mixed bits of a seed and any integers (negative ones too)."""
    value = seed & _MASK
    for part in parts:
        value = (value + _STEP + part * _FIRST) & _MASK
        value = ((value ^ (value >> 30)) * _FIRST) & _MASK
        value = ((value ^ (value >> 27)) * _SECOND) & _MASK
        value ^= value >> 31
    return value


def mix_many(key: int, numbers: NDArray[np.int64]) -> UInt64s:
    """`mix(key, n)` for every n of an array, as 64-bit words."""
    value = np.uint64((key + _STEP) & _MASK) + numbers.astype(np.uint64) * np.uint64(_FIRST)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(_FIRST)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(_SECOND)
    mixed: UInt64s = value ^ (value >> np.uint64(31))
    return mixed


def mix_arrays(seed: UInt64s, *parts: NDArray[np.int64]) -> UInt64s:
    """`mix` of each place of the arrays: the seeds' and one integer of each part."""
    value = seed
    for numbers in parts:
        value = value + np.uint64(_STEP) + numbers.astype(np.uint64) * np.uint64(_FIRST)
        value = (value ^ (value >> np.uint64(30))) * np.uint64(_FIRST)
        value = (value ^ (value >> np.uint64(27))) * np.uint64(_SECOND)
        value = value ^ (value >> np.uint64(31))
    return value


@lru_cache(maxsize=1_024)
def word(name: str) -> int:
    """A name as an integer part for `mix` (Python's own `hash` changes from process to process)."""
    return zlib.crc32(name.encode())
