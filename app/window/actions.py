"""Every command of the window once: its title, shortcuts, tooltip and icon. Menus, tool bar and help are made of it."""

from __future__ import annotations

from dataclasses import dataclass

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QAction, QKeySequence
from PyQt6.QtWidgets import QMainWindow, QMenu

from app.style.icons import icon


@dataclass(frozen=True)
class Command:
    """One command of the window.

    Attributes:
        title: as in the menu.
        keys: shortcuts, the first one is shown.
        tip: what it does, one sentence.
        menu: the menu it stands in.
        icon: name in `app.style.icons`, or empty.
        checkable: a command that is on or off.
        in_tool_bar: whether it has a button.
    """

    title: str
    keys: tuple[str, ...]
    tip: str
    menu: str
    icon: str = ""
    checkable: bool = False
    in_tool_bar: bool = False


COMMANDS: dict[str, Command] = {
    "open": Command("Open video…", ("Ctrl+O",), "Open a video file.", "File", "open", in_tool_bar=True),
    "open_folder": Command("Open folder of images…", ("Ctrl+Shift+O",), "Open a folder of images.", "File"),
    "open_url": Command("Open stream URL…", ("Ctrl+U",), "Open a network camera or stream.", "File"),
    "open_demo": Command("Open the demo", ("Ctrl+D",), "Open the rendered demo, with known ground truth.", "File"),
    "open_session": Command("Open recording…", ("Ctrl+Alt+O",), "Replay a recorded session.", "File"),
    "record": Command(
        "Record", ("Ctrl+R",), "Record the source with all results, or stop recording. Never starts on its own.",
        "File", "record", checkable=True, in_tool_bar=True,
    ),
    "burst": Command(
        "Record lossless burst", ("Ctrl+Shift+R",), "Record a few seconds as lossless images.", "File",
    ),
    "recordings_folder": Command("Choose recordings folder…", (), "Choose where recordings are saved.", "File"),
    "repair": Command("Repair recording…", (), "Recover a recording that is damaged or was never finished.", "File"),
    "snapshot": Command(
        "Snapshot", ("S",), "Save the picture with its overlay as PNG.", "File", "snapshot", in_tool_bar=True
    ),
    "export": Command(
        "Export mesh", ("E",), "Save the hands on screen as OBJ, in metres.", "File", "export", in_tool_bar=True
    ),
    "export_session": Command(
        "Export recording…", ("Ctrl+E",), "Save the results of this recording for other programs.", "File",
    ),
    "complete": Command(
        "Complete results", (), "Run the model on the frames of this recording that have no result.", "File",
    ),
    "stream": Command(
        "Stream to other programs…", ("Ctrl+T",), "Send hands live to other programs; nothing is sent until you start.",
        "File",
    ),
    "snapshot_folder": Command("Choose snapshot folder…", (), "Choose where snapshots are saved.", "File"),
    "export_folder": Command("Choose export folder…", (), "Choose where meshes are saved.", "File"),
    "quit": Command("Quit", ("Ctrl+Q",), "Close the program.", "File"),
    "pause": Command(
        "Pause", ("Space",), "Pause or resume; restarts at the end.", "Source", "pause", in_tool_bar=True
    ),
    "step": Command("Next frame", (".", "Right"), "Next frame, while paused.", "Source", "step", in_tool_bar=True),
    "refresh": Command("Rescan for webcams", ("F5",), "Rescan for webcams.", "Source", "refresh"),
    "step_back": Command("Previous frame", (",", "Left"), "Previous frame, in files and recordings.", "Source", "back"),
    "loop": Command("Repeat", ("L",), "Repeat the part between A and B, or the whole recording.", "Source", "loop",
                    checkable=True),
    "mark_a": Command("Set A", ("[",), "Start of the part to repeat.", "Source"),
    "mark_b": Command("Set B", ("]",), "End of the part to repeat.", "Source"),
    "reset": Command(
        "Reset tracking", ("R",), "Clear tracked hands and restart tracking.", "Source", "reset", in_tool_bar=True
    ),
    "unmute": Command("Unmute all keypoints", ("U",), "Use all keypoints again.", "Source"),
    "calibrate": Command(
        "Calibrate…", ("Ctrl+K",), "Calibrate this camera with a printed board: takes two minutes, needed once.",
        "Camera",
    ),
    "check_calibration": Command(
        "Check calibration…", (), "Check with one view of a tilted board whether it is still valid.", "Camera"
    ),
    "accuracy": Command(
        "Accuracy check…", (), "Measure how far off distances are here, with a hand that lies on the board.", "Camera"
    ),
    "hand_size": Command(
        "Hand size…", ("Ctrl+H",), "Measure your hand on the board or with a ruler: it makes depth more accurate.",
        "Camera",
    ),
    "mirror": Command(
        "Mirror", ("M",), "Mirror the picture. Results do not change.", "View", "mirror",
        checkable=True, in_tool_bar=True,
    ),
    "ruler": Command(
        "Ruler", ("D",), "Measure between thumb and index tip, or between two points of the hands that you click. The "
        "hand's shape is off by about 1 cm on average.", "View", "ruler", checkable=True, in_tool_bar=True,
    ),
    "full_screen": Command("Full screen", ("F", "F11"), "Toggle full screen.", "View", checkable=True),
    "panel_start": Command(
        "Start", ("Ctrl+1",), "Three steps to distances that you can trust.", "View", "steps", checkable=True
    ),
    "panel_weights": Command(
        "Weights", ("Ctrl+2",), "How much each keypoint counts, and muting.", "View", "hand", checkable=True
    ),
    "panel_motion": Command(
        "Motion", ("Ctrl+3",), "Plots of distance and root position.", "View", "motion", checkable=True
    ),
    "panel_performance": Command(
        "Performance", ("Ctrl+4",), "Frame rates, and where the time goes.", "View", "performance", checkable=True
    ),
    "panel_beside": Command(
        "Models", ("Ctrl+6",), "Other models beside this one, on the same frames.", "View", "beside", checkable=True
    ),
    "panel_settings": Command(
        "Settings", ("Ctrl+,", "Ctrl+5"), "Hand, camera, smoothing, overlay, model.", "View", "settings", checkable=True
    ),
    "scene": Command("3D view", ("Ctrl+0",), "Show or hide the 3D view.", "View", "scene", checkable=True),
    "reset_layout": Command("Reset layout", (), "Restore the default layout of the panels.", "View"),
    "help": Command("Keyboard shortcuts", ("F1",), "Show all shortcuts.", "Help"),
    "log": Command("Open log folder", (), "Open the folder with the program's log files.", "Help"),
    "about": Command("About HandDGP Live", (), "Version and licences.", "Help"),
}  # fmt: skip
MENUS = ("File", "Source", "Camera", "View", "Help")
_SEPARATOR_BEFORE = {
    "record", "snapshot", "export_session", "stream", "step_back", "quit", "refresh", "full_screen", "panel_start",
    "reset_layout", "log",
}  # fmt: skip


def make_actions(window: QMainWindow) -> dict[str, QAction]:
    """The actions of all commands, added to the window, so that their shortcuts work everywhere in it."""
    actions = {}
    for name, command in COMMANDS.items():
        action = QAction(command.title, window)
        action.setObjectName(name)
        action.setShortcuts([QKeySequence(key) for key in command.keys])
        action.setShortcutContext(Qt.ShortcutContext.WindowShortcut)
        action.setCheckable(command.checkable)
        action.setToolTip(tooltip(command))
        window.addAction(action)
        actions[name] = action
    set_icons(actions)
    return actions


def set_icons(actions: dict[str, QAction]) -> None:
    """Give the actions their icons in the colours of the present theme."""
    for name, command in COMMANDS.items():
        if command.icon:
            actions[name].setIcon(icon(command.icon))


def tooltip(command: Command) -> str:
    """What it does, with its keys."""
    return f"{command.tip} ({' or '.join(command.keys)})" if command.keys else command.tip


def fill_menus(window: QMainWindow, actions: dict[str, QAction]) -> dict[str, QMenu]:
    """The menu bar; returns the menus by name."""
    menus: dict[str, QMenu] = {}
    bar = window.menuBar()
    if bar is None:
        return menus
    for title in MENUS:
        menu = bar.addMenu(f"&{title}")
        if menu is not None:
            menus[title] = menu
    used: dict[str, set[str]] = {title: set() for title in MENUS}
    for name, command in COMMANDS.items():
        if name in _SEPARATOR_BEFORE:
            menus[command.menu].addSeparator()
        menus[command.menu].addAction(actions[name])
        actions[name].setText(with_mnemonic(command.title, used[command.menu]))
    return menus


def with_mnemonic(title: str, used: set[str]) -> str:
    """The title with "&" before its letter: the first of a word that no other entry of the menu uses, else any.

    Args:
        title: without one.
        used: letters that others have; gets the one that is taken.
    """
    initials = [
        place for place, letter in enumerate(title) if letter.isalnum() and (place == 0 or title[place - 1] == " ")
    ]
    others = [place for place, letter in enumerate(title) if letter.isalnum()]
    for place in (*initials, *others):
        if title[place].lower() not in used:
            used.add(title[place].lower())
            return f"{title[:place]}&{title[place:]}"
    return title


def retitle(action: QAction, title: str) -> None:
    """Another title for a command; its letter stays where the new title has it."""
    place = action.text().find("&")
    letter = action.text()[place + 1].lower() if place >= 0 else ""
    at = title.lower().find(letter) if letter else -1
    action.setText(title if at < 0 else f"{title[:at]}&{title[at:]}")
