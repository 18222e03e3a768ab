"""Demonstrations for a newcomer: real processes on loopback, and what happens to them, told in calm words."""
