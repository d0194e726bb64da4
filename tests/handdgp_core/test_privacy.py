"""Nothing that opens a stream is shown or stored."""

from __future__ import annotations

import pytest

from handdgp_core.privacy import without_secrets


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://me:secret@door.lan:554/live?token=secret#secret", "rtsp://door.lan:554/live"),
        ("rtsp://me:secret@secret@door.lan/live", "rtsp://door.lan/live"),
        ("rtsp://me:secret/secret@door.lan/live", "rtsp://door.lan/live"),
        ("rtsp://me:secret?secret#secret@door.lan/live", "rtsp://door.lan/live"),
        ("rtsp://secret@door.lan", "rtsp://door.lan"),
        ("http://host:80/@user/live?key=a@secret", "http://host:80/@user/live"),
        ("HTTP://[::1]:80/live?secret", "HTTP://[::1]:80/live"),
        ("no answer from rtsp://a:secret@b/c?secret in 5 s", "no answer from rtsp://b/c in 5 s"),
        ("C:\\clips\\a?.mp4", "C:\\clips\\a?.mp4"),
    ],
)
def test_urls_lose_what_gives_access(url: str, shown: str) -> None:
    assert without_secrets(url) == shown
    assert without_secrets({"url": [url, 3, None]}) == {"url": [shown, 3, None]}
