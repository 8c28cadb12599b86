"""What an operator writes in a stack file, checked, before anything is touched."""

from config.loading import load
from config.settings import Settings

__all__ = ["Settings", "load"]
