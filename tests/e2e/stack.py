"""The one deployed stack, and how tests reach what it serves."""

from dataclasses import dataclass
from pathlib import Path

from tests.e2e.web import Answer, Gateway, User, Web
from tests.engine.driver import Cluster, Json, Project, in_use

# A line for each role that is connected over the network, with t for TLS.
CONNECTIONS = (
    "SELECT DISTINCT usename, ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE client_addr IS NOT NULL"
)


class Slow(Project):
    """A project whose commands start real containers."""

    command_seconds = 1200


@dataclass(frozen=True)
class Deployed:
    """The stack, its cluster, and how to reach what it serves."""

    project: Project
    # Of the first up: tests change the project's while other stacks come and go.
    settings: Json
    program: Path
    cluster: Cluster
    web: Web
    portal: str
    gateway: Gateway
    namespace: str

    def user(self, name: str) -> User:
        """Somebody, logged in anew; who presses the button a second time where the backend's own call broke.

        Seen once while other stacks came up. Inferred: the router reloads for their Routes, and ends the connection
        to the OAuth server that the backend keeps.
        """
        try:
            return self.web.log_in(self.portal, name)
        except AssertionError as refused:
            if "Authentication failed" not in str(refused):
                raise
            return self.web.log_in(self.portal, name)

    def unlimited_key(self, *models: str) -> str:
        """A key of nobody's: the portal's keys count towards their user's calls per minute."""
        return self.administer("/key/generate", {"models": list(models)}).json()["key"]

    @property
    def closed_gateway(self) -> Json:
        """The gateway's settings of the first up, with LiteLLM's own pages closed to people outside."""
        return {**self.settings["gateway"], "adminUi": "hidden"}

    def shrink(self) -> None:
        """Take back what the gateway has grown by, and close it; several backends stay. The next up is for the caller.

        Closed now, since it starts LiteLLM anew, as most of what comes with the next up does.
        """
        several = {**self.project.config()["replicas"], "litellm": self.settings["replicas"]["litellm"]}
        self.project.change(modelServing=None, gateway=self.closed_gateway, replicas=several)

    def uids(self, component: str) -> set[str]:
        """Of a component's pods: each is another one once it has been replaced."""
        return {each["metadata"]["uid"] for each in self.pods(component)}

    def administer(self, path: str, body: Json) -> Answer:
        """A request to LiteLLM with its master key, which has to succeed."""
        master = {"Authorization": f"Bearer {in_use(self.project)['litellmMasterKey']}"}
        return self.web.send("POST", f"{self.gateway.url}{path}", body, master).ok()

    def pods(self, component: str) -> list[Json]:
        """The pods of a component that are not going away."""
        listed = self.cluster.items("pods", self.namespace, labelSelector=f"app.kubernetes.io/component={component}")
        return [each for each in listed if "deletionTimestamp" not in each["metadata"]]

    def readiness(self, component: str) -> dict[str, bool]:
        """Which pods there are, and whether each is ready."""
        return {
            pod["metadata"]["name"]: any(
                (each["type"], each["status"]) == ("Ready", "True") for each in pod["status"].get("conditions", ())
            )
            for pod in self.pods(component)
        }

    def is_ready(self, component: str, count: int = 1) -> bool:
        """Whether so many pods are ready, and no other is left."""
        states = self.readiness(component)
        return len(states) == count and all(states.values())

    def run_check(self, check: str, name: str) -> str:
        """A check that comes by the clock, run by hand as the README says; what it printed."""
        where = ["-n", self.namespace]
        self.cluster.kubectl("create", "job", name, *where, f"--from=cronjob/{check}")
        try:
            self.cluster.kubectl("wait", *where, f"job/{name}", "--for=condition=Complete", "--timeout=180s")
            return self.cluster.kubectl("logs", *where, f"job/{name}")
        finally:
            self.cluster.kubectl("delete", "job", name, *where)

    def sql(self, database: str, query: str) -> str:
        """The rows of a query, as an administrator inside the database's pod sees them."""
        command = ["exec", "postgres-0", "-n", self.namespace, "--", "psql", "-qAt", "-U", "postgres", "-d", database]
        return self.cluster.kubectl(*command, "-c", query).strip()
