"""The open hand: a parametric hand that needs no licence, and its file."""
