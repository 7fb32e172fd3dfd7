"""``python -m wanbridge``: the same as the command ``wanbridge``."""

import sys

from wanbridge.cli import main

if __name__ == "__main__":
    sys.exit(main())
