"""hands.usdc: one animated OpenUSD file for a whole recording, hands as skeletons with a skin. Needs the extra `usd`.

/hands/camera                the camera of the first frame, at the origin; focal length and principal point, no lens
/hands/right_hand            UsdSkelRoot, invisible while the hand is not seen
/hands/right_hand/skeleton   OpenXR's 26 joints (`hands.joint_frames`)
/hands/right_hand/motion     their animation
/hands/right_hand/skin       the mesh, bound to the skeleton (see `rig`), with the error of its vertices as custom data

Metres, y up. Time codes are seconds times the frame rate; samples lie where the frames were.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pxr import Gf, Sdf, Tf, Usd, UsdGeom, UsdSkel, Vt

from handdgp_core.arrays import Array
from handdgp_core.drawing.colours import HAND_COLOURS
from handdgp_core.errors import OutputError
from handdgp_core.export.hand_tracks import FAR_M, NEAR_M, FileOfHands, HandTrack
from handdgp_core.export.mesh_formats import linear_rgba
from handdgp_core.export.rig import INFLUENCES, PARENTS, Rig, rig, with_all_joints
from handdgp_core.geometry.camera import Camera
from handdgp_core.hands.joint_frames import JOINT_COUNT, JOINTS
from handdgp_core.types import Frame, Hand

__all__ = ["JOINT_PATHS", "UsdHands"]

_FILM_WIDTH = 36.0  # any: only ratios to it count


def _joint_paths() -> list[str]:
    paths: dict[int, str] = {}

    def path(joint: int) -> str:
        if joint not in paths:
            name, parent = JOINTS[joint].replace(" ", "_"), PARENTS[joint]
            paths[joint] = name if parent < 0 else f"{path(parent)}/{name}"
        return paths[joint]

    return [path(joint) for joint in range(JOINT_COUNT)]


JOINT_PATHS = _joint_paths()  # UsdSkel's names, which hold the hierarchy
_PARENTS_FIRST = sorted(range(JOINT_COUNT), key=lambda joint: JOINT_PATHS[joint].count("/"))
_PLACE = {joint: place for place, joint in enumerate(_PARENTS_FIRST)}


class UsdHands(FileOfHands):
    """Exporter: hands as skeletons with a skin. A hand with a joint that is not known counts as not seen.

    Args:
        path: ending in .usdc; its folder exists. One that is there is replaced.
        fps: frame rate of the source.
    """

    def __init__(self, path: Path, fps: float) -> None:
        super().__init__(path)
        self._fps = fps

    def add(self, frame: Frame, hands: Sequence[Hand], camera: Camera) -> None:
        """Take in one frame. Raises OutputError."""
        super().add(frame, with_all_joints(hands), camera)

    def _size_bytes(self, track: HandTrack) -> int:
        return 64 * track.vertex_count + 12 * len(track.faces) + 4 * 10 * JOINT_COUNT * len(track.frames)

    def _write(self, path: Path, first_index: int, camera: Camera) -> None:
        stage = Usd.Stage.CreateInMemory()
        UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
        UsdGeom.SetStageMetersPerUnit(stage, 1.0)
        stage.SetTimeCodesPerSecond(self._fps)
        stage.SetFramesPerSecond(self._fps)
        codes = np.array(self._hands.times_s) * self._fps
        stage.SetStartTimeCode(codes[0])
        stage.SetEndTimeCode(codes[-1])
        root = UsdGeom.Xform.Define(stage, "/hands")
        stage.SetDefaultPrim(root.GetPrim())
        root.GetPrim().SetCustomData({"generator": "HandDGP Live", "first_frame": first_index,
                                      "camera_source": camera.source})  # fmt: skip
        _add_camera(stage, camera)
        for track in self._hands.tracks:
            _add_hand(stage, track, rig(track.vertices_m(), np.array(track.keypoints_m), track.side), codes)
        try:
            written = stage.GetRootLayer().Export(str(path))
        except Tf.ErrorException:
            written = False
        if not written:
            raise OutputError(f"Could not write {self.path}.", hint="Check that its disk is not full.")


def _add_camera(stage: Usd.Stage, camera: Camera) -> None:
    fx, fy = camera.focal_px
    cx, cy = camera.matrix[0, 2] + 0.5, camera.matrix[1, 2] + 0.5  # from the corner of the first pixel
    film = _FILM_WIDTH / camera.width
    prim = UsdGeom.Camera.Define(stage, "/hands/camera")
    prim.CreateFocalLengthAttr(fx * film)
    prim.CreateHorizontalApertureAttr(camera.width * film)
    prim.CreateVerticalApertureAttr(camera.height * film * fx / fy)
    prim.CreateHorizontalApertureOffsetAttr((camera.width / 2 - cx) * film)
    prim.CreateVerticalApertureOffsetAttr((cy - camera.height / 2) * film * fx / fy)
    prim.CreateClippingRangeAttr(Gf.Vec2f(NEAR_M, FAR_M))


def _add_hand(stage: Usd.Stage, track: HandTrack, made: Rig, codes: Array) -> None:
    path = Sdf.Path("/hands").AppendChild(track.name.replace(" ", "_"))
    root = UsdSkel.Root.Define(stage, path)
    _add_visibility(root, track, codes)
    skeleton = UsdSkel.Skeleton.Define(stage, path.AppendChild("skeleton"))
    names = [JOINT_PATHS[joint] for joint in _PARENTS_FIRST]
    skeleton.CreateJointsAttr(names)
    bind = np.tile(np.eye(4), (JOINT_COUNT, 1, 1))  # rows are vectors: the transposed of what is usual
    bind[:, :3, :3], bind[:, 3, :3] = np.swapaxes(made.rest_rotations, -1, -2), made.rest_m
    skeleton.CreateBindTransformsAttr(Vt.Matrix4dArray.FromNumpy(bind[_PARENTS_FIRST]))
    motion = UsdSkel.Animation.Define(stage, path.AppendChild("motion"))
    motion.CreateJointsAttr(names)
    _add_motion(motion, made, codes[track.frames])
    rest = UsdSkel.MakeTransforms(*(attribute.Get(codes[track.frames[0]]) for attribute in _parts(motion)))
    skeleton.CreateRestTransformsAttr(rest)
    binding = UsdSkel.BindingAPI.Apply(skeleton.GetPrim())
    binding.CreateAnimationSourceRel().SetTargets([motion.GetPath()])
    _add_skin(stage, path, track, made)


def _parts(motion: UsdSkel.Animation) -> tuple[Usd.Attribute, Usd.Attribute, Usd.Attribute]:
    return motion.CreateTranslationsAttr(), motion.CreateRotationsAttr(), motion.CreateScalesAttr()


def _add_motion(motion: UsdSkel.Animation, made: Rig, codes: Array) -> None:
    translations, rotations, scales = _parts(motion)
    sizes = np.ones((JOINT_COUNT, 3), dtype=np.float16)
    for place, code in enumerate(codes.tolist()):
        sizes[_PLACE[PARENTS.index(-1)]] = made.scales[place]
        moved = made.translations_m[place, _PARENTS_FIRST].astype(np.float32)
        turned = made.rotations[place, _PARENTS_FIRST]
        translations.Set(Vt.Vec3fArray.FromNumpy(moved), code)
        rotations.Set(Vt.QuatfArray([Gf.Quatf(w, x, y, z) for x, y, z, w in turned.tolist()]), code)
        scales.Set(Vt.Vec3hArray.FromNumpy(sizes), code)


def _add_skin(stage: Usd.Stage, path: Sdf.Path, track: HandTrack, made: Rig) -> None:
    mesh = UsdGeom.Mesh.Define(stage, path.AppendChild("skin"))
    points = Vt.Vec3fArray.FromNumpy(made.vertices_m.astype(np.float32))
    mesh.CreatePointsAttr(points)
    mesh.CreateFaceVertexCountsAttr(Vt.IntArray.FromNumpy(np.full(len(track.faces), 3, dtype=np.int32)))
    mesh.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(np.ascontiguousarray(track.faces, dtype=np.int32).ravel()))
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    mesh.CreateExtentAttr(UsdGeom.PointBased.ComputeExtent(points))
    rgb = linear_rgba(np.array([HAND_COLOURS[track.side]], dtype=np.uint8))[0, :3] / 255.0
    mesh.CreateDisplayColorAttr([Gf.Vec3f(*rgb.tolist())])
    binding = UsdSkel.BindingAPI.Apply(mesh.GetPrim())
    binding.CreateSkeletonRel().SetTargets([path.AppendChild("skeleton")])
    binding.CreateGeomBindTransformAttr(Gf.Matrix4d(1.0))
    places = np.array([_PLACE[joint] for joint in range(JOINT_COUNT)], dtype=np.int32)[made.joints]
    binding.CreateJointIndicesPrimvar(False, INFLUENCES).Set(Vt.IntArray.FromNumpy(places.ravel()))
    binding.CreateJointWeightsPrimvar(False, INFLUENCES).Set(
        Vt.FloatArray.FromNumpy(made.weights.astype(np.float32).ravel())
    )
    mesh.GetPrim().SetCustomData(made.errors_mm)


def _add_visibility(root: UsdSkel.Root, track: HandTrack, codes: Array) -> None:
    """Told where it changes; it holds from there on."""
    seen = set(track.frames)
    attribute, before = root.CreateVisibilityAttr(), None
    for number, code in enumerate(codes.tolist()):
        now = UsdGeom.Tokens.inherited if number in seen else UsdGeom.Tokens.invisible
        if now != before:
            attribute.Set(now, code)
        before = now
