"""Whose hand is drawn, in which pose: people, poses, skin, sleeves."""
