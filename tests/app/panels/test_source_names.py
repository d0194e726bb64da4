"""What opens a stream (user, password, query) is shown nowhere."""

from app.live.state import Phase, Status
from app.panels.camera import short_name
from app.panels.source_box import SourceBox
from app.panels.status_line import _source_text

STREAM, SHOWN = "rtsp://me:s3cret@door.lan/live?token=s3cret", "rtsp://door.lan/live"


def test_names_of_streams_hold_nothing_that_opens_them(qtbot):
    assert short_name(STREAM) == SHOWN
    assert _source_text(Status(spec=STREAM, phase=Phase.OPENING), None).startswith(f"{SHOWN} ")


def test_the_list_of_sources_shows_a_stream_once_and_opens_it_with_its_password(qtbot):
    box = SourceBox()
    qtbot.addWidget(box)
    box.set_recent([SHOWN, "0"])
    box.set_current(STREAM)
    shown = [(box.itemText(place), box.itemData(place, 3)) for place in range(box.count())]
    assert "s3cret" not in str(shown) and [text for text, _ in shown].count(SHOWN) == 1
    assert box.itemData(box.currentIndex()) == STREAM
