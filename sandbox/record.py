"""What a sandbox remembers from one start to the next."""

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

FILE = "sandbox.json"


@dataclass
class Record:
    """The file `sandbox.json` in the state folder."""

    name: str = "dev"
    domain: str = "apps.sandbox.example.com"
    omit: list[str] = field(default_factory=list)
    ports: dict[str, int] = field(default_factory=dict)
    started: float = 0
    """Unix time of the last start; 0 before the first."""
    nodes: str = "simulated"
    """What plays the nodes: ``simulated`` or ``real``."""
    complete: bool = False
    """Whether that start came to its end."""

    @classmethod
    def load(cls, state: Path) -> "Record":
        """Read the record; one of defaults where there is none yet."""
        try:
            return cls(**json.loads((state / FILE).read_text()))
        except (OSError, ValueError, TypeError):
            return cls()

    def check(self, nodes: str, name: str, state: Path) -> None:
        """See that what cannot change later has not changed.

        Raises:
            ValueError: with the cure.
        """
        # The API server's certificate holds the real node's address, which follows from the name.
        if self.started and (nodes != self.nodes or (nodes == "real" and name != self.name)):
            raise ValueError(
                f"{state} holds the sandbox {self.name} with {self.nodes} nodes; delete it first (down --purge), "
                "or choose another --state"
            )

    def save(self, state: Path, *, complete: bool) -> None:
        """Write the record; an incomplete one marks the beginning of a start."""
        self.complete = complete
        if not complete:
            self.started = time.time()
        # Replaced in one step: a command that reads meanwhile sees the old or the new one.
        partial = state / f"{FILE}.partial"
        partial.write_text(json.dumps(asdict(self), indent=2))
        partial.replace(state / FILE)
