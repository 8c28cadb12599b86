"""The table of secrets: what each is for, who uses it, how it must look, what its rotation costs.

One row per secret; nothing else in the program lists them. ``prefix`` is what the
consumer insists on: LiteLLM wants ``sk-`` on its master key (litemaas-contract.md
section 1.3), the backend treats an admin key without ``ltm_admin_`` as a JWT (1.1).
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class SecretSpec:
    """One secret of an installation.

    ``restarts`` names the tiers whose pods hold it, ``notice`` is what people see of a rotation.
    ``fixed`` is empty, or says why it cannot be rotated and what to do instead. With ``overlap``
    the value of the generation before stays accepted.
    """

    name: str
    purpose: str
    restarts: tuple[str, ...]
    notice: str = ""
    prefix: str = ""
    # 32 bytes: as long as the keys of AES-256 and HMAC-SHA256 that are made of them.
    entropy_bytes: int = 32
    overlap: bool = False
    fixed: str = ""


_AWAY = "the portal is away for seconds, while its one pod is replaced"

SECRETS: tuple[SecretSpec, ...] = (
    SecretSpec(
        name="postgresAdminPassword",
        purpose="superuser of the bundled PostgreSQL",
        restarts=("postgres",),
        notice="pages and logins fail until PostgreSQL is back; calls with keys in use go on for a minute",
    ),
    SecretSpec(
        name="portalDatabasePassword",
        purpose="role that owns the portal's database; the bootstrap Job sets it first",
        restarts=("backend",),
        notice=_AWAY,
    ),
    SecretSpec(
        name="gatewayDatabasePassword",
        purpose="role that owns LiteLLM's database; the bootstrap Job sets it first",
        restarts=("litellm", "backend"),
        notice=f"{_AWAY}; LiteLLM's pods are replaced one by one",
    ),
    SecretSpec(
        name="redisPassword",
        purpose="Redis, where LiteLLM's replicas share limits",
        restarts=("redis", "litellm"),
        notice="rate limits are counted anew; LiteLLM's pods are replaced one by one; an external Redis needs it first",
    ),
    SecretSpec(
        name="litellmMasterKey",
        purpose="LiteLLM's administrator, which the backend acts as",
        restarts=("litellm", "backend"),
        notice="portal pages that ask LiteLLM fail from LiteLLM's restart to the backend's, and "
        f"{_AWAY}; keys of people stay valid; whoever uses the master key needs the new one",
        prefix="sk-",
    ),
    SecretSpec(
        name="litellmSaltKey",
        purpose="encrypts credentials of models in LiteLLM's database",
        restarts=("litellm",),
        prefix="sk-",
        fixed="LiteLLM could read none of the credentials that it has encrypted in its database; keep it, and if "
        "it has leaked replace what it protects: the credentials, where the models take them",
    ),
    SecretSpec(
        name="litellmUiPassword",
        purpose="user `admin` of LiteLLM's own web page",
        restarts=("litellm",),
        notice="user `admin` of LiteLLM's page needs the new one: `pulumi stack output --show-secrets "
        "litellm_ui_password`; LiteLLM's pods are replaced one by one",
    ),
    SecretSpec(
        name="jwtSecret",
        purpose="signs the portal's login tokens",
        restarts=("backend",),
        notice=f"everybody has to log in again; {_AWAY}",
    ),
    SecretSpec(
        name="oauthClientSecret",
        purpose="proves the portal to OpenShift's OAuth server",
        restarts=("backend",),
        notice=f"{_AWAY}; the secret of the generation before stays accepted, so raise it by two after a leak",
        overlap=True,
    ),
    SecretSpec(
        name="backendEncryptionKey",
        purpose="encrypts provider keys in the portal's database (the backend calls it LITELLM_MASTER_KEY)",
        restarts=("backend",),
        fixed="the portal could read none of the provider keys that it has encrypted in its database; keep it, and "
        "if it has leaked replace what it protects: the provider keys, at the providers and in the portal",
    ),
    SecretSpec(
        name="adminApiKey",
        purpose="lets automation call the portal's administration API",
        restarts=("backend",),
        notice=f"scripts that use it must be given the new one; {_AWAY}",
        prefix="ltm_admin_",
    ),
)
