"""Where the command `handdgp`, `python -m app` and `python main.py` begin.

The standard library alone before the rest is imported: a package that is missing there is told in one line, too.
"""

from __future__ import annotations

import sys
from multiprocessing import freeze_support

from app.environment import missing_part


def main() -> int:
    """Run the command line; the process' exit code."""
    freeze_support()
    try:
        from app.cli.main import main as run
    except ImportError as error:
        missing = missing_part(error)
        if missing is None:
            raise
        print(missing.message, file=sys.stderr)
        return 2
    return run()


if __name__ == "__main__":
    sys.exit(main())
