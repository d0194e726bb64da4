"""`osc://`: Open Sound Control, one bundle a frame; docs/streams.md lists the addresses."""

from __future__ import annotations

import numpy as np
from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
from pythonosc.osc_message_builder import ArgValue, OscMessageBuilder

from app.streams.content import SIDES, FrameContent, HandContent
from app.streams.messages import quaternions_xyzw
from app.streams.sinks import Address
from app.streams.udp import datagram_socket
from handdgp_core.hands.hand_features import ANGLES
from handdgp_core.hands.joint_frames import JOINTS

__all__ = ["OpenedSink", "OscSocket"]


class OscSocket:
    """Sends bundles of messages to one address."""

    def __init__(self, address: Address) -> None:
        self._socket = datagram_socket(address)

    def send(self, messages: list[tuple[str, list[ArgValue]]]) -> None:
        """One bundle, in one datagram."""
        bundle = OscBundleBuilder(IMMEDIATELY)
        for path, values in messages:
            message = OscMessageBuilder(path)
            for value in values:
                message.add_arg(value)
            bundle.add_content(message.build())
        self._socket.send(bundle.build().dgram)

    def close(self) -> None:
        """Release the socket."""
        self._socket.close()


class OpenedSink:
    """Hands by side, in the camera frame. Of two hands of one side the surer one is sent."""

    def __init__(self, address: Address) -> None:
        self._socket = OscSocket(address)

    def send(self, content: FrameContent) -> None:
        """The frame's facts, then what is known of either side; `present` is 0 where there is no hand."""
        frame: list[ArgValue] = [content.frame.index, content.camera.source]
        messages: list[tuple[str, list[ArgValue]]] = [("/handdgp/frame", frame)]
        hands = content.by_side
        for side in SIDES:
            messages.append((f"/handdgp/{side}/present", [int(side in hands)]))
            if side in hands:
                messages += _messages(hands[side])
        self._socket.send(messages)

    def close(self) -> None:
        """Release the socket."""
        self._socket.close()


def _messages(content: HandContent) -> list[tuple[str, list[ArgValue]]]:
    hand, joints = content.hand, content.joints
    start = f"/handdgp/{hand.handedness}"
    distance = [float(np.linalg.norm(content.palm_m)), content.distance_std_m]
    messages: list[tuple[str, list[ArgValue]]] = [
        (f"{start}/track", [hand.track_id]),
        (f"{start}/score", [float(hand.score)]),
        (f"{start}/distance", [value for value in distance if np.isfinite(value)]),
        (f"{start}/openness", [content.openness]),
        (f"{start}/pinch", [content.pinch_distance_m, int(content.pinching)]),
    ]
    places = np.concatenate([joints.positions_m, quaternions_xyzw(joints)], axis=1)
    for number in np.flatnonzero(joints.is_valid):
        messages.append((f"{start}/joint/{JOINTS[number].replace(' ', '_')}", places[number].tolist()))
    for name, angle in zip(ANGLES, content.angles_rad.tolist(), strict=True):
        if np.isfinite(angle):
            messages.append((f"{start}/angle/{name.replace(' ', '_')}", [angle]))
    return messages
