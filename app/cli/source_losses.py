"""What was wrong with a source, on the terminal: summary.json alone is not read in time."""

from __future__ import annotations

from app.cli.console import console
from handdgp_core.sources.protocol import Source, skipped_in_words

__all__ = ["tell_losses", "warn"]


def tell_losses(source: Source) -> None:
    """A line each on what the source complains about and on what was skipped of it."""
    warning, skipped = source.warning or "", skipped_in_words(source.skipped)
    if warning:
        warn(f"{warning}.")
    if skipped not in warning:
        warn(f"{skipped}.")


def warn(text: str) -> None:
    """A yellow line."""
    console.print(text, style="yellow", markup=False, soft_wrap=True)
