"""The world in one process: an in-process network, incarnations that can be killed, and repeatable chance."""
