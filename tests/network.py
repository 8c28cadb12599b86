"""The table of all edges, made from the edges themselves: ``python -m tests.network > docs/network.md``."""

import sys
from collections.abc import Iterator

from components.wiring import Edge, Instances, Namespace, Peer, Place, Pods
from tests import modes
from tests.modes import MODES

PLACES = {
    Place.ROUTER: "(the routers)",
    Place.API_SERVER: "(the API server)",
    Place.NEIGHBOURS: "(others in the namespace)",
    Place.OPERATOR: "(CloudNativePG's operator)",
    Place.MONITORING: "(the cluster's Prometheus)",
    Place.ANYWHERE: "(outside the cluster)",
}
ELSEWHERE = "(another namespace)"
# What each is for. An edge without an entry here is an error: nobody should have to ask.
PURPOSES = {
    ("(the routers)", "frontend"): "People and programs: the portal and its API, through the guard",
    ("(the routers)", "litellm"): "Calls of models, with keys from the portal; the playground",
    ("(the cluster's Prometheus)", "backend"): "Metrics, if the stack file lets it in",
    ("(the cluster's Prometheus)", "litellm"): "Metrics, if the stack file lets it in",
    ("(CloudNativePG's operator)", "postgres"): "How the instances are, and what they are to do",
    ("frontend", "backend"): "The portal's API, behind the guard",
    ("backend", "postgres"): "The portal's database, and LiteLLM's for models and backups",
    ("backend", "(the routers)"): "OpenShift's OAuth server, and LiteLLM by the URL that users see",
    ("backend", "(the API server)"): "Who has logged in",
    ("litellm", "postgres"): "Keys, models, usage",
    ("litellm", "redis"): "Limits that its pods share",
    ("litellm", "(others in the namespace)"): "Models or Redis there, or the database",
    ("litellm", "(another namespace)"): "Models or Redis there, or the database",
    ("litellm", "(outside the cluster)"): "Models or Redis there, or the database",
    ("litellm", "(the routers)"): "Models that are reached by their Route",
    ("litellm-migration", "postgres"): "LiteLLM's schema, before its pods start",
    ("postgres-bootstrap", "postgres"): "Databases, roles and the extension",
    ("models", "litellm"): "Registers what the stack file offers",
    ("key-check", "litellm"): "Blocks keys that open every model",
    ("role-check", "litellm"): "Roles of people who left their Group",
    ("role-check", "postgres"): "Roles of people who left their Group",
    ("role-check", "(the API server)"): "Who is in the Groups",
    ("verification", "(the routers)"): "Everything as users see it",
    ("postgres", "postgres"): "Copies follow the primary",
    ("postgres", "(the API server)"): "What an instance is to become",
}
CLIENTS = ("backend", "litellm", "litellm-migration", "postgres-bootstrap", "role-check")
PURPOSES |= {
    (client, place): "The database there"
    for client in CLIENTS
    for place in ("(others in the namespace)", "(another namespace)", "(outside the cluster)")
    if (client, place) not in PURPOSES
}
Row = tuple[str, str, str]


def peer(one: Peer) -> str:
    match one:
        case Pods(component):
            return component
        case Instances(cluster):
            return cluster
        case Namespace():
            return ELSEWHERE
        case Place():
            return PLACES[one]


def port(edge: Edge) -> str:
    if edge.target is Place.API_SERVER:
        return "443, 6443"
    # Of models and servers of others, each has its own.
    if edge.port is None or edge.target is Place.ANYWHERE:
        return "its own"
    return str(edge.port)


def rows() -> Iterator[tuple[Row, list[str]]]:
    """Each edge with the modes that have it."""
    found: dict[Row, list[str]] = {}
    for name in MODES:
        for row in sorted({(peer(each.source), peer(each.target), port(each)) for each in modes.edges(name)}):
            found.setdefault(row, []).append(name)
    yield from sorted(found.items())


def when(having: list[str]) -> str:
    """In which modes, in the fewest words."""
    if len(having) == len(MODES):
        return "always"
    without = [name for name in MODES if name not in having]
    return ", ".join(having) if len(having) <= len(without) else f"not: {', '.join(without)}"


def document() -> str:
    lines = [
        "# Who calls whom",
        "",
        "Everything else is refused in both directions, by one network policy for each component and one that denies",
        "all. A name in brackets is a place that is not the installation's. Whoever calls anything may also ask the",
        "cluster's DNS.",
        "This file is made: `python -m tests.network > docs/network.md`. The last column names modes of configuration",
        "from `tests/modes.py`, in each of which a test compares the policies with what every pod is really told.",
        "",
        "| from | to | port | what for | when |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {source} | {target} | {number} | {PURPOSES[source, target]} | {when(having)} |"
        for (source, target, number), having in rows()
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(document())
