"""A PostgreSQL that somebody else runs, with TLS and an authority of its own, and stacks that use it."""

import base64
import json
from pathlib import Path

from tests.e2e.mistakes import spoilt
from tests.e2e.stack import CONNECTIONS, Deployed
from tests.engine.driver import Json
from tests.unit import certificates

SPACE = "elsewhere"
HOST = f"postgres.{SPACE}.svc.cluster.local"
ADMIN, PASSWORD = "administrator", "Of-somebody-else-and-long-enough-1"
AUTHORITY = certificates.authority()
STRANGER = certificates.make("stranger", authority=True)
_LABELS = {"app": "postgres"}
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
    """Start the server, in a namespace of its own."""
    made = certificates.make(HOST, signer=AUTHORITY, hosts=[HOST])
    files = {"tls.crt": made.certificate, "tls.key": made.key}
    container = {
        "name": "postgres",
        "image": "quay.io/sclorg/postgresql-16-c9s:latest",
        "command": ["bash", "-c", _START],
        "env": [{"name": "POSTGRESQL_ADMIN_PASSWORD", "value": "nobody-uses-this"}, {"name": "HOME", "value": "/tmp"}],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [
            {"name": "home", "mountPath": "/var/lib/pgsql"},
            {"name": "run", "mountPath": "/var/run/postgresql"},
            {"name": "tls", "mountPath": "/etc/tls"},
        ],
    }
    spec = {
        "containers": [container],
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "volumes": [
            {"name": "home", "emptyDir": {}},
            {"name": "run", "emptyDir": {}},
            # PostgreSQL refuses a key that others can read.
            {"name": "tls", "secret": {"secretName": "tls", "defaultMode": 0o640}},
        ],
    }
    for kind, name, more in (
        ("Namespace", SPACE, {}),
        ("Secret", "tls", {"data": {name: base64.b64encode(text.encode()).decode() for name, text in files.items()}}),
        ("Service", "postgres", {"spec": {"selector": _LABELS, "ports": [{"port": 5432}]}}),
        ("Pod", "postgres", {"spec": spec}),
    ):
        meta = {"name": name, "labels": _LABELS} | ({"namespace": SPACE} if kind != "Namespace" else {})
        manifest = {"apiVersion": "v1", "kind": kind, "metadata": meta, **more}
        stack.cluster.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))


def stop(stack: Deployed) -> None:
    """Take the server away."""
    stack.cluster.kubectl("delete", "namespace", SPACE)


def sql(stack: Deployed, query: str) -> str:
    """The rows of a query, as the server's owner sees them."""
    command = ["exec", "postgres", "-n", SPACE, "--", "psql", "-qAt", "-U", "postgres", "-d", "postgres"]
    return stack.cluster.kubectl(*command, "-c", query).strip()


def settings(name: str, authority: str) -> Json:
    """Of a stack in a namespace of its own that uses the server."""
    external = {"host": HOST, "ca": authority, "adminUser": ADMIN}
    return {
        "namespace": name,
        "access": {"manageGroups": False},
        "replicas": {},
        "database": {"mode": "external", "maxConnections": 100, "external": external},
    }


def deploy(stack: Deployed, folder: Path) -> str:
    """The connections that a stack has once it is up and verified: a line for each role, ``t`` for TLS."""
    project = spoilt(stack, folder, {}, "external", **settings("external", AUTHORITY.certificate))
    project.set_secret("secrets.postgresAdminPassword.value", PASSWORD)
    project.up()
    rows = sql(stack, CONNECTIONS)
    project.destroy()
    return rows


def fail(stack: Deployed, folder: Path, *, authority: str, password: str) -> str:
    """What an `up` says that cannot get in."""
    name = folder.name.rstrip("0123456789")
    project = spoilt(stack, folder, {}, name, **settings(name, authority), rolloutTimeoutSeconds=60)
    project.set_secret("secrets.postgresAdminPassword.value", password)
    said = project.up(expect=1)
    project.destroy()
    return said
