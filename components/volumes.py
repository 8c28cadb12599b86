"""Volumes and where a container sees them."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi_kubernetes as k8s
from pulumi import Input


@dataclass(frozen=True, kw_only=True)
class Mount:
    """A volume and where the container sees it."""

    name: str
    path: str
    source: k8s.core.v1.VolumeArgs
    read_only: bool = True

    def as_args(self) -> k8s.core.v1.VolumeMountArgs:
        return k8s.core.v1.VolumeMountArgs(name=self.name, mount_path=self.path, read_only=self.read_only)


def scratch(path: str, limit: str = "64Mi") -> Mount:
    """A writable directory that lives as long as the pod, of ``limit`` at most."""
    name = "scratch" + path.replace("/", "-").replace(".", "-").lower()
    source = k8s.core.v1.VolumeArgs(name=name, empty_dir=k8s.core.v1.EmptyDirVolumeSourceArgs(size_limit=limit))
    return Mount(name=name, path=path, source=source, read_only=False)


def config_files(name: str, path: str, config_map: Input[str]) -> Mount:
    """The keys of a ConfigMap as files in ``path``."""
    files = k8s.core.v1.ConfigMapVolumeSourceArgs(name=config_map)
    return Mount(name=name, path=path, source=k8s.core.v1.VolumeArgs(name=name, config_map=files))


def secret_files(name: str, path: str, secret: Input[str]) -> Mount:
    """The keys of a Secret as files in ``path``, which the pod's group may read, and nobody else."""
    # PostgreSQL refuses a key that others can read.
    files = k8s.core.v1.SecretVolumeSourceArgs(secret_name=secret, default_mode=0o640)
    return Mount(name=name, path=path, source=k8s.core.v1.VolumeArgs(name=name, secret=files))


def projected(name: str, path: str, sources: Sequence[k8s.core.v1.VolumeProjectionArgs]) -> Mount:
    """Keys of several ConfigMaps and Secrets as files in one directory."""
    files = k8s.core.v1.ProjectedVolumeSourceArgs(sources=list(sources))
    return Mount(name=name, path=path, source=k8s.core.v1.VolumeArgs(name=name, projected=files))


def key(config_map: Input[str], key: str, path: str, *, optional: bool = False) -> k8s.core.v1.VolumeProjectionArgs:
    """One key of a ConfigMap as the file ``path``, for ``projected``; ``optional``: it may be missing."""
    items = [k8s.core.v1.KeyToPathArgs(key=key, path=path)]
    return k8s.core.v1.VolumeProjectionArgs(
        config_map=k8s.core.v1.ConfigMapProjectionArgs(name=config_map, items=items, optional=optional or None)
    )


def keys(config_map: Input[str]) -> k8s.core.v1.VolumeProjectionArgs:
    """All keys of a ConfigMap as files of their names, for ``projected``."""
    return k8s.core.v1.VolumeProjectionArgs(config_map=k8s.core.v1.ConfigMapProjectionArgs(name=config_map))


def secret_key(secret: Input[str], key: str, path: str) -> k8s.core.v1.VolumeProjectionArgs:
    """One key of a Secret as the file ``path``, for ``projected``."""
    items = [k8s.core.v1.KeyToPathArgs(key=key, path=path)]
    return k8s.core.v1.VolumeProjectionArgs(secret=k8s.core.v1.SecretProjectionArgs(name=secret, items=items))


def token(name: str, path: str, seconds: int) -> Mount:
    """A token of the pod's ServiceAccount for the API server, as the file ``token`` in ``path``.

    Instead of the one that is mounted automatically: that lives for an hour at least, and comes with a place that
    every client library looks at.
    """
    source = k8s.core.v1.ServiceAccountTokenProjectionArgs(path="token", expiration_seconds=seconds)
    return projected(name, path, [k8s.core.v1.VolumeProjectionArgs(service_account_token=source)])


def claim(name: str, path: str, claim_name: Input[str]) -> Mount:
    """A PersistentVolumeClaim, writable."""
    volume = k8s.core.v1.PersistentVolumeClaimVolumeSourceArgs(claim_name=claim_name)
    source = k8s.core.v1.VolumeArgs(name=name, persistent_volume_claim=volume)
    return Mount(name=name, path=path, source=source, read_only=False)


def claim_spec(
    storage: str, storage_class: str | None, access_mode: str = "ReadWriteOnce"
) -> k8s.core.v1.PersistentVolumeClaimSpecArgs:
    """A claim for ``storage`` (a quantity), by default one that one node at a time may mount."""
    return k8s.core.v1.PersistentVolumeClaimSpecArgs(
        access_modes=[access_mode],
        storage_class_name=storage_class,
        resources=k8s.core.v1.VolumeResourceRequirementsArgs(requests={"storage": storage}),
    )
