"""Rights that an `up` needs and a role in the installation's own namespace does not give."""

from collections.abc import Iterable, Sequence

from components.naming import Guarded
from config.cluster import VERBS, Right
from config.report import Problem
from config.settings import Settings

# How to do without, by resource.
_WITHOUT = {
    "oauthclients": "; or write access.mode: serviceAccount, which needs no right at cluster scope",
    "groups": "; or write access.manageGroups: false, and have members put into Groups by whoever may",
    "clusterroles": "; or leave access.enforceGroups out",
    "consolelinks": "; or write exposure.consoleLink.enabled: false",
}


def needed(settings: Settings, guarded: Iterable[Guarded]) -> list[Right]:
    """For what is always made, and for the policies of ``guarded`` models."""
    kinds = [("", "namespaces")]
    if settings.access.mode == "oauthClient":
        kinds.append(("oauth.openshift.io", "oauthclients"))
    if settings.access.manage_groups:
        kinds.append(("user.openshift.io", "groups"))
    if settings.access.enforce_groups:
        kinds += [("rbac.authorization.k8s.io", kind) for kind in ("clusterroles", "clusterrolebindings")]
    rights = [Right(verb, group, resource) for group, resource in kinds for verb in VERBS]
    if settings.access.enforce_groups:
        # Nobody can hand on a right without having it.
        rights.append(Right("get", "user.openshift.io", "groups"))
    spaces = {one.namespace for one in guarded}
    rights += [Right(verb, "networking.k8s.io", "networkpolicies", space) for space in sorted(spaces) for verb in VERBS]
    return list(dict.fromkeys(rights))


def denied(asked: Iterable[tuple[Right, bool]], missing: Iterable[str]) -> list[Problem]:
    """What is lacking, but for that on APIs that are ``missing`` anyway."""
    lacking: dict[tuple[str, str, str], list[str]] = {}
    for right, may in asked:
        if not may and right.group not in missing:
            lacking.setdefault((right.resource, right.group, right.namespace), []).append(right.verb)
    return [_problem(resource, group, space, verbs) for (resource, group, space), verbs in lacking.items()]


def _problem(resource: str, group: str, namespace: str, verbs: Sequence[str]) -> Problem:
    where = f"permission on {resource}{'.' + group if group else ''}"
    if namespace:
        what = (
            f"you may not {', '.join(verbs)} them; modelServing.lockdown makes one for each model there; ask whoever "
            "administers the namespace for a role with these verbs, or write lockdown: false"
        )
        return Problem(where=f"{where} in namespace {namespace}", what=what)
    what = (
        f"you may not {', '.join(verbs)} them at cluster scope; up would stop half-way; ask a cluster "
        f"admin to run this stack, or for a ClusterRole with these verbs{_WITHOUT.get(resource, '')}"
    )
    return Problem(where=where, what=what)
