"""Who may do what: the Groups that LiteMaaS turns into roles."""

from typing import Annotated, Any, Self, cast

from pydantic import AfterValidator, Field, model_validator

from config.entry import Entry
from config.login import Address, Mode, OAuthServer, Oidc
from config.schedule import Schedule
from config.types import Count, UserName, each_once


class NewUsers(Entry):
    """What somebody may use who logs in for the first time; users that are there already keep what they have."""

    max_budget: float | None = Field(
        default=None,
        ge=0.01,
        description="What one may spend in all, in the currency of the budgets. Default: the portal's own, 100. What an administrator has set in the portal's settings wins. The first start also writes it into the portal's tables, as the default of a column, where a later change does not arrive.",
        examples=[25.0],
    )
    tpm: Count | None = Field(
        default=None,
        description="Tokens per minute. Default: the portal's own, 100000; otherwise as for maxBudget.",
        examples=[50000],
    )
    rpm: Count | None = Field(
        default=None,
        description="Requests per minute. Default: the portal's own, 120; otherwise as for maxBudget.",
        examples=[60],
    )


Members = Annotated[list[UserName], AfterValidator(each_once)]


class Access(Entry):
    """Who may do what in the portal."""

    mode: Mode = Field(
        default="oauthClient",
        description="How the portal is known to whoever logs people in. oauthClient: an OAuthClient of OpenShift, of the whole cluster, which asks nobody for consent. serviceAccount: a ServiceAccount in the namespace, for which nobody has to be a cluster's administrator; each person is asked once for consent. oidc: a client of another provider, see oidc. Default: oauthClient.",
    )
    issuer: OAuthServer | None = Field(
        default=None,
        description="Address of OpenShift's OAuth server. Default: what the API server says at /.well-known/oauth-authorization-server; if it says nothing, oauth-openshift.<clusterDomain>.",
        examples=["https://oauth-cluster1.hosted.example.com"],
    )
    api_url: Address | None = Field(
        default=None,
        description="Address of the API that the backend asks who has logged in (users/~). Default: https://kubernetes.default.svc, the API server from inside.",
        examples=["https://api.cluster1.example.com:6443"],
    )
    oidc: Oidc | None = Field(default=None, description="The provider, with mode oidc. Default: none.")
    admins: Members | None = Field(
        default=None,
        description="Members of the Group litemaas-admins (portal administrators); whoever else is put in by hand is taken out by the next up that changes or refreshes it. Default: the group is made, its members are left to whoever manages them; one that somebody else has made before is used as it is, and never changed.",
        examples=[["alice"]],
    )
    readonly: Members | None = Field(
        default=None,
        description="Members of the Group litemaas-readonly (administrators who only look). Default: as for admins.",
    )
    users: Members | None = Field(
        default=None,
        description="Members of the Group litemaas-users. Default: as for admins. LiteMaaS 0.4 gives everybody who can log in the user role, with or without this group.",
    )
    initial_admins: Members = Field(
        default=[],
        description="User names that get the admin role when they log in, besides the group. Default: none; removing a name later takes no role away, unless enforceGroups is true.",
    )
    new_users: NewUsers = Field(
        default=NewUsers(), description="Budget and limits of whoever logs in for the first time."
    )
    manage_groups: bool = Field(
        default=True,
        description="Make the three Groups. Default true, and false with mode oidc, where the provider's groups decide. Write false where they come from an identity provider or another installation of this cluster: nothing is created then.",
    )
    enforce_groups: bool = Field(
        default=False,
        description="Take away the roles admin and admin-readonly, in the portal's database and LiteLLM's, from whoever is in no Group that gives them and not among initialAdmins; one given in the portal by hand goes as well. Default false: LiteMaaS adds roles at each login, and never removes one. Needs the right to make a ClusterRole, by which the check reads these Groups.",
    )
    enforce_schedule: Schedule = Field(
        default="*/15 * * * *",
        description="When enforceGroups looks, as in a crontab, in the cluster's time zone. Default: every quarter of an hour.",
    )

    @model_validator(mode="before")
    @classmethod
    def _groups_of_the_provider(cls, given: Any) -> Any:
        written = cast("dict[str, Any]", given if isinstance(given, dict) else {})
        return {"manageGroups": False, **written} if written.get("mode") == "oidc" else cast("Any", given)

    @property
    def lists_members(self) -> bool:
        """Whether members of any of the three Groups are written down."""
        return any(group is not None for group in (self.admins, self.readonly, self.users))

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.manage_groups and self.lists_members and self.mode != "oidc":
            msg = (
                "lists members while manageGroups is false; they would never be added; "
                "remove the lists or write manageGroups: true"
            )
            raise ValueError(msg)
        both = sorted(set(self.admins or ()) & set(self.readonly or ()))
        if both:
            msg = (
                f"has {', '.join(both)} in admins and in readonly; LiteMaaS adds roles up, so they "
                "would be full administrators; write each in one of the two"
            )
            raise ValueError(msg)
        return self
