"""The window: puts the panels together and connects them with the controller. It computes nothing itself."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PyQt6.QtCore import QEvent, Qt, QTimer, QUrl
from PyQt6.QtGui import QAction, QCloseEvent, QDesktopServices, QDragEnterEvent, QDropEvent, QResizeEvent
from PyQt6.QtWidgets import QApplication, QMainWindow, QWidget

from app.live.controller import Controller
from app.live.frame_result import FrameResult
from app.live.readout import pick_hand
from app.live.ruler import Ruler, anchor_at
from app.live.settings_file import SettingsFile
from app.live.settings_store import SettingsStore
from app.live.state import ModelPhase, Phase, RateMeter, Status
from app.live.trust import hand_trust
from app.notices import (
    BEYOND_LENS_HINT,
    BEYOND_LENS_TITLE,
    IN_VIEW_HINT,
    LEAST_IN_VIEW,
    Action,
    Notice,
    Severity,
    in_view_title,
    notice_of_error,
)
from app.panels.beside import BesidePanel
from app.panels.camera import CameraPanel
from app.panels.motion import MotionPanel
from app.panels.notice_bar import NoticeBar
from app.panels.performance import PerformancePanel
from app.panels.scene import ScenePanel
from app.panels.settings_panel import SettingsPanel
from app.panels.side_panel import SidePanel
from app.panels.source_box import OPEN_FOLDER, OPEN_SESSION, OPEN_URL, OPEN_VIDEO, SourceBox
from app.panels.start import StartPanel
from app.panels.status_line import StatusLine
from app.panels.weights import WeightsPanel
from app.panels.wheel_guard import WheelGuard
from app.sessions.playback import Playback
from app.sessions.record_control import RecordControl
from app.settings import Settings
from app.style.icons import icon
from app.style.theme import apply_theme
from app.window import file_dialogs as questions
from app.window.actions import COMMANDS, fill_menus, make_actions, retitle, set_icons
from app.window.dialogs import AboutDialog, ShortcutsDialog
from app.window.key_guard import KeyGuard
from app.window.layout import (
    LAYOUT_VERSION,
    LEAST_SIZE,
    add_comparison,
    add_tool_bar,
    first_size,
    remember_layout,
    restore_layout,
    set_centre,
    show_words,
)
from app.window.rail import PANELS, Rail
from app.window.saving import Saver, saved_notice
from app.window.session_tasks import SessionTasks
from app.window.session_wiring import SessionParts
from app.window.side_by_side import SideBySide
from app.window.streaming import StreamDialog, Streaming
from app.wizards.menu import Wizards
from handdgp_core.sources import WebcamInfo, list_webcams
from handdgp_core.sources.open import is_webcam

log = logging.getLogger(__name__)
STATUS_EVERY_MS = 500
WEIGHTS_EVERY = 2  # every second result: bars that change 30 times a second cannot be read
LIST_WEBCAMS = "list webcams"


class MainWindow(QMainWindow):
    """The program's one window.

    Args:
        controller: started by the caller, shut down when the window closes.
        record, playback: on that controller.
        settings: shown, changed and written by the window.
        settings_path: where they are written; None for the user's own place.
        viewport: the 3D view.
        model_names: what the list of models offers; asked once a model is loaded, since naming them takes a while.
        log_folder: what "Open log folder" opens.
    """

    def __init__(
        self,
        controller: Controller,
        record: RecordControl,
        playback: Playback,
        settings: SettingsStore,
        *,
        viewport: QWidget,
        settings_path: Path | None = None,
        model_names: Callable[[], tuple[str, ...]] = tuple,
        log_folder: Path | None = None,
    ) -> None:
        super().__init__()
        self.setWindowTitle("HandDGP Live")
        self.setMinimumSize(LEAST_SIZE)
        self.resize(first_size(self))
        self.setAcceptDrops(True)
        self._controller, self._record, self._playback = controller, record, playback
        self._settings, self._file = settings, SettingsFile(settings, settings_path, self)
        self._log_folder = log_folder
        self._saver = Saver(controller, settings)
        self._model_names = model_names
        self._source_requested = False
        self._closed = False
        self._result: FrameResult | None = None
        self._problem = self._warning = ""
        self._out_of_view = self._beyond_lens = False
        self._count = 0
        self.stuck_threads: list[str] = []
        self.shown_rate = RateMeter()
        self._make_panels(viewport)
        self._make_parts()
        self._guard, self._wheel_guard = KeyGuard(self), WheelGuard(self)
        self._compose()
        self._connect_actions()
        self._connect_panels()
        self._connect_controller()
        self._guard.watch(self)
        self._wheel_guard.watch(self)
        self._first_layout = self.saveState(LAYOUT_VERSION)
        restore_layout(self, settings.current)
        self._timer = QTimer(self)
        self._timer.setInterval(STATUS_EVERY_MS)
        self._timer.timeout.connect(self._refresh_figures)
        self._timer.start()
        self._on_status(controller.status)
        self.camera.view.setFocus()

    @property
    def result(self) -> FrameResult | None:
        """What is on screen."""
        return self._result

    # Composition

    def _make_panels(self, viewport: QWidget) -> None:
        settings = self._settings
        self.camera = CameraPanel(self)
        self.scene = ScenePanel(viewport, settings, self)
        self.weights = WeightsPanel(self)
        self.ruler = Ruler()
        self.motion = MotionPanel(settings.current.plot_span_s, self)
        self.performance = PerformancePanel(self)
        self.beside = BesidePanel(self)
        self.start = StartPanel(self)
        self.form = SettingsPanel(settings, self)
        self.sources = SourceBox(self)
        self.status_line = StatusLine(self)
        self.actions_by_name = make_actions(self)
        panels = (self.start, self.weights, self.motion, self.performance, self.beside, self.form)
        named = zip(PANELS, panels, strict=True)
        self.side = SidePanel({name: (COMMANDS[f"panel_{name}"].title, panel) for name, panel in named}, self)
        self.rail = Rail(self, self.actions_by_name, settings, self.camera, self.scene, self.side)

    def _make_parts(self) -> None:
        """What works behind the panels: notices, wizards, recordings, tasks and streams."""
        controller, playback, settings = self._controller, self._playback, self._settings
        self.notices = NoticeBar(self.rail.area)
        self.wizards = Wizards(
            controller, settings, tell=self.notices.add, use_file=self.load_calibration,
            webcams=lambda: self.sources.webcams, refresh=self.form.refresh, window=self,
        )  # fmt: skip
        self.sessions = SessionParts(
            self, controller, self._record, playback, settings, self._saver, self.actions_by_name, self.form,
            self.open_source, self.notices.add,
        )  # fmt: skip
        self.tasks = SessionTasks(self, controller, playback, settings, self._saver, self.actions_by_name)
        self.streaming = Streaming(controller, settings, self)
        self.side_by_side = SideBySide(controller, settings, self.beside, lambda: self._result, self)
        self._stream_dialog: StreamDialog | None = None

    def _compose(self) -> None:
        menus = fill_menus(self, self.actions_by_name)
        self.tool_bar = add_tool_bar(self, self.actions_by_name, self.sources)
        self.camera.add_badge(self.sessions.mark)
        set_centre(self, self.rail.area, self.sessions.transport, self.tasks.strip)
        self.setStatusBar(self.status_line)
        self.sessions.dock = add_comparison(self, self.sessions.comparison)
        view = menus.get("View")
        if view is not None:
            toggle = self.sessions.dock.toggleViewAction()
            assert toggle is not None
            toggle.setText("&Comparison")
            view.addAction(toggle)

    # Wiring

    def _connect_actions(self) -> None:
        for name, slot in {
            "open": lambda: self._ask_source(OPEN_VIDEO),
            "open_folder": lambda: self._ask_source(OPEN_FOLDER),
            "open_url": lambda: self._ask_source(OPEN_URL),
            "open_demo": lambda: self.open_source("demo"),
            "snapshot": self.save_snapshot,
            "export": self.export_mesh,
            "snapshot_folder": lambda: self._ask_output_folder("snapshot_folder"),
            "export_folder": lambda: self._ask_output_folder("export_folder"),
            "quit": self.close,
            "pause": self._playback.toggle_pause,
            "refresh": self.find_webcams,
            "reset": self._reset_tracking,
            "unmute": self.weights.unmute_all.click,
            "calibrate": self.wizards.calibrate,
            "check_calibration": self.wizards.check,
            "accuracy": self.wizards.accuracy,
            "hand_size": self.wizards.hand_size,
            "reset_layout": self._reset_layout,
            "help": lambda: ShortcutsDialog(self).open(),
            "log": self._open_log_folder,
            "about": lambda: AboutDialog(self).open(),
            "stream": self._show_stream_dialog,
        }.items():
            self._action(name).triggered.connect(lambda checked=False, run=slot: run())
        self._action("mirror").triggered.connect(self._set_mirror)
        self._action("ruler").triggered.connect(self._on_ruler)
        self._action("full_screen").triggered.connect(self._set_full_screen)
        if self._log_folder is None:
            self._action("log").setVisible(False)

    def _connect_panels(self) -> None:
        self.camera.view.pressed.connect(self._choose_ruler_end)
        self.camera.view.shown.connect(self.shown_rate.tick)
        self.camera.view.size_changed.connect(self._controller.set_picture_size)
        self.weights.muted_changed.connect(self._controller.set_muted)
        self.motion.span_changed.connect(lambda seconds: self._settings.change(plot_span_s=seconds))
        self.motion.side_changed.connect(lambda side: self._show_weights())
        self.motion.sought.connect(self._playback.seek)
        self._playback.opened.connect(lambda: self.motion.allow_seeking(self._playback.player is not None))
        self.start.find_cameras.connect(self.find_webcams)
        self.start.calibrate.connect(self.wizards.calibrate)
        self.start.measure_hand.connect(self.wizards.hand_size)
        self.form.changed.connect(self._on_setting)
        self.form.webcam_changed.connect(self._reopen_webcam)
        self.form.measure_hand.connect(self.wizards.hand_size)
        self.form.calibrate.connect(self.wizards.calibrate)
        self.form.load_calibration.connect(
            lambda: self._ask_about_file(questions.ask_calibration, self.load_calibration)
        )
        self.form.clear_calibration.connect(lambda: self.load_calibration(""))
        self.form.load_model.connect(lambda: self._ask_about_file(questions.ask_checkpoint, self.load_model))
        self.camera.badge.clicked.connect(self.wizards.follow_badge)
        self.camera.hand_badge.clicked.connect(self.wizards.hand_size)
        self._settings.changed.connect(self._show_hand_size)
        self._settings.changed.connect(self._tick_steps)
        self._tick_steps()
        self._file.failed.connect(lambda error: self.notices.add(notice_of_error(error, topic="settings")))
        self.notices.acted.connect(self._act_on_notice)
        self.sources.chosen.connect(self.open_source)
        self.sources.asked.connect(self._ask_source)

    def _connect_controller(self) -> None:
        self._controller.result_ready.connect(self._on_result)
        self._controller.status_changed.connect(self._on_status)
        self._controller.notice.connect(self.notices.add)
        self._controller.job_done.connect(self._on_job_done)
        self.streaming.changed.connect(lambda: self.status_line.show_stream(self.streaming.light))
        self.streaming.notice.connect(self.notices.add)
        self.tasks.notice.connect(self.notices.add)
        changed = getattr(self.scene.widget, "status_changed", None)
        if changed is not None:
            changed.connect(self.performance.show_scene)

    def _action(self, name: str) -> QAction:
        return self.actions_by_name[name]

    # What comes from the controller

    def _on_result(self) -> None:
        result = self._controller.take_result()
        if result is None or self._controller.status.phase is Phase.OPENING:
            return
        self._result = result
        self._count += 1
        self.camera.show_result(result, self._controller.calibration_in_use)
        self.scene.show_result(result)
        self._show_ruler()
        self.motion.add(result)
        self.performance.add(result)
        if self._count % WEIGHTS_EVERY == 0 or self._controller.status.phase is not Phase.RUNNING:
            self._show_weights()
        self._tell_camera_problem(result)
        self._tell_in_view(result)
        self._tell_beyond_lens(result)
        self.sessions.show_result(result)

    def _show_ruler(self) -> None:
        """The ruler where it is on and both of its ends are seen."""
        result, view = self._result, self.camera.view
        reading = None
        if result is not None and not result.preview and self._action("ruler").isChecked():
            reading = self.ruler.read(result.hands, self.motion.shown_side, result.camera)
        if result is None or reading is None or not np.isfinite(reading.ends_px).all():
            view.set_ruler([])
            return
        height, width = result.frame.image.shape[:2]
        shares = (reading.ends_px + 0.5) / (width, height)
        ends = [(float(1.0 - x if result.mirrored else x), float(y)) for x, y in shares]
        view.set_ruler(ends, f"{100 * reading.length_m:.1f} cm" if len(ends) == 2 else "")

    def _on_ruler(self, on: bool) -> None:
        self.ruler.reset()
        self.camera.view.setCursor(Qt.CursorShape.CrossCursor if on else Qt.CursorShape.ArrowCursor)
        self._show_ruler()

    def _choose_ruler_end(self, x: float, y: float) -> None:
        """The user clicked at this share of the picture."""
        result = self._result
        if result is None or not self._action("ruler").isChecked():
            return
        height, width = result.frame.image.shape[:2]
        pixel = np.array([(1.0 - x if result.mirrored else x) * width, y * height]) - 0.5
        anchor = anchor_at(pixel, result.hands, result.camera)
        if anchor is not None:
            self.ruler.choose(anchor)
            self._show_ruler()

    def _show_hand_size(self) -> None:
        self.camera.hand_badge.show_trust(hand_trust(self._settings.current))

    def _tick_steps(self) -> None:
        """What was done once stays ticked, also with another source."""
        settings, status = self._settings.current, self._controller.status
        running = status.is_live and status.phase is Phase.RUNNING
        done = {
            "had_camera": running,
            "had_calibration": running and self._controller.options.calibration is not None,
            "had_hand": self._settings.own.hand_length_enabled,  # not that of a recording
        }
        fresh = {name: True for name, now in done.items() if now and not getattr(settings, name)}
        if fresh:
            self._settings.change(**fresh)
        self.start.show_settings(self._settings.current)

    def _show_weights(self) -> None:
        if self._result is not None:
            index = pick_hand(self._result.hands, self.motion.shown_side)
            # Raw, as the root without muting is: between a smoothed and a raw one lies more than muting.
            self.weights.show_hand(None if index is None else self._result.raw_hands[index])

    def _tell_camera_problem(self, result: FrameResult) -> None:
        """A calibration that does not fit is reported once, not with every frame."""
        problem = str(result.problem) if result.problem else ""
        if problem == self._problem:
            return
        self._problem = problem
        if result.problem is None:
            self.notices.remove("camera fit")
        else:
            self.notices.add(notice_of_error(result.problem, topic="camera fit"))

    def _tell_in_view(self, result: FrameResult) -> None:
        """A hand that is mostly outside of the model's view is reported as long as it is so."""
        part = min((hand.in_view for hand in result.raw_hands), default=1.0)
        if (part < LEAST_IN_VIEW) == self._out_of_view:
            return
        self._out_of_view = part < LEAST_IN_VIEW
        if self._out_of_view:
            self.notices.add(Notice(Severity.WARNING, in_view_title(part), IN_VIEW_HINT, topic="hand in view"))
        else:
            self.notices.remove("hand in view")

    def _tell_beyond_lens(self, result: FrameResult) -> None:
        """A hand that has no answer is reported as long as it is there, so that it does not just vanish."""
        if (result.beyond_lens > 0) == self._beyond_lens:
            return
        self._beyond_lens = result.beyond_lens > 0
        if self._beyond_lens:
            self.notices.add(Notice(Severity.WARNING, BEYOND_LENS_TITLE, BEYOND_LENS_HINT, topic="beyond the lens"))
        else:
            self.notices.remove("beyond the lens")

    def _on_status(self, status: Status) -> None:
        if status.phase is Phase.OPENING:
            self._result = None
            self.motion.clear()
            self.performance.clear()
            self.scene.clear()
            self.weights.show_hand(None)
            for topic in ("capture", "skipped", "camera profile"):
                self.notices.remove(topic)
        if status.model_phase is ModelPhase.LOADING:
            self.notices.remove("inference")
        elif status.model_phase is ModelPhase.READY:
            self.form.set_models(self._model_names())
            self.beside.set_models((*self._model_names(), self._settings.current.model))  # a file once it was in use
        self.camera.show_status(status)
        self._show_hand_size()
        self._tick_steps()
        self.form.show_profile(self._controller.profile.match.kind, self._controller.uses_file)
        self.sources.set_recent(self._settings.current.recent_sources)
        self.sources.set_current(status.spec)
        running = status.phase is Phase.RUNNING
        self._show_pause(running)
        self._action("pause").setEnabled(status.phase in (Phase.RUNNING, Phase.PAUSED, Phase.ENDED))
        playable = self._playback.player is not None
        self._action("step").setEnabled(status.phase is Phase.PAUSED or (running and playable))
        settings = self._settings.current
        mirror = settings.mirror_webcam if status.is_live else settings.mirror_files
        self._action("mirror").setChecked(mirror)
        self.setWindowTitle(f"{status.source_name} – HandDGP Live" if status.source_name else "HandDGP Live")
        self._refresh_figures()

    def _show_pause(self, running: bool) -> None:
        retitle(self._action("pause"), "Pause" if running else "Play")
        self._action("pause").setIcon(icon("pause" if running else "play"))

    def changeEvent(self, event: QEvent | None) -> None:
        """Icons follow the theme."""
        if event is not None and event.type() == QEvent.Type.PaletteChange:
            set_icons(self.actions_by_name)
            self._show_pause(self._controller.status.phase is Phase.RUNNING)
        super().changeEvent(event)

    def _refresh_figures(self) -> None:
        status, rates = self._controller.status, self._controller.rates
        shown_fps = self.shown_rate.per_second
        self.camera.show_fps(shown_fps if status.phase is Phase.RUNNING else 0.0)
        if rates.waiting and rates.captured_fps == 0.0:
            if status.is_live:
                self.camera.show_waiting(rates.waiting)
            else:
                self._playback.note_standstill()
        told = status.phase is Phase.ENDED or (status.phase is Phase.RUNNING and not rates.waiting)
        self._tell_source_warning(rates.warning if told else "")
        self.status_line.show_status(status, self._result)
        result = self._result
        self.performance.show_rates(rates, shown_fps, None if result is None else result.inference_ms)

    def _tell_source_warning(self, warning: str) -> None:
        """What the source complains about is shown as long as it lasts, unless it was dismissed."""
        if warning == self._warning:
            return
        self._warning = warning
        if warning:
            self.notices.add(Notice(Severity.WARNING, warning, topic="source warning"))
        else:
            self.notices.remove("source warning")

    def _on_job_done(self, name: str, result: object) -> None:
        if name == LIST_WEBCAMS and isinstance(result, list):
            self.sources.set_webcams(result)
            self._open_first_source(result)
        elif isinstance(result, Path):
            self.notices.add(saved_notice(name, result))

    # What the user asks for

    def open_source(self, spec: str) -> None:
        """Show this source."""
        self._source_requested = False
        self.notices.remove("demo")
        self._controller.open_source(spec)

    def open_file(self, path: str) -> None:
        """Use a file for what it is: a calibration, a model, or something to look at."""
        suffix = Path(path).suffix.lower()
        if suffix in questions.CALIBRATION_SUFFIXES:
            self.load_calibration(path)
        elif suffix in questions.CHECKPOINT_SUFFIXES:
            self.load_model(path)
        else:
            self.open_source(path)

    def open_any_source(self) -> None:
        """Show the first webcam, or the demo where there is none."""
        self._source_requested = True
        self.find_webcams()

    def _open_first_source(self, webcams: list[WebcamInfo]) -> None:
        if not self._source_requested:
            return
        self._source_requested = False
        self.open_source(str(webcams[0].index) if webcams else "demo")
        if not webcams:
            self.notices.add(
                Notice(
                    Severity.INFO,
                    "No webcam found; showing the rendered demo.",
                    "Connect a webcam, press F5 and choose it in the list of sources, or open a video with Ctrl+O.",
                    topic="demo",
                )
            )

    def find_webcams(self) -> None:
        """List the connected webcams, in the background."""
        self._controller.submit(LIST_WEBCAMS, list_webcams)

    def save_snapshot(self) -> None:
        """Write the picture on screen, with overlay, at full size."""
        self._tell(self._saver.save_snapshot(self._result))

    def export_mesh(self) -> None:
        """Write the hands on screen as OBJ."""
        self._tell(self._saver.export_mesh(self._result))

    def _tell(self, notice: Notice | None) -> None:
        if notice is not None:
            self.notices.add(notice)

    def _reset_tracking(self) -> None:
        self._controller.reset_tracking()
        self.motion.clear()

    def _set_mirror(self, on: bool) -> None:
        self._controller.set_mirror(on)
        self.form.refresh()

    def _reset_layout(self) -> None:
        usual = Settings()
        names = ("panel_width", "show_scene", "scene_share")
        self._settings.change(panel="weights", **{name: getattr(usual, name) for name in names})
        self.restoreState(self._first_layout, LAYOUT_VERSION)
        self.rail.arrange()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Words give way first."""
        super().resizeEvent(event)
        show_words(self.tool_bar, self.rail.bar, self.size())

    def _set_full_screen(self, on: bool) -> None:
        if on:
            self.showFullScreen()
        else:
            self.showNormal()

    def _on_setting(self, name: str) -> None:
        if name == "theme":
            application = QApplication.instance()
            if isinstance(application, QApplication):
                apply_theme(application, self._settings.current.theme)
            return
        self.sessions.on_setting(name)
        self._on_status(self._controller.status)

    def _reopen_webcam(self) -> None:
        spec = self._controller.status.spec
        if is_webcam(spec):
            self.open_source(spec)

    def _act_on_notice(self, notice: Notice) -> None:
        if notice.action is Action.RETRY:
            self._controller.retry()
        elif notice.action is Action.USE_CALIBRATION:
            self.load_calibration(self._settings.current.calibration_path)
        elif notice.path is not None:
            self.sessions.act_on(notice)
        elif notice.action is Action.OPEN_FOLDER and notice.folder is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(notice.folder)))

    def _show_stream_dialog(self) -> None:
        if self._stream_dialog is None:
            self._stream_dialog = StreamDialog(self.streaming, self._settings, self)
        self._stream_dialog.show()
        self._stream_dialog.raise_()

    def _open_log_folder(self) -> None:
        if self._log_folder is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._log_folder)))

    def load_calibration(self, path: str) -> None:
        """Use this calibration; a file that cannot be read is reported and not used."""
        self._controller.use_calibration(path)
        self._on_setting("calibration_path")
        self.form.refresh()

    def load_model(self, path: str) -> None:
        """Use this checkpoint."""
        self._settings.change(model=path)
        self.form.refresh()
        self._on_setting("model")

    # Questions

    def _ask(self, question: Callable[..., str], use: Callable[[str], None], *about: object) -> None:
        """Ask, and use the answer if there is one."""
        answer = question(self, *about)
        if answer:
            use(answer)

    def _ask_about_file(self, question: Callable[..., str], use: Callable[[str], None]) -> None:
        self._ask(question, use, questions.recent_folder(self._settings.current.recent_sources))

    def _ask_source(self, key: str) -> None:
        if key == OPEN_URL:
            self._ask(questions.ask_url, self.open_source)
        elif key == OPEN_SESSION:
            self._action("open_session").trigger()
        else:
            question = questions.ask_video if key == OPEN_VIDEO else questions.ask_image_folder
            self._ask_about_file(question, self.open_source)

    def _ask_output_folder(self, setting: str) -> None:
        self._ask(
            questions.ask_output_folder,
            lambda path: self._settings.change(**{setting: path}),
            self._saver.folder(setting),
        )

    # Files dropped on the window

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        """Take a local file or folder."""
        if event is not None and _dropped_path(event):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent | None) -> None:
        """Open what was dropped."""
        path = _dropped_path(event) if event is not None else ""
        if path and event is not None:
            event.acceptProposedAction()
            self.open_file(path)

    # The end

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """Write the settings, then stop every worker; `stuck_threads` names those that would not end."""
        if not self._closed and event is not None and not self.wizards.close():
            event.ignore()
            return
        if not self._closed:
            self._closed = True
            self._timer.stop()
            remember_layout(self, self._settings)
            self.tasks.cancel()
            self.sessions.shutdown()
            self._file.save()
            self.hide()  # what follows may take a moment: it must not look as if closing had failed
            self.streaming.stop()
            self.side_by_side.stop()
            self.motion.shutdown()
            self.performance.shutdown()
            self.scene.shutdown()
            written = self._record.shutdown()
            self.stuck_threads = self._controller.shutdown() + ([] if written else ["recorder"])
        super().closeEvent(event)


def _dropped_path(event: QDropEvent) -> str:
    data = event.mimeData()
    urls = data.urls() if data is not None else []
    return urls[0].toLocalFile() if urls and urls[0].isLocalFile() else ""
