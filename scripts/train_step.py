"""The training step of PyTorch's autograd tutorial on a ResNet18: ``python scripts/train_step.py``.

The same as ``numgrad train-step``; ``--help`` shows the options.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    try:
        from numgrad.cli.train_step import main

        code = main()
    except ModuleNotFoundError as error:
        code = f"{error}; install numgrad first: python -m pip install ."
    except KeyboardInterrupt:  # while the modules are imported; later ones are the command's
        code = 130
    sys.exit(code)
