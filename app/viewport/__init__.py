"""The 3D scene: plain data and geometry, a child process that renders with Open3D, a 2D painter, and the Qt widget.

Import `app.viewport.widget` for the widget. This file stays empty of imports: the render process imports the package
too and must not pay for Qt.
"""
