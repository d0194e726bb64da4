"""Opens the wizards from the window: their commands, the badge, and what follows a saved calibration."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PyQt6.QtCore import QObject
from PyQt6.QtWidgets import QDialog, QWidget

from app.live.controller import Controller
from app.live.settings_store import SettingsStore
from app.live.state import Phase
from app.notices import Notice, Severity
from app.panels.wheel_guard import WheelGuard
from app.wizards.accuracy import AccuracyDialog
from app.wizards.calibration import CalibrationDialog
from app.wizards.check import CheckDialog
from app.wizards.hand_size import HandSizeDialog
from app.wizards.hand_views import HandViewsDialog
from calib.people import PersonHand
from handdgp_core.sources import WebcamInfo

_NOT_RUNNING = "Open a camera or start the source again first."


class Wizards(QObject):
    """One wizard at a time, over the window.

    Args:
        controller, settings: of the window.
        tell: shows a notice.
        use_file: takes a camera file into use.
        webcams: what is connected.
        refresh: shows settings that a wizard changed.
        window: the parent of the dialogs.
    """

    def __init__(
        self,
        controller: Controller,
        settings: SettingsStore,
        *,
        tell: Callable[[Notice], None],
        use_file: Callable[[str], None],
        webcams: Callable[[], Sequence[WebcamInfo]],
        refresh: Callable[[], None],
        window: QWidget,
    ) -> None:
        super().__init__(window)
        self._controller, self._settings = controller, settings
        self._tell, self._use_file, self._webcams, self._window = tell, use_file, webcams, window
        self._refresh = refresh
        self.dialog: QDialog | None = None

    def calibrate(self) -> None:
        """The calibration wizard."""
        if not self.close():  # before the new one takes the frames: the old one gives them back
            return
        dialog = CalibrationDialog(self._controller, self._settings, self._webcams(), parent=self._window)
        dialog.told.connect(self._tell)
        dialog.file_written.connect(self._use_file)
        dialog.saved.connect(lambda profile: self._prefer_profile())
        self._open(dialog)

    def check(self) -> None:
        """The check of the calibration in use."""
        if not self.close() or not self._calibrated():
            return
        camera = self._controller.options.calibration
        assert camera is not None
        stored = self._controller.profile.match.profile
        profile = stored if stored is not None and stored.camera == camera else None
        dialog = CheckDialog(self._controller, self._settings, camera, profile, self._window)
        dialog.calibrate.connect(self.calibrate)
        self._open(dialog)

    def accuracy(self) -> None:
        """The accuracy check of distances with the calibration in use."""
        if not self.close() or not self._calibrated():
            return
        self._open(AccuracyDialog(self._controller, self._settings, self._window))

    def _calibrated(self) -> bool:
        """Whether a source with a calibrated camera runs; else the user is told."""
        if self._controller.options.calibration is None:
            title, text = "No calibration is in use.", "Calibrate a camera first (Camera menu)."
        elif self._controller.status.phase is not Phase.RUNNING:
            title, text = "Nothing is running.", _NOT_RUNNING
        else:
            return True
        self._tell(Notice(Severity.INFO, title, text, topic="calibration"))
        return False

    def hand_size(self) -> None:
        """The hand size wizard."""
        if not self.close():
            return
        dialog = HandSizeDialog(self._controller, self._settings, parent=self._window)
        dialog.chosen.connect(self._use_hand)
        dialog.views_wanted.connect(self.hand_views)
        self._open(dialog)

    def hand_views(self) -> None:
        """Ten views of the bare hand."""
        if not self.close():
            return
        if self._controller.status.phase is not Phase.RUNNING:
            self._tell(Notice(Severity.INFO, "Nothing is running.", _NOT_RUNNING, topic="calibration"))
            return
        self._open(HandViewsDialog(self._controller, self._settings, parent=self._window))

    def _use_hand(self, person: PersonHand) -> None:
        self._settings.change(
            person=person.name,
            hand_length_enabled=True,
            hand_length_mm=person.length_mm,
            hand_length_percent=min(person.percent, 50.0),
        )
        self._refresh()

    def follow_badge(self) -> None:
        """What the badge over the picture leads to: a calibration where there is none, else the check."""
        if self._controller.options.calibration is None:
            self.calibrate()
        else:
            self.check()

    def close(self) -> bool:
        """Close whatever is open, e.g. because the window closes; False if the user wants to stay in it."""
        if self.dialog is not None and self.dialog.isVisible() and not self.dialog.close():
            return False
        self.dialog = None
        return True

    def _prefer_profile(self) -> None:
        """A file that was loaded by hand would hide what was just measured."""
        if self._settings.current.calibration_path:
            self._use_file("")

    def _open(self, dialog: QDialog) -> None:
        self.dialog = dialog
        WheelGuard(dialog).watch(dialog)
        dialog.destroyed.connect(lambda: self._forget(dialog))
        dialog.open()

    def _forget(self, dialog: QDialog) -> None:
        if self.dialog is dialog:
            self.dialog = None
