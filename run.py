"""`python run.py` starts the server; `python run.py --help` says what else it can do."""

import sys

try:
    from eco_actor.cli import main
except ModuleNotFoundError as error:
    sys.exit(
        f"{error}. Set it up first:\n"
        "  python3 -m venv .venv && .venv/bin/pip install -e . && .venv/bin/python run.py"
    )

if __name__ == "__main__":
    sys.exit(main())
