"""Measuring this machine: the window, what a recording costs it, and networks."""
