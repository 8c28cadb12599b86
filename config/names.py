"""Names and labels that say whose an object is."""

MANAGER_LABEL = "app.kubernetes.io/managed-by"
STACK_LABEL = "app.kubernetes.io/instance"
PART_LABEL = "app.kubernetes.io/part-of"
COMPONENT_LABEL = "app.kubernetes.io/component"
MANAGER = "pulumi"

# LiteMaaS knows these three by name; they cannot be chosen (litemaas-contract.md section 2).
ADMINS, READONLY, USERS = "litemaas-admins", "litemaas-readonly", "litemaas-users"
# The backend takes these for the same: every cluster may have them, for other purposes.
GENERIC = {"administrators": "admin", "viewers": "admin-readonly", "developers": "user"}
# The ServiceAccount that is the portal's OAuth client in mode serviceAccount: people read it when they consent.
LOGIN_ACCOUNT = "litemaas-portal"
# What each Group gives besides the role user, which everybody has who can log in.
GRANTS = {ADMINS: "admin", READONLY: "admin-readonly", USERS: "user"} | GENERIC
# The roles that somebody has from a Group, and may lose with it.
ELEVATED = {group: role for group, role in GRANTS.items() if role != "user"}


def identity(stack: str) -> dict[str, str]:
    """The labels that every object of ``stack`` carries."""
    return {MANAGER_LABEL: MANAGER, PART_LABEL: "litemaas", STACK_LABEL: stack}


def oauth_client(namespace: str) -> str:
    """The OAuthClient's name: cluster-scoped, so made from the namespace, which is unique there."""
    return f"{namespace}-oauth-client"


def console_link(namespace: str) -> str:
    """The ConsoleLink's name, made like that of the OAuthClient."""
    return f"{namespace}-portal"
