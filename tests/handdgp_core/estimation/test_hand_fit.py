"""The fit of the open hand to landmarks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from handdgp_core.estimation.hand_fit import FitSettings, FittedPose, HandFitter, Observation, moved, stack
from handdgp_core.hands.measure import hand_length_m
from handdgp_core.hands.open_hand.open_hand import HandPose, OpenHand

MATRIX = np.array([[900.0, 0, 111.5], [0, 900.0, 111.5], [0, 0, 1]])


@pytest.fixture(scope="module")
def hand() -> OpenHand:
    return OpenHand.load()


def true_pose(hand: OpenHand, seed: int) -> FittedPose:
    """One plausible hand about 0.6 m away, seen from anywhere within 60 degrees of its palm."""
    rng = np.random.default_rng(seed)
    turn = Rotation.from_rotvec(rng.uniform(-0.6, 0.6, 3)) * Rotation.from_euler("x", np.pi)
    return FittedPose(
        turn.as_matrix()[None],
        np.array([[0.0, 0.05, rng.uniform(0.5, 0.7)]]),
        hand.clamped(hand.dof_mean_rad + rng.normal(0.0, 0.5, hand.dof_count) * hand.dof_sd_rad)[None],
        rng.normal(0.0, 0.5, (1, hand.shape_count)),
        rng.normal(0.0, 0.03, 1),
    )


def keypoints_of(hand: OpenHand, pose: FittedPose) -> np.ndarray:
    return hand.forward(HandPose(pose.rotation, pose.dof_rad, pose.shape, np.exp(pose.log_scale)))[1]


def observe(
    hand: OpenHand, pose: FittedPose, noise: float = 0.0, seed: int = 0, length_given: bool = False
) -> Observation:
    rng = np.random.default_rng(seed)
    world = keypoints_of(hand, pose)
    projected = (world + pose.translation_m[:, None]) @ MATRIX.T
    pixels = projected[..., :2] / projected[..., 2:]
    return Observation(
        world + rng.normal(0.0, 0.005, world.shape) * noise + 0.3,  # any origin will do
        pixels + rng.normal(0.0, 2.0, pixels.shape) * noise,
        np.repeat(MATRIX[None], len(world), axis=0),
        0.4 * (MATRIX[0, 0] / projected[..., 2].mean() * world[..., 2]) + rng.normal(0.0, 4.0, (1, 21)) * noise,
        hand_length_m(world) if length_given else None,
        np.full(len(world), 0.05) if length_given else None,
    )


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_noise_free_hand_is_found_again(seed: int) -> None:
    hand = OpenHand.load()
    truth = true_pose(hand, seed)
    trusting = FitSettings(world_std_m=(0.006, 0.006, 0.006), pixel_std=1.0)
    found = HandFitter(hand, trusting).fit(observe(hand, truth))
    error_m = np.linalg.norm(keypoints_of(hand, found) - keypoints_of(hand, truth), axis=-1)
    assert error_m.mean() < 0.006  # the priors pull a little


def test_a_given_length_is_held(hand: OpenHand) -> None:
    """Twenty degrees of freedom bend, but the hand stays as long as it was said to be, and so at its distance."""
    for seed in range(5):
        truth = true_pose(hand, seed)
        seen = observe(hand, truth, noise=1.0, seed=seed, length_given=True)
        length_m = 1.1 * hand_length_m(keypoints_of(hand, truth))
        found = HandFitter(hand).fit(seen._replace(length_m=length_m, length_std=None))
        assert hand_length_m(keypoints_of(hand, found)) == pytest.approx(length_m, rel=0.005)
        assert found.translation_m[0, 2] == pytest.approx(1.1 * truth.translation_m[0, 2], rel=0.05)


def test_depths_in_the_image_tell_which_way_a_flat_hand_leans(hand: OpenHand) -> None:
    """Seen from far away, the outline of a hand that leans towards the camera is that of one that leans back."""
    leaning, flat = np.deg2rad(35.0), np.eye(3)
    turn = Rotation.from_euler("x", np.pi + leaning).as_matrix()[None]
    truth = true_pose(hand, 0)._replace(rotation=turn, translation_m=np.array([[0.0, 0.05, 3.0]]))
    seen = observe(hand, truth)
    silent = seen._replace(world_m=seen.world_m * [1.0, 1.0, 0.0], depth=None)  # nothing says where it leans
    settings = FitSettings(depth_std_px=2.0)
    seen = silent._replace(depth=seen.depth)
    errors = [
        np.abs(HandFitter(hand, settings).fit(one).rotation @ turn.transpose(0, 2, 1) - flat).max()
        for one in (silent, seen)
    ]
    assert errors[1] < 0.5 * errors[0]


def test_the_fit_brings_noisy_landmarks_nearer_to_the_truth(hand: OpenHand) -> None:
    before, after = [], []
    for seed in range(20):
        truth = true_pose(hand, seed)
        seen = observe(hand, truth, noise=1.0, seed=seed)
        centred = seen.world_m - seen.world_m.mean(axis=1, keepdims=True)
        true_points, found_points = keypoints_of(hand, truth), keypoints_of(hand, HandFitter(hand).fit(seen))
        true_points = true_points - true_points.mean(axis=1, keepdims=True)
        before.append(np.linalg.norm(centred - true_points, axis=-1).mean())
        after.append(
            np.linalg.norm(found_points - found_points.mean(axis=1, keepdims=True) - true_points, axis=-1).mean()
        )
    assert np.mean(after) < 0.9 * np.mean(before)


@pytest.mark.parametrize("length_given", [False, True])
def test_the_jacobian_is_the_derivative_of_the_residual(hand: OpenHand, length_given: bool) -> None:
    fitter, truth = HandFitter(hand), true_pose(hand, 3)
    seen = observe(hand, true_pose(hand, 4), noise=1.0, length_given=length_given)
    _, jacobian = fitter._linearise(truth, seen)
    step_size = 1e-6
    for parameter in range(jacobian.shape[-1]):
        step = np.zeros((1, jacobian.shape[-1]))
        step[0, parameter] = step_size
        ahead = fitter._linearise(moved(truth, step), seen)[0]
        behind = fitter._linearise(moved(truth, -step), seen)[0]
        assert np.allclose((ahead - behind) / (2 * step_size), jacobian[..., parameter], rtol=1e-4, atol=1e-3)


def test_the_cost_never_rises_from_either_start(hand: OpenHand) -> None:
    fitter, truth = HandFitter(hand), true_pose(hand, 7)
    seen = observe(hand, truth, noise=1.0)

    def cost(pose: FittedPose) -> float:
        return float((fitter._linearise(pose, seen)[0] ** 2).sum())

    cold = fitter.fit(seen)
    assert cost(cold) <= cost(fitter.start(seen))
    assert cost(fitter.fit(seen, cold)) <= 1.001 * cost(cold)


def test_a_batch_gives_what_each_hand_gives_alone(hand: OpenHand) -> None:
    fitter = HandFitter(hand)
    observations = [observe(hand, true_pose(hand, seed), noise=1.0, seed=seed) for seed in (1, 2, 3)]
    together = fitter.fit(Observation(*(np.concatenate(parts) for parts in list(zip(*observations, strict=True))[:4])))
    alone = stack([fitter.fit(observation) for observation in observations])
    for one, other in zip(together, alone, strict=True):
        assert np.allclose(one, other, atol=1e-6)


def test_angles_stay_believable_on_absurd_landmarks(hand: OpenHand) -> None:
    rng = np.random.default_rng(0)
    seen = Observation(rng.normal(0.0, 0.2, (1, 21, 3)), rng.uniform(0, 224, (1, 21, 2)), MATRIX[None])
    found = HandFitter(hand).fit(seen)
    assert all(np.isfinite(part).all() for part in found)
    assert (found.translation_m[:, 2] > 0).all()
