"""What of a recording is exported: formats, part and folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QGridLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from app.notices import count_of
from app.window.file_dialogs import ask_output_folder
from handdgp_core.export.exporter import NAMES

__all__ = ["ExportChoice", "ExportDialog"]

ABOUT = {
    "obj": ("OBJ meshes", "One file a frame, in metres."),
    "ply": ("PLY meshes", "One file a frame, with colours."),
    "glb": ("GLB animation", "One file with all hands and the camera, for Blender and game engines."),
    "glb-skinned": ("GLB skeleton", "One file with joints that move a skin, for game engines and animation."),
    "usd": ("USD skeleton", "The same as hands.usdc, for Omniverse, Maya and Blender. Needs the extra “usd”."),
    "glb-frames": ("GLB meshes", "One file a frame."),
    "csv": ("CSV table", "Keypoints, root and weights, one row a hand."),
    "npz": ("NumPy arrays", "Everything, as predictions.npz."),
    "video": ("Video", "The images with the overlay, as MP4."),
    "bvh": ("BVH skeletons", "Joint rotations for Blender, Maya and Unity, one file for each followed hand."),
    "coco": ("COCO-WholeBody", "Keypoints as coco.json, for labelling and training tools."),
    "freihand": ("FreiHAND folder", "Images, intrinsics and keypoints as that data set stores them."),
    "ho3d": ("HO3D folder", "Whole images and keypoints as that data set stores them."),
    "mano": ("MANO parameters", "Pose and shape as mano.npz. Needs your own MANO file."),
    "lerobot": ("LeRobot data set", "Images, wrist, fingertips and openness for robot learning. Needs “robot”."),
    "ros2bag": ("ROS 2 bag", "Needs the extra “robot”."),
    "foxglove-scene": ("Foxglove scene", "Hands as 3D entities in an MCAP file."),
}
USUAL = ("csv", "glb")


@dataclass(frozen=True)
class ExportChoice:
    """What the user chose; first and last frame are both included."""

    formats: tuple[str, ...]
    first: int
    last: int
    folder: Path


class ExportDialog(QDialog):
    """Asks for them.

    Args:
        count: frames of the recording.
        part: first and last frame of the part that is repeated; None for an open end.
        folder: where to write, unless the user chooses another.

    Signals:
        chosen(ExportChoice): the user pressed "Export".
    """

    chosen = pyqtSignal(object)

    def __init__(
        self, count: int, part: tuple[int | None, int | None], folder: Path, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Export recording")
        self.formats = {name: QCheckBox(ABOUT.get(name, (name, ""))[0], self) for name in NAMES}
        self.first, self.last = QSpinBox(self), QSpinBox(self)
        for box, name in ((self.first, "First frame"), (self.last, "Last frame")):
            box.setRange(0, max(count - 1, 0))
            box.setAccessibleName(name)
        self.first.setValue(part[0] or 0)
        self.last.setValue(count - 1 if part[1] is None else part[1])
        self.how_many = QLabel(self)
        self.folder = QLineEdit(str(folder), self)
        self.folder.setAccessibleName("Folder")
        self.folder.setMinimumWidth(320)
        self.choose = QPushButton("Choose…", self)
        self.choose.clicked.connect(self._choose)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel, self)
        self.export = QPushButton("Export", self)
        self.export.setDefault(True)
        self.buttons.addButton(self.export, QDialogButtonBox.ButtonRole.AcceptRole)
        self.buttons.accepted.connect(self._accept)
        self.buttons.rejected.connect(self.reject)
        self._lay_out()
        for name, tick in self.formats.items():
            tick.setChecked(name in USUAL)
            tick.toggled.connect(self._check)
        for box in (self.first, self.last):
            box.valueChanged.connect(self._check)
        self.folder.textChanged.connect(self._check)
        self._check()

    def _lay_out(self) -> None:
        group = QGroupBox("Formats", self)
        grid = QGridLayout(group)
        grid.setHorizontalSpacing(18)
        for row, (name, box) in enumerate(self.formats.items()):
            about = QLabel(ABOUT.get(name, ("", ""))[1], group)
            box.setToolTip(about.text())
            grid.addWidget(box, row, 0)
            grid.addWidget(about, row, 1)
        grid.setColumnStretch(1, 1)
        part, place = QHBoxLayout(), QHBoxLayout()
        part.addWidget(self.first)
        part.addWidget(QLabel("to", self))
        part.addWidget(self.last)
        part.addWidget(self.how_many, 1)
        place.addWidget(self.folder, 1)
        place.addWidget(self.choose)
        form = QFormLayout()
        form.addRow("Frames", part)
        form.addRow("Folder", place)
        column = QVBoxLayout(self)
        column.addWidget(group)
        column.addLayout(form)
        column.addWidget(self.buttons)

    @property
    def chosen_formats(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(name for name, box in self.formats.items() if box.isChecked())

    def _check(self) -> None:
        count = self.last.value() - self.first.value() + 1
        self.how_many.setText(count_of(count, "frame") if count > 0 else "The end is before the start.")
        self.export.setEnabled(bool(self.chosen_formats) and count > 0 and bool(self.folder.text().strip()))

    def _choose(self) -> None:
        chosen = ask_output_folder(self, Path(self.folder.text()).parent)
        if chosen:
            self.folder.setText(chosen)

    def _accept(self) -> None:
        folder = Path(self.folder.text().strip()).expanduser()
        self.chosen.emit(ExportChoice(self.chosen_formats, self.first.value(), self.last.value(), folder))
        self.accept()
