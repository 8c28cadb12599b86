"""What a real node calls its parts: all of it follows from the sandbox's name.

So a left-over can be told from another sandbox's, and from the machine's own.
"""

import re
import zlib
from dataclasses import dataclass
from functools import cached_property

# Like the cluster DNS' address, within the service range of every sandbox.
DNS_ADDRESS = "10.217.0.10"


@dataclass(frozen=True)
class Names:
    """Names and addresses of one sandbox's node."""

    sandbox: str

    @cached_property
    def _number(self) -> int:
        return zlib.crc32(self.sandbox.encode())

    @property
    def bridge(self) -> str:
        """The link that carries the node's address; the kernel allows 15 characters."""
        return f"sandbox{self._number:08x}"

    @property
    def node(self) -> str:
        """The Node object's name."""
        return f"sandbox-{re.sub(r'[^a-z0-9]+', '-', self.sandbox.lower()).strip('-') or 'x'}"[:50]

    @property
    def cgroup(self) -> str:
        """The control group above all of its pods, in every hierarchy."""
        return f"litemaas-{self._number:08x}"

    @property
    def address(self) -> str:
        """The node's address, which the API server and the router share."""
        return f"172.31.{128 + self._number % 127}.1"

    @property
    def pods(self) -> str:
        """The addresses of its pods."""
        return f"10.218.{self._number % 255}.0/24"
