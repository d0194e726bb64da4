"""Every loader of a file that somebody else may have made: how to make a good one, and how to read it."""

from __future__ import annotations

import json
import pickle
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Load = Callable[[Path], object]


@dataclass(frozen=True)
class Loader:
    """One door.

    Attributes:
        file: name of the file that is damaged, in a folder of its own.
        make: writes that file, and what belongs to it, into the folder; a number chooses among several.
        load: reads it, given the file.
        head: bytes at its beginning that are damaged, where the rest is numbers alone; 0 for all.
    """

    file: str
    make: Callable[[Path, int], None]
    load: Load
    head: int = 0


def _pickle(folder: Path, number: int) -> None:
    rng = np.random.default_rng(number)
    content: Any = {
        "numbers": rng.normal(size=(4, 3)),
        "faces": np.arange(6, dtype=np.uint32).reshape(2, 3),
        "list": [np.float32(1), 2, "text", None, b"bytes", (1.5, -(2**70))],
    }
    (folder / "m.pkl").write_bytes(pickle.dumps(content, number % 6))


def _model(folder: Path, number: int) -> None:
    from tests.handdgp_core.hands.model_files import linear_model, write_old_model

    write_old_model(folder / "m.pkl", linear_model(20, 3, number), number % 3)


def _load_pickle(file: Path) -> object:
    from handdgp_core.hands.licensed.restricted_pickle import read_pickle

    return read_pickle(file, "a model", "Get it again.")


def _load_model(file: Path) -> object:
    from handdgp_core.hands.licensed.linear_model_file import read_linear_model

    return read_linear_model(file, "a model", "Get it again.")


def _checkpoint(folder: Path, number: int) -> None:
    import torch

    tensors = {"model.a": torch.arange(12.0).reshape(3, 4), "model.b": torch.ones(2, 2, dtype=torch.float16)}
    content = {"state_dict": tensors, "epoch": 3, "settings": {"rate": 0.1, "where": Path("x")}}
    torch.save(content, folder / "c.ckpt", _use_new_zipfile_serialization=number % 2 == 0)


def _load_checkpoint(file: Path) -> object:
    from handdgp_core.networks.checkpoints.foreign_weights import read_state_dict

    return read_state_dict(file, "Get it again.")


def _network(folder: Path, number: int) -> None:
    from handdgp_core.config import parse
    from handdgp_core.networks.checkpoints.weights import save_network
    from handdgp_core.networks.config import NetworkConfig
    from handdgp_core.networks.handdgp import HandDGP
    from tests.meshes import small_template

    sizes = {"backbone": "resnet18", "image_size": 32, "weight_latent": 8, "weight_widths": [8], "keypoint_widths": [8]}
    template = small_template()
    config = parse(NetworkConfig, {**sizes, "template": template.name, "mesh_widths": [8, 8, 4, 4]})
    save_network(HandDGP(config, template), folder / "n.safetensors")


def _load_network(file: Path) -> object:
    from handdgp_core.estimation.models import own_solve
    from handdgp_core.networks.checkpoints.weights import load_network

    own_solve(str(file))
    return load_network(file)


def _refiner(folder: Path, number: int) -> None:
    from handdgp_core.networks.checkpoints.refiner_file import save_refiner
    from handdgp_core.networks.pose_refiner import PoseRefiner

    save_refiner(PoseRefiner(3, 2, 8), folder / "r.safetensors")


def _load_refiner(file: Path) -> object:
    from handdgp_core.networks.checkpoints.refiner_file import load_refiner

    return load_refiner(file)


def _open_hand(folder: Path, number: int) -> None:
    from handdgp_core.hands.open_hand.open_hand import DEFAULT_PATH

    (folder / "o.npz").write_bytes(Path(DEFAULT_PATH).read_bytes())


def _load_open_hand(file: Path) -> object:
    from handdgp_core.hands.open_hand.open_hand import OpenHand

    hand = OpenHand.load(file)
    return hand.forward(hand.neutral_pose())


def _views(folder: Path, number: int) -> None:
    from calib.profiles import ProfileStore, new_profile
    from calib.views import View
    from handdgp_core.geometry.camera import Camera

    rng = np.random.default_rng(number)
    views = [View(np.arange(5, dtype=np.int32), rng.random((5, 2)) * 400, (640, 480), f"{n}.png") for n in range(3)]
    from calib.boards import Board
    from calib.profiles import CameraKey

    key = CameraKey("usb-1", 640, 480, "MJPG", "A camera", 1.0, 3.0)
    profile = new_profile(key, Camera.assumed(640, 480), Board.parse("charuco:10x7:26:19"), "Good", 0.5)
    saved = ProfileStore(folder / "store").save(profile, views).folder
    assert saved is not None
    for part in saved.iterdir():
        (folder / part.name).write_bytes(part.read_bytes())


def _load_views(file: Path) -> object:
    from calib.profiles import load_views

    return load_views(file.parent)


def _load_profile(file: Path) -> object:
    from calib.profiles import load_profile

    return load_profile(file.parent)


def _people(folder: Path, number: int) -> None:
    from calib.people import KeptMeasurement, PeopleStore

    store = PeopleStore(folder / "people.json")
    store.save("Ada", 181.0, 2.0, (KeptMeasurement("board", 181.0, 4.0, 1.0),))
    store.save("Zoë", 170.5, 3.0, ())


def _load_people(file: Path) -> object:
    from calib.people import PeopleStore

    return PeopleStore(file).people()


def _annotations(folder: Path, number: int) -> None:
    np.savez(
        folder / "annotations.npz",
        image=np.array(["a.png", "b.png"]),
        intrinsics=np.repeat(np.array([[[60.0, 0, 24], [0, 60, 20], [0, 0, 1]]]), 2, axis=0),
        keypoints_m=np.random.default_rng(number).normal(size=(2, 21, 3)),
        handedness=np.array(["left", "right"]),
    )


def _load_annotations(file: Path) -> object:
    from handdgp_core.sources.annotations import load_annotations

    return load_annotations(file)


def _truth(folder: Path, number: int) -> None:
    rng = np.random.default_rng(number)
    np.savez(
        folder / "truth.npz",
        size=np.array([48, 40]),
        matrix=np.array([[60.0, 0, 24], [0, 60, 20], [0, 0, 1]]),
        distortion=np.zeros(5),
        frame_index=np.arange(2),
        handedness=np.array(["left", "right"]),
        keypoints_m=rng.normal(size=(2, 21, 3)),
        root_m=rng.normal(size=(2, 3)),
        fully_visible=np.ones(2, bool),
    )


def _load_truth(file: Path) -> object:
    from handdgp_core.sources.demo import load_truth

    return load_truth(file.parent)


def _shards(folder: Path, number: int) -> None:
    from handdgp_core.datasets.sample import LabelledHand
    from handdgp_core.datasets.shards import ShardInfo, ShardWriter

    rng = np.random.default_rng(number)
    matrix = np.array([[60.0, 0, 24], [0, 60, 20], [0, 0, 1]])
    hands = [
        LabelledHand(
            np.full((40, 48, 3), 9 * n, np.uint8), matrix, rng.normal(0, 0.04, (21, 3)), rng.normal(0, 0.08, (9, 3))
        )
        for n in range(3)
    ]
    ShardWriter(folder, ShardInfo(vertices=9, origin="a test")).write(0, iter(hands))


def _load_shards(file: Path) -> object:
    from handdgp_core.datasets.shards import Shards

    shards = Shards(file.parent)
    return [shards[number] for number in range(min(len(shards), 20))]


def _settings(folder: Path, number: int) -> None:
    from app.settings import Settings, save_settings

    save_settings(Settings(recent_sources=("a.mp4", "demo"), person="Zoë"), folder / "settings.json")


def _load_settings(file: Path) -> object:
    from app.settings import load_settings, save_changes

    save_changes({}, Path(shutil.copy(file, file.with_name("changed.json"))))  # as another window leaves it
    settings, complaints = load_settings(file)
    for complaint in complaints:
        complaint.encode()
    return settings


def _training(folder: Path, number: int) -> None:
    from handdgp_core.bundled import bundled

    (folder / "c.yaml").write_bytes(bundled("configs/open.yaml" if number % 2 else "configs/tiny.yaml").read_bytes())


def _load_training(file: Path) -> object:
    from handdgp_core.training.config import load_config

    return load_config(file)


def _rows(folder: Path, number: int) -> None:
    from handdgp_core.export import spool

    row = np.zeros((), spool.row_type(5))
    row["handedness"] = "right"
    faces = spool.faces_record("right", np.array([[0, 1, 2]], np.int32))
    rows = b"".join(spool.row_record(n, row, f"{n}.png", "") for n in range(3))
    (folder / "rows.mcap").write_bytes(spool.HEAD + spool.rows_head(5) + faces + rows + spool.TAIL)


def _load_rows(file: Path) -> object:
    from handdgp_core.export import spool

    return spool.finish(file, file.with_name("predictions.npz"))


def _numbers(folder: Path, number: int) -> None:
    values = np.random.default_rng(number).normal(size=(4, 3, 3)).round(5).tolist()
    (folder / "training_K.json").write_text(json.dumps(values))


def _load_numbers(file: Path) -> object:
    from handdgp_core.datasets.files import DatasetError
    from handdgp_core.datasets.number_lists import read_number_list

    try:
        return read_number_list(file, (3, 3))
    except ValueError as error:  # which the data set turns into its own
        raise DatasetError("It is damaged.") from error


_CAMERAS = (  # kinds that this program reads and does not write
    "height: 480\nwidth: 640\ndistortion_model: plumb_bob\nD: [-0.28, 0.07, 0.0, 0.0, 0.0]\n"
    "K: [500, 0, 320, 0, 500, 240, 0, 0, 1]\nroi: {x_offset: 0, width: 0, do_rectify: False}\n---\n",
    "sensor_type: camera\nresolution: [640, 480]\ncamera_model: pinhole\nintrinsics: [500, 500, 320, 240]\n"
    "distortion_model: radial-tangential\ndistortion_coefficients: [-0.28, 0.07, 0.0, 0.0]\n",
    "# made\n{\n 'lensmodel': 'LENSMODEL_OPENCV5',\n 'intrinsics': [500, 500, 320, 240, -0.28, 0.07, 0, 0, 0,],\n"
    " 'extrinsics': [0, 0, 0, 0, 0, 0,],\n 'imagersize': [640, 480,],\n}\n",
)


def _camera(folder: Path, number: int) -> None:
    from handdgp_core.geometry.camera import Camera
    from handdgp_core.geometry.camera_files import as_text

    known = [as_text(Camera.assumed(640, 480, 60), format) for format in ("ros", "opencv", "kalibr")]
    (folder / "camera.yaml").write_text((*known, *_CAMERAS)[number % 6])


def _camera_xml(folder: Path, number: int) -> None:
    import cv2

    storage = cv2.FileStorage(str(folder / "camera.xml"), cv2.FILE_STORAGE_WRITE)
    storage.write("image_width", 640)
    storage.write("image_height", 480)
    storage.write("camera_matrix", np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]]))
    storage.write("distortion_coefficients", np.zeros((4 + number % 2, 1)))
    storage.release()


def _load_camera(file: Path) -> object:
    from handdgp_core.geometry.camera import Camera

    return Camera.load(file)


def _picture(folder: Path, number: int) -> None:
    import cv2

    image = np.random.default_rng(number).integers(0, 255, (24, 32, 3), np.uint8)
    name = "a.png" if number % 2 else "a.jpg"
    (folder / "a.png").write_bytes(cv2.imencode(name[1:], image)[1].tobytes())


def _load_picture(file: Path) -> object:
    from handdgp_core.sources.images import read_image

    return read_image(file)


def _session(folder: Path, number: int) -> None:
    from handdgp_core.geometry.camera import Camera
    from handdgp_core.sessions import SessionInfo, SessionWriter
    from handdgp_core.types import Frame

    image = np.random.default_rng(number).integers(0, 255, (12, 16, 3), np.uint8)
    (folder / "take.mcap").unlink(missing_ok=True)
    with SessionWriter(folder / "take.mcap", SessionInfo(source="a test")) as writer:
        for index in range(4):
            writer.add_frame(Frame(image, 33_000_000 * index, index), Camera.assumed(16, 12))


def _load_session(file: Path) -> object:
    from handdgp_core.sources.session import SessionSource

    with SessionSource(file) as source:
        return [source.read() for _ in range(4)]


def _recording_of_others(folder: Path, number: int) -> None:
    from mcap.writer import CompressionType

    from tests.handdgp_core.sessions.foreign import write_foreign

    kinds = list(CompressionType)
    packed: dict[str, Any] = {"compression": kinds[number % len(kinds)], "chunk_size": 4000}
    write_foreign(folder / "take.mcap", count=3, **({"use_chunking": False} if number == 5 else packed))


def _video(folder: Path, number: int) -> None:
    import av

    with av.open(folder / "video", "w", format=("mp4", "avi", "matroska")[number % 3]) as container:
        stream = container.add_stream("mpeg4" if number < 3 else "mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p" if number < 3 else "yuvj420p"
        for count in range(8):
            image = np.full((48, 64, 3), 30 * count, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        container.mux(stream.encode())


def _load_video(file: Path) -> object:
    from handdgp_core.sources.video import VideoSource

    with VideoSource(file) as source:
        return [source.read() for _ in range(10)]


def _results(folder: Path, number: int) -> None:
    rng = np.random.default_rng(number)
    keys = {"image": np.array(["a.png", "b.png"])} if number % 2 else {"frame_index": np.arange(2)}
    sides = np.array(["left", "right"])
    np.savez(folder / "r.npz", keypoints_m=rng.normal(size=(2, 21, 3)), handedness=sides, **keys)  # type: ignore[arg-type]


def _list_of_results(folder: Path, number: int) -> None:
    rng = np.random.default_rng(number)
    (folder / "r.json").write_text(
        json.dumps([rng.normal(size=(2, 21, 3)).round(4).tolist(), rng.normal(size=(2, 5, 3)).round(4).tolist()])
    )


def _load_results(file: Path) -> object:
    from handdgp_core.evaluation.result_files import ResultFile

    return ResultFile("others", file)


LOADERS: dict[str, Loader] = {
    "pickle": Loader("m.pkl", _pickle, _load_pickle),
    "model": Loader("m.pkl", _model, _load_model),
    "checkpoint": Loader("c.ckpt", _checkpoint, _load_checkpoint),
    "network": Loader("n.safetensors", _network, _load_network, head=1 << 15),
    "refiner": Loader("r.safetensors", _refiner, _load_refiner),
    "open hand": Loader("o.npz", _open_hand, _load_open_hand),
    "profile": Loader("profile.json", _views, _load_profile),
    "views": Loader("views.npz", _views, _load_views),
    "people": Loader("people.json", _people, _load_people),
    "annotations": Loader("annotations.npz", _annotations, _load_annotations),
    "truth": Loader("truth.npz", _truth, _load_truth),
    "shards": Loader("shards.json", _shards, _load_shards),
    "shard": Loader("shard-00000.npy", _shards, _load_shards),
    "shard pictures": Loader("shard-00000.jpgs", _shards, _load_shards),
    "number list": Loader("training_K.json", _numbers, _load_numbers),
    "settings": Loader("settings.json", _settings, _load_settings),
    "training": Loader("c.yaml", _training, _load_training),
    "rows": Loader("rows.mcap", _rows, _load_rows),
    "camera": Loader("camera.yaml", _camera, _load_camera),
    "camera in XML": Loader("camera.xml", _camera_xml, _load_camera),
    "picture": Loader("a.png", _picture, _load_picture),
    "session": Loader("take.mcap", _session, _load_session),
    "recording of others": Loader("take.mcap", _recording_of_others, _load_session),
    "video": Loader("video", _video, _load_video),
    "results": Loader("r.npz", _results, _load_results),
    "list of results": Loader("r.json", _list_of_results, _load_results),
}


def seeds(loader: Loader, folder: Path, count: int = 6) -> list[bytes]:
    """Some good files; the folder then holds the parts that belong to the last one."""
    made = []
    for number in range(count):
        random.seed(number)
        loader.make(folder, number)
        made.append((folder / loader.file).read_bytes())
    return made
