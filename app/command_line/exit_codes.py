"""What the process' exit code says."""

from __future__ import annotations

DONE, INTERNAL, BAD_INPUT, CANCELLED = 0, 1, 2, 130
