"""What is around the hand: rooms, backdrops, things before it, the camera's own faults."""
