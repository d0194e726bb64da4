"""MANO and SMPL from the user's own licensed files, through a restricted unpickler."""
