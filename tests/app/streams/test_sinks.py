"""Every protocol, read by a client of its own: what was sent arrives, and a client that stalls holds nobody up."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from hand_tracking_sdk import HTSClient, HTSClientConfig, StreamOutput, TransportMode
from hand_tracking_sdk.convert import unity_left_to_right_position
from pythonosc.osc_packet import OscPacket
from scipy.spatial.transform import Rotation
from websockets.sync.client import connect

from app.streams.sinks import Address, SinkThread, open_sinks, parse_uri
from handdgp_core.errors import HandDGPError, UsageError
from handdgp_core.hands.joint_frames import JOINTS
from tests.app.streams.contents import content
from tests.open_hands import degenerate_hand, open_hand
from tests.patience import WAIT_S


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.bind(("127.0.0.1", 0))
        opened.settimeout(WAIT_S)
        yield opened


def opened(uri: str) -> SinkThread:
    (sink,) = open_sinks([uri])
    return sink


def sent_to(listening: socket.socket, scheme: str, *hands: object, count: int = 1) -> list[bytes]:
    """The datagrams that a frame with these hands becomes."""
    sink = opened(f"{scheme}://127.0.0.1:{listening.getsockname()[1]}")
    sink.put(content(*hands))
    got = [listening.recv(65536) for _ in range(count)]
    sink.close()
    assert sink.problem is None and sink.sent == 1
    return got


def test_udp_sends_a_line_a_hand(listening: socket.socket) -> None:
    lines = [json.loads(line) for line in sent_to(listening, "udp", open_hand("left"), open_hand("right"), count=2)]
    assert [line["hand"]["track_id"] for line in lines] == [2, 1]
    assert lines[0]["sent_unix_ns"] >= lines[0]["captured_unix_ns"]


def test_osc_sends_each_side_and_says_which_is_not_there(listening: socket.socket) -> None:
    hand = open_hand("right")
    (data,) = sent_to(listening, "osc", hand, degenerate_hand("left"))
    got = {timed.message.address: timed.message.params for timed in OscPacket(data).messages}
    assert got["/handdgp/frame"] == [7, "assumed"]
    assert (got["/handdgp/left/present"], got["/handdgp/right/present"]) == ([0], [1])
    assert not any(address.startswith("/handdgp/left/joint") for address in got)
    np.testing.assert_allclose(got["/handdgp/right/joint/index_tip"][:3], hand.keypoints_m[8], atol=1e-6)
    assert len([address for address in got if address.startswith("/handdgp/right/joint/")]) == len(JOINTS)


def test_vmc_bends_the_bone_of_the_avatar_that_the_hand_bends(listening: socket.socket) -> None:
    def bones(side: str, **bends: float) -> dict[str, np.ndarray]:
        (data,) = sent_to(listening, "vmc", open_hand(side, **bends))
        messages = [timed.message for timed in OscPacket(data).messages]
        return {m.params[0]: np.array(m.params[1:]) for m in messages if m.address == "/VMC/Ext/Bone/Pos"}

    # In Unity's T-pose palms are down: a left finger (along -x) bends by turning about +z, a right one about -z.
    for side, sign in (("Left", 1), ("Right", -1)):
        straight, curled = bones(side.lower()), bones(side.lower(), index_PIP_flexion=50)
        assert len(straight) == 15
        name = f"{side}IndexIntermediate"
        change = Rotation.from_quat(straight[name][3:]).inv() * Rotation.from_quat(curled[name][3:])
        assert np.degrees(change.magnitude()) == pytest.approx(50, abs=3)
        # Left-handed axes: a positive angle about +z takes +x to +y all the same, as numbers.
        axis = change.as_rotvec() / change.magnitude()
        fingertip = Rotation.from_quat(curled[name][3:]).apply((-1.0 if side == "Left" else 1.0, 0, 0))
        assert axis[2] * sign > 0.9 and fingertip[1] < -0.5
        others = [other for other in straight if "Index" not in other]
        assert all(np.allclose(straight[other], curled[other], atol=0.02) for other in others)


def test_hts_is_read_by_its_own_client() -> None:
    port = free_port(socket.SOCK_DGRAM)
    config = HTSClientConfig(TransportMode.UDP, "127.0.0.1", port, timeout_s=WAIT_S, output=StreamOutput.FRAMES)
    frames: list = []

    def read() -> None:
        for event in HTSClient(config).iter_events():
            frames.append(event)
            if len(frames) == 2:
                return

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    hands = {"Right": open_hand("right"), "Left": open_hand("left", (-0.1, 0.02, 0.5))}
    sink, deadline = opened(f"hts://127.0.0.1:{port}"), time.monotonic() + WAIT_S
    while reader.is_alive() and time.monotonic() < deadline:  # the client's socket opens in its own time
        sink.put(content(hands["Right"], hands["Left"]))
        reader.join(0.05)
    sink.close()
    assert {frame.side.value for frame in frames} == {"Right", "Left"}
    for frame in frames:
        hand = hands[frame.side.value]
        place = np.array([frame.wrist.x, frame.wrist.y, frame.wrist.z])
        turn = Rotation.from_quat([frame.wrist.qx, frame.wrist.qy, frame.wrist.qz, frame.wrist.qw]).as_matrix()
        world = np.array(frame.landmarks.points) @ turn.T + place  # as the client's own viewer places them
        camera = np.array([unity_left_to_right_position(*point) for point in world])
        np.testing.assert_allclose(camera, hand.keypoints_m, atol=3e-5)
        # In Unity a wrist's +z points to the fingers and its +y out of the back of the hand.
        to_middle = world[9] - world[0]
        assert turn[:, 2] @ to_middle / np.linalg.norm(to_middle) == pytest.approx(1, abs=1e-3)


def test_websocket_clients_get_the_description_first_and_then_the_newest_frame() -> None:
    port = free_port()
    sink = opened(f"ws://127.0.0.1:{port}")
    for index in range(3):
        sink.put(content(open_hand(), index=index))
    with connect(f"ws://127.0.0.1:{port}") as early, connect(f"ws://127.0.0.1:{port}") as late:
        for client in (early, late):
            assert json.loads(client.recv(WAIT_S))["type"] == "description"
        deadline, got = time.monotonic() + WAIT_S, None
        while (got is None or got["frame"] < 99) and time.monotonic() < deadline:
            sink.put(content(open_hand(), index=99))
            got = json.loads(early.recv(WAIT_S))
        assert got is not None and got["frame"] == 99
        assert json.loads(late.recv(WAIT_S))["hands"][0]["side"] == "right"
    sink.close()
    assert sink.problem is None


def test_a_websocket_client_that_stalls_holds_nobody_up() -> None:
    port = free_port()
    sink = opened(f"ws://127.0.0.1:{port}")
    stalled = socket.create_connection(("127.0.0.1", port))
    stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    stalled.sendall(
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    with connect(f"ws://127.0.0.1:{port}") as live:
        live.recv(WAIT_S)
        hands = content(open_hand(), open_hand("left"))
        for _ in range(600):  # far more than the buffers of the stalled one hold
            sink.put(hands)
            assert json.loads(live.recv(WAIT_S))["type"] == "frame"
    assert sink.problem is None
    stalled.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stalled.close()
    sink.close()


def test_foxglove_gets_the_topics_of_our_recordings() -> None:
    port = free_port()
    sink = opened(f"foxglove://127.0.0.1:{port}")
    with connect(f"ws://127.0.0.1:{port}", subprotocols=["foxglove.sdk.v1"]) as client:
        channels: dict[str, dict] = {}
        deadline = time.monotonic() + WAIT_S
        while "/hands/points" not in channels and time.monotonic() < deadline:
            message = json.loads(client.recv(WAIT_S))
            channels |= {channel["topic"]: channel for channel in message.get("channels", [])}
        assert channels["/hands/points"]["schemaName"] == "foxglove.PointCloud"
        assert {"/camera/image", "/camera/calibration", "/tf", "/hands/keypoints_2d", "/hands/scene"} <= set(channels)
        subscription = [{"id": 1, "channelId": channels["/hands/points"]["id"]}]
        client.send(json.dumps({"op": "subscribe", "subscriptions": subscription}))
        hand, data = open_hand(), None
        while data is None and time.monotonic() < deadline:
            sink.put(content(hand))
            try:
                data = client.recv(0.2)
            except TimeoutError:
                continue
            data = data if isinstance(data, bytes) else None
    sink.close()
    from foxglove_schemas_protobuf.PointCloud_pb2 import PointCloud

    assert data is not None and data[0] == 1
    cloud = PointCloud.FromString(data[13:])
    assert len(cloud.data) == cloud.point_stride * len(hand.vertices_m)


def test_rerun_writes_its_own_types(tmp_path) -> None:
    rerun = pytest.importorskip("rerun")
    from app.streams.rerun_viewer import log_frame

    recording = rerun.RecordingStream("handdgp_live")
    recording.save(tmp_path / "hands.rrd")
    log_frame(recording, content(open_hand("right")))
    recording.disconnect()
    assert (tmp_path / "hands.rrd").stat().st_size > 10_000


class Stuck:
    """A sink that never comes back from its first frame until it is freed."""

    def __init__(self) -> None:
        self.free, self.got = threading.Event(), []

    def send(self, sent) -> None:
        self.got.append(sent.frame.index)
        if not self.free.wait(WAIT_S):
            raise AssertionError("never freed")

    def close(self) -> None:
        pass


def test_a_sink_that_is_stuck_takes_the_newest_frame_next_and_counts_the_rest() -> None:
    sink = Stuck()
    thread = SinkThread(parse_uri("udp://127.0.0.1:1"), sink)
    thread.put(content(index=0))
    while not sink.got:
        time.sleep(0.001)
    for index in range(1, 50):
        thread.put(content(index=index))
    sink.free.set()
    thread.close()
    assert sink.got == [0, 49] and thread.skipped == 48 and thread.sent == 2


def test_nobody_at_the_other_end_is_no_error_for_good(listening: socket.socket) -> None:
    port = free_port(socket.SOCK_DGRAM)
    sink = opened(f"udp://127.0.0.1:{port}")
    deadline = time.monotonic() + WAIT_S
    while sink.problem is None and time.monotonic() < deadline:
        sink.put(content(open_hand()))
        time.sleep(0.01)
    assert sink.problem is not None and f"udp://127.0.0.1:{port}" in sink.problem
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as late:
        late.bind(("127.0.0.1", port))
        late.settimeout(0.2)
        got = None
        while got is None and time.monotonic() < deadline:
            sink.put(content(open_hand()))
            try:
                got = late.recv(65536)
            except TimeoutError:
                continue
    sink.close()
    assert got is not None and sink.problem is None


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("ws://", Address("ws://", "ws", "127.0.0.1", 8787)),
        ("udp://192.168.1.7:5000", Address("udp://192.168.1.7:5000", "udp", "192.168.1.7", 5000)),
        ("osc://[::1]:9001", Address("osc://[::1]:9001", "osc", "::1", 9001)),
    ],
)
def test_addresses_are_this_computer_unless_another_is_named(uri: str, expected: Address) -> None:
    assert parse_uri(uri) == expected
    assert (parse_uri(uri).warning is None) == (expected.host in ("127.0.0.1", "::1"))


@pytest.mark.parametrize(
    "uri",
    ["http://x", "127.0.0.1:9000", "udp://x:0x1", "udp://x:99999", "ws://u:p@x", "osc://x/path", "udp://x?a=b", ""],
)
def test_what_is_no_address_is_refused(uri: str) -> None:
    with pytest.raises(UsageError):
        parse_uri(uri)


def test_an_address_twice_or_one_that_is_taken_is_refused_and_nothing_stays_open() -> None:
    with pytest.raises(UsageError, match="twice"):
        open_sinks(["udp://127.0.0.1:5000", "udp://127.0.0.1:5000"])
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for scheme in ("ws", "foxglove"):
            before = threading.active_count()
            with pytest.raises(HandDGPError, match=str(port)):
                open_sinks(["udp://127.0.0.1:5000", f"{scheme}://127.0.0.1:{port}"])
            assert threading.active_count() == before
    with pytest.raises(HandDGPError, match="no-such-host"):
        open_sinks(["udp://no-such-host.invalid:5000"])
