"""Hands sent live to other programs. One file a protocol; nothing is sent unless a destination was named."""
