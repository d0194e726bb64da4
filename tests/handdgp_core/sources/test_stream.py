"""Streams, served by this machine to itself."""

import socket
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pytest

from handdgp_core.errors import SourceError, UsageError
from handdgp_core.geometry.image_transform import ImageTransform
from handdgp_core.sources import NoFrameYet, ReconnectingSource, VideoSource, frames, open_source
from handdgp_core.sources.urls import is_url, shown_url
from tests.patience import WAIT_S


class Camera(BaseHTTPRequestHandler):
    """A network camera: motion JPEG without end under /live, files elsewhere."""

    def do_GET(self):
        server = self.server
        if self.path == "/live":
            self._live(server)
        elif self.path in server.files:
            content = server.files[self.path]
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        else:
            self.send_error(404)

    def _live(self, server):
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
        self.end_headers()
        picture = cv2.imencode(".jpg", np.full((48, 64, 3), (0, 0, 250), np.uint8))[1].tobytes()
        head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n".encode()
        while not server.stopping.wait(0.02):
            if server.silent.is_set():
                continue
            self.wfile.write(head + picture + b"\r\n")

    def handle(self):
        with suppress(OSError):  # the player hung up
            super().handle()

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Camera)
    server.files, server.stopping, server.silent = {}, threading.Event(), threading.Event()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    server.url = f"http://127.0.0.1:{server.server_port}"
    yield server
    server.stopping.set()
    server.shutdown()
    thread.join()
    server.server_close()


def test_motion_jpeg_over_http_is_live(server):
    with open_source(f"{server.url}/live") as source:
        read = []
        while len(read) < 3:
            try:
                read.append(source.read(1.0))
            except NoFrameYet:
                continue
        assert isinstance(source, ReconnectingSource)
        assert source.is_live and not source.is_seekable and source.frame_count is None
        assert source.size == (64, 48)
    assert read[0].image[..., 0].min() > 200 and read[0].image[..., 2].max() < 60
    assert (np.diff([frame.stamp_ns for frame in read]) > 0).all()


def test_close_ends_a_read_of_a_silent_stream(server):
    source = open_source(f"{server.url}/live")
    server.silent.set()
    ended = threading.Event()

    def drain():
        while source.read(10 * WAIT_S) is not None:
            pass
        ended.set()

    reader = threading.Thread(target=drain)
    reader.start()
    source.close()
    reader.join(WAIT_S)
    assert ended.is_set()
    server.stopping.set()


def test_video_file_behind_a_url_has_an_end(server, make_video, tmp_path):
    server.files["/clip.avi"] = make_video(tmp_path / "clip.avi", 20, "MJPG").read_bytes()
    with open_source(f"{server.url}/clip.avi") as source:
        assert isinstance(source, VideoSource) and source.frame_count == 20
        assert [frame.index for frame in frames(source)] == list(range(20))


def test_wrong_path_on_a_reachable_server(server):
    with pytest.raises(SourceError, match="no video that can be decoded"):
        open_source(f"{server.url}/nothing")


def test_nobody_listens():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(SourceError, match="not reachable") as caught:
        open_source(f"rtsp://me:secret@127.0.0.1:{port}/x")
    assert "secret" not in str(caught.value)


def test_urls_are_told_from_paths():
    assert is_url("rtsp://host/x") and is_url("HTTP://host") and is_url("udp://@:1234")
    assert not is_url("clip.mp4") and not is_url("C:/clip.mp4") and not is_url("ftp://host") and not is_url("http:x")
    assert shown_url("rtsp://me:pass@word@host:5/a?b=1") == "rtsp://host:5/a"
    with pytest.raises(UsageError, match="not a stream address"):
        is_url("rtsp://host:port/x")


def test_a_turned_stream_of_narrow_pixels_is_upright_and_tells_its_camera(scripted_camera):
    scripted_camera.properties = {
        cv2.CAP_PROP_ORIENTATION_META: 90.0, cv2.CAP_PROP_SAR_NUM: 4.0, cv2.CAP_PROP_SAR_DEN: 3.0
    }  # fmt: skip
    with open_source("rtsp://host/x?token=1", capture_factory=scripted_camera, reconnect=False) as source:
        frame = source.read(WAIT_S)
        assert source.name == "rtsp://host/x"
    assert (cv2.CAP_PROP_ORIENTATION_AUTO, 0) in scripted_camera.settings  # else it would be turned twice
    assert frame.image.shape == (85, 48, 3) and source.size == (48, 85)
    assert frame.transform == ImageTransform((64, 48), 4 / 3, 6)
