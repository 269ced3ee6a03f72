"""Download pretrained weights: ``python scripts/download_weights.py resnet18``, or ``--all``, or ``--dry-run --all``.

The same as ``numgrad weights download``; ``--help`` shows the options.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    sys.argv[:1] = [
        "numgrad",
        "weights",
        "download",
    ]  # before the import: from then on it is that command, Ctrl-C included
    try:
        from numgrad.cli import main
    except ModuleNotFoundError as error:
        sys.exit(f"{error}; install numgrad first: python -m pip install .")
    sys.exit(main())
