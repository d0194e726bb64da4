"""The CMR variant: HandDGP's method on another root-relative network (supplement, section 5, and table 1).

`image_side` makes keypoint maps and silhouettes in three stages, `mesh_side` the mesh, `network` puts DGP at their end.
"""

from handdgp_core.networks.cmr.network import CMR

__all__ = ["CMR"]
