"""What somebody else runs: a model server, and a PostgreSQL with TLS and an authority of its own; a stack uses both."""

import base64
import json
from pathlib import Path

from tests.e2e.mistakes import SPACE, Copy
from tests.e2e.stack import CONNECTIONS, Deployed
from tests.engine.driver import Json
from tests.unit import certificates

HOST = f"postgres.{SPACE}.svc.cluster.local"
ADMIN, PASSWORD = "administrator", "Of-somebody-else-and-long-enough-1"
AUTHORITY = certificates.authority()
STRANGER = certificates.make("stranger", authority=True)
_POSTGRES, _MODEL = {"app": "postgres"}, {"app": "model"}
_SECURITY = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
_CONFINED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
# A managed service's administrator: no superuser, and connections without TLS refused.
_START = f"""
mkdir -p /tmp/init && cat > /tmp/init/admin.sql <<'SQL'
CREATE ROLE {ADMIN} LOGIN CREATEDB CREATEROLE PASSWORD '{PASSWORD}';
SQL
(until psql -qAt -U postgres -d postgres -f /tmp/init/admin.sql; do sleep 1; done
 sed -i 's/^host /hostssl /' /var/lib/pgsql/data/userdata/pg_hba.conf
 psql -qAt -U postgres -d postgres -c 'SELECT pg_reload_conf()') &
exec run-postgresql -c ssl=on -c ssl_cert_file=/etc/tls/tls.crt -c ssl_key_file=/etc/tls/tls.key
"""


def serve(stack: Deployed) -> None:
    """Start both, in a namespace of their own."""
    made = certificates.make(HOST, signer=AUTHORITY, hosts=[HOST])
    files = {"tls.crt": made.certificate, "tls.key": made.key}
    container = {
        "name": "postgres",
        "image": "quay.io/sclorg/postgresql-16-c9s:latest",
        "command": ["bash", "-c", _START],
        "env": [{"name": "POSTGRESQL_ADMIN_PASSWORD", "value": "nobody-uses-this"}, {"name": "HOME", "value": "/tmp"}],
        "securityContext": _CONFINED,
        "volumeMounts": [
            {"name": "home", "mountPath": "/var/lib/pgsql"},
            {"name": "run", "mountPath": "/var/run/postgresql"},
            {"name": "tls", "mountPath": "/etc/tls"},
        ],
    }
    spec = {
        "containers": [container],
        "securityContext": _SECURITY,
        "volumes": [
            {"name": "home", "emptyDir": {}},
            {"name": "run", "emptyDir": {}},
            # PostgreSQL refuses a key that others can read.
            {"name": "tls", "secret": {"secretName": "tls", "defaultMode": 0o640}},
        ],
    }
    model = {
        "name": "model",
        "image": "lab.local/model-server:1",
        "args": ["--served-model-name=echo", "--max-model-len=4096"],
        "securityContext": _CONFINED,
    }
    for kind, name, labels, more in (
        ("Namespace", SPACE, {}, {}),
        ("Secret", "tls", {}, {"data": {key: base64.b64encode(text.encode()).decode() for key, text in files.items()}}),
        ("Service", "postgres", _POSTGRES, {"spec": {"selector": _POSTGRES, "ports": [{"port": 5432}]}}),
        ("Service", "model", _MODEL, {"spec": {"selector": _MODEL, "ports": [{"port": 8080}]}}),
        ("Pod", "postgres", _POSTGRES, {"spec": spec}),
        ("Pod", "model", _MODEL, {"spec": {"containers": [model], "securityContext": _SECURITY}}),
    ):
        meta = {"name": name, "labels": labels} | ({"namespace": SPACE} if kind != "Namespace" else {})
        manifest = {"apiVersion": "v1", "kind": kind, "metadata": meta, **more}
        stack.cluster.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))


def stop(stack: Deployed) -> None:
    """Take both away."""
    stack.cluster.kubectl("delete", "namespace", SPACE, "--wait=false")


def sql(stack: Deployed, query: str) -> str:
    """The rows of a query, as the server's owner sees them."""
    command = ["exec", "postgres", "-n", SPACE, "--", "psql", "-qAt", "-U", "postgres", "-d", "postgres"]
    return stack.cluster.kubectl(*command, "-c", query).strip()


def database(authority: str) -> Json:
    """The settings of a stack that uses the server, and trusts an authority for it."""
    external = {"host": HOST, "ca": authority, "adminUser": ADMIN}
    return {"mode": "external", "maxConnections": 100, "external": external}


def let_in_at_last(stack: Deployed, folder: Path) -> dict[str, str]:
    """What two ups say that cannot get in, and the connections of the third: a line for each role, ``t`` for TLS."""
    given = database(AUTHORITY.certificate)
    copy = Copy(stack, folder, "external", database=given, rolloutTimeoutSeconds=60)
    project, said = copy.project, dict[str, str]()
    project.set_secret("secrets.postgresAdminPassword.value", PASSWORD + "2")
    said["external-password"] = copy.up(expect=1)

    project.set_secret("secrets.postgresAdminPassword.value", PASSWORD)
    project.change(database=database(STRANGER.certificate))
    said["external-stranger"] = copy.up(expect=1)

    project.change(database=given, rolloutTimeoutSeconds=stack.settings["rolloutTimeoutSeconds"])
    copy.up()
    said["external"] = sql(stack, CONNECTIONS)
    project.destroy()
    return said
