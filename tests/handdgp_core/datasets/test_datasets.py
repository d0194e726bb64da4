"""Readers of the public data sets on miniatures in their exact formats: whole, wrong, missing and cut short."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from torch.utils.data import DataLoader

from handdgp_core.augmentation import ViewPairs
from handdgp_core.datasets.config import DatasetConfig
from handdgp_core.datasets.files import DatasetError
from handdgp_core.datasets.frames import FramesFolder
from handdgp_core.datasets.freihand import FreiHAND
from handdgp_core.datasets.ho3d import HO3D
from handdgp_core.datasets.human36m import Human36M
from handdgp_core.datasets.number_lists import read_number_list
from handdgp_core.errors import HandDGPError, SourceError, UsageError

HANDS = 3
FOCAL = 480.0
MATRIX = np.array([[FOCAL, 0, 112.0], [0, FOCAL, 112.0], [0, 0, 1]])
# Written down by hand from the order's description, not taken from the reader.
HO3D_NAMES = (
    ["wrist"]
    + [f"{finger} {joint}" for finger in ("index", "middle", "little", "ring", "thumb") for joint in (1, 2, 3)]
    + [f"{finger} 4" for finger in ("thumb", "index", "middle", "ring", "little")]
)
FREIHAND_NAMES = ["wrist"] + [f"{f} {j}" for f in ("thumb", "index", "middle", "ring", "little") for j in (1, 2, 3, 4)]


def picture(value: int, side: tuple[int, int] = (224, 224)) -> np.ndarray:
    return np.full((side[1], side[0], 3), value, dtype=np.uint8)


def save(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))


def points(seed: int, count: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.04, (count, 3)) + [0.0, 0.0, 0.6]


@pytest.fixture
def freihand(tmp_path: Path) -> Path:
    root = tmp_path / "FreiHAND_pub_v2"
    for number in range(4 * HANDS):
        save(root / f"training/rgb/{number:08d}.jpg", picture(10 * number))
    for number in range(2):
        save(root / f"evaluation/rgb/{number:08d}.jpg", picture(200 + number))
    for split, count in (("training", HANDS), ("evaluation", 2)):
        lists = {
            "K": [MATRIX.tolist()] * count,
            "xyz": [points(i, 21).tolist() for i in range(count)],
            "verts": [points(50 + i, 778).tolist() for i in range(count)],
            "scale": [0.03] * count,
            "mano": [[[0.0] * 61]] * count,
        }
        for name, values in lists.items():
            (root / f"{split}_{name}.json").write_text(json.dumps(values))
    return root


@pytest.fixture
def ho3d(tmp_path: Path) -> Path:
    root = tmp_path / "HO3D_v2"
    for split, frames in (("train", ["ABF10/0000", "ABF10/0001", "BB13/0007"]), ("evaluation", ["AP10/0000"])):
        (root / f"{split}.txt").parent.mkdir(exist_ok=True)
        (root / f"{split}.txt").write_text("\n".join(frames) + "\n")
        for i, frame in enumerate(frames):
            sequence, number = frame.split("/")
            save(root / split / sequence / "rgb" / f"{number}.png", picture(40 + i, (640, 480)))
            write_meta(root / split / sequence / "meta" / f"{number}.pkl", split, i)
    return root


def write_meta(path: Path, split: str, seed: int) -> None:
    opengl = points(seed, 21) * [1, -1, -1]
    meta: dict[str, Any] = {
        "camMat": np.array([[615.0, 0, 320], [0, 615, 240], [0, 0, 1]]),
        "objName": "021_bleach_cleanser",
        "objLabel": 19,
        "objTrans": np.zeros(3, np.float32),
        "objRot": np.zeros((3, 1)),
        "objCorners3D": np.zeros((8, 3)),
    }
    if split == "train":
        pose = {"handPose": np.full(48, 0.1), "handBeta": np.zeros(10), "handTrans": np.array([0.1, 0.2, -0.5])}
        meta |= {"handJoints3D": opengl, **pose}
    else:
        meta |= {"handJoints3D": opengl[0], "handBoundingBox": [300, 200, 380, 260]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(meta, protocol=2))


BODY_REGRESSOR = np.eye(29, 40)


def body_mesh(pose: np.ndarray, shape: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """40 points that tell the parameters apart: a stand-in for a licensed model, with its arguments' shapes."""
    assert (pose.shape, shape.shape, translation.shape) == ((72,), (10,), (3,))
    return np.linspace(-0.5, 0.5, 120).reshape(40, 3) + pose[0] + translation


@pytest.fixture
def human36m(tmp_path: Path) -> Path:
    root = tmp_path / "Human36M"
    (root / "annotations").mkdir(parents=True)
    turn = cv2.Rodrigues(np.array([0.1, 0.2, 0.3]))[0]
    camera = {"R": turn.tolist(), "t": [100.0, 200.0, 4000.0], "f": [1145.0, 1143.0], "c": [512.0, 515.0]}
    for subject in (1, 5, 6, 7, 8, 9, 11):
        images, rows = [], []
        for frame in range(6):
            name = f"s_{subject:02d}_act_02_subact_01_ca_04/s_{subject:02d}_act_02_subact_01_ca_04_{frame + 1:06d}.jpg"
            facts = {"subject": subject, "action_idx": 2, "subaction_idx": 1, "cam_idx": 4, "frame_idx": frame}
            images.append({"id": 100 * subject + frame, "file_name": name, "width": 1000, "height": 1002, **facts})
            rows.append({"id": frame, "image_id": 100 * subject + frame, "bbox": [400.0, 300.0, 100.0, 250.0]})
            save(root / "images" / name, picture(subject, (100, 100)))
        other = {**images[0], "id": 1, "cam_idx": 1, "file_name": images[0]["file_name"]}
        bodies = {"2": {"1": {"0": {"pose": [0.01] * 72, "shape": [0.0] * 10, "trans": [0.0, 0.1, 0.2]}}}}
        for part, content in (
            ("data", {"images": [*images, other], "annotations": rows}),
            ("camera", {"4": camera, "1": camera}),
            ("smpl_param", bodies),
            ("joint_3d", {"2": {"1": {"0": [[0.0] * 3] * 17}}}),
        ):
            (root / f"annotations/Human36M_subject{subject}_{part}.json").write_text(json.dumps(content))
    return root


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    root = tmp_path / "frames"
    names = np.array(["a.png", "b.png"])
    for i, name in enumerate(names):
        save(root / "images" / name, picture(70 + i, (64, 48)))
    np.savez(
        root / "annotations.npz",
        image=names,
        intrinsics=np.array([MATRIX, 2 * MATRIX - np.diag([0, 0, 1.0])]),
        keypoints_m=np.stack([points(i, 21) for i in range(2)]),
        handedness=np.array(["left", "right"]),
    )
    return root


def test_freihand_numbers_its_backgrounds_as_published(freihand: Path, tmp_path: Path) -> None:
    hands = FreiHAND(freihand, cache=tmp_path / "cache")
    assert len(hands) == 4 * HANDS
    for index in range(len(hands)):
        hand = hands[index]
        assert abs(int(hand.image[0, 0, 0]) - 10 * index) <= 2  # file number = hand + hands * version
        np.testing.assert_allclose(hand.keypoints_m, points(index % HANDS, 21), atol=1e-6)
        assert hand.vertices_m is not None
        np.testing.assert_allclose(hand.vertices_m, points(50 + index % HANDS, 778), atol=1e-6)
        np.testing.assert_allclose(hand.matrix, MATRIX)
        assert hand.handedness == "right"
    some = FreiHAND(freihand, backgrounds=["sample", "hom"], cache=tmp_path / "cache")
    assert [some[i].name[-12:-4] for i in range(len(some))] == [f"{n:08d}" for n in (6, 7, 8, 3, 4, 5)]
    with pytest.raises(IndexError):
        hands[len(hands)]


def test_freihand_evaluation_with_and_without_its_later_labels(freihand: Path, tmp_path: Path) -> None:
    hands = FreiHAND(freihand, "evaluation", cache=tmp_path / "cache")
    assert len(hands) == 2
    assert hands.has_labels
    for name in ("xyz", "verts"):
        (freihand / f"evaluation_{name}.json").unlink()
    bare = FreiHAND(freihand, "evaluation", cache=tmp_path / "cache")
    assert not bare.has_labels
    hand = bare[1]
    assert hand.vertices_m is None
    assert np.isnan(hand.keypoints_m).all()
    np.testing.assert_allclose(hand.box_px, [-0.5, -0.5, 223.5, 223.5])


@pytest.mark.parametrize("name", ["training_K.json", "training_xyz.json", "training_verts.json"])
def test_freihand_names_a_missing_or_cut_file(freihand: Path, tmp_path: Path, name: str) -> None:
    whole = (freihand / name).read_text()
    for content, found in ((None, "missing"), ("", "0 bytes"), (whole[: len(whole) // 2], "ends in the middle")):
        (freihand / name).unlink() if content is None else (freihand / name).write_text(content)
        with pytest.raises(DatasetError, match=found) as raised:
            FreiHAND(freihand, cache=tmp_path / "cache")
        assert name in raised.value.message
    shorter = json.dumps(json.loads(whole)[:-1])
    (freihand / name).write_text(shorter)
    with pytest.raises(DatasetError, match=f"{HANDS - 1}|{HANDS}"):
        FreiHAND(freihand, cache=tmp_path / "cache")


def test_freihand_names_the_first_missing_picture_and_how_many(freihand: Path, tmp_path: Path) -> None:
    for number in (5, 7):
        (freihand / f"training/rgb/{number:08d}.jpg").unlink()
    with pytest.raises(DatasetError, match=r"00000005\.jpg.*it and 1 more file are missing.*uni-freiburg"):
        FreiHAND(freihand, cache=tmp_path / "cache")
    FreiHAND(freihand, backgrounds=["gs"], cache=tmp_path / "cache")  # the others are not asked for
    with pytest.raises(UsageError, match="backgrounds"):
        FreiHAND(freihand, backgrounds=["green"])


def test_a_folder_of_something_else_is_told_from_half_a_download(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"x")
    makers: list[Callable[[Path], object]] = [
        FreiHAND,
        HO3D,
        lambda root: Human36M(root, "train", body_mesh, BODY_REGRESSOR),
        FramesFolder,
    ]
    for make in makers:
        with pytest.raises(DatasetError, match=r"is not the folder of .*it lacks .*holiday\.jpg"):
            make(tmp_path)
        with pytest.raises(DatasetError, match="no such folder"):
            make(tmp_path / "nowhere")


def test_a_damaged_picture_is_named_also_from_a_loader_process(freihand: Path, tmp_path: Path) -> None:
    path = freihand / "training/rgb/00000002.jpg"
    path.write_bytes(path.read_bytes()[:100])
    hands = FreiHAND(freihand, cache=tmp_path / "cache")
    with pytest.raises(DatasetError, match=r"00000002\.jpg"):
        hands[2]
    with pytest.raises(
        DatasetError, match=r"^Could not read training/rgb/00000002\.jpg of FreiHAND .* again\.$"
    ) as raised:
        list(DataLoader(ViewPairs(hands, 778), batch_size=4, num_workers=2))
    assert isinstance(raised.value, HandDGPError)


def test_loader_processes_keep_the_order(freihand: Path, tmp_path: Path) -> None:
    hands = FreiHAND(freihand, cache=tmp_path / "cache")
    loader = DataLoader(ViewPairs(hands, 778), batch_size=4, num_workers=2)
    assert [batch["index"].tolist() for batch in loader] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]


def test_number_lists_are_converted_once_and_anew_when_they_change(freihand: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    FreiHAND(freihand, "evaluation", cache=cache)
    made = {path.name: path.stat().st_mtime_ns for path in cache.iterdir()}
    FreiHAND(freihand, "evaluation", cache=cache)
    assert {path.name: path.stat().st_mtime_ns for path in cache.iterdir()} == made
    (freihand / "evaluation_xyz.json").write_text(json.dumps([points(9, 21).tolist()] * 2))
    changed = FreiHAND(freihand, "evaluation", cache=cache)
    np.testing.assert_allclose(changed[0].keypoints_m, points(9, 21), atol=1e-6)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[[1, 2], [3, 4]", "ends in the middle"),
        ("[[1, 2], [3]]", "multiple"),
        ('{"a": 1}', "else than lists"),
        ("[[1, 2], [3, 1e]]", "number"),
        ("[[1, 2], [3, 1e999]]", "finite"),
    ],
)
def test_number_lists_refuse_what_they_cannot_read(tmp_path: Path, text: str, found: str) -> None:
    path = tmp_path / "list.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=found):
        read_number_list(path, (2,))


def test_number_lists_equal_json_across_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("handdgp_core.datasets.number_lists._PIECE_BYTES", 37)
    values = np.random.default_rng(0).normal(0, 1, (11, 4, 3))
    path = tmp_path / "list.json"
    path.write_text(json.dumps(values.tolist(), indent=1))
    np.testing.assert_allclose(read_number_list(path, (4, 3)), values, rtol=1e-6)


def test_ho3d_is_turned_to_this_projects_axes_and_order(ho3d: Path) -> None:
    hands = HO3D(ho3d)
    assert [hands[i].name for i in range(3)] == [
        f"train/{n}.png" for n in ("ABF10/rgb/0000", "ABF10/rgb/0001", "BB13/rgb/0007")
    ]
    for i in range(3):
        by_name = dict(zip(HO3D_NAMES, points(i, 21), strict=True))  # OpenCV axes
        np.testing.assert_allclose(hands[i].keypoints_m, [by_name[name] for name in FREIHAND_NAMES], atol=1e-9)
        assert (hands[i].keypoints_m[:, 2] > 0).all()
        assert hands[i].vertices_m is None


def test_ho3d_meshes_come_from_the_users_model(ho3d: Path) -> None:
    def mesh(pose: np.ndarray, shape: np.ndarray, translation: np.ndarray) -> np.ndarray:
        assert (pose.shape, shape.shape) == ((48,), (10,))
        return np.tile(translation, (778, 1))

    hand = HO3D(ho3d, mesh_from_parameters=mesh)[0]
    assert hand.vertices_m is not None
    np.testing.assert_allclose(hand.vertices_m[5], [0.1, -0.2, 0.5])


def test_ho3d_evaluation_knows_the_root_and_a_box(ho3d: Path) -> None:
    hand = HO3D(ho3d, "evaluation")[0]
    np.testing.assert_allclose(hand.keypoints_m[0], points(0, 21)[0])
    assert np.isnan(hand.keypoints_m[1:]).all()
    np.testing.assert_allclose(hand.box_px, [300, 200, 380, 260])


def test_ho3d_names_what_is_missing_or_damaged(ho3d: Path) -> None:
    meta = ho3d / "train/ABF10/meta/0001.pkl"
    whole = meta.read_bytes()
    meta.write_bytes(whole[:50])
    with pytest.raises(DatasetError, match=r"train/ABF10/meta/0001\.pkl"):
        HO3D(ho3d)[1]
    meta.write_bytes(pickle.dumps({"handJoints3D": None, "camMat": MATRIX}))
    with pytest.raises(DatasetError, match=r"0001\.pkl.*handJoints3D"):
        HO3D(ho3d)[1]
    meta.unlink()
    with pytest.raises(DatasetError, match=r"train/ABF10/meta/0001\.pkl.*missing.*tugraz"):
        HO3D(ho3d)
    (ho3d / "train.txt").write_text("ABF10-0000\n")
    with pytest.raises(DatasetError, match="SEQUENCE/NUMBER"):
        HO3D(ho3d)
    (ho3d / "train.txt").unlink()
    with pytest.raises(DatasetError, match=r"train\.txt"):
        HO3D(ho3d)


class _Bomb:
    def __reduce__(self) -> Any:
        return (print, ("a pickle ran",))


def test_ho3d_runs_nothing_that_lies_in_a_meta_file(ho3d: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (ho3d / "train/ABF10/meta/0000.pkl").write_bytes(pickle.dumps({"handJoints3D": _Bomb()}))
    with pytest.raises(DatasetError, match=r"0000\.pkl"):
        HO3D(ho3d)[0]
    assert "a pickle ran" not in capsys.readouterr().out


def test_ho3d_version_3_has_jpeg_pictures(ho3d: Path) -> None:
    for path in ho3d.glob("train/*/rgb/*.png"):
        save(path.with_suffix(".jpg"), picture(99, (640, 480)))
        path.unlink()
    assert HO3D(ho3d)[2].name == "train/BB13/rgb/0007.jpg"


def test_human36m_places_the_mesh_in_the_camera(human36m: Path) -> None:
    people = Human36M(human36m, "train", body_mesh, BODY_REGRESSOR)
    assert len(people) == 10  # five subjects, two cameras, and only frame 0 has parameters
    person = people[0]
    turn = cv2.Rodrigues(np.array([0.1, 0.2, 0.3]))[0]
    world = body_mesh(np.full(72, 0.01), np.zeros(10), np.array([0.0, 0.1, 0.2]))
    assert person.vertices_m is not None
    np.testing.assert_allclose(person.vertices_m, (turn @ world.T).T + [0.1, 0.2, 4.0])
    np.testing.assert_allclose(person.keypoints_m, person.vertices_m[:29])
    np.testing.assert_allclose(person.matrix, [[1145, 0, 512], [0, 1143, 515], [0, 0, 1]])
    np.testing.assert_allclose(person.box_px, [400, 300, 500, 550])
    test = Human36M(human36m, "test", body_mesh, BODY_REGRESSOR)
    assert [test[i].name[7:24] for i in range(len(test))] == [
        "s_09_act_02_subac",
        "s_11_act_02_subac",
    ]  # camera 4 alone


@pytest.mark.parametrize(("off_mm", "labelled"), [(24.9, True), (25.1, False)])
def test_human36m_masks_fits_that_are_off(human36m: Path, off_mm: float, labelled: bool) -> None:
    """Every second joint is off by the mean error times 17 / 16 in turn, so that the mean of all stays in place."""
    world = body_mesh(np.full(72, 0.01), np.zeros(10), np.array([0.0, 0.1, 0.2]))
    regressor = np.eye(17, 40)
    np.save(human36m / "J_regressor_h36m_correct.npy", regressor)
    joints = 1000 * regressor @ world + [7.0, -3.0, 11.0]  # a shift of all does not count
    joints[:16, 1] += off_mm * 17 / 16 * np.tile([1.0, -1.0], 8)
    for path in human36m.glob("annotations/*_joint_3d.json"):
        path.write_text(json.dumps({"2": {"1": {"0": joints.tolist()}}}))
    person = Human36M(human36m, "train", body_mesh, BODY_REGRESSOR, fit_error_mm=25)[0]
    assert (person.vertices_m is not None) == labelled == bool(np.isfinite(person.keypoints_m).all())
    assert person.box_px is not None and person.keypoints_m.shape == (29, 3)
    assert Human36M(human36m, "train", body_mesh, BODY_REGRESSOR)[0].vertices_m is not None
    views = ViewPairs([person], 40, keypoint_count=29)[0]["view1"]
    assert bool(views["has_vertices"]) == bool(views["has_keypoints_uv"]) == bool(views["has_root"]) == labelled


def test_human36m_needs_the_regressor_for_its_mask(human36m: Path) -> None:
    with pytest.raises(DatasetError, match=r"J_regressor_h36m_correct\.npy"):
        Human36M(human36m, "train", body_mesh, BODY_REGRESSOR, fit_error_mm=25)
    np.save(human36m / "J_regressor_h36m_correct.npy", np.eye(17, 39))
    with pytest.raises(DatasetError, match="17 x 40"):
        Human36M(human36m, "train", body_mesh, BODY_REGRESSOR, fit_error_mm=25)
    with pytest.raises(UsageError, match="fit_error_mm"):
        Human36M(human36m, "train", body_mesh, BODY_REGRESSOR, fit_error_mm=0)
    with pytest.raises(UsageError, match="freihand"):
        DatasetConfig("freihand", "somewhere", fit_error_mm=25)


def test_human36m_takes_every_fifth_frame(human36m: Path) -> None:
    for path in human36m.glob("annotations/*_smpl_param.json"):
        body = {"pose": [0.0] * 72, "shape": [0.0] * 10, "trans": [0.0] * 3}
        path.write_text(json.dumps({"2": {"1": {str(frame): body for frame in range(6)}}}))
    numbers = {
        frame.rpartition("_")[2]
        for frame in (p.name for p in all_of(Human36M(human36m, "train", body_mesh, BODY_REGRESSOR)))
    }
    assert numbers == {"000001.jpg", "000006.jpg"}
    assert len(Human36M(human36m, "test", body_mesh, BODY_REGRESSOR, every=2)) == 6


def all_of(hands: Any) -> list[Any]:
    return [hands[i] for i in range(len(hands))]


def test_human36m_names_what_is_missing_or_damaged(human36m: Path) -> None:
    def make() -> Human36M:
        return Human36M(human36m, "test", body_mesh, BODY_REGRESSOR)

    name = "annotations/Human36M_subject9_camera.json"
    whole = (human36m / name).read_text()
    (human36m / name).write_text(whole[:40])
    with pytest.raises(DatasetError, match=r"subject9_camera\.json.*JSON"):
        make()
    (human36m / name).write_text("{}")
    with pytest.raises(DatasetError, match="subject9"):
        make()
    (human36m / name).unlink()
    with pytest.raises(DatasetError, match=r"subject9_camera\.json.*missing"):
        make()
    (human36m / name).write_text(whole)
    next((human36m / "images").glob("s_11*/*_000001.jpg")).unlink()
    with pytest.raises(DatasetError, match=r"s_11.*000001\.jpg"):
        make()


def test_a_body_goes_through_the_views_like_a_hand(human36m: Path) -> None:
    people = Human36M(human36m, "train", body_mesh, BODY_REGRESSOR)
    item = ViewPairs(people, 40, keypoint_count=29)[0]
    assert item["view1"]["keypoints_uv"].shape == (29, 2)
    assert item["view1"]["has_vertices"] == 1


def test_frames_folders_have_keypoints_and_sides_but_no_mesh(frames: Path) -> None:
    hands = FramesFolder(frames)
    assert [hand.handedness for hand in all_of(hands)] == ["left", "right"]
    assert [int(hand.image[0, 0, 0]) for hand in all_of(hands)] == [70, 71]
    np.testing.assert_allclose(hands[1].keypoints_m, points(1, 21))
    assert hands[1].matrix[0, 0] == 2 * FOCAL
    assert hands[0].vertices_m is None
    (frames / "images/b.png").unlink()
    with pytest.raises(DatasetError, match=r"images/b\.png.*missing"):
        FramesFolder(frames)
    (frames / "annotations.npz").write_bytes(b"PK")
    with pytest.raises(SourceError, match="damaged"):
        FramesFolder(frames)
