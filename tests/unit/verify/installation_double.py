"""A double of a whole installation as it is seen from outside: portal, gateway, OAuth server, on one address."""

import itertools
import json
import urllib.parse
from collections.abc import Callable
from typing import Any

from tests.unit.declared import GRANITE
from tests.unit.http_double import Reply, Request

# Another answer than usual, or a function that gives one, or None for the usual one.
Fault = Reply | Callable[[Request], Reply | None]
MASTER, ADMIN = "sk-master-sentinel-0123456789", "ltm_admin_sentinel-0123456789"
CLIENT = "litemaas-oauth-client"
STATE = "5eed" * 16
E5 = GRANITE | {"model": "e5", "context_length": 512, "tools": False, "embedding": True, "input_price": 0.0}


def say(status: int, body: Any) -> Reply:
    """A JSON answer."""
    return status, json.dumps(body).encode()


def refuse(status: int, message: str) -> Reply:
    """An error in LiteLLM's form."""
    return say(status, {"error": {"message": message, "type": "x", "param": None, "code": str(status)}})


def portal_key(owner: str, *models: str, **more: Any) -> dict[str, Any]:
    """A key of somebody's, as LiteLLM lists those that the portal made."""
    metadata = {"created_by": "litemaas", "model_count": len(models)}
    return {"key_alias": f"{owner}_5eed5eed", "models": list(models), "metadata": metadata, "blocked": None, **more}


class InstallationDouble:
    """A test double of a deployed installation, good unless told otherwise.

    Answers have the form of the real services (demo-workflow.md, litemaas-contract.md). ``faults`` go by path.
    """

    def __init__(self, *models: dict[str, Any]) -> None:
        self.url, self.models = "", list(models)
        self.faults: dict[str, Fault] = {}
        self.requests: list[Request] = []
        self.keys: dict[str, str] = {}
        self.portal_keys: list[dict[str, Any]] = [portal_key("bob", "granite")]
        self.made: list[dict[str, Any]] = []
        self.dead: dict[str, str] = {}
        self._numbers = itertools.count(1)

    def environment(self) -> dict[str, str]:
        """What the program tells the script of this installation."""
        return {
            "PORTAL_URL": f"{self.url}/portal",
            "API_URL": f"{self.url}/api",
            "GATEWAY_URL": f"{self.url}/gateway",
            "AUTH_PROVIDER": "openshift",
            "OAUTH_ISSUER": f"{self.url}/oauth",
            "ELSEWHERE": "",
            "OAUTH_CLIENT_ID": CLIENT,
            "OAUTH_CALLBACK": f"{self.url}/portal/api/auth/callback",
            "NAMESPACE": "litemaas",
            "LITELLM_MASTER_KEY": MASTER,
            "ADMIN_API_KEY": ADMIN,
        }

    def __call__(self, request: Request) -> Reply:
        self.requests.append(request)
        url = urllib.parse.urlsplit(request.path)
        fault = self.faults.get(url.path)
        told = fault(request) if callable(fault) else fault
        if told is not None:
            return told
        query = dict(urllib.parse.parse_qsl(url.query))
        service, _, path = url.path.removeprefix("/").partition("/")
        return {"portal": self._portal, "api": self._portal, "gateway": self._gateway, "oauth": self._oauth}[service](
            request, f"/{path}", query
        )

    def called(self, path: str) -> list[Request]:
        """The requests to a path."""
        return [one for one in self.requests if one.path.partition("?")[0] == path]

    def address(self, **changed: str) -> str:
        """Where a login begins."""
        query = {
            "response_type": "code",
            "client_id": CLIENT,
            "redirect_uri": f"{self.url}/portal/api/auth/callback",
            "scope": "user:info user:check-access",
            "state": STATE,
        }
        return f"{self.url}/oauth/oauth/authorize?{urllib.parse.urlencode(query | changed)}"

    def published(self, model: dict[str, Any]) -> dict[str, Any]:
        """A model as the portal shows it: what is zero is left out."""
        shown = {
            "id": model["model"],
            "name": model["model"],
            "contextLength": model["context_length"],
            "inputCostPerToken": model["input_price"],
            "outputCostPerToken": model["output_price"],
            "supportsFunctionCalling": model["tools"],
            "supportsVision": model["vision"],
            "supportsEmbeddings": model["embedding"],
            "restrictedAccess": False,
            "isActive": True,
        }
        return {key: value for key, value in shown.items() if value != 0}

    def entries(self, model: dict[str, Any]) -> list[dict[str, Any]]:
        """A model as LiteLLM has it: an entry for each endpoint."""
        info = {"db_model": True, "supports_embeddings": model["embedding"]}
        return [
            {
                "model_name": model["model"],
                "litellm_params": {"model": f"hosted_vllm/{one['served_name']}", "api_base": one["url"]},
                "model_info": info | {"id": f"{model['model']}-{number}"},
            }
            for number, one in enumerate(model["endpoints"])
        ]

    def _portal(self, request: Request, path: str, query: dict[str, str]) -> Reply:
        pages = int(query.get("page", 1)), int(query.get("limit", 20))
        answers: dict[tuple[str, str], Callable[[], Reply]] = {
            ("GET", "/api/v1/health/ready"): lambda: say(200, {"status": "ready", "checks": {"database": "healthy"}}),
            ("GET", "/api/v1/banners"): lambda: say(200, [{"id": "5f0c", "content": "of mock-ups, on Friday"}]),
            ("GET", "/api/v1/config"): self._config,
            ("POST", "/api/auth/login"): lambda: say(200, {"authUrl": self.address()}),
            ("GET", "/api/v1/api-keys"): lambda: self._guard(request),
            ("POST", "/api/v1/models/sync"): lambda: self._sync(request),
            ("GET", "/api/v1/models"): lambda: self._list(*pages),
        }
        known = answers.get((request.method, path))
        return known() if known else refuse(404, f"Route {request.method}:{path} not found")

    def _config(self) -> Reply:
        shown = {"environment": "production", "authMode": "oauth", "litellmApiUrl": f"{self.url}/gateway"}
        return say(200, {"version": "0.4.0", **shown})

    @staticmethod
    def _guard(request: Request) -> Reply:
        """nginx; the backend lets a browser pass, and refuses others itself."""
        assert "Mozilla" in request.headers["user-agent"]
        assert "authorization" not in request.headers
        return 401, b"<html>401 Authorization Required</html>"

    @staticmethod
    def _sync(request: Request) -> Reply:
        if request.headers.get("authorization") != f"Bearer {ADMIN}":
            return refuse(401, "Invalid or missing authentication token")
        assert request.json() == {}, "an empty body is a 400"
        return say(200, {"success": True, "errors": []})

    def _list(self, page: int, limit: int) -> Reply:
        if limit > 100:
            return refuse(400, "querystring/limit must be <= 100")
        shown = [self.published(model) for model in self.models]
        pagination = {"page": page, "limit": limit, "total": len(shown), "totalPages": -(-len(shown) // limit)}
        return say(200, {"data": shown[(page - 1) * limit : page * limit], "pagination": pagination})

    def _oauth(self, request: Request, path: str, query: dict[str, str]) -> Reply:
        if path != "/oauth/authorize" or query.get("client_id") != CLIENT:
            return say(400, {"error": "unauthorized_client", "error_description": "The client is not known."})
        return 302, b"", {"Location": f"/login?{urllib.parse.urlencode({'then': request.path})}"}

    def _gateway(self, request: Request, path: str, query: dict[str, str]) -> Reply:
        if path == "/health/readiness":
            return say(200, {"status": "healthy", "db": "connected"})
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        if path.startswith(("/key/", "/model/", "/health")):
            return (
                self._master(request, path, query)
                if bearer == MASTER
                else refuse(401, f"Authentication Error: {bearer}")
            )
        if bearer not in self.keys.values():
            return refuse(401, f"Authentication Error, Invalid proxy server token passed. Received API Key = {bearer}")
        if path == "/v1/models":
            return say(200, {"data": []})
        body = request.json()
        if body["model"] not in self.made[-1]["models"]:
            return refuse(403, "key_model_access_denied")
        return self._embedding() if path == "/v1/embeddings" else self._chat(body)

    def _master(self, request: Request, path: str, query: dict[str, str]) -> Reply:
        if path == "/key/list":
            return self._key_list(int(query["page"]), int(query["size"]))
        if path == "/model/info":
            return say(200, {"data": [entry for model in self.models for entry in self.entries(model)]})
        if path == "/health":
            urls = [
                one["url"] for model in self.models if model["model"] == query["model"] for one in model["endpoints"]
            ]
            dead = [{"api_base": url, "error": self.dead[url]} for url in urls if url in self.dead]
            counts = {"healthy_count": len(urls) - len(dead), "unhealthy_count": len(dead)}
            healthy = [{"api_base": url} for url in urls if url not in self.dead]
            # As 1.108.7 does it; 1.81 answers 200 in any case.
            status = 200 if counts["healthy_count"] else 503
            return say(status, {"healthy_endpoints": healthy, "unhealthy_endpoints": dead, **counts})
        return self._key(request, path)

    def _key_list(self, page: int, size: int) -> Reply:
        if size > 100:
            return refuse(422, "size: Input should be less than or equal to 100")
        shown, total = self.portal_keys[(page - 1) * size : page * size], len(self.portal_keys)
        pages = -(-total // size)
        return say(200, {"keys": shown, "total_count": total, "current_page": page, "total_pages": pages})

    def _key(self, request: Request, path: str) -> Reply:
        body = request.json()
        if path == "/key/block":
            return say(200, {"blocked": True}) if body["key"] in self.keys.values() else refuse(404, "no such key")
        if path == "/key/delete":
            gone = [self.keys.pop(alias, None) for alias in body["key_aliases"]]
            return say(200, {"deleted_keys": body["key_aliases"]}) if all(gone) else refuse(404, "no such key")
        self.made.append(body)
        self.keys[body["key_alias"]] = f"sk-temporary-sentinel-{next(self._numbers)}"
        return say(200, {"key": self.keys[body["key_alias"]], "key_alias": body["key_alias"]})

    @staticmethod
    def _embedding() -> Reply:
        return say(200, {"data": [{"index": 0, "embedding": [0.1, 0.2, 0.3]}], "usage": {"prompt_tokens": 7}})

    @staticmethod
    def _chat(body: dict[str, Any]) -> Reply:
        if body.get("stream"):
            pieces = [{"choices": [{"index": 0, "delta": {"content": word}}]} for word in ("I", " am")]
            lines = [*(f"data: {json.dumps(piece)}" for piece in pieces), "data: [DONE]"]
            return 200, "\n\n".join([*lines, ""]).encode()
        function = {"name": "report_status", "arguments": '{"status": "up"}'}
        call = {"content": None, "tool_calls": [{"id": "1", "type": "function", "function": function}]}
        # A model that thinks may have used up its few tokens before the first word.
        message = {"role": "assistant", **(call if body.get("tools") else {"content": None})}
        return say(200, {"choices": [{"index": 0, "message": message, "finish_reason": "length"}]})
