"""What the OAuth double asks the API server: OAuthClients, ServiceAccounts, Users, Groups, each time anew."""

import base64
import json
import pathlib
import ssl
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

ACCOUNT = pathlib.Path("/var/run/secrets/kubernetes.io/serviceaccount")
TIMEOUT_SECONDS = 10
# As OpenShift's registry of clients builds one from a ServiceAccount: by annotations, asking each person once.
AS_ACCOUNT = "system:serviceaccount:"
REDIRECTS = "serviceaccounts.openshift.io/oauth-redirecturi."
ACCOUNT_SCOPES = ["user:info", "user:check-access"]

Json = dict[str, Any]


class UnreachableError(Exception):
    """The API server does not answer, or refuses the double."""


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Access to the API server. ``token_file`` is read at each request: the kubelet renews it."""

    url: str
    context: ssl.SSLContext | None
    token: str | None
    token_file: pathlib.Path | None

    def client(self, name: str) -> Json | None:
        if name.startswith(AS_ACCOUNT):
            return self._account(name)
        return self._get(f"/apis/oauth.openshift.io/v1/oauthclients/{quote(name, safe='')}")

    def _account(self, client: str) -> Json | None:
        """A ServiceAccount as a client; none if it is not there, or names no redirect URI."""
        namespace, _, name = client.removeprefix(AS_ACCOUNT).partition(":")
        if not namespace or not name or ":" in name:
            return None
        found = self._get(f"/api/v1/namespaces/{quote(namespace, safe='')}/serviceaccounts/{quote(name, safe='')}")
        annotations = (found or {}).get("metadata", {}).get("annotations") or {}
        uris = sorted({uri for key, uri in annotations.items() if key.startswith(REDIRECTS)})
        if not uris:
            return None
        scopes = [{"literals": ACCOUNT_SCOPES}]
        return {
            "metadata": {"name": client},
            "redirectURIs": uris,
            "grantMethod": "prompt",
            "scopeRestrictions": scopes,
        }

    def whose(self, token: str) -> str | None:
        """Whom the API server takes the bearer of a token for: the check of a ServiceAccount's secret."""
        kind = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview"}
        answer = self._ask("/apis/authentication.k8s.io/v1/tokenreviews", kind | {"spec": {"token": token}}) or {}
        status = answer.get("status") or {}
        return status.get("user", {}).get("username") if status.get("authenticated") else None

    def user(self, name: str) -> Json | None:
        return self._get(f"/apis/user.openshift.io/v1/users/{quote(name, safe='')}")

    def groups(self, user: str) -> list[str]:
        """Names of the Group objects that list the user."""
        answer = self._get("/apis/user.openshift.io/v1/groups") or {}
        return sorted(one["metadata"]["name"] for one in answer.get("items", []) if user in (one.get("users") or []))

    def _get(self, path: str) -> Json | None:
        return self._ask(path, None)

    def _ask(self, path: str, body: Json | None) -> Json | None:
        token = self.token_file.read_text().strip() if self.token_file else self.token
        headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        if body is not None:
            headers["Content-Type"] = "application/json"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers)  # noqa: S310 (the operator's URL)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS, context=self.context) as answer:  # noqa: S310
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 404:
                    return None
                raise UnreachableError(f"the API server answered {error.code} to {path}") from error
        except OSError as error:
            raise UnreachableError(f"the API server cannot be reached: {error}") from error


def connect(environment: Mapping[str, str]) -> Cluster:
    """Access as the environment says: a kubeconfig in JSON, or a URL with files, or the pod's service account."""
    if file := environment.get("KUBECONFIG"):
        return _from_kubeconfig(pathlib.Path(file))
    url = environment.get("KUBE_API_URL", "https://kubernetes.default.svc").rstrip("/")
    authority = environment.get("KUBE_CA_FILE") or (str(ACCOUNT / "ca.crt") if ACCOUNT.exists() else None)
    token = environment.get("KUBE_TOKEN_FILE") or (str(ACCOUNT / "token") if ACCOUNT.exists() else None)
    context = ssl.create_default_context(cafile=authority) if url.startswith("https:") else None
    return Cluster(url=url, context=context, token=None, token_file=pathlib.Path(token) if token else None)


def _from_kubeconfig(path: pathlib.Path) -> Cluster:
    """The current context of a kubeconfig; in JSON, since the standard library reads no YAML."""
    config = json.loads(path.read_text())

    def named(kind: str, name: str) -> Json:
        return next(one[kind] for one in config[f"{kind}s"] if one["name"] == name)

    context = named("context", config["current-context"])
    server, login = named("cluster", context["cluster"]), named("user", context["user"])
    tls: ssl.SSLContext | None = None
    if server["server"].startswith("https:"):
        data = server.get("certificate-authority-data")
        tls = ssl.create_default_context(
            cafile=server.get("certificate-authority"), cadata=base64.b64decode(data).decode() if data else None
        )
        with tempfile.TemporaryDirectory() as folder:
            pair = [_file(login, key, pathlib.Path(folder)) for key in ("client-certificate", "client-key")]
            if pair[0]:
                tls.load_cert_chain(pair[0], pair[1])
    token_file = login.get("tokenFile")
    return Cluster(
        url=server["server"].rstrip("/"),
        context=tls,
        token=login.get("token"),
        token_file=pathlib.Path(token_file) if token_file else None,
    )


def _file(login: Json, key: str, folder: pathlib.Path) -> str | None:
    """The file of a certificate or key; inline data is written out, because OpenSSL loads files only."""
    if data := login.get(f"{key}-data"):
        path = folder / key
        path.write_bytes(base64.b64decode(data))
        return str(path)
    return login.get(key)
