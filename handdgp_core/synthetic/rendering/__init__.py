"""Drawing it with OpenGL: rasteriser, path tracer, shaders, light."""
