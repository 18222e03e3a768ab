"""Draws: every picture comes from the tables that run."""
