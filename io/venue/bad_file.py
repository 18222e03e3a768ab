"""What is wrong with a market file."""

from __future__ import annotations


class BadMarketFile(ValueError):
    """A market file that cannot be traded; the text is one sentence for the user."""
