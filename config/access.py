"""Who may do what: the Groups that LiteMaaS turns into roles."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from config.models import Entry
from config.types import UserName, each_once

Members = Annotated[list[UserName], AfterValidator(each_once)]


class Access(Entry):
    """Who may do what in the portal."""

    admins: Members | None = Field(
        default=None,
        description="Members of the Group litemaas-admins (portal administrators); whoever else is put in by hand is taken out by the next up that changes or refreshes it. Default: the group is made, its members are left to whoever manages them.",
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
        description="User names that get the admin role when they log in, besides the group. Default: none; removing a name later takes no role away.",
    )
    manage_groups: bool = Field(
        default=True,
        description="Make the three Groups. Default true. Write false where they come from an identity provider or another installation of this cluster: nothing is created then.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.manage_groups and any(g is not None for g in (self.admins, self.readonly, self.users)):
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
