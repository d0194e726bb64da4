"""Damages files guided by which lines of the program they reach: `tools.fuzz` for those who have Atheris.

pip install atheris
python -m tools.guided_fuzz pickle -max_total_time=600

What follows the name of the loader goes to libFuzzer. It stops at the first error that is not the project's own.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
from pathlib import Path

from handdgp_core.errors import HandDGPError
from tests.robustness.child import CPU_S, LARGE_MB
from tests.robustness.loaders import LOADERS, Loader, seeds


def load_one(loader: Loader, file: Path, content: bytes) -> None:
    """Raises whatever the loader raises but a HandDGPError."""
    file.write_bytes(content)
    try:
        loader.load(file)
    except HandDGPError:
        return


def main(name: str, *options: str) -> None:
    """Until it is told to stop."""
    try:
        atheris = importlib.import_module("atheris")
    except ModuleNotFoundError:
        raise SystemExit("Atheris is not installed: pip install atheris (Linux and macOS alone).") from None
    loader = LOADERS[name]
    with tempfile.TemporaryDirectory() as place:
        folder, corpus = Path(place) / "file", Path(place) / "corpus"
        folder.mkdir()
        corpus.mkdir()
        for number, content in enumerate(seeds(loader, folder)):
            (corpus / str(number)).write_bytes(content)
        with atheris.instrument_imports(include=["handdgp_core", "calib", "app"]):
            for module in [name for name in sys.modules if name.split(".")[0] in ("handdgp_core", "calib", "app")]:
                if module != "handdgp_core.errors":
                    del sys.modules[module]  # read again, instrumented
            loader.load(folder / loader.file)
        limits = [f"-rss_limit_mb={LARGE_MB + 2000}", f"-timeout={CPU_S}"]
        atheris.Setup(
            [sys.argv[0], *limits, *options, str(corpus)],
            lambda content: load_one(loader, folder / loader.file, content),
        )
        atheris.Fuzz()


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in LOADERS:
        raise SystemExit(f"{__doc__}\nLoaders: {', '.join(LOADERS)}")
    main(*sys.argv[1:])
