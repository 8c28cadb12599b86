"""The table of secrets: what each is for, who uses it, how it must look.

One row per secret; nothing else in the program lists them. ``prefix`` is what the
consumer insists on: LiteLLM wants ``sk-`` on its master key (litemaas-contract.md
section 1.3), the backend treats an admin key without ``ltm_admin_`` as a JWT (1.1).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Optional

from pydantic import Field, SecretStr, create_model

from config.models import Entry
from config.types import strong_secret


@dataclass(frozen=True, kw_only=True)
class SecretSpec:
    """One secret of an installation."""

    name: str
    purpose: str
    consumers: str
    on_change: str
    prefix: str = ""


SECRETS: tuple[SecretSpec, ...] = (
    SecretSpec(
        name="postgresAdminPassword",
        purpose="superuser of the bundled PostgreSQL",
        consumers="postgres, the bootstrap Job",
        on_change="the database pod restarts once",
    ),
    SecretSpec(
        name="portalDatabasePassword",
        purpose="role that owns the portal's database",
        consumers="backend",
        on_change="the backend restarts; the bootstrap Job sets it first",
    ),
    SecretSpec(
        name="gatewayDatabasePassword",
        purpose="role that owns LiteLLM's database",
        consumers="litellm, backend (backup and model check)",
        on_change="LiteLLM and backend restart; the bootstrap Job sets it first",
    ),
    SecretSpec(
        name="redisPassword",
        purpose="Redis, where LiteLLM's replicas share limits",
        consumers="redis, litellm",
        on_change="both restart; rate-limit counters start anew. An external Redis has to have it before",
    ),
    SecretSpec(
        name="litellmMasterKey",
        purpose="LiteLLM's administrator, which the backend acts as",
        consumers="litellm, backend, the model Job",
        on_change="both restart together; keys of users stay valid",
        prefix="sk-",
    ),
    SecretSpec(
        name="litellmSaltKey",
        purpose="encrypts model credentials in LiteLLM's database",
        consumers="litellm",
        on_change="NEVER change it: every stored model becomes unreadable",
        prefix="sk-",
    ),
    SecretSpec(
        name="litellmUiPassword",
        purpose="user `admin` of LiteLLM's own web page",
        consumers="litellm",
        on_change="LiteLLM restarts",
    ),
    SecretSpec(
        name="jwtSecret",
        purpose="signs the portal's login tokens",
        consumers="backend",
        on_change="everybody has to log in again",
    ),
    SecretSpec(
        name="oauthClientSecret",
        purpose="proves the portal to OpenShift's OAuth server",
        consumers="OAuthClient, backend",
        on_change="logins in flight fail once",
    ),
    SecretSpec(
        name="backendEncryptionKey",
        purpose="encrypts provider keys in the portal's database",
        consumers="backend (as LITELLM_MASTER_KEY, a misleading name)",
        on_change="NEVER change it: stored provider keys become unreadable",
    ),
    SecretSpec(
        name="adminApiKey",
        purpose="lets automation call the portal's administration API",
        consumers="backend",
        on_change="scripts that use it must be given the new one",
        prefix="ltm_admin_",
    ),
)


class GivenSecrets(Entry):
    """Values that the operator chose instead of generated ones."""

    def given(self) -> dict[str, SecretStr]:
        """The values by name, without those left out."""
        found = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: value for name, value in found.items() if value is not None}


def is_given(secrets: GivenSecrets, name: str) -> bool:
    """Whether the operator chose the value of ``name``, instead of having one generated."""
    return name in secrets.given()


def _secret_field(spec: SecretSpec) -> tuple[Any, Any]:
    description = (
        f"{spec.purpose[0].upper()}{spec.purpose[1:]}; used by {spec.consumers}. "
        f"Default: generated once. On change: {spec.on_change}."
    )
    kind: Any = Annotated[SecretStr, strong_secret(spec.prefix)]
    return Optional[kind], Field(default=None, alias=spec.name, description=description)  # noqa: UP045 (a value, not an annotation)


if TYPE_CHECKING:
    SecretValues = GivenSecrets
else:
    # One field per row of the table, so that a secret can be neither forgotten nor misspelt.
    SecretValues = create_model(
        "SecretValues", __base__=GivenSecrets, **{spec.name: _secret_field(spec) for spec in SECRETS}
    )
