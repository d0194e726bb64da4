"""Owns the state and the workers of the program; the only one to start and stop them. Lives in the GUI thread."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

from PyQt6.QtCore import QObject, pyqtSignal

from app.live.camera_profiles import NO_PROFILE, TOPIC, ChosenProfile, choose_profile
from app.live.capture_worker import CaptureWorker, SourceEnded, SourceOpened
from app.live.frame_result import Estimator, FrameResult, PipelineOptions, overlay_style, smoothing_settings
from app.live.inference_worker import EngineChanged, InferenceWorker, ModelLoaded
from app.live.mailbox import Mailbox
from app.live.opening_worker import OpeningWorker, SourceFound
from app.live.replay_view import ReplayView
from app.live.settings_store import SettingsStore
from app.live.state import ModelPhase, Phase, Rates, Status
from app.live.trust import CalibrationInUse
from app.live.truth import truth_of
from app.live.workers import Event, JobDone, JobFailed, JobWorker, ResultReady, Worker, WorkerFailed
from app.notices import Action, Notice, Severity, count_of, notice_of_error
from app.settings import Settings
from handdgp_core.errors import HandDGPError
from handdgp_core.geometry.camera import Camera
from handdgp_core.sources.cameras import CameraFrame
from handdgp_core.sources.open import is_webcam
from handdgp_core.sources.protocol import Source

log = logging.getLogger(__name__)

FrameTap = Callable[[CameraFrame], None]
ResultTap = Callable[[FrameResult, str], None]
OpenSource = Callable[[str, Settings], Source]
MakeEstimator = Callable[[Settings], Estimator]


class Controller(QObject):
    """Starts, stops and steers capture, inference and background jobs.

    Args:
        settings: applied at the start and at every change.
        open_source: makes a source from its spec; called in the capture thread.
        make_estimator: loads the model; called in the inference thread.

    Signals:
        result_ready: something newer can be had from `take_result`.
        source_left(): the present source, if there is one, is about to be closed.
        source_opened(Source): it is there, and gives no frame before every slot has returned.
        status_changed(Status), notice(Notice): for the window.
        job_done(str, object): name and result of a background job.
    """

    result_ready = pyqtSignal()
    source_left = pyqtSignal()
    source_opened = pyqtSignal(object)
    status_changed = pyqtSignal(object)
    notice = pyqtSignal(object)
    job_done = pyqtSignal(str, object)
    _event = pyqtSignal(object)

    def __init__(
        self,
        settings: SettingsStore,
        *,
        open_source: OpenSource,
        make_estimator: MakeEstimator,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._settings = settings
        self._open_source = open_source
        self._make_estimator = make_estimator
        self._options = PipelineOptions()
        self._status = Status()
        self._capture: CaptureWorker | None = None
        self._opening: OpeningWorker | None = None  # of a source that is to take the place of the present one
        self._inference: InferenceWorker | None = None
        self._jobs: JobWorker | None = None
        self._retired: list[Worker] = []
        self._model_key: tuple[str, str, str] | None = None
        self._loaded: tuple[str, float, Camera] | None = None  # path, time of its last change, content
        self._camera_id = ""  # of the source, once it is open
        self._profile, self._found_profiles = NO_PROFILE, list[ChosenProfile]()
        self._diverted = False
        self._closed = False
        self._taps: dict[int, tuple[FrameTap | None, ResultTap | None]] = {}
        # Emitted in worker threads, delivered in this one: the slot belongs to this object, which lives here.
        self._event.connect(self._on_event)

    @property
    def status(self) -> Status:
        """The state as last announced."""
        return self._status

    @property
    def options(self) -> PipelineOptions:
        """How frames are treated at the moment."""
        return self._options

    @property
    def rates(self) -> Rates:
        """Measured now."""
        capture, inference = self._capture, self._inference
        return Rates(
            captured_fps=capture.rate.per_second if capture else 0.0,
            inferred_fps=inference.rate.per_second if inference else 0.0,
            skipped=capture.skipped if capture else 0,
            waiting=capture.waiting if capture else "",
            warning=(capture.source.warning or "") if capture and capture.source else "",
        )

    def start(self, spec: str | None) -> None:
        """Start the model and, if given, a source."""
        self._jobs = JobWorker(self._report)
        self._jobs.start()
        self._settings.changed.connect(self._apply_settings)
        self._apply_settings()
        if spec is not None:
            self.open_source(spec)

    def take_result(self) -> FrameResult | None:
        """The newest result, once."""
        return self._inference.take_result() if self._inference and not self._closed else None

    # The source

    def open_source(self, spec: str) -> None:
        """Open another source and leave the present one; returns at once.

        A source that is running or paused is left only once the other is open, and stays if that fails. Webcams are
        opened after it has gone: two often cannot run at once, and one cannot be opened twice.
        """
        if self._closed:
            return
        self._drop_opening()
        standing = self._status.phase in (Phase.RUNNING, Phase.PAUSED)
        if not standing or is_webcam(spec) or spec == self._status.spec:
            self._leave_for(spec)
            return
        settings = self._settings.current
        self._opening = OpeningWorker(spec, lambda: self._open_source(spec, settings), self._report)
        self._opening.start()

    def _drop_opening(self) -> None:
        """What is being opened beside the present source is no longer wanted."""
        if self._opening is not None:
            self._retire(self._opening)
            self._opening.drop()
            self._opening = None

    def _leave_for(self, spec: str, opened: Source | None = None) -> None:
        self.source_left.emit()
        previous = self._retire(self._capture)
        settings, found = self._settings.current, list[ChosenProfile]()
        self._profile, self._found_profiles = NO_PROFILE, found
        self._camera_id = ""

        def open_and_match() -> Source:
            source = self._open_source(spec, settings) if opened is None else opened
            found.append(choose_profile(source))
            return source

        self._capture = CaptureWorker(open_and_match, self._report, previous)
        self._capture.source = opened  # so that it is closed even if this worker is stopped before it begins
        self._capture.cameras = self._options.cameras()
        self._attach_taps()
        self._set_options(truth=None, calibration=self._calibration())
        self._attach()
        self._set_status(
            phase=Phase.OPENING,
            spec=spec,
            source_name="",
            size=None,
            is_live=False,
            is_rendered=False,
            error="",
        )
        self._capture.start()

    def fail_source(self, error: Exception) -> None:
        """Stop the source because of an error, which is shown; `retry` opens it again."""
        self.source_left.emit()
        self._retire(self._capture)
        self._capture = None
        self._show_failure("capture", error, phase=Phase.FAILED)

    def retry(self) -> None:
        """Try again what failed: the model, the source, or both; a source that ended starts over."""
        if self._status.model_phase is ModelPhase.FAILED:
            self._start_model()
        if self._status.spec and self._status.phase in (Phase.FAILED, Phase.ENDED):
            self.open_source(self._status.spec)

    def pause(self) -> None:
        """Stand still at the present frame."""
        if self._status.phase is not Phase.RUNNING or self._capture is None:
            return
        self._capture.pause()
        self._set_status(phase=Phase.PAUSED)

    def resume(self) -> None:
        """Go on after `pause`."""
        if self._status.phase is not Phase.PAUSED or self._capture is None:
            return
        self._capture.resume()
        self._set_status(phase=Phase.RUNNING)

    def step(self) -> None:
        """Next frame, while paused."""
        if self._status.phase is Phase.PAUSED and self._capture is not None:
            self._capture.step()

    @property
    def source(self) -> Source | None:
        """The present source, once it is open."""
        return self._capture.source if self._capture is not None else None

    @property
    def captured(self) -> int:
        """Frames that the present source has given."""
        return self._capture.captured if self._capture is not None else 0

    def tap(self, owner: object, on_frame: FrameTap | None = None, on_result: ResultTap | None = None) -> None:
        """Hand every captured frame and every result to `owner` as well, in the workers' threads; once for an owner."""
        self._taps[id(owner)] = (on_frame, on_result)
        self._attach_taps()

    def untap(self, owner: object) -> None:
        """Hand `owner` nothing any more."""
        self._taps.pop(id(owner), None)
        self._attach_taps()

    def _attach_taps(self) -> None:
        if self._capture is not None:
            self._capture.on_frame = tuple(tap for tap, _ in self._taps.values() if tap is not None)
        if self._inference is not None:
            self._inference.on_result = tuple(tap for _, tap in self._taps.values() if tap is not None)

    # The treatment of frames

    def _apply_settings(self) -> None:
        """A model, device or engine that changed is loaded again; everything else holds from the next frame on."""
        settings = self._settings.current
        self._set_options(
            calibration=self._calibration(),
            assumed_fov_deg=settings.assumed_fov_deg,
            hand_length_m=settings.hand_length_mm / 1e3 if settings.hand_length_enabled else None,
            hand_length_std=settings.hand_length_percent / 200,
            max_hands=settings.max_hands,
            smoothing=smoothing_settings(settings),
            overlay=overlay_style(settings),
            mirror=self._mirror_requested(),
        )
        if (settings.model, settings.device, settings.engine) != self._model_key:
            self._start_model()

    def set_muted(self, muted: frozenset[int]) -> None:
        """Give these keypoints (0 to 20) no weight in the solve."""
        self._set_options(muted=muted)

    def set_replay(self, view: ReplayView | None) -> None:
        """How a session is looked at; None for every other source."""
        self._set_options(replay=view)

    def forget_tracks(self) -> None:
        """The next frame does not follow the last one."""
        if self._inference is not None:
            self._inference.reset_tracking()

    def adopt(self, worker: Worker) -> None:
        """Start a worker of a panel or wizard and see to its end; `dismiss` ends it earlier."""
        if not self._closed:
            self._retired.append(worker)
            worker.start()

    def make_estimator(self, settings: Settings) -> Estimator:
        """Load a model for these settings, in the thread that asks."""
        return self._make_estimator(settings)

    def tell(self, error: Exception) -> None:
        """Show an error in the window."""
        self.notice.emit(notice_of_error(error))

    def set_picture_size(self, width: int, height: int, pixel_ratio: float) -> None:
        """Size of the picture on screen in device pixels: nothing larger is drawn; and how dense those pixels are."""
        self._set_options(picture_size=(max(1, width), max(1, height)), pixel_ratio=pixel_ratio)

    def set_mirror(self, mirror: bool) -> None:
        """Mirror the display of this kind of source, now and in future."""
        self._settings.change(**{"mirror_webcam" if self._status.is_live else "mirror_files": mirror})

    def reset_tracking(self) -> None:
        """Clear tracked hands and smoothing."""
        self.forget_tracks()
        self._refresh_if_still()

    def submit(self, name: str, job: Callable[[], Any]) -> None:
        """Run `job` in the background; `job_done` or a notice reports its end."""
        if self._jobs is not None and not self._closed:
            self._jobs.submit(name, job)

    # Frames and threads for a wizard

    @property
    def profile(self) -> ChosenProfile:
        """The camera of the source, and its stored calibration."""
        return self._profile

    @property
    def uses_file(self) -> bool:
        """Whether the calibration file of the settings is the one for the present source."""
        settings = self._settings.current
        return bool(settings.calibration_path) and settings.calibration_camera in ("", self._camera_id)

    @property
    def calibration_in_use(self) -> CalibrationInUse | None:
        """Which calibration frames are solved with, unless their source knows its camera."""
        camera, profile = self._options.calibration, self._profile.match.profile
        if camera is None:
            return None
        if self.uses_file and self._loaded is not None:
            path, changed_s, _ = self._loaded
            name = camera.name if camera.name != Path(path).stem else ""
            return CalibrationInUse(name or Path(path).name, changed_s or None, self._doubts())
        if profile is None:
            return CalibrationInUse(camera.name)
        return CalibrationInUse(profile.key.name or camera.name, profile.created_s, self._doubts())

    def use_calibration(self, path: str) -> None:
        """Use this calibration file for the camera of the present source; an empty path for none."""
        self._settings.change(calibration_path=path, calibration_camera=self._camera_id if path else "")
        self._set_options(calibration=self._calibration())  # the same file may have another content by now
        self._tell_doubts()

    def diverted_frames(self) -> Mailbox[CameraFrame] | None:
        """The box of the present source while `divert` is on, else None. Call it again after each change of source."""
        return self._capture.frames if self._diverted and self._capture is not None else None

    def divert(self, on: bool) -> None:
        """Keep the frames from the model, for a wizard that looks at them itself; or give them back."""
        if on != self._diverted:
            self._diverted = on
            self._attach()

    def dismiss(self, worker: Worker) -> None:
        """Ask an adopted worker to end; the end of the program waits for it."""
        worker.request_stop()

    def refresh_profile(self) -> None:
        """Look for the stored calibration again, e.g. after one was saved."""
        source = self._capture.source if self._capture is not None else None
        if source is not None and self._status.phase in (Phase.RUNNING, Phase.PAUSED):
            self._profile = choose_profile(source)
            self._set_options(calibration=self._calibration())

    # The end

    def shutdown(self, limit_s: float = 3.0) -> list[str]:
        """Stop everything and wait.

        Args:
            limit_s: for all workers together.
        Returns:
            names of the threads that still run, e.g. one that a camera driver holds.
        """
        self._closed = True
        workers = [
            worker for worker in (self._capture, self._opening, self._inference, self._jobs, *self._retired) if worker
        ]
        for worker in workers:
            worker.request_stop()
        if self._opening is not None:
            self._opening.drop()
        deadline_s = time.monotonic() + limit_s
        stuck = [worker.name for worker in workers if not worker.join(max(0.0, deadline_s - time.monotonic()))]
        if stuck:
            log.warning("still running after %.1f s: %s", limit_s, ", ".join(stuck))
        return stuck

    # Inside

    def _report(self, event: Event) -> None:
        """Called in worker threads."""
        try:
            self._event.emit(event)
        except RuntimeError:  # the window is gone
            log.debug("event after the end: %r", event)

    def _on_event(self, event: Event) -> None:
        if self._closed:
            return
        if isinstance(event, ResultReady):
            if event.worker is self._inference:
                self.result_ready.emit()
        elif isinstance(event, ModelLoaded):
            if event.worker is self._inference:
                self._set_status(
                    model_phase=ModelPhase.READY, model_name=event.worker.model_name, engine=event.worker.engine
                )
                self._refresh_if_still()
        elif isinstance(event, EngineChanged):
            if event.worker is self._inference:
                self._set_status(engine=event.worker.engine)
        elif isinstance(event, SourceOpened):
            self._on_source_opened(event.worker)
        elif isinstance(event, SourceFound):
            self._on_source_found(event.worker)
        elif isinstance(event, SourceEnded):
            if event.worker is self._capture:
                self._set_status(phase=Phase.ENDED)
        elif isinstance(event, WorkerFailed):
            self._on_worker_failed(event)
        elif isinstance(event, JobDone):
            self.job_done.emit(event.name, event.result)
        elif isinstance(event, JobFailed):
            self.notice.emit(notice_of_error(event.error, details=event.details, topic=event.name))

    def _on_source_found(self, worker: OpeningWorker) -> None:
        source = worker.take() if worker is self._opening else None
        if source is not None:
            self._opening = None
            self._leave_for(worker.spec, source)
        else:
            worker.drop()

    def _on_source_opened(self, worker: CaptureWorker) -> None:
        source = worker.source
        if worker is not self._capture or source is None:
            return
        self._profile = self._found_profiles[-1] if self._found_profiles else NO_PROFILE
        key = self._profile.key
        self._camera_id = self._status.spec if key is None else key.identity
        self.source_opened.emit(source)
        if worker is not self._capture:  # a slot stopped it, or opened another
            return
        self._set_status(
            phase=Phase.RUNNING,
            source_name=source.name,
            size=source.size,
            is_live=source.is_live,
            is_rendered=source.is_rendered,
        )
        self._bind_calibration(source)
        self._set_options(mirror=self._mirror_requested(), truth=truth_of(source), calibration=self._calibration())
        worker.begin()
        self._tell_doubts()
        self._settings.change(recent_sources=self._settings.current.recent_with(self._status.spec))
        self._tell_what_was_skipped(getattr(source, "inner", source))

    def _tell_what_was_skipped(self, source: Source) -> None:
        count = len(source.skipped)
        if count:
            lines = "\n".join(f"{name}: {reason}" for name, reason in source.skipped)
            title = f"{count_of(count, 'file')} of {source.name} skipped: not a readable image."
            self.notice.emit(Notice(Severity.INFO, title, details=lines, topic="skipped"))

    def _on_worker_failed(self, event: WorkerFailed) -> None:
        if event.worker is self._capture:
            self._show_failure(event.worker.name, event.error, event.details, phase=Phase.FAILED)
        elif event.worker is self._inference:
            self._show_failure(event.worker.name, event.error, event.details, model_phase=ModelPhase.FAILED)
        elif event.worker is self._opening:
            self._opening = None
            self.notice.emit(notice_of_error(event.error, topic="capture", details=event.details))
        elif event.worker is self._jobs:
            self._show_failure(event.worker.name, event.error, event.details)

    def _show_failure(self, topic: str, error: Exception, details: str = "", **status: Any) -> None:
        if status:
            self._set_status(error=str(error) if isinstance(error, HandDGPError) else "internal error", **status)
        self.notice.emit(notice_of_error(error, action=Action.RETRY, topic=topic, details=details))

    def _start_model(self) -> None:
        settings = self._settings.current
        self._model_key = (settings.model, settings.device, settings.engine)
        previous = self._inference
        self._retire(previous)
        self._inference = InferenceWorker(
            lambda: self._make_estimator(settings), self._options, self._report, previous, self._model_key
        )
        self._attach_taps()
        self._attach()
        self._set_status(model_phase=ModelPhase.LOADING, model_name="", engine="")
        self._inference.start()

    def _retire(self, worker: Worker | None) -> Worker | None:
        """Ask a worker to end; its successor waits for it, and so does `shutdown`."""
        self._retired = [old for old in self._retired if not old.ended]
        if worker is not None:
            worker.request_stop()
            self._retired.append(worker)
        return worker

    def _calibration(self) -> Camera | None:
        """A file that the user loaded for this camera goes before the camera's profile."""
        return (self._load_calibration() if self.uses_file else None) or self._profile.camera

    def _attach(self) -> None:
        """Let the model take the frames of the present source, unless a wizard has them."""
        if self._inference is not None and self._capture is not None:
            self._inference.attach(Mailbox() if self._diverted else self._capture.frames)

    def _load_calibration(self) -> Camera | None:
        path = self._settings.current.calibration_path
        changed_s = _changed_s(path)
        if self._loaded is None or self._loaded[:2] != (path, changed_s):
            try:
                self._loaded = (path, changed_s, Camera.load(Path(path)))
            except HandDGPError as error:
                self._settings.change(calibration_path="", calibration_camera="")
                self.notice.emit(notice_of_error(error, topic="calibration"))
                return None
        return self._loaded[2]

    def _bind_calibration(self, source: Source) -> None:
        """A calibration belongs to one camera: that of the first source that it could be used for."""
        settings = self._settings.current
        if not settings.calibration_path or source.camera is not None:
            return
        if not settings.calibration_camera:
            self._settings.change(calibration_camera=self._camera_id)
        file = Path(settings.calibration_path).name
        if not self.uses_file:
            text = "Distances here do not depend on it. Use it only if these pictures come from the same camera."
            title = f"{file} was loaded for {_shown_id(settings.calibration_camera)} and is not used here."
            self.notice.emit(Notice(Severity.INFO, title, text, action=Action.USE_CALIBRATION, topic=TOPIC))

    def _doubts(self) -> tuple[str, ...]:
        """Why the calibration in use may be another camera's."""
        if not self.uses_file:
            return self._profile.match.warnings
        camera, key = self._options.calibration, self._profile.key
        file = Path(self._settings.current.calibration_path)
        own_name = camera is not None and camera.name not in ("", file.stem)
        if camera is None or key is None or not own_name or camera.name.casefold() == key.name.casefold():
            return ()
        return (f"The file {file.name} is a calibration of “{camera.name}”, and this camera is “{key.name}”.",)

    def _tell_doubts(self) -> None:
        doubts = self._doubts()
        if self.uses_file and doubts:
            text = "If it is another camera, all distances are wrong. Check it (Camera menu), or calibrate this camera."
            self.notice.emit(Notice(Severity.WARNING, " ".join(doubts), text, topic=TOPIC))
        elif not self.uses_file and self._profile.notice is not None:
            self.notice.emit(self._profile.notice)

    def _mirror_requested(self) -> bool:
        settings = self._settings.current
        return settings.mirror_webcam if self._status.is_live else settings.mirror_files

    def _set_options(self, **changes: Any) -> None:
        options = replace(self._options, **changes)
        if options == self._options and options.truth is self._options.truth:
            return
        self._options = options
        if self._capture is not None and self._capture.cameras != options.cameras():
            self._capture.cameras = options.cameras()
        if self._inference is not None:
            self._inference.configure(options)
            self._refresh_if_still()

    def _refresh_if_still(self) -> None:
        """While nothing plays, show the last frame again with the new options."""
        if self._capture is not None and not self._diverted and self._status.phase in (Phase.PAUSED, Phase.ENDED):
            self._capture.refresh()

    def _set_status(self, **changes: Any) -> None:
        self._status = replace(self._status, **changes)
        self.status_changed.emit(self._status)


def _changed_s(path: str) -> float:
    try:
        return Path(path).stat().st_mtime
    except OSError:
        return 0.0


def _shown_id(camera_id: str) -> str:
    """A source as one would name it: without the folders of its device or file."""
    if camera_id.isdigit():
        return f"webcam {camera_id}"
    return camera_id if "://" in camera_id else PurePath(camera_id).name or camera_id
