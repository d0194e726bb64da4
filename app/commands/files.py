"""Small files that a command writes, never half."""

from __future__ import annotations

import json
import os
from pathlib import Path

from handdgp_core.errors import OutputError


def write_json(path: Path, content: dict[str, object]) -> None:
    """Write through a temporary name, so that no half file is left.

    Raises:
        OutputError: the place cannot be written.
    """
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        os.replace(part, path)
    except OSError as error:
        raise OutputError(f"to write {path}", str(error.strerror or error), "choose another --output") from error
