"""Ten guided views of a bare hand: its proportions, how far the views agree, and no size.

What they find changes no number of the program: held in the fit, it made distances no better (docs/calibration.md).
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from PyQt6.QtGui import QKeySequence, QShortcut
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QTextBrowser, QVBoxLayout, QWidget

from app.live.controller import Controller
from app.live.settings_store import SettingsStore
from app.live.workers import WorkerFailed
from app.notices import notice_of_error
from app.style.theme import css, figures_font, tones
from app.wizards.bone_names import title_of_bone
from app.wizards.bridge import Bridge
from app.wizards.calibration_view import CalibrationView
from app.wizards.calibration_worker import Snapshot
from app.wizards.click_sound import ClickSound
from app.wizards.frame_dialog import FrameDialog
from app.wizards.hand_views_worker import HandViewsSnapshot, HandViewsWorker, LandmarkReader, ViewReader
from app.wizards.pose_drawing import PoseDrawing
from app.wizards.view_poses import VIEW_POSES
from calib.people import KeptBone, PeopleStore, PersonHand
from handdgp_core.errors import HandDGPError
from handdgp_core.estimation.bone_length import bone_mean_m
from handdgp_core.estimation.hand_bones import HandBones
from handdgp_core.estimation.hand_length import ADULT_HAND_M

_WHAT_FOR = (
    "Ten views show the proportions of your hand, but not its size, and how far the views agree. "
    "They change no number: on the people that it was tried on, distances became no better by them."
)


class HandViewsDialog(FrameDialog):
    """Guides through the views and shows what they say.

    Args:
        controller: gives frames and starts the worker.
        settings: whose hand length is in use.
        store: where people are kept; None for the user's own place.
        make_reader: what finds and reads hands.
    """

    _worker: HandViewsWorker

    def __init__(
        self,
        controller: Controller,
        settings: SettingsStore,
        store: PeopleStore | None = None,
        make_reader: Callable[[], ViewReader] = LandmarkReader,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(controller, parent)
        self.setWindowTitle("Ten views of your hand")
        self.resize(1060, 640)
        self._store = store or PeopleStore()
        self._mirrored = controller.status.is_live and settings.current.mirror_webcam
        self._person = self._known_person(settings.current.person)
        self._taken = 0
        self.bones: HandBones | None = None
        self._make_widgets()
        self._lay_out()
        self.bridge = Bridge(self)
        self.bridge.ready.connect(self._on_ready)
        self.bridge.failed.connect(self._on_failed)
        controller.divert(True)
        self._worker = HandViewsWorker(controller.diverted_frames, make_reader, self.bridge.report)
        controller.adopt(self._worker)

    def _known_person(self, name: str) -> PersonHand | None:
        try:
            return self._store.person(name)
        except HandDGPError:  # told where hands are measured
            return None

    def _make_widgets(self) -> None:
        self.view = CalibrationView(self)
        self.view.mirrored = self._mirrored
        self.view.set_message("Loading…", _WHAT_FOR)
        self.words = QLabel(VIEW_POSES[0].words, self)
        self.words.setWordWrap(True)
        self.words.setFont(figures_font(12, bold=True))
        self.words.setMinimumHeight(60)
        self.drawing = PoseDrawing(self)
        self.progress = QProgressBar(self)
        self.progress.setRange(0, len(VIEW_POSES))
        self.progress.setFormat("%v of %m views")
        self.take_button = QPushButton("Capture now (Space)", self)
        self.take_button.setToolTip("Take the next picture of a hand, even if it is not in this pose (Space).")
        self.take_button.setAutoDefault(False)
        self.take_button.clicked.connect(lambda: self._worker.take_now())
        QShortcut(QKeySequence("Space"), self).activated.connect(self.take_button.click)
        self.retake = QPushButton("Take the last view again", self)
        self.retake.setToolTip("Remove the last view and take it again (Ctrl+Z).")
        self.retake.setAutoDefault(False)
        self.retake.setEnabled(False)
        self.retake.clicked.connect(lambda: self._worker.retake())
        QShortcut(QKeySequence("Ctrl+Z"), self).activated.connect(self.retake.click)
        self.answer = QTextBrowser(self)
        self.answer.setHtml(f"<p>{_WHAT_FOR}</p>")
        self.save_button = QPushButton("Keep with this user", self)
        self.save_button.setToolTip("Keep the proportions beside the measured hand of the user in use.")
        self.save_button.setEnabled(False)
        self.save_button.clicked.connect(self.save)
        self.sound = ClickSound(self)

    def _lay_out(self) -> None:
        side = QWidget(self)
        side.setFixedWidth(360)
        column = QVBoxLayout(side)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.words)
        column.addWidget(self.drawing, 2)
        column.addWidget(self.progress)
        for button in (self.take_button, self.retake):
            column.addWidget(button)
        column.addWidget(self.answer, 3)
        column.addWidget(self.save_button)
        middle = QHBoxLayout()
        middle.addWidget(self.view, 1)
        middle.addWidget(side)
        close = QPushButton("Close", self)
        close.clicked.connect(self.close)
        self.message = QLabel("", self)
        self.message.setWordWrap(True)
        foot = QHBoxLayout()
        foot.addWidget(self.message, 1)
        foot.addWidget(close)
        whole = QVBoxLayout(self)
        whole.addLayout(middle, 1)
        whole.addLayout(foot)

    def _on_ready(self) -> None:
        snapshot = self._worker.take_snapshot()
        if snapshot is not None:
            self._show(snapshot)

    def _show(self, snapshot: HandViewsSnapshot) -> None:
        self.view.set_message("")
        self.view.show_snapshot(Snapshot(picture=snapshot.picture, corners_px=snapshot.keypoints_px))
        self.words.setText(snapshot.words)
        self.progress.setValue(snapshot.taken)
        self.retake.setEnabled(snapshot.taken > 0)
        self.take_button.setEnabled(snapshot.taken < len(VIEW_POSES))
        if snapshot.taken > self._taken:
            self.view.flash()
            self.sound.play()
        self._taken = snapshot.taken
        pose = VIEW_POSES[min(snapshot.taken, len(VIEW_POSES) - 1)]
        self.drawing.show_pose(pose.points, mirrored=self._mirrored != (snapshot.side == "left"))
        if snapshot.bones is not self.bones:
            self.bones = snapshot.bones
            self.answer.setHtml(f"<p>{_WHAT_FOR}</p>" if self.bones is None else answer_of(self.bones, self._person))
        self.save_button.setEnabled(self.bones is not None and self._person is not None)

    def save(self) -> None:
        """Keep the bones with the person whose hand is in use."""
        if self.bones is None or self._person is None:
            return
        kept = tuple(KeptBone(bone.name, bone.ratio, 200 * bone.std) for bone in self.bones.bones)
        try:
            self._store.save_bones(self._person.name, kept)
        except HandDGPError as error:
            self._say(error.message, error=True)
            return
        self._say(f"Kept with {self._person.name}.")

    def _on_failed(self, event: object) -> None:
        if isinstance(event, WorkerFailed):
            notice = notice_of_error(event.error, details=event.details)
            self._say(f"{notice.title} {notice.text}", error=True)

    def _say(self, text: str, *, error: bool = False) -> None:
        self.message.setText(text)
        self.message.setStyleSheet(f"color: {css(tones().error if error else tones().ink)};")

    def reject(self) -> None:
        """Esc is the same as closing."""
        self.close()


def answer_of(found: HandBones, person: PersonHand | None) -> str:
    """What the views say, as HTML: each bone beside the mean adult's, and the ruler's where there is one."""
    length_m = ADULT_HAND_M if person is None else person.length_mm / 1e3
    whose = "as long as a mean adult's" if person is None else f"of {1e3 * length_m:.0f} mm ({escape(person.name)})"
    measured = {} if person is None else {kept.what: kept.mm for kept in person.measurements}
    rows, notable = [], 0
    for bone in found.bones:
        mean_mm = 1e3 * bone_mean_m(bone.name) * length_m / ADULT_HAND_M
        mm, error = mean_mm * bone.ratio, 2 * mean_mm * bone.ratio * bone.std
        notable += abs(mm - mean_mm) > error
        ruler = f"{measured[bone.name]:.0f}" if bone.name in measured else ""
        rows.append(
            f"<tr><td>{title_of_bone(bone.name)}</td><td>{mm:.0f} ± {error:.0f}</td><td>{mean_mm:.0f}</td>"
            f"<td>{ruler}</td></tr>"
        )
    other = f"{notable} of {len(found.bones)} bones differ" if notable else "No bone differs"
    strange = [str(view + 1) for view in found.disagreeing]
    views = f"View {', '.join(strange)} does not fit to the others: take it again." if strange else "The views agree."
    return (
        f"<p><b>{views}</b> {other} from the mean adult's by more than the ±.</p>"
        f"<p>Bones in mm of a hand {whose}:</p><table cellspacing=4><tr><th></th><th>views</th><th>mean adult</th>"
        f"<th>ruler</th></tr>{''.join(rows)}</table><p>{_WHAT_FOR}</p>"
    )
