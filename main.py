"""`python main.py` starts the program, as the command `handdgp` does; `--help` lists the commands."""

from __future__ import annotations

import sys

from app.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
