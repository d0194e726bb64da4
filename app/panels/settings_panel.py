"""The settings as a form, made from the descriptions in `app.settings`. Every change is written and told at once."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import QSignalBlocker, Qt, pyqtSignal
from PyQt6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSlider,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from app.live.settings_store import SettingsStore
from app.panels.scroll_area import fill_scrolling
from app.settings import Settings, describe

_SIZES = ("640 × 480", "800 × 600", "1280 × 720", "1920 × 1080", "2560 × 1440", "3840 × 2160")
# Places, memories and what belongs to one camera or person: no taste that one would want back as it was.
NO_TASTES = frozenset(
    {
        "recent_sources", "board", "board_ruler_mm", "person", "calibration_path", "calibration_camera",
        "hand_length_enabled", "hand_length_mm", "export_folder", "snapshot_folder", "recordings_folder",
        "window_geometry", "window_layout", "panel", "panel_width", "show_scene", "scene_share",
        "scene_view", "scene_hidden", "had_camera", "had_calibration", "had_hand",
    }
)  # fmt: skip
_RATES = ("15", "24", "25", "30", "50", "60", "90", "120")


class SettingsPanel(QWidget):
    """Groups of settings in a column that scrolls.

    Args:
        settings: shown and changed.

    Signals:
        changed(str): the setting of this name has a new value.
        webcam_changed(): size or rate asked of the webcam changed: the webcam must be reopened.
        calibrate(), measure_hand(): the user wants that wizard.
        clear_calibration(): the user wants no calibration file.
        load_calibration(), load_model(), choose_recordings(): the user wants to choose a file or folder.
    """

    changed = pyqtSignal(str)
    webcam_changed = pyqtSignal()
    load_calibration = pyqtSignal()
    clear_calibration = pyqtSignal()
    calibrate = pyqtSignal()
    measure_hand = pyqtSignal()
    load_model = pyqtSignal()
    choose_recordings = pyqtSignal()

    def __init__(self, settings: SettingsStore, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._store = settings
        self._refreshers: list[Callable[[], None]] = []
        self._own_camera = self._recorded_camera = ""
        self._refreshing, self._uses_file = False, True
        content = QWidget(self)
        self._column = QVBoxLayout(content)
        self._column.setContentsMargins(8, 8, 8, 8)
        self._column.setSpacing(10)
        self._add_hand()
        self._add_camera()
        self._add_smoothing()
        self._add_overlay()
        self._add_model()
        self._add_webcam()
        self._add_recording()
        self._add_appearance()
        self._add_reset()
        self._column.addStretch(1)
        fill_scrolling(self, content)
        self.refresh()

    @property
    def _settings(self) -> Settings:
        return self._store.current

    def refresh(self) -> None:
        """Show the settings as they are now, e.g. after a shortcut changed one. Changes none of them."""
        self._refreshing = True  # a box that cannot show a value to its last digit must not write back what it shows
        try:
            for refresher in self._refreshers:
                refresher()
        finally:
            self._refreshing = False

    def reset(self) -> None:
        """Back to the defaults, but for the measured hand, the calibration, and folders."""
        usual, now = Settings(), self._settings
        changed = {name: value for name, value in usual if name not in NO_TASTES and value != getattr(now, name)}
        if not changed:
            return
        self._store.change(**changed)
        self.refresh()
        for name in changed:
            self.changed.emit(name)
        if any(name.startswith("webcam_") for name in changed):
            self.webcam_changed.emit()

    def show_profile(self, kind: str, uses_file: bool) -> None:
        """Say which calibration is in use.

        Args:
            kind: of the stored calibration of this camera: "exact", "derived" or "none".
            uses_file: whether the file of the settings is for the present source.
        """
        self._uses_file = uses_file
        texts = {"exact": "stored for this camera", "derived": "derived for this camera"}
        self._own_camera = texts.get(kind, "")
        self._show_camera_in_use()
        self.refresh()

    def show_recorded_camera(self, name: str | None) -> None:
        """Say which camera a session was taken with, where no other calibration is loaded; None for no session."""
        self._recorded_camera = "" if name is None else f"as recorded: {name}"
        self._show_camera_in_use()

    def _show_camera_in_use(self) -> None:
        self.calibration.setPlaceholderText(self._recorded_camera or self._own_camera or "none")

    def set_models(self, names: tuple[str, ...]) -> None:
        """What the list of models offers, beside the one in use."""
        for name in names:
            if self.model.findText(name) < 0:
                self.model.addItem(name)

    # Groups

    def _add_hand(self) -> None:
        form = self._group("Hand")
        self.hand_length_enabled = self._check(form, "hand_length_enabled")
        self.hand_length_mm = self._number(form, "hand_length_mm", step=1.0)
        measure = QPushButton("Measure…", self)
        measure.setToolTip("Measure your hand on the calibration board, or choose another user.")
        measure.clicked.connect(self.measure_hand)
        form.addRow("", measure)
        self._refreshers.append(lambda: self.hand_length_mm.setEnabled(self._settings.hand_length_enabled))
        self.max_hands = self._whole_number(form, "max_hands", title="Max. hands")

    def _add_camera(self) -> None:
        form = self._group("Camera")
        self.calibration = QLineEdit(self)
        self.calibration.setReadOnly(True)
        self.calibration.setPlaceholderText("none")
        self.calibration.setToolTip(describe("calibration_path")["description"])
        self.load_button = QPushButton("Load…", self)
        self.load_button.setToolTip("Load a calibration: camera_info YAML (ROS) or OpenCV YAML.")
        self.load_button.clicked.connect(self.load_calibration)
        self.clear_button = QPushButton("Clear", self)
        self.clear_button.setToolTip("Use an assumed field of view again.")
        self.clear_button.clicked.connect(self.clear_calibration)
        form.addRow("Calibration", self.calibration)
        form.addRow("", _row(self.load_button, self.clear_button))
        calibrate = QPushButton("Calibrate…", self)
        calibrate.setToolTip("Calibrate this camera with a printed board.")
        calibrate.clicked.connect(self.calibrate)
        form.addRow("", calibrate)
        self.assumed_fov_deg = self._number(form, "assumed_fov_deg", step=1.0, title="Field of view")
        self.mirror_webcam = self._check(form, "mirror_webcam")
        self.mirror_files = self._check(form, "mirror_files")

        def refresh() -> None:
            path = self._settings.calibration_path if self._uses_file else ""
            self.calibration.setText(path.replace("\\", "/").rsplit("/", 1)[-1])
            self.calibration.setToolTip(path or describe("calibration_path")["description"])
            self.clear_button.setEnabled(bool(path))
            self.assumed_fov_deg.setEnabled(not path)

        self._refreshers.append(refresh)

    def _add_smoothing(self) -> None:
        form = self._group("Smoothing")
        self.smoothing_enabled = self._check(form, "smoothing_enabled")
        self.steadiness = self._slider(form, "steadiness", "less", "more", title="Smoothing")
        self.depth_steadiness = self._slider(form, "depth_steadiness", "less", "more", title="Depth smoothing")

        def refresh() -> None:
            for slider in (self.steadiness, self.depth_steadiness):
                slider.setEnabled(self._settings.smoothing_enabled)

        self._refreshers.append(refresh)

    def _add_overlay(self) -> None:
        form = self._group("Overlay")
        for name in ("show_mesh", "show_wireframe", "show_keypoints", "show_residuals", "show_labels"):
            self._check(form, name)
        self.mesh_opacity = self._slider(form, "mesh_opacity", "transparent", "opaque", title="Opacity")

    def _add_model(self) -> None:
        form = self._group("Model")
        self.model = QComboBox(self)
        self.model.setToolTip(describe("model")["description"])
        self.model.textActivated.connect(lambda text: self._set("model", text))
        browse = QPushButton("Load checkpoint…", self)
        browse.setToolTip("Use a checkpoint of this project.")
        browse.clicked.connect(self.load_model)
        form.addRow("Model", self.model)
        form.addRow("", browse)
        self.device = self._choice(form, "device")
        self.engine = self._choice(form, "engine")

        def refresh() -> None:
            name = self._settings.model
            if self.model.findText(name) < 0:
                self.model.addItem(name)
            self.model.setCurrentText(name)

        self._refreshers.append(refresh)

    def _add_webcam(self) -> None:
        form = self._group("Webcam")
        self.webcam_size = QComboBox(self)
        self.webcam_size.addItems(_SIZES)
        self.webcam_size.setToolTip("Requested resolution; the camera may use another.")
        self.webcam_size.textActivated.connect(self._set_webcam_size)
        self.webcam_rate = QComboBox(self)
        self.webcam_rate.addItems(_RATES)
        self.webcam_rate.setToolTip(describe("webcam_fps")["description"])
        self.webcam_rate.textActivated.connect(self._set_webcam_rate)
        form.addRow("Resolution", self.webcam_size)
        form.addRow("Frames per second", self.webcam_rate)
        self.lock_focus = QCheckBox(describe("webcam_lock_focus")["title"], self)
        self.lock_focus.setToolTip(describe("webcam_lock_focus")["description"])
        self.lock_focus.toggled.connect(self._set_lock_focus)
        form.addRow("", self.lock_focus)

        def refresh() -> None:
            size = f"{self._settings.webcam_width} × {self._settings.webcam_height}"
            for box, text in ((self.webcam_size, size), (self.webcam_rate, f"{self._settings.webcam_fps:g}")):
                if box.findText(text) < 0:
                    box.addItem(text)
                box.setCurrentText(text)
            self.lock_focus.setChecked(self._settings.webcam_lock_focus)

        self._refreshers.append(refresh)

    def _add_recording(self) -> None:
        form = self._group("Recording")
        self.record_quality = self._whole_number(form, "record_quality")
        self.burst_s = self._whole_number(form, "burst_s")
        self.burst_s.setSuffix(" s")
        folder = QPushButton("Folder…", self)
        folder.clicked.connect(self.choose_recordings)
        form.addRow("", folder)

        def refresh() -> None:
            chosen = self._settings.recordings_folder
            folder.setToolTip(f"Recordings are saved in: {chosen or 'HandDGP Live/recordings in your home folder'}.")

        self._refreshers.append(refresh)

    def _add_appearance(self) -> None:
        form = self._group("Appearance")
        self.theme = self._choice(form, "theme", title="Theme")

    def _add_reset(self) -> None:
        button = self.reset_button = QPushButton("Reset to defaults", self)
        button.setToolTip("Restore the default settings. The measured hand, the calibration and folders stay.")
        button.clicked.connect(self.reset)
        self._column.addWidget(button)

    # Rows

    def _group(self, title: str) -> QFormLayout:
        box = QGroupBox(title, self)
        form = QFormLayout(box)
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)  # in a narrow dock the label goes above its field
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.setLabelAlignment(Qt.AlignmentFlag.AlignLeft)
        form.setContentsMargins(10, 8, 10, 10)
        form.setVerticalSpacing(6)
        self._column.addWidget(box)
        return form

    def _check(self, form: QFormLayout, name: str) -> QCheckBox:
        about = describe(name)
        box = QCheckBox(about["title"], self)
        box.setToolTip(about["description"])
        box.toggled.connect(lambda on: self._set(name, on))
        form.addRow(box)
        self._refreshers.append(lambda: box.setChecked(getattr(self._settings, name)))
        return box

    def _number(self, form: QFormLayout, name: str, *, step: float, title: str | None = None) -> QDoubleSpinBox:
        about = describe(name)
        box = _NumberBox(self)
        box.setRange(about["low"], about["high"])
        box.setDecimals(2)
        box.setSingleStep(step)
        box.setSuffix(_suffix(about["unit"]))
        box.setToolTip(about["description"])
        box.setKeyboardTracking(False)
        box.valueChanged.connect(lambda value: self._set(name, value))
        form.addRow(title or about["title"], box)
        self._refreshers.append(lambda: box.setValue(getattr(self._settings, name)))
        return box

    def _whole_number(self, form: QFormLayout, name: str, *, title: str | None = None) -> QSpinBox:
        about = describe(name)
        box = QSpinBox(self)
        box.setRange(int(about["low"]), int(about["high"]))
        box.setToolTip(about["description"])
        box.valueChanged.connect(lambda value: self._set(name, value))
        form.addRow(title or about["title"], box)
        self._refreshers.append(lambda: box.setValue(getattr(self._settings, name)))
        return box

    def _choice(self, form: QFormLayout, name: str, *, title: str | None = None) -> QComboBox:
        about = describe(name)
        box = QComboBox(self)
        for choice in about["choices"]:
            box.addItem(choice.capitalize() if len(choice) > 4 else choice, choice)
        box.setToolTip(about["description"])
        box.activated.connect(lambda index: self._set(name, box.itemData(index)))
        form.addRow(title or about["title"], box)
        self._refreshers.append(lambda: box.setCurrentIndex(box.findData(getattr(self._settings, name))))
        return box

    def _slider(self, form: QFormLayout, name: str, left: str, right: str, *, title: str | None = None) -> QSlider:
        about = describe(name)
        slider = QSlider(Qt.Orientation.Horizontal, self)
        slider.setRange(int(about["low"]), int(about["high"]))
        slider.setPageStep(10)
        slider.setMinimumWidth(60)
        slider.setToolTip(about["description"])
        slider.setAccessibleName(about["title"])
        slider.valueChanged.connect(lambda value: self._set(name, value))
        form.addRow(title or about["title"], _row(QLabel(left, self), slider, QLabel(right, self), stretch=slider))
        self._refreshers.append(lambda: slider.setValue(getattr(self._settings, name)))
        return slider

    # Changes

    def _set(self, name: str, value: object) -> None:
        if self._refreshing or getattr(self._settings, name) == value:
            return
        self._store.change(**{name: value})
        with QSignalBlocker(self):
            self.refresh()
        self.changed.emit(name)

    def _set_webcam_size(self, text: str) -> None:
        width, height = (int(part) for part in text.split(" × "))
        if (width, height) != (self._settings.webcam_width, self._settings.webcam_height):
            self._store.change(webcam_width=width, webcam_height=height)
            self.webcam_changed.emit()

    def _set_lock_focus(self, on: bool) -> None:
        if on != self._settings.webcam_lock_focus:
            self._store.change(webcam_lock_focus=on)
            self.webcam_changed.emit()

    def _set_webcam_rate(self, text: str) -> None:
        if float(text) != self._settings.webcam_fps:
            self._store.change(webcam_fps=float(text))
            self.webcam_changed.emit()


class _NumberBox(QDoubleSpinBox):
    """Shows no more decimals than the number has."""

    def textFromValue(self, value: float) -> str:
        text = super().textFromValue(value)
        point = self.locale().decimalPoint()
        return text.rstrip(self.locale().zeroDigit()).removesuffix(point) if point in text else text


def _suffix(unit: str) -> str:
    return unit if unit in ("", "°", "%") else f" {unit}"


def _row(*widgets: QWidget, stretch: QWidget | None = None) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setSpacing(6)
    for widget in widgets:
        row.addWidget(widget, 1 if stretch is None or widget is stretch else 0)
    return row
