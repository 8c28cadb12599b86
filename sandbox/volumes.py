"""The directories of simulated nodes' volumes, which lie outside every state folder."""

import shutil
from contextlib import suppress
from pathlib import Path

from sandbox.client import ApiError, Client

# The test provisioner of the controller manager knows no other place.
FOLDER = Path("/tmp/hostpath_pv")


def remove(client: Client) -> None:
    """Remove the directories of a sandbox's volumes; those of others stay."""
    try:
        volumes = client.request("GET", "/api/v1/persistentvolumes")["items"]
    except (ApiError, OSError, KeyError, ValueError):
        return  # without an answer nothing is known of them, and stopping must go on
    for each in volumes:
        folder = Path(each["spec"].get("hostPath", {}).get("path", ""))
        if folder.parent == FOLDER:
            shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):  # other sandboxes may have volumes there
        FOLDER.rmdir()
