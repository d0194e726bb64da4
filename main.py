"""Entry point: `python main.py` starts the program, `python main.py --help` lists its commands."""

from __future__ import annotations

import sys
from multiprocessing import freeze_support

from app.cli import main

if __name__ == "__main__":
    freeze_support()
    sys.exit(main())
