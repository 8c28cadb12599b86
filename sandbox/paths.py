"""Where things live: the checkout, the cache of built tools, a sandbox's state.

Standard library only: ``python -m sandbox toolchain`` runs before any virtual
environment exists.
"""

import os
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
MANIFESTS = Path(__file__).resolve().parent / "manifests"
VENV = CHECKOUT / ".venv"


def cache() -> Path:
    """The folder for what is expensive to make again and belongs to no checkout.

    Returns:
        ``$LITEMAAS_CACHE``, else ``$XDG_CACHE_HOME/litemaas-pulumi``, else
        ``~/.cache/litemaas-pulumi``; it need not exist yet.
    """
    if own := os.environ.get("LITEMAAS_CACHE"):
        return Path(own).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser().absolute() / "litemaas-pulumi"


def state(option: str | Path | None = None) -> Path:
    """The folder that holds everything one sandbox writes.

    Args:
        option: what the user gave as ``--state``, if anything.

    Returns:
        ``option``, else ``$LITEMAAS_SANDBOX``, else ``.sandbox`` in the checkout.
    """
    chosen = option or os.environ.get("LITEMAAS_SANDBOX") or CHECKOUT / ".sandbox"
    return Path(chosen).expanduser().absolute()
