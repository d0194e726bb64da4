"""Data sets of labelled hands and bodies. Forms and origins: docs/data.md."""
