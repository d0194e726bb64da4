"""What a network needs to know of a mesh: template, hierarchy, spirals."""
