"""Who may log in at the OAuth double, who is logged in, and how the user API describes them."""

import http.cookies
import secrets
import uuid

from cluster import Cluster, Json


class People:
    """Users are User objects of the API server, and those ``listed`` as ``name[=full name],...``."""

    def __init__(self, cluster: Cluster, listed: str) -> None:
        self._cluster = cluster
        pairs = (entry.partition("=") for entry in listed.split(",") if entry.strip())
        self._listed = {name.strip(): full.strip() for name, _, full in pairs}
        self._sessions: dict[str, str] = {}
        self.approvals: set[tuple[str, str]] = set()

    def find(self, name: str) -> Json | None:
        """A user's own object, or one made from the list."""
        if not name:
            return None
        if found := self._cluster.user(name):
            return found
        if name not in self._listed:
            return None
        # Stays the same over restarts, as the uid of a User object does.
        made: Json = {"metadata": {"name": name, "uid": str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{name}.oauth.double"))}}
        return made | ({"fullName": self._listed[name]} if self._listed[name] else {})

    def document(self, name: str) -> Json | None:
        """What ``users/~`` answers: the user with the groups that the request has."""
        user = self.find(name)
        if user is None:
            return None
        meta = {key: value for key, value in user["metadata"].items() if key != "managedFields"}
        groups = [*self._cluster.groups(name), "system:authenticated", "system:authenticated:oauth"]
        head: Json = {"kind": "User", "apiVersion": "user.openshift.io/v1", "metadata": meta}
        if user.get("fullName"):
            head["fullName"] = user["fullName"]
        return head | {"identities": user.get("identities") or [f"sandbox:{name}"], "groups": groups}

    def open_session(self, name: str) -> str:
        key = secrets.token_urlsafe(32)
        self._sessions[key] = name
        return key

    def session(self, cookies: str) -> str | None:
        """Who is logged in, if that user still exists."""
        jar: http.cookies.SimpleCookie = http.cookies.SimpleCookie()
        try:
            jar.load(cookies)
        except http.cookies.CookieError:
            return None
        name = self._sessions.get(jar["ssn"].value) if "ssn" in jar else None
        return name if name and self.find(name) else None
