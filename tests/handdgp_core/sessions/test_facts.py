"""Metadata of recordings: of this version, of older ones, of other programs, and damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from handdgp_core.sessions import SessionReader
from handdgp_core.sessions.facts import SessionFacts
from handdgp_core.sessions.writer import SessionWriter
from tests.handdgp_core.sessions.conftest import write_session


def test_text_becomes_values() -> None:
    facts = SessionFacts.model_validate(
        {
            "format_version": "1",
            "is_rendered": "true",
            "hand_length_mm": "181.500",
            "hand_length_is": "crease to tip",
            "settings": '{"a": [1]}',
            "more": "",
        }
    )
    assert (facts.format_version, facts.is_rendered, facts.hand_length_mm) == (1, True, 181.5)
    assert facts.settings == {"a": [1]}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("format_version", "one"), ("is_rendered", "perhaps"), ("hand_length_mm", ""), ("hand_length_mm", "nan"),
        ("hand_length_mm", "-3"), ("hand_length_mm", "inf"), ("settings", "{"), ("settings", "[1]"), ("settings", ""),
    ],
)  # fmt: skip
def test_what_cannot_be_understood_is_not_there_and_harms_nothing_else(name: str, text: str) -> None:
    good = {"format_version": "1", "is_rendered": "false", "hand_length_mm": "180", "settings": "{}"}
    facts = SessionFacts.model_validate(good | {name: text})
    assert getattr(facts, name) is None
    assert facts.model_dump(exclude={name}) == SessionFacts.model_validate(good).model_dump(exclude={name})


def test_nothing_at_all_is_a_recording_of_another_program() -> None:
    assert set(SessionFacts.model_validate({}).model_dump().values()) == {None}


def test_a_recording_without_a_hand_length_or_of_a_renderer_says_so(tmp_path: Path) -> None:
    with SessionReader(write_session(tmp_path / "a.mcap", count=3, is_rendered=True)) as read:
        assert read.is_rendered and read.hand_length_m is None
    with SessionReader(write_session(tmp_path / "b.mcap", count=3, hand_length_mm=176.0)) as read:
        assert not read.is_rendered and read.hand_length_m == pytest.approx(0.176)


def test_an_earlier_recording_has_the_hand_that_its_results_were_made_with(tmp_path: Path, monkeypatch) -> None:
    """It kept the length of the keypoints' chain, which is shorter than the hand from crease to tip."""
    written = SessionWriter._facts
    monkeypatch.setattr(
        SessionWriter,
        "_facts",
        lambda self, *about: {k: v for k, v in written(self, *about).items() if k != "hand_length_is"},
    )
    settings = {"hand_length_mm": 175.43, "hand_length_percent": 4.0}
    path = write_session(tmp_path / "a.mcap", count=3, hand_length_mm=175.43, settings=settings)
    with SessionReader(path) as read:
        assert read.hand_length_m == pytest.approx(0.1825, abs=1e-4)
        assert read.settings_at(0)["hand_length_mm"] == pytest.approx(182.5, abs=0.1)
        assert read.hand_length_std == pytest.approx(0.02)
        hands = read.hands(0)
        assert hands is not None and hands.hand_length_m == pytest.approx(0.18 / 0.9613)
