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
    "open_demo": Command("Open the demo", ("Ctrl+D",), "Open the rendered demo, whose truth is known.", "File"),
    "open_session": Command("Open recording…", ("Ctrl+Alt+O",), "Replay a recorded session.", "File"),
    "record": Command(
        "Record", ("Ctrl+R",), "Record the source with all results, or end the recording. Never on by itself.",
        "File", "record", checkable=True, in_tool_bar=True,
    ),
    "burst": Command(
        "Record lossless burst", ("Ctrl+Shift+R",), "Record a few seconds with every bit of every picture.", "File",
    ),
    "recordings_folder": Command("Choose recordings folder…", (), "Where recordings are kept.", "File"),
    "repair": Command("Repair recording…", (), "Rescue a recording that is damaged or was never finished.", "File"),
    "snapshot": Command(
        "Snapshot", ("S",), "Save the picture with its overlay as PNG.", "File", "snapshot", in_tool_bar=True
    ),
    "export": Command(
        "Export mesh", ("E",), "Save the hands on screen as OBJ, in metres.", "File", "export", in_tool_bar=True
    ),
    "snapshot_folder": Command("Choose snapshot folder…", (), "Where snapshots are saved.", "File"),
    "export_folder": Command("Choose export folder…", (), "Where meshes are saved.", "File"),
    "quit": Command("Quit", ("Ctrl+Q",), "Close the program.", "File"),
    "pause": Command(
        "Pause", ("Space",), "Hold the picture or go on; at the end, play again.", "Source", "pause", in_tool_bar=True
    ),
    "step": Command("Step", (".", "Right"), "One frame further, while paused.", "Source", "step", in_tool_bar=True),
    "refresh": Command("Find webcams", ("F5",), "Look again which webcams are connected.", "Source", "refresh"),
    "step_back": Command("Step back", (",", "Left"), "One frame back, in files and recordings.", "Source", "back"),
    "loop": Command("Repeat", ("L",), "Play the part between A and B, or all, again and again.", "Source", "loop",
                    checkable=True),
    "mark_a": Command("Set A", ("[",), "The part to repeat begins here.", "Source"),
    "mark_b": Command("Set B", ("]",), "The part to repeat ends here.", "Source"),
    "reset": Command(
        "Reset tracking", ("R",), "Forget the followed hands and start afresh.", "Source", "reset", in_tool_bar=True
    ),
    "unmute": Command("Unmute all keypoints", ("U",), "Give every keypoint its say again.", "Source"),
    "calibrate": Command(
        "Calibrate…", ("Ctrl+K",), "Measure this camera with a printed board: two minutes, once for all.", "Camera"
    ),
    "check_calibration": Command(
        "Check the calibration…", (), "See with one view of a tilted board whether it still holds.", "Camera"
    ),
    "hand_size": Command(
        "Hand size…", ("Ctrl+H",), "Measure your hand on the board, or with a ruler: it makes depth exact.", "Camera"
    ),
    "mirror": Command(
        "Mirror", ("M",), "Show the picture like a mirror. Results do not change.", "View", "mirror",
        checkable=True, in_tool_bar=True,
    ),
    "full_screen": Command("Full screen", ("F", "F11"), "Use the whole screen.", "View", checkable=True),
    "reset_layout": Command("Reset layout", (), "Put all panels where they were at first.", "View"),
    "help": Command("Keyboard shortcuts", ("F1",), "Show all shortcuts.", "Help"),
    "log": Command("Open log folder", (), "Show the folder with the log of the program.", "Help"),
    "about": Command("About HandDGP Live", (), "Version and licences.", "Help"),
}  # fmt: skip
MENUS = ("File", "Source", "Camera", "View", "Help")
_SEPARATOR_BEFORE = {"record", "snapshot", "step_back", "quit", "refresh", "full_screen", "log"}


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
        if command.icon:
            action.setIcon(icon(command.icon))
        window.addAction(action)
        actions[name] = action
    return actions


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
    for name, command in COMMANDS.items():
        if name in _SEPARATOR_BEFORE:
            menus[command.menu].addSeparator()
        menus[command.menu].addAction(actions[name])
    return menus
