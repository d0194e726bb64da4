"""The JSON of a frame says what the hand is, in strict JSON, and nothing that is not known."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from app.streams.messages import as_json, description, frame_message, hand_lines
from handdgp_core.hands.palm import distance_std_m
from tests.app.streams.contents import content
from tests.open_hands import degenerate_hand, open_hand


def test_a_hand_comes_out_of_the_json_as_it_went_in() -> None:
    hand = open_hand("right", index_MCP_flexion=40)
    sent = content(hand)
    message = json.loads(as_json(frame_message(sent, sent.captured_unix_ns + 5)))
    assert (message["frame"], message["source"], message["sent_unix_ns"] - message["captured_unix_ns"]) == (
        7,
        "test",
        5,
    )
    assert message["camera"]["state"] == "assumed" and message["hand_length"] == {"measured": False, "mm": None}
    (got,) = message["hands"]
    np.testing.assert_allclose(got["keypoints_m"], hand.keypoints_m, atol=1e-6)
    np.testing.assert_allclose(got["wrist"]["covariance_m2"], hand.covariance_at(hand.keypoints_m[0]))
    turns = Rotation.from_quat([joint["orientation"] for joint in got["joints"]]).as_matrix()
    np.testing.assert_allclose(turns, sent.hands[0].joints.rotations, atol=1e-5)
    palm = hand.keypoints_m[[0, 5, 9, 13, 17]].mean(axis=0)
    assert got["distance_m"] == pytest.approx(np.linalg.norm(palm), abs=1e-6)
    assert got["distance_std_m"] == pytest.approx(distance_std_m(hand), abs=1e-6)
    assert got["angles_rad"][description()["angles"].index("index MCP flexion")] > np.radians(35)


def test_the_description_names_every_array() -> None:
    named, (got,) = description(), frame_message(content(open_hand()), 0)["hands"]
    for names, values in (("joints", got["joints"]), ("keypoints", got["keypoints_m"]), ("angles", got["angles_rad"])):
        assert len(named[names]) == len(values)
    json.loads(as_json(named))


def test_a_degenerate_hand_has_its_reason_and_no_number() -> None:
    (got,) = json.loads(as_json(frame_message(content(degenerate_hand()), 0)))["hands"]
    assert got["degenerate"] == "fewer than three usable keypoints"
    assert got["distance_m"] is None and got["distance_std_m"] is None and got["wrist"]["covariance_m2"] is None
    assert not any(joint["valid"] for joint in got["joints"])
    assert np.array(got["keypoints_m"]).tolist() == [[None] * 3] * 21


def test_a_line_a_hand_is_whole_by_itself() -> None:
    lines = [json.loads(line) for line in hand_lines(content(open_hand("left"), open_hand("right")), 3)]
    assert [line["hand"]["side"] for line in lines] == ["left", "right"]
    assert all(line["type"] == "hand" and line["units"] == "metre" and line["frame"] == 7 for line in lines)
