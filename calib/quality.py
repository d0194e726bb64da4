"""Is a calibration good enough, what is wrong with it, and what to do: in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from calib.board_shape import BEND_NAMES
from calib.boards import Board
from calib.consistency import SplitHalf, split_half
from calib.guidance import FOCAL_GOAL, MAP_GOAL_PX, VIEWS_GOAL
from calib.lens_models import LensModel
from calib.poses import appearance
from calib.solve import ENOUGH_TO_CHOOSE, MIN_VIEWS, Solution, solve
from calib.uncertainty import UncertaintyMap
from calib.views import View
from handdgp_core.arrays import Array

__all__ = ["Verdict", "calibrate", "judge", "lens_reason", "outlier_views", "tilts_rad"]

Grade = Literal["excellent", "good", "fair", "rough", "refused"]

_MAX_FOCAL_STD = 0.01
_ROUGH_FOCAL_STD = 0.0025
_FEW_VIEWS = 6  # distinct ones; fewer cannot be checked against each other, whatever their standard deviation
_EXCELLENT_FOCAL_STD = 0.001
_FRONTAL_RAD = np.deg2rad(9.0)
_MIN_TILTED = 2
_MAX_RMS_PX = 1.5
_MANY_SIGMAS = 3.0
_SQUARE = 0.01  # a difference between fx and fy, as a part of them, that is worth a word
_OUTLIER_FACTOR, _OUTLIER_LEAST_PX = 3.0, 0.25
_BENT_MM = 0.3
_STRETCHED = 0.003
_FAIR_MAP_PX = 3 * MAP_GOAL_PX
_UNKNOWN = 0.1  # of the picture's width: a standard deviation at its edge of which the figure itself means nothing
_TOLD_BLIND = 0.005  # of the picture
_UNDETERMINED = 10.0  # times the usual model's error: then the views do not determine a model at all
_HALF_METRE_MM = 500.0
_TILT_ADVICE = "add views with the board tilted by 20 to 40 degrees towards each of its four sides"


@dataclass(frozen=True)
class Verdict:
    """A calibration in plain words and figures.

    Attributes:
        grade: "refused" must not be used; "rough" is better than a guess; "fair" holds in the middle of the picture,
            not in its corners.
        headline: one sentence.
        reasons: what is wrong, worst first.
        advice: what to do about it; empty where nothing needs doing.
        notes: worth knowing, no fault.
        focal_percent: two standard deviations of the focal length, in percent.
        depth_mm: the same as depth at half a metre.
        worst_px: largest standard deviation of a projection over the image; NaN where the lens model fails in a corner,
            or says next to nothing there.
        outliers: indices of views that do not fit the others.
        halves: the worst contradiction between some of the views and the rest, or None with too few views.
        enough: whether more views would help no more.
    """

    grade: Grade
    headline: str
    reasons: tuple[str, ...]
    advice: str
    notes: tuple[str, ...]
    focal_percent: float
    depth_mm: float
    worst_px: float
    outliers: tuple[int, ...]
    halves: SplitHalf | None
    enough: bool

    @property
    def usable(self) -> bool:
        """Whether the calibration may be saved and used."""
        return self.grade != "refused"


def calibrate(
    board: Board, views: Sequence[View], start: Solution | None = None, lens: LensModel | None = None
) -> tuple[Solution, Verdict]:
    """Solve and judge; arguments and errors are those of `solve`."""
    solution = solve(board, views, start, lens=lens)
    return solution, judge(solution)


def judge(solution: Solution) -> Verdict:
    """The verdict on a solution."""
    halves = split_half(solution)
    worst = _worst_px(solution)
    outliers = outlier_views(solution)
    reasons, advice = _objections(solution, halves, outliers)
    percent = 200.0 * _honest_focal_std(solution, halves)
    depth_mm = percent / 100.0 * _HALF_METRE_MM
    measure = f"focal length known to ±{percent:.2f} %, which is ±{depth_mm:.1f} mm of depth at 0.5 m"
    grade = "refused" if reasons else _grade(solution, percent, worst, outliers)
    if grade == "rough":
        advice = _more_views(solution)
    headline = f"Not good enough yet: {reasons[0]}" if reasons else f"{grade.capitalize()}: {measure}"
    enough = not reasons and solution.distinct_count >= VIEWS_GOAL
    enough = enough and solution.focal_std <= FOCAL_GOAL and worst <= MAP_GOAL_PX
    notes = _notes(solution, halves, outliers, worst)
    return Verdict(
        grade, headline, tuple(reasons), advice, tuple(notes), percent, depth_mm, worst, outliers, halves, enough
    )


def outlier_views(solution: Solution) -> tuple[int, ...]:
    """Indices of views whose rms is far above that of the others."""
    rms = solution.view_rms_px
    if len(rms) < 4:
        return ()
    usual = float(np.median(rms))
    return tuple(int(i) for i in np.flatnonzero(rms > max(_OUTLIER_FACTOR * usual, usual + _OUTLIER_LEAST_PX)))


def tilts_rad(solution: Solution) -> Array:
    """(V,) angle between the board's normal and the line of sight in each view."""
    return np.array([appearance(solution.board, pose, solution.camera).tilt_rad for pose in solution.poses])


def _worst_px(solution: Solution) -> float:
    """Of the middles of all cells; a lens may run away between them and the edges, where no board was."""
    maps = [UncertaintyMap(solution.camera, to_edges=to_edges) for to_edges in (False, True)]
    inside, at_edges = (float(np.max(one.std_px(solution.covariance))) for one in maps)
    return inside if at_edges <= _UNKNOWN * solution.camera.width else float("nan")


def _honest_focal_std(solution: Solution, halves: SplitHalf | None) -> float:
    """What noise explains, or a quarter of the difference of the halves where that is more than noise explains."""
    if halves is None or halves.focal_agrees:
        return solution.focal_std
    return max(solution.focal_std, 0.25 * halves.focal_difference)


def _grade(solution: Solution, focal_percent: float, worst_px: float, outliers: tuple[int, ...]) -> Grade:
    """Of a calibration that is not refused."""
    if focal_percent > 200.0 * _ROUGH_FOCAL_STD or solution.distinct_count < _FEW_VIEWS:
        return "rough"
    if focal_percent <= 200.0 * _EXCELLENT_FOCAL_STD and worst_px <= MAP_GOAL_PX and not outliers:
        return "excellent"
    return "good" if worst_px <= _FAIR_MAP_PX else "fair"  # NaN is fair, too


def _more_views(solution: Solution) -> str:
    enough = solution.distinct_count >= VIEWS_GOAL
    return _TILT_ADVICE if enough else f"take {VIEWS_GOAL} views or more, each from another side, and {_TILT_ADVICE}"


def _objections(solution: Solution, halves: SplitHalf | None, outliers: tuple[int, ...]) -> tuple[list[str], str]:
    reasons, advice = [], ""
    if halves is not None and halves.contradicts:
        reasons.append(f"{halves.parts} contradict each other ({halves.words})")
        advice = (
            "lock the focus and zoom, keep the board stiff, use the images of one camera only, none of them turned or "
            "mirrored, and start again"
        )
    tilted = int((tilts_rad(solution) > _FRONTAL_RAD).sum())
    if tilted < _MIN_TILTED:
        reasons.append("the board faces the camera squarely in nearly every view, which cannot tell its focal length")
        advice = advice or _TILT_ADVICE
    elif solution.distinct_count < MIN_VIEWS:
        reasons.append(f"the views are too much alike: {solution.distinct_count} of {len(solution.views)} are distinct")
        advice = advice or _more_views(solution)
    elif solution.focal_std > _MAX_FOCAL_STD:
        # Standard deviations of a solve that ran away are as wild as the rest of it: they refuse, but are not shown.
        std = f" (±{200 * solution.focal_std:.1f} %)" if solution.focal_std < 0.1 else ""
        reasons.append(f"the focal length is not determined well enough{std}")
        advice = advice or _more_views(solution)
    if solution.rms_px > _MAX_RMS_PX:
        reasons.append(f"the corners are {solution.rms_px:.1f} px off")
        advice = advice or (
            "hold the board still and keep it flat on something stiff; check that it is the board that was named"
        )
    return reasons, advice


def _notes(solution: Solution, halves: SplitHalf | None, outliers: tuple[int, ...], worst_px: float) -> list[str]:
    notes = []
    if outliers:
        names = ", ".join(solution.views[i].name or f"view {i + 1}" for i in outliers)
        notes.append(f"Does not fit the others, so leave it out and solve again: {names}.")
    for name, bend, std in zip(BEND_NAMES, 1e3 * solution.shape_m, 1e3 * solution.shape_std_m, strict=True):
        if abs(bend) > max(_BENT_MM, _MANY_SIGMAS * std):
            notes.append(
                f"Your board is not flat: {name} {abs(bend):.1f} ± {2 * std:.1f} mm. This was taken into account."
            )
    if abs(solution.stretch) > max(_STRETCHED, _MANY_SIGMAS * solution.stretch_std):
        notes.append(
            f"Your board is stretched by {100 * solution.stretch:+.1f} ± {200 * solution.stretch_std:.1f} % along its "
            "columns. This was taken into account."
        )
    if halves is not None and not halves.agrees and not halves.contradicts:
        notes.append(
            f"{halves.parts.capitalize()} differ by {halves.words}, more than noise explains: the board bent between "
            "views, or the camera refocused."
        )
    if solution.trials and solution.lens is not solution.trials[0].model:
        notes.append(lens_reason(solution))
    notes += _repeated(solution) + _not_square(solution)
    if halves is None:
        notes.append(f"Too few views to check one half against the other: {2 * MIN_VIEWS} distinct ones are needed.")
    if not np.isfinite(worst_px):
        notes.append(
            "The lens is not known in the corners of the picture: show the board there. Until then hands in the "
            "corners are missing or misplaced."
        )
    elif worst_px > MAP_GOAL_PX:
        notes.append(
            f"Towards the corners of the picture the lens is known to ±{2 * worst_px:.1f} px: show the board there."
        )
    if solution.dropped:
        notes.append(f"{len(solution.dropped)} single corners did not fit and were dropped.")
    return notes


def lens_reason(solution: Solution) -> str:
    """Why this lens model, in one sentence."""
    name = solution.lens.name
    if solution.trials is None:
        return f"Lens model {name}, as you chose."
    if not solution.trials:
        few = solution.distinct_count < ENOUGH_TO_CHOOSE
        why = f"fewer than {ENOUGH_TO_CHOOSE} distinct views cannot compare others" if few else "others promise no gain"
        return f"Lens model {name}: {why}."
    told = [
        f"{trial.model.name} {trial.held_out_px:.2f} px"
        + (f" and no answer for {100 * trial.blind:.0f} % of the picture" if trial.blind > _TOLD_BLIND else "")
        for trial in solution.trials
        if trial.held_out_px < _UNDETERMINED * solution.trials[0].held_out_px
    ]
    return f"Lens model {name}, by how far off corners of views left out are: {'; '.join(told)}."


def _repeated(solution: Solution) -> list[str]:
    distinct, count = solution.distinct_count, len(solution.views)
    if count < 2 * distinct:
        return []
    return [f"Many views are alike: {count} count as {distinct} distinct {'view' if distinct == 1 else 'views'}."]


def _not_square(solution: Solution) -> list[str]:
    fx, fy = solution.camera.focal_px
    ratio = fx / fy
    slope = np.zeros(len(solution.covariance))
    slope[:2] = 1 / fx, -1 / fy
    std = float(np.sqrt(slope @ solution.covariance @ slope))
    if abs(ratio - 1.0) <= max(_SQUARE, _MANY_SIGMAS * std):
        return []
    return [
        f"fx / fy is {ratio:.3f} ± {2 * std:.3f}, but nearly every camera has square pixels: the board is printed or "
        "shown stretched, its squares are not as specified, or the images were resized to another shape."
    ]
