"""Names and labels that say whose an object is."""

MANAGER_LABEL = "app.kubernetes.io/managed-by"
STACK_LABEL = "app.kubernetes.io/instance"
PART_LABEL = "app.kubernetes.io/part-of"
COMPONENT_LABEL = "app.kubernetes.io/component"
MANAGER = "pulumi"

# LiteMaaS knows these three by name; they cannot be chosen (litemaas-contract.md section 2).
ADMINS, READONLY, USERS = "litemaas-admins", "litemaas-readonly", "litemaas-users"


def identity(stack: str) -> dict[str, str]:
    """The labels that every object of ``stack`` carries."""
    return {MANAGER_LABEL: MANAGER, PART_LABEL: "litemaas", STACK_LABEL: stack}


def oauth_client(namespace: str) -> str:
    """The OAuthClient's name: cluster-scoped, so made from the namespace, which is unique there."""
    return f"{namespace}-oauth-client"
