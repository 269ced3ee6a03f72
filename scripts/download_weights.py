"""Download pretrained weights: ``python scripts/download_weights.py resnet18``, or ``--all``, or ``--dry-run --all``.

The same as ``numgrad weights download``; ``--help`` shows the options.
"""

from __future__ import annotations

import sys

from numgrad.cli.weights import main

if __name__ == "__main__":
    sys.exit(main(["download", *sys.argv[1:]]))
