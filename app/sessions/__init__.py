"""Recordings in the program: recording, playing, running a model over them again."""
