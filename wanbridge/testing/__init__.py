"""What every adapter promises, as tests for anybody's: inherit `AdapterContract`, give `Samples`.

Needs no test library; pytest collects a subclass by its name, other runners take `contract`. Each
check raises `AssertionError`, or `unittest.SkipTest` where it does not apply.
"""

from wanbridge.testing.samples import Samples, reply
from wanbridge.testing.suite import AdapterContract, contract

__all__ = ["AdapterContract", "Samples", "contract", "reply"]
