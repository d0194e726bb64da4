"""DGP: exact on exact data, against a slow twin, its derivatives, its uncertainty, and when it must say no."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares

from handdgp_core.errors import ShapeError, UsageError
from handdgp_core.geometry.positioning import NOISE_FLOOR, position, position_published, position_refined

METHODS = ("published", "refined")
SOLVES = {"published": position_published, "refined": position_refined}
PROPERTIES = settings(deadline=None, derandomize=True, max_examples=40)


def hands(batch: int, noise: float = 0.0, seed: int = 0, count: int = 21):
    """Points relative to the root, keypoints on the plane z = 1 (noisier where the weight is low), weights, root."""
    rng = np.random.default_rng(seed)
    points = rng.normal(0, 0.04, (batch, count, 3))
    points -= points[:, :1]
    low, high = np.array([-0.06, -0.06, 0.3]), np.array([0.06, 0.06, 0.8])
    root = rng.uniform(low, high, (batch, 3))
    weights = rng.uniform(0.3, 1.0, (batch, count))
    seen = points + root[:, None]
    plane = seen[..., :2] / seen[..., 2:] + noise * rng.normal(size=(batch, count, 2)) / weights[..., None]
    return points, plane, weights, root


def tensors(*arrays, dtype=torch.float64, requires_grad=False):
    return [torch.tensor(array, dtype=dtype, requires_grad=requires_grad) for array in arrays]


def reprojection_cost(points, plane, weights, root) -> float:
    seen = points + root
    return float(np.sum(weights[:, None] ** 2 * (seen[:, :2] / seen[:, 2:] - plane) ** 2))


# Values -----------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@PROPERTIES
@given(seed=st.integers(0, 2**31), count=st.integers(3, 21))
def test_exact_data_give_the_exact_root(method, seed, count):
    points, plane, weights, root = hands(3, seed=seed, count=count)
    found = position(points, plane, weights, method)
    np.testing.assert_allclose(found.root_m, root, atol=1e-7)
    assert found.reasons == [None] * 3


@pytest.mark.parametrize("method", METHODS)
def test_known_value(method):
    # A 10 cm square, 50 cm away, 5 cm to the right: seen from 0 to 0.2 and from -0.1 to 0.1.
    points = np.array([[-0.05, -0.05, 0], [0.05, -0.05, 0], [0.05, 0.05, 0], [-0.05, 0.05, 0]])
    plane = np.array([[0.0, -0.1], [0.2, -0.1], [0.2, 0.1], [0.0, 0.1]])
    found = position(points, plane, np.ones(4), method)
    np.testing.assert_allclose(found.root_m, [0.05, 0, 0.5], atol=1e-12)


def slow_published(points, plane, weights):
    """Rows as in the paper, one by one, and a general solver."""
    rows, right = [], []
    for (x3, y3, z3), (x, y), weight in zip(points, plane, weights, strict=True):
        rows += [weight * np.array([-1, 0, x]), weight * np.array([0, -1, y])]
        right += [weight * (x3 - z3 * x), weight * (y3 - z3 * y)]
    return np.linalg.lstsq(np.array(rows), np.array(right), rcond=None)[0]


def slow_refined(points, plane, weights, start):
    def residuals(root):
        seen = points + root
        return (weights[:, None] * (seen[:, :2] / seen[:, 2:] - plane)).ravel()

    return least_squares(residuals, start, method="lm", xtol=1e-15, ftol=1e-15, gtol=1e-15).x


def test_published_agrees_with_the_slow_twin_on_noisy_weighted_data():
    points, plane, weights, _ = hands(40, noise=0.01)
    expected = [slow_published(*sample) for sample in zip(points, plane, weights, strict=True)]
    np.testing.assert_allclose(position(points, plane, weights, "published").root_m, expected, atol=1e-10)


def test_refined_agrees_with_the_slow_twin_on_noisy_weighted_data():
    points, plane, weights, root = hands(40, noise=0.01)
    expected = [slow_refined(*sample) for sample in zip(points, plane, weights, root, strict=True)]
    np.testing.assert_allclose(position(points, plane, weights).root_m, expected, atol=1e-7)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-8), (torch.float32, 1e-4)])
def test_torch_agrees_with_numpy(method, dtype, tolerance):
    points, plane, weights, _ = hands(30, noise=0.008)
    weights[3, 5:] = 0.0
    plane[7] = 0.1
    slow = position(points, plane, weights, method)
    fast = SOLVES[method](*tensors(points, plane, weights, dtype=dtype))
    assert fast.root_m.dtype == fast.covariance_m2.dtype == dtype
    np.testing.assert_allclose(fast.root_m.numpy(), slow.root_m, atol=tolerance)
    np.testing.assert_allclose(fast.covariance_m2.numpy(), slow.covariance_m2, rtol=100 * tolerance, atol=1e-9)
    assert fast.reasons == slow.reasons
    assert fast.degenerate.tolist() == slow.degenerate.tolist()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("method", METHODS)
def test_half_precision_is_solved_in_single(method, dtype):
    inputs = tensors(*hands(4)[:3], dtype=dtype)
    found = SOLVES[method](*inputs)
    assert found.root_m.dtype == torch.float32
    expected = SOLVES[method](*(part.float() for part in inputs))
    torch.testing.assert_close(found.root_m, expected.root_m, equal_nan=True)


@PROPERTIES
@given(seed=st.integers(0, 2**31), noise=st.sampled_from([0.002, 0.02, 0.08]))
def test_refined_never_fits_worse_and_keeps_every_point_in_front(seed, noise):
    points, plane, weights, _ = hands(4, noise=noise, seed=seed)
    published, refined = (position(points, plane, weights, method) for method in METHODS)
    for i in range(4):
        if published.reasons[i] is None and refined.reasons[i] is None:
            sample = points[i], plane[i], weights[i]
            before, after = (reprojection_cost(*sample, found.root_m[i]) for found in (published, refined))
            assert after <= before * (1 + 1e-12)
            assert (points[i, :, 2] + refined.root_m[i, 2] > 0).all()


def test_refined_has_less_depth_bias():
    points, plane, weights, root = hands(1500, noise=0.006)
    published, refined = (position(points, plane, weights, method).root_m[:, 2] - root[:, 2] for method in METHODS)
    spread = published.std() / np.sqrt(len(root))
    assert published.mean() < -5 * spread  # towards the camera
    assert abs(refined.mean()) < 0.35 * abs(published.mean())


def test_only_ratios_of_weights_count():
    points, plane, weights, _ = hands(5, noise=0.01)
    for method in METHODS:
        found, faint = position(points, plane, weights, method), position(points, plane, 1e-5 * weights, method)
        np.testing.assert_allclose(faint.root_m, found.root_m, atol=1e-10)
        np.testing.assert_allclose(faint.covariance_m2, found.covariance_m2, rtol=1e-8)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("poison", [1e6, np.nan, np.inf, -5.0])
def test_keypoints_without_weight_take_no_part(method, poison):
    points, plane, weights, root = hands(2)
    weights[:, 4:7] = 0.0
    points[:, 4:7], plane[:, 5] = poison, poison
    found = position(points, plane, weights, method)
    np.testing.assert_allclose(found.root_m, root, atol=1e-9)
    inputs = tensors(points, plane, weights, requires_grad=True)
    SOLVES[method](*inputs).root_m.sum().backward()
    assert all(torch.isfinite(part.grad).all() for part in inputs)
    assert (inputs[0].grad[:, 4:7] == 0).all()


def test_one_hand_without_batch_and_many_weights_for_one_hand():
    points, plane, weights, root = hands(1)
    alone = position(points[0], plane[0], weights[0])
    np.testing.assert_allclose(alone.root_m, root[0], atol=1e-9)
    assert alone.covariance_m2.shape == (3, 3)
    assert alone.reasons == [None]
    assert not alone.degenerate
    muted = weights.repeat(3, axis=0)
    muted[1, 2] = 0.0
    assert position(points[0], plane[0], muted).root_m.shape == (3, 3)
    assert position(points, plane[0], weights[0]).root_m.shape == (1, 3)


# Derivatives ------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("count", [3, 8])
def test_gradients(method, count):
    inputs = tensors(*hands(2, noise=0.01, seed=5, count=count)[:3], requires_grad=True)
    assert torch.autograd.gradcheck(lambda *parts: SOLVES[method](*parts).root_m, inputs)


@pytest.mark.parametrize("method", METHODS)
def test_degenerate_samples_pass_no_gradient_and_spoil_none(method):
    points, plane, weights, _ = hands(7, noise=0.005)
    inputs = tensors(points[:2], plane[:2], weights[:2], requires_grad=True)
    SOLVES[method](*inputs).root_m.square().sum().backward()

    plane[2] = 0.1
    points[3, 4] = np.nan
    weights[4] = 0.0
    plane[5] *= -1
    points[6] *= 1e200
    mixed = tensors(points, plane, weights, requires_grad=True)
    found = SOLVES[method](*mixed)
    assert found.degenerate.tolist() == [False, False, True, True, True, True, True]
    found.root_m.square().sum().backward()  # NaN, as a careless loss would be
    for alone, part in zip(inputs, mixed, strict=True):
        torch.testing.assert_close(part.grad[:2], alone.grad)
        assert (part.grad[2:] == 0).all()


def test_nothing_is_tracked_where_no_gradient_is_asked_for():
    for solve in SOLVES.values():
        assert not solve(*tensors(*hands(1)[:3])).root_m.requires_grad
        inputs = tensors(*hands(1)[:3], requires_grad=True)
        found = solve(*inputs)
        assert found.root_m.requires_grad
        assert not found.covariance_m2.requires_grad
        assert not found.unchecked_root_m.requires_grad


# Uncertainty ------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("seed", [1, 2])
def test_covariance_matches_the_scatter_of_repeated_noise(method, seed):
    points, plane, weights, _ = hands(1, seed=seed)
    trials, rng = 3000, np.random.default_rng(seed)
    noise = 0.004 * rng.normal(size=(trials, 21, 2)) / weights[..., None]
    many = np.broadcast_to(points, (trials, 21, 3)), plane + noise, np.broadcast_to(weights, (trials, 21))
    found = position(*many, method)
    predicted, empirical = found.covariance_m2.mean(axis=0), np.cov(found.root_m.T)
    ratio = np.sqrt(np.diag(predicted) / np.diag(empirical))
    assert ((ratio > 0.9) & (ratio < 1.1)).all()
    correlations = [part / np.sqrt(np.outer(np.diag(part), np.diag(part))) for part in (predicted, empirical)]
    np.testing.assert_allclose(*correlations, atol=0.1)


@pytest.mark.parametrize("method", METHODS)
def test_perfect_data_are_as_uncertain_as_the_noise_floor(method):
    points, plane, weights, _ = hands(3)
    covariance = position(points, plane, weights, method).covariance_m2
    twice = position(points, plane, weights, method, noise_floor=2 * NOISE_FLOOR).covariance_m2
    np.testing.assert_allclose(twice, 4 * covariance, rtol=1e-9)
    assert (np.linalg.eigvalsh(covariance) > 0).all()
    each = position(points, plane, weights, method, noise_floor=[1e-3, 2e-3, 1e-3]).covariance_m2
    np.testing.assert_allclose(each[1], twice[1])


# Degenerate -------------------------------------------------------------------------


def spoil_nan_point(points, plane, weights):
    points[0, 3, 1] = np.nan


def spoil_infinite_keypoint(points, plane, weights):
    plane[0, 3, 1] = np.inf


def spoil_nan_weight(points, plane, weights):
    weights[0, 3] = np.nan


def spoil_infinite_weight(points, plane, weights):
    weights[0, 3] = np.inf


def spoil_negative_weight(points, plane, weights):
    weights[0, 3] = -0.1


def spoil_no_weight(points, plane, weights):
    weights[0] = 0.0


def spoil_two_weights(points, plane, weights):
    weights[0, 2:] = 1e-5


def spoil_coincident(points, plane, weights):
    plane[0] = np.array([0.2, 0.1]) + 1e-5 * np.random.default_rng(0).normal(size=(21, 2))


def spoil_turned_about(points, plane, weights):
    plane[0] = -plane[0]


def spoil_one_point_behind(points, plane, weights):
    points[0, 5] = [0.01, 0.0, -2.0]
    weights[0, 5] = 0.01


def spoil_huge(points, plane, weights):
    points[0] *= 1e300


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (spoil_nan_point, "not finite"),
        (spoil_infinite_keypoint, "not finite"),
        (spoil_nan_weight, "not finite"),
        (spoil_infinite_weight, "not finite"),
        (spoil_negative_weight, "negative weight"),
        (spoil_no_weight, "fewer than 3"),
        (spoil_two_weights, "fewer than 3"),
        (spoil_coincident, "coincide"),
        (spoil_turned_about, "behind the camera"),
        (spoil_one_point_behind, "behind the camera"),
        (spoil_huge, "result not finite"),
    ],
)
def test_degenerate_with_its_reason(method, spoil, reason):
    points, plane, weights, root = hands(2)
    spoil(points, plane, weights)
    found = position(points, plane, weights, method)
    assert reason in str(found.reasons[0])
    assert found.degenerate.tolist() == [True, False]
    assert np.isnan(found.root_m[0]).all()
    assert np.isnan(found.covariance_m2[0]).all()
    np.testing.assert_allclose(found.root_m[1], root[1], atol=1e-9)
    assert SOLVES[method](*tensors(points, plane, weights)).reasons == found.reasons


def test_depth_that_the_keypoints_do_not_tell_is_no_depth():
    # A flat hand far off in noise larger than itself: some depth fits best, but nearly any would do.
    points, _, weights, _ = hands(400, seed=4)
    points[..., 2] = 0
    plane = points[..., :2] / 2.0 + 0.06 * np.random.default_rng(5).normal(size=(400, 21, 2))
    found = position(points, plane, weights, "refined")
    assert sum("depth not determined" in str(reason) for reason in found.reasons) > 20
    good = ~found.degenerate
    assert (np.sqrt(found.covariance_m2[good, 2, 2]) < 0.5 * found.root_m[good, 2] * (1 + 1e-9)).all()
    assert not position(*hands(400, noise=0.02)[:3]).degenerate.any()


def test_three_keypoints_are_enough():
    points, plane, weights, root = hands(2, count=3)
    np.testing.assert_allclose(position(points, plane, weights).root_m, root, atol=1e-9)


def test_the_bare_solution_stays_for_comparison():
    points, plane, weights, _ = hands(1)
    found = position(points, -plane, weights, "published")
    assert found.degenerate.all()
    np.testing.assert_allclose(found.unchecked_root_m[0], slow_published(points[0], -plane[0], weights[0]), atol=1e-10)


@pytest.mark.parametrize(
    "shapes",
    [((21, 3), (21, 2), (20,)), ((2, 21, 2), (2, 21, 2), (2, 21)), ((2, 21, 3), (3, 21, 2), (2, 21)), ((3,), (2,), ())],
)
def test_shapes_that_do_not_belong_together_are_refused(shapes):
    arrays = [np.ones(shape) for shape in shapes]
    with pytest.raises(ShapeError, match=r"\(B, K, 3\)"):
        position(*arrays)
    for solve in SOLVES.values():
        with pytest.raises(ShapeError, match=r"\(B, K, 3\)"):
            solve(*tensors(*arrays))


def test_unknown_method_is_refused():
    with pytest.raises(UsageError, match="guess"):
        position(*(part[0] for part in hands(1)[:3]), method="guess")


@pytest.mark.parametrize("method", METHODS)
def test_training_rejects_singular_systems_alone(method):
    """A root behind the camera, or an undetermined depth, has a finite root with a true derivative."""
    points, plane, weights, _ = hands(4, seed=3)
    plane[0] = -plane[0]  # mirrored about the axis: the best root is behind the camera
    plane[1] += 0.2 * np.random.default_rng(0).normal(size=plane[1].shape)  # noise alone
    plane[2] = plane[2, :1]  # all in one place
    given = tensors(points, plane, weights, requires_grad=True)
    strict, lenient = (SOLVES[method](*given, singular_only=only) for only in (False, True))
    assert strict.degenerate.tolist() == [True, True, True, False]
    assert lenient.degenerate.tolist() == [False, False, True, False]
    assert lenient.root_m[0, 2] < 0 and torch.equal(lenient.root_m[3], strict.root_m[3])
    torch.testing.assert_close(lenient.root_m[[0, 1, 3]], lenient.unchecked_root_m[[0, 1, 3]])

    def roots(*inputs):
        return SOLVES[method](*inputs, singular_only=True).root_m[[0, 1, 3]]

    assert torch.autograd.gradcheck(roots, given, atol=1e-4, rtol=1e-3)
    roots(*given).sum().backward()
    assert not given[0].grad[2].any() and all(torch.isfinite(part.grad).all() for part in given)
