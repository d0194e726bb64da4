"""The losses against slow twins, known values, missing labels and degenerate samples."""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from handdgp_core.config import parse
from handdgp_core.errors import ShapeError, UsageError
from handdgp_core.networks.output import Auxiliary
from handdgp_core.training.losses import HandLosses, LossWeights, equations
from handdgp_core.training.losses.auxiliary import AuxiliaryLosses, keypoint_maps
from tests.meshes import small_template

FACES = torch.tensor([[0, 1, 2], [2, 1, 3], [3, 4, 0], [4, 5, 2]])
BATCH, VERTICES, KEYPOINTS, SIZE = 3, 6, 5, 32
RELATIVE = ("vertices", "keypoints_uv", "normals", "edges")
CONSISTENCIES = ("consistency_uv", "consistency_vertices")
CAMERA_SPACE = ("root", "vertices_uv", "keypoint_consistency")


class Output(NamedTuple):
    """What a network gives, by the names of the project's contract."""

    keypoints_uv: Tensor
    vertices: Tensor
    weights: Tensor
    root_m: Tensor
    vertices_m: Tensor
    keypoints_m: Tensor
    degenerate: Tensor


def noise(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def fractions(seed: int, *shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def output(seed: int) -> Output:
    root = torch.tensor([0.05, -0.02, 0.6], dtype=torch.float64) + 0.02 * noise(seed, BATCH, 3)
    vertices = 0.4 * noise(seed + 1, BATCH, VERTICES, 3)
    joints = 0.2 * vertices[:, :KEYPOINTS] + root[:, None]
    return Output(
        fractions(seed + 2, BATCH, KEYPOINTS, 2),
        vertices,
        fractions(seed + 3, BATCH, KEYPOINTS),
        root,
        0.2 * vertices + root[:, None],
        joints,
        torch.zeros(BATCH, dtype=torch.bool),
    )


def view(seed: int) -> dict[str, Tensor]:
    intrinsics = torch.tensor([[40.0, 0, 15], [0, 42, 16], [0, 0, 1]], dtype=torch.float64)
    ones = torch.ones(BATCH, dtype=torch.float64)
    return {
        "image": torch.zeros(BATCH, 3, SIZE, SIZE),
        "intrinsics": intrinsics.expand(BATCH, 3, 3) + 0,
        "keypoints_uv": fractions(seed, BATCH, KEYPOINTS, 2),
        "vertices": 0.4 * noise(seed + 1, BATCH, VERTICES, 3),
        "root_m": torch.tensor([0.0, 0.0, 0.5], dtype=torch.float64) + 0.02 * noise(seed + 2, BATCH, 3),
        "has_vertices": ones.clone(),
        "has_keypoints_uv": ones.clone(),
        "has_root": ones.clone(),
    }


def two_views() -> tuple[tuple[Output, Output], dict]:
    affine = torch.tensor([[0.9, 0.0, 0.1], [0.0, 0.9, -0.05]], dtype=torch.float64)
    batch = {"view1": view(100), "view2": view(200), "uv2_from_uv1": affine.expand(BATCH, 2, 3)}
    return (output(1), output(50)), batch


def leaves(item: Output) -> Output:
    """A copy whose prediction tensors collect gradients."""
    return Output(*(part.clone().requires_grad_() for part in item[:-1]), item.degenerate)


def slow_l1(found: Tensor, target: Tensor, known: list[int]) -> float:
    sums = []
    for b in known:
        rows = [
            sum(abs(f.item() - t.item()) for f, t in zip(a, c, strict=True))
            for a, c in zip(found[b], target[b], strict=True)
        ]
        sums.append(sum(rows) / len(rows))
    return sum(sums) / len(sums)


def slow_edges(found: Tensor, target: Tensor, known: list[int], order: int) -> float:
    total = 0.0
    for b in known:
        for face in FACES.tolist():
            for i, j in itertools.combinations(face, 2):
                lengths = [float(torch.linalg.vector_norm(p[b, i] - p[b, j], ord=order)) for p in (found, target)]
                total += abs(lengths[0] - lengths[1])
    return total / (3 * len(FACES) * len(known))


def slow_normals(found: Tensor, target: Tensor, known: list[int]) -> float:
    total = 0.0
    for b in known:
        for face in FACES.tolist():
            a, c, d = (target[b, i] for i in face)
            normal = torch.linalg.cross(c - a, d - a)
            normal = normal / normal.norm()
            for i, j in itertools.combinations(face, 2):
                edge = found[b, i] - found[b, j]
                total += abs(float(edge @ normal / edge.norm()))
    return total / (3 * len(FACES) * len(known))


def slow_uv(points: Tensor, intrinsics: Tensor) -> Tensor:
    uv = torch.empty(points.shape[:2] + (2,), dtype=points.dtype)
    for b, n in itertools.product(range(len(points)), range(points.shape[1])):
        homogeneous = intrinsics[b] @ points[b, n]
        uv[b, n] = (homogeneous[:2] / homogeneous[2] + 0.5) / SIZE
    return uv


@pytest.mark.parametrize("known", [[0, 1, 2], [1], [0, 2]])
def test_relative_terms_equal_their_slow_twins(known: list[int]) -> None:
    found, labels = output(1), view(100)
    mask = torch.tensor([b in known for b in range(BATCH)])
    meshes = found.vertices, labels["vertices"]
    assert equations.vertex_loss(*meshes, mask).item() == pytest.approx(slow_l1(*meshes, known))
    seen = found.keypoints_uv, labels["keypoints_uv"]
    assert equations.keypoint_uv_loss(*seen, mask).item() == pytest.approx(slow_l1(*seen, known))
    assert equations.normal_loss(*meshes, FACES, mask).item() == pytest.approx(slow_normals(*meshes, known))
    for order in (1, 2):
        wanted = slow_edges(*meshes, known, order)
        assert equations.edge_loss(*meshes, FACES, mask, order).item() == pytest.approx(wanted)


def test_camera_space_terms_equal_their_slow_twins() -> None:
    found, labels = output(1), view(100)
    every, mask = [0, 1, 2], torch.ones(BATCH, dtype=torch.bool)
    rays, true_m = labels["intrinsics"], 0.2 * labels["vertices"] + labels["root_m"][:, None]
    root = equations.root_loss(found.root_m, labels["root_m"], mask).item()
    assert root == pytest.approx(slow_l1(found.root_m[:, None], labels["root_m"][:, None], every))
    projected = slow_uv(found.vertices_m, rays)
    wanted = slow_l1(projected, slow_uv(true_m, rays), every)
    assert equations.camera_vertex_loss(found.vertices_m, true_m, rays, SIZE, mask).item() == pytest.approx(wanted)
    wanted = slow_l1(slow_uv(found.keypoints_m, rays), found.keypoints_uv, every)
    found_loss = equations.keypoint_consistency_loss(found.keypoints_m, found.keypoints_uv, rays, SIZE, mask)
    assert found_loss.item() == pytest.approx(wanted)


def test_consistency_terms_equal_their_slow_twins() -> None:
    (first, second), batch = two_views()
    every, mask = [0, 1, 2], torch.ones(BATCH, dtype=torch.bool)
    mapped = torch.stack(
        [
            torch.stack([batch["uv2_from_uv1"][b] @ torch.tensor([*uv, 1.0], dtype=uv.dtype) for uv in views])
            for b, views in enumerate(first.keypoints_uv)
        ]
    )
    found = equations.consistency_uv_loss(first.keypoints_uv, second.keypoints_uv, batch["uv2_from_uv1"], mask)
    assert found.item() == pytest.approx(slow_l1(mapped, second.keypoints_uv, every))
    found = equations.consistency_vertex_loss(first.vertices, second.vertices, mask)
    assert found.item() == pytest.approx(slow_l1(first.vertices, second.vertices, every))


def test_known_values() -> None:
    mask = torch.tensor([True])
    flat = torch.tensor([[[0.0, 0, 0], [1, 0, 0], [0, 1, 0]]])
    face = torch.tensor([[0, 1, 2]])
    assert equations.vertex_loss(flat + 1, flat, mask).item() == pytest.approx(3.0)  # L1 sums over x, y, z
    assert equations.normal_loss(5 * flat - 2, flat, face, mask).item() == pytest.approx(0.0, abs=1e-6)
    upright = torch.tensor([[[0.0, 0, 0], [0, 0, 1], [0, 0, 3]]])  # every edge along the true normal
    assert equations.normal_loss(upright, flat, face, mask).item() == pytest.approx(1.0)
    assert equations.normal_loss(-upright, flat, face, mask).item() == pytest.approx(1.0)  # no sign to win by
    # Edges (1, 0), (-1, 1), (0, -1) doubled: L1 lengths 1, 2, 1 become 2, 4, 2.
    assert equations.edge_loss(2 * flat, flat, face, mask).item() == pytest.approx(4 / 3)
    assert equations.edge_loss(0.5 * flat, flat, face, mask, order=2).item() == pytest.approx((2 + math.sqrt(2)) / 6)
    uv = equations.project_uv(
        torch.tensor([[[0.0, 0, 2]]]), torch.tensor([[[100.0, 0, 111.5], [0, 100, 111.5], [0, 0, 1]]]), 224
    )
    torch.testing.assert_close(uv, torch.tensor([[[0.5, 0.5]]]))  # the principal point in the middle of the crop


def test_total_is_equation_10() -> None:
    outputs, batch = two_views()
    losses = HandLosses(FACES)(outputs, batch, "all")
    factors = dict(zip((*RELATIVE, *CONSISTENCIES, *CAMERA_SPACE), (1, 1, 0.05, 0.5, 1, 1, 1, 1, 0.5), strict=True))
    assert set(losses) == {*factors, "total", "degenerate_count"}
    assert losses["total"].item() == pytest.approx(sum(factor * losses[n].item() for n, factor in factors.items()))
    assert losses["degenerate_count"] == 0
    mean = sum(slow_l1(o.vertices, batch[f"view{i}"]["vertices"], [0, 1, 2]) for i, o in enumerate(outputs, 1)) / 2
    assert losses["vertices"].item() == pytest.approx(mean)
    doubled = HandLosses(FACES, LossWeights(root=2.0))(outputs, batch, "all")
    assert (doubled["total"] - losses["total"]).item() == pytest.approx(losses["root"].item())


def test_the_first_stage_has_no_camera_space_term_and_no_such_gradient() -> None:
    outputs, batch = two_views()
    outputs = tuple(leaves(item) for item in outputs)
    losses = HandLosses(FACES)(outputs, batch, "relative")
    assert set(losses) == {*RELATIVE, *CONSISTENCIES, "total", "degenerate_count"}
    losses["total"].backward()
    for item in outputs:
        assert item.root_m.grad is None or not item.root_m.grad.any()
        assert item.vertices.grad.abs().sum() > 0


def test_one_view_alone() -> None:
    outputs, batch = two_views()
    losses = HandLosses(FACES)(outputs[:1], {"view1": batch["view1"]}, "all")
    assert set(losses) == {*RELATIVE, *CAMERA_SPACE, "total", "degenerate_count"}


def test_missing_labels_count_neither_in_value_nor_gradient() -> None:
    outputs, batch = two_views()
    nan = float("nan")
    for flag, label in (("has_vertices", "vertices"), ("has_keypoints_uv", "keypoints_uv"), ("has_root", "root_m")):
        for name in ("view1", "view2"):
            batch[name][flag][0] = 0
            batch[name][label][0] = nan
    outputs = tuple(leaves(item) for item in outputs)
    losses = HandLosses(FACES)(outputs, batch, "all")
    losses["total"].backward()
    assert all(torch.isfinite(value) for value in losses.values())
    both = [(found, batch[name]) for found, name in zip(outputs, ("view1", "view2"), strict=True)]
    wanted = sum(slow_l1(found.vertices, labels["vertices"], [1, 2]) for found, labels in both) / 2
    assert losses["vertices"].item() == pytest.approx(wanted)
    for found in outputs:
        assert all(torch.isfinite(part.grad).all() for part in found[:-1] if part.grad is not None)
        assert not found.root_m.grad[0].any()  # neither (7) nor anything else knows this root
        assert not found.vertices_m.grad[0].any()


def test_a_batch_without_any_label_gives_zero_with_a_graph() -> None:
    found, labels = leaves(output(1)), view(100)
    for name in ("vertices", "keypoints_uv", "root_m"):
        labels[name] = torch.full_like(labels[name], float("nan"))
    for name in ("has_vertices", "has_keypoints_uv", "has_root"):
        labels[name] = torch.zeros_like(labels[name])
    losses = HandLosses(FACES)([found], {"view1": labels}, "relative")
    assert losses["total"].item() == 0
    losses["total"].backward()
    assert found.vertices.grad is not None  # reached, by zeros
    assert not found.vertices.grad.any()
    assert not found.keypoints_uv.grad.any()


def test_degenerate_samples_are_counted_and_have_no_camera_space_gradient() -> None:
    outputs, batch = two_views()
    broken = leaves(outputs[0])
    nan = torch.full((3,), float("nan"), dtype=torch.float64)
    with torch.no_grad():
        broken.root_m[1] = nan
        broken.vertices_m[1] = nan
        broken.keypoints_m[1] = nan
    broken.degenerate[1] = True
    other = leaves(outputs[1])
    losses = HandLosses(FACES)([broken, other], batch, "all")
    losses["total"].backward()
    assert losses["degenerate_count"] == 1
    assert torch.isfinite(losses["total"])
    for part in (broken.root_m, broken.vertices_m, broken.keypoints_m):
        assert not part.grad[1].any()
        assert part.grad[0].abs().sum() > 0
        assert torch.isfinite(part.grad).all()
    relative = leaves(outputs[0])
    HandLosses(FACES)([relative, other], batch, "relative")["total"].backward()
    # The sample still learns its shape and its 2D keypoints, exactly as without the camera-space terms.
    torch.testing.assert_close(broken.keypoints_uv.grad[1], relative.keypoints_uv.grad[1])
    torch.testing.assert_close(broken.vertices.grad[1], relative.vertices.grad[1])


def test_a_nan_root_counts_as_degenerate_without_the_flag() -> None:
    outputs, batch = two_views()
    outputs[0].root_m[2] = float("nan")
    outputs[0].vertices_m[2] = float("nan")
    losses = HandLosses(FACES)(outputs, batch, "all")
    assert losses["degenerate_count"] == 1
    assert torch.isfinite(losses["total"])


def test_a_flagged_sample_is_skipped_even_where_its_root_is_a_number() -> None:
    outputs, batch = two_views()
    outputs[0].degenerate[0] = True
    outputs[0].root_m[0] = 1e6
    losses = HandLosses(FACES)(outputs, batch, "all")
    assert losses["degenerate_count"] == 1
    assert losses["root"] < 10


def test_gradients_are_finite_where_edges_vanish_and_points_lie_behind_the_camera() -> None:
    outputs, batch = two_views()
    found = leaves(outputs[0])
    with torch.no_grad():
        found.vertices[:, 1] = found.vertices[:, 0]
        found.vertices_m[0, 0] = torch.tensor([0.01, 0.0, -0.3])
        found.keypoints_m[0, 0] = 0.0
    batch["view1"]["vertices"][0] = 0.0  # a label without any area
    for order in (1, 2):
        losses = HandLosses(FACES, LossWeights(edge_norm=order))([found, outputs[1]], batch, "all")
        losses["total"].backward()
        assert all(torch.isfinite(part.grad).all() for part in found[:-1] if part.grad is not None)


@pytest.mark.parametrize("stage", ["relative", "all"])
def test_gradients_are_those_of_the_values(stage: str) -> None:
    outputs, batch = two_views()

    def total(*parts: Tensor) -> Tensor:
        first = Output(*parts, torch.tensor([False, True, False]))
        return HandLosses(FACES)([first, outputs[1]], batch, stage)["total"]

    assert torch.autograd.gradcheck(total, tuple(part.clone().requires_grad_() for part in outputs[0][:-1]))


def test_half_precision_predictions_are_summed_in_float32() -> None:
    outputs, batch = two_views()
    halves = [Output(*(part.bfloat16() for part in item[:-1]), item.degenerate) for item in outputs]
    singles = {k: {n: v.float() for n, v in b.items()} if isinstance(b, dict) else b for k, b in batch.items()}
    losses = HandLosses(FACES)(halves, singles, "all")
    assert losses["total"].dtype == torch.float32
    exact = HandLosses(FACES)(outputs, batch, "all")["total"].item()
    assert losses["total"].item() == pytest.approx(exact, rel=0.02)


def test_autocast_does_not_touch_the_losses() -> None:
    outputs, batch = two_views()
    single = [Output(*(part.float() for part in item[:-1]), item.degenerate) for item in outputs]
    labels = {k: {n: v.float() for n, v in b.items()} if isinstance(b, dict) else b.float() for k, b in batch.items()}
    plain = HandLosses(FACES)(single, labels, "all")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = HandLosses(FACES)(single, labels, "all")
    for name, value in plain.items():
        torch.testing.assert_close(mixed[name], value, rtol=0, atol=0)


def test_bad_calls_say_what_is_wrong() -> None:
    outputs, batch = two_views()
    losses = HandLosses(FACES)
    with pytest.raises(UsageError, match="stage"):
        losses(outputs, batch, "second")
    with pytest.raises(ShapeError, match="views"):
        losses((), batch, "all")
    batch["view1"]["vertices"] = batch["view1"]["vertices"][:, :4]
    batch["view2"]["vertices"] = batch["view2"]["vertices"][:, :4]
    with pytest.raises(ShapeError, match="mesh"):
        losses(outputs, batch, "all")
    with pytest.raises(UsageError, match="edge_norm"):
        parse(LossWeights, {"edge_norm": 3})


def test_mobrecons_reduction_averages_coordinates_and_adds_views() -> None:
    outputs, batch = two_views()
    batch["view2"]["source_size_px"] = torch.tensor([90.0, 120.0, 300.0])
    printed = HandLosses(FACES, LossWeights(edge_norm=2))(outputs, batch, "all")
    found = HandLosses(FACES, LossWeights(reduction="mobrecon"))(outputs, batch, "all")
    factors = {"vertices": 1 / 3, "consistency_vertices": 1 / 3, "keypoints_uv": 1 / 2, "normals": 2, "edges": 2}
    for name in (*RELATIVE, *CONSISTENCIES, *CAMERA_SPACE):
        if name != "consistency_uv":
            torch.testing.assert_close(found[name], factors.get(name, 1) * printed[name])
    places = torch.cat([outputs[0].keypoints_uv, torch.ones(BATCH, KEYPOINTS, 1)], dim=2)
    mapped = [[batch["uv2_from_uv1"][b] @ place for place in places[b]] for b in range(BATCH)]
    off = torch.stack([torch.stack(row) for row in mapped]) - outputs[1].keypoints_uv
    expected = (off * batch["view2"]["source_size_px"][:, None, None]).abs().mean()
    torch.testing.assert_close(found["consistency_uv"], expected)


def test_keypoints_count_from_where_the_network_counts() -> None:
    """Offset 0, as the published weights have it: a right answer has no loss in (2), (5) and (9)."""
    outputs, batch = two_views()
    size = batch["view1"]["image"].shape[-1]
    right = []
    for name in ("view1", "view2"):
        view = batch[name]
        joints = view["vertices"][:, :KEYPOINTS] * 0.2 + view["root_m"][:, None]
        view["keypoints_uv"] = project(joints, view["intrinsics"], size)
        moved = view["keypoints_uv"] - 0.5 / size  # what a network with offset 0 answers
        right.append(outputs[0]._replace(keypoints_uv=moved, keypoints_m=joints))
    found = HandLosses(FACES, pixel_offset=0.0)(right, batch, "all")
    off = HandLosses(FACES)(right, batch, "all")
    for name in ("keypoints_uv", "keypoint_consistency"):
        assert float(found[name]) == pytest.approx(0, abs=1e-9) and float(off[name]) == pytest.approx(1 / size)


def project(points: Tensor, intrinsics: Tensor, size: int) -> Tensor:
    pixels = points @ intrinsics.transpose(1, 2)
    return (pixels[..., :2] / pixels[..., 2:] + 0.5) / size


def test_a_keypoints_map_is_a_windowed_gaussian_of_half_the_size() -> None:
    size = 224
    uv = torch.tensor([[[0.25, 0.75], [1.2, 0.5], [0.001, 0.999]]])
    maps = keypoint_maps(uv, size)
    assert maps.shape == (1, 3, 112, 112) and not maps[0, 1].any()
    for keypoint in (0, 2):
        u, v = ((uv[0, keypoint] * size - 0.5).round()).tolist()
        drawn = torch.zeros(size, size)
        for row in range(size):
            for column in range(max(0, int(u) - 6), min(size, int(u) + 7)):
                if abs(row - v) <= 6:
                    drawn[row, column] = math.exp(-((row - v) ** 2 + (column - u) ** 2) / (2 * 3.5**2))
        torch.testing.assert_close(maps[0, keypoint], torch.nn.functional.avg_pool2d(drawn[None], 2)[0])


def test_auxiliary_losses_leave_out_what_is_unknown_and_vanish_for_right_answers() -> None:
    template = small_template()
    losses = AuxiliaryLosses(template)
    vertices = torch.tensor(template.vertices / 0.2, dtype=torch.float32).repeat(2, 1, 1)
    uv = torch.tensor([[[0.3, 0.6]], [[math.nan, 0.5]]])
    silhouette = (torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    labels = {
        "vertices": torch.stack([vertices[0], torch.full_like(vertices[0], math.nan)]),
        "keypoints_uv": uv,
        "silhouette": silhouette,
        **{f"has_{name}": torch.tensor([1.0, 0.0]) for name in ("vertices", "keypoints_uv", "silhouette")},
    }
    levels = [level.vertices for level in template.levels[1:-1]]
    meshes = [torch.tensor(points / 0.2, dtype=torch.float32).repeat(2, 1, 1) for points in levels]
    target = keypoint_maps(uv.nan_to_num(0.5), 64)
    right = Auxiliary(meshes, [torch.logit(target, 1e-6)] * 2, [torch.logit(silhouette, 1e-6)] * 2)
    found = losses(right, labels, 64)
    entropy = -(target[0] * target[0].clamp(min=1e-9).log() + (1 - target[0]) * (1 - target[0]).clamp(min=1e-9).log())
    assert float(found["coarse_vertices"]) < 0.05  # decimation leaves vertices a little off the fine mesh
    assert float(found["maps"]) == pytest.approx(2 * float(entropy.mean()), abs=1e-4)
    assert float(found["silhouettes"]) < 1e-4
    wrong = losses(right._replace(silhouettes=[-logits for logits in right.silhouettes]), labels, 64)
    assert float(wrong["silhouettes"]) > 10
