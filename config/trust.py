"""Which certificate authorities are trusted besides the cluster's own, and what speaks TLS inside it."""

from typing import Annotated

from pydantic import AfterValidator, Field

from config import certificates
from config.entry import Entry
from config.types import ObjectName

CaBundle = Annotated[str, AfterValidator(certificates.bundle)]


class ConfigMapKey(Entry):
    """A ConfigMap with certificates."""

    name: ObjectName = Field(description="Its name.", examples=["user-ca-bundle"])
    key: str = Field(default="ca-bundle.crt", min_length=1, description="The key in it. Default: ca-bundle.crt.")
    namespace: ObjectName = Field(
        default="openshift-config",
        description="Its namespace. Default: openshift-config, where the cluster's own trustedCA lies.",
    )


class Trust(Entry):
    """Authorities in addition; each source adds to the others."""

    ca_bundle: CaBundle | None = Field(
        default=None,
        description="Certificate authorities in PEM, one below the other, for models, identity providers, databases or a Redis behind a private one. Default: none; what OpenShift injects for the cluster's proxy, the authorities of its API server, its ingress and its service serving certificates are trusted in any case.",
    )
    config_map: ConfigMapKey | None = Field(
        default=None,
        description="Take authorities from a ConfigMap too. It is read at preview and at up, and copied, so that a change in it shows in the next preview and rolls what trusts it. Default: none.",
    )


class Tls(Entry):
    """TLS between pods."""

    internal: bool = Field(
        default=False,
        description="Speak TLS alone to LiteLLM, the bundled PostgreSQL and Redis, and the portal's frontend, with certificates of OpenShift's service-ca operator, verified by whoever calls them. Default: false, since the network policies let nobody else through to them. The backend speaks no TLS.",
    )
