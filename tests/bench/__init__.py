"""Measured ratios, printed. Each benchmark is one module here with a ``run`` that returns its lines."""
