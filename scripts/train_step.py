"""The training step of PyTorch's autograd tutorial on a ResNet18: ``python scripts/train_step.py``.

The same as ``numgrad train-step``; ``--help`` shows the options.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    sys.argv[:1] = ["numgrad", "train-step"]  # before the import: from then on it is that command, Ctrl-C included
    try:
        from numgrad.cli import main
    except ModuleNotFoundError as error:
        sys.exit(f"{error}; install numgrad first: python -m pip install .")
    sys.exit(main())
