"""Hands drawn into pictures: overlay, software rasteriser, text, figures."""
