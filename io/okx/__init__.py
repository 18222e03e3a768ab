"""The client side of the OKX v5 protocol: a thin, typed edge without a trading decision in it.

``signing`` and ``clock_offset`` are pure; ``wire*`` turns JSON into typed rows and frames; ``errors`` says what a
code means for us; ``rest`` and ``socket`` perform one thing asked and report what happened.
"""
