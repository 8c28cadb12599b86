"""How people log in: the modes, and the addresses that the backend makes its requests of.

The backend appends paths to what it is told (litemaas-contract.md section 1.5), so each address has to be
one to which `/oauth/authorize`, `/apis/...` or `/.well-known/openid-configuration` can be appended.
"""

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from config.entry import Entry
from config.types import each_once

Mode = Literal["oauthClient", "serviceAccount", "oidc"]
DISCOVERY = "/.well-known/openid-configuration"
# What a backend of LiteMaaS 0.4 reads; there is no variable for it.
_USER_NAME = "preferred_username"
_WORD = re.compile(r"[\x21-\x7e]+")
_URL = re.compile(r"https://[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?(:[0-9]{1,5})?(/[^\s?#]*)?")
_MOST_PORTS = 65535


def _address(value: str) -> str:
    if value.startswith("http://"):
        msg = "is plain http; secrets and log-ins would be read on the way; write https://"
        raise ValueError(msg)
    if not _URL.fullmatch(value) or not _port(value):
        msg = (
            "is no https:// address of a host and perhaps a port and a path; the backend appends paths to it; write it "
            "without user, query and fragment, as https://login.example.com"
        )
        raise ValueError(msg)
    if value.endswith("/"):
        msg = f"ends in a slash; the backend would ask for //, which servers answer with 404; write {value.rstrip('/')}"
        raise ValueError(msg)
    return value


def _port(value: str) -> bool:
    try:
        port = urlsplit(value).port
    except ValueError:
        return False
    return port is None or 0 < port <= _MOST_PORTS


def oauth_server(value: str) -> str:
    """``value``, if it is an address of OpenShift's OAuth server. Raises ValueError."""
    _address(value)
    if urlsplit(value).path:
        origin = value.removesuffix(urlsplit(value).path)
        msg = (
            "has a path; OpenShift's OAuth server answers at the root of its host, so the backend's /oauth/authorize "
            f"would not be found below it; write {origin}"
        )
        raise ValueError(msg)
    return value


def _provider(value: str) -> str:
    _address(value)
    if "/.well-known" in value:
        msg = (
            f"is the address of a discovery document; the backend appends {DISCOVERY} by itself; write "
            f"{value.partition('/.well-known')[0]}"
        )
        raise ValueError(msg)
    if (urlsplit(value).hostname or "").startswith("oauth-openshift."):
        msg = (
            "is OpenShift's own OAuth server, which speaks no OpenID Connect: it has no discovery document and no "
            "userinfo; write access.mode: oauthClient or serviceAccount for it"
        )
        raise ValueError(msg)
    return value


def _word(value: str) -> str:
    if not _WORD.fullmatch(value):
        msg = (
            "is empty, or has spaces or characters besides ASCII's; no provider knows it; write it as the provider does"
        )
        raise ValueError(msg)
    return value


def _with_openid(value: list[str]) -> list[str]:
    if "openid" not in value:
        msg = "lacks openid, without which a provider does not speak OpenID Connect; write it as the first one"
        raise ValueError(msg)
    return each_once(value)


def _user_name(value: str) -> str:
    if value != _USER_NAME:
        msg = (
            f"cannot be chosen: LiteMaaS 0.4 takes the user name from {_USER_NAME}, whatever is written here; leave it "
            f"out, and have the provider send the name as {_USER_NAME}"
        )
        raise ValueError(msg)
    return value


Word = Annotated[str, AfterValidator(_word)]
OAuthServer = Annotated[str, AfterValidator(oauth_server)]
Address = Annotated[str, AfterValidator(_address)]


class Oidc(Entry):
    """An OpenID Connect provider, and what it knows the portal as."""

    issuer: Annotated[str, AfterValidator(_provider)] = Field(
        description=f"The provider's issuer, without a slash at its end. The backend finds everything else at {DISCOVERY} below it.",
        examples=["https://keycloak.example.com/realms/main"],
    )
    client_id: Word = Field(
        description="The client's id there: a confidential client with the authorization code flow, PKCE allowed, and the portal's /api/auth/callback as redirect URI. Its secret is secrets.oauthClientSecret.",
        examples=["litemaas"],
    )
    groups_claim: Word = Field(
        default="groups",
        description="The claim with the names of a person's groups, a list in the answer of the provider's userinfo. Default: groups.",
        examples=["roles"],
    )
    scopes: Annotated[list[Word], AfterValidator(_with_openid)] = Field(
        default=["openid", "profile", "email"],
        description="What the portal asks for. Default: openid, profile and email; add the one that brings the groups, if there is one.",
        examples=[["openid", "profile", "email", "groups"]],
    )
    username_claim: Annotated[str, AfterValidator(_user_name)] = Field(
        default=_USER_NAME,
        description=f"The claim with a person's user name, by which initialAdmins are known. Only {_USER_NAME}, which is also the default: LiteMaaS 0.4 reads no other.",
    )
