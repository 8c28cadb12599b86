"""Checks through the public Routes that what was deployed works for users; the last step of `up`.

In: PORTAL_URL, API_URL, GATEWAY_URL, OAUTH_ISSUER, OAUTH_CLIENT_ID, OAUTH_CALLBACK, NAMESPACE,
LITELLM_MASTER_KEY, ADMIN_API_KEY, DECLARED (a directory of <name>.json, may be absent),
SSL_CERT_FILE (what is trusted), PATIENCE_SECONDS. Out: a line whenever it waits, at the end a table with what
was seen, the likely cause and what to do; exit code 1 if any check failed. No secret is printed.
"""

import json
import os
import pathlib
import re
import signal
import sys
import urllib.parse

from verify_client import Client
from verify_models import check_models
from verify_report import SKIPPED, Problem, Report, Row

# The backend lets browsers in without a login; only nginx in front of it does not.
BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36"}
# The backend tries LiteLLM three times.
SYNC_SECONDS = 45
# The portal stores prices with ten decimals.
PRICE_STEP = 6e-11


class Installation:
    """The portal and the gateway as their users see them; ``env`` as above."""

    def __init__(self, client, env):
        self.client, self.env = client, env
        self.portal, self.gateway = env["PORTAL_URL"], env["GATEWAY_URL"]
        folder = pathlib.Path(env["DECLARED"])
        self.models = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.json"))]
        self._login = ""

    def _oc(self, command):
        return f"oc {command} -n {self.env['NAMESPACE']}"

    def _get(self, url, cause, todo, **more):
        answer = self.client.ask("GET", url, **more)
        if answer.status != 200:
            raise Problem(answer.said(), cause, todo)
        return answer

    def portal_answers(self):
        cause = "no ready backend stands behind the Route, or it lost its database"
        self._get(f"{self.portal}/api/v1/health/ready", cause, self._oc("get pods,routes"))
        return "ready"

    def portal_data(self):
        answer = self._get(f"{self.portal}/api/v1/banners", "the backend is not ready", self._oc("get pods"))
        if re.search(r'"id"\s*:\s*"mock-', answer.text):
            cause = "the backend started without its database, and invents data until it is restarted"
            raise Problem("invented data (mock-...)", cause, self._oc("rollout restart deployment/backend"), final=True)
        return "from its database"

    def portal_settings(self):
        shown = self._get(f"{self.portal}/api/v1/config", "the backend is not ready", self._oc("get pods")).json()
        wanted = {"litellmApiUrl": self.gateway, "environment": "production", "authMode": "oauth"}
        wrong = [f"{key} is {shown.get(key)}, not {value}" for key, value in wanted.items() if shown.get(key) != value]
        if wrong:
            cause = "the backend runs with an environment that this program did not write"
            raise Problem("; ".join(wrong), cause, "`pulumi up --refresh` sets back what was changed by hand", final=True)
        return f"production, OpenShift login, models at {self.gateway}"

    def login_address(self):
        origin = {"Origin": self.portal}
        answer = self.client.ask("POST", f"{self.portal}/api/auth/login", {}, origin)
        if answer.status != 200:
            raise Problem(answer.said(), "the backend cannot begin a login", self._oc("logs deployment/backend"))
        self._login = answer.json()["authUrl"]
        url = urllib.parse.urlsplit(self._login)
        query = dict(urllib.parse.parse_qsl(url.query))
        shown = {
            "address": f"{url.scheme}://{url.netloc}{url.path}",
            "client_id": query.get("client_id"),
            "redirect_uri": query.get("redirect_uri"),
        }
        wanted = {
            "address": f"{self.env['OAUTH_ISSUER']}/oauth/authorize",
            "client_id": self.env["OAUTH_CLIENT_ID"],
            "redirect_uri": self.env["OAUTH_CALLBACK"],
        }
        wrong = [f"{key} is {shown[key]}, not {wanted[key]}" for key in wanted if shown[key] != wanted[key]]
        if wrong:
            cause = "the backend runs with other OAUTH_* variables than this program wrote"
            raise Problem("; ".join(wrong), cause, "`pulumi up --refresh` sets back what was changed by hand", final=True)
        return f"sends people to {url.netloc}"

    def login_server(self):
        answer = self.client.ask("GET", self._login, headers={"Accept": "text/html"})
        back = answer.headers.get("Location") or ""
        denied = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(back).query)).get("error")
        look = f"oc get oauthclient {self.env['OAUTH_CLIENT_ID']} -o yaml, then `pulumi up --refresh`"
        if back.startswith(self.env["OAUTH_CALLBACK"]) and denied:
            cause = "the OAuthClient's scopeRestrictions lack user:info or user:check-access"
            raise Problem(f"sends people back with {denied}", cause, look, final=True)
        if answer.status >= 500:
            cause = "OpenShift's OAuth server is in trouble"
            raise Problem(answer.said(), cause, "oc get clusteroperator authentication; oc get pods -n openshift-authentication")
        if answer.status >= 400 or _is_oauth_error(answer):
            cause = "the OAuthClient is gone, or its redirectURIs lack the portal's callback"
            raise Problem(answer.said(), cause, look, final=True)
        return "knows the portal, asks who people are"

    def guard(self, url):
        answer = self.client.ask("GET", f"{url}/api/v1/api-keys", headers=BROWSER)
        if answer.status == 200:
            cause = "nginx does not run this program's server block: whoever comes by browser is an administrator"
            raise Problem("200 to a browser without a login", cause, "`pulumi up --refresh`; compare images.frontend")
        if answer.status != 401:
            raise Problem(answer.said(), "no ready frontend stands behind the Route", self._oc("get pods,routes"))
        return "401 without a login"

    def gateway_answers(self):
        cause = "no ready LiteLLM pod stands behind the Route"
        shown = self._get(f"{self.gateway}/health/readiness", cause, self._oc("get pods,routes")).json()
        if shown.get("status") not in ("healthy", "connected") or shown.get("db") != "connected":
            cause = "LiteLLM has lost its database, or runs without it"
            raise Problem(f"status {shown.get('status')}, db {shown.get('db')}", cause, self._oc("logs deployment/litellm"))
        return "ready, database connected"

    def synchronised(self):
        key = {"Authorization": f"Bearer {self.env['ADMIN_API_KEY']}"}
        answer = self.client.ask("POST", f"{self.portal}/api/v1/models/sync", {}, key, SYNC_SECONDS)
        if answer.status in (401, 403):
            cause = "the backend has another admin API key than this program gave it"
            raise Problem(answer.said(), cause, self._oc("rollout restart deployment/backend"), final=True)
        # 200 also when it failed.
        if answer.status != 200 or not answer.json().get("success"):
            errors = answer.json().get("errors") if answer.status == 200 else None
            cause = "the backend cannot reach the gateway's public URL, or its master key is refused there"
            seen = f"success: false; {'; '.join(map(str, errors))}" if errors else answer.said()
            raise Problem(seen, cause, self._oc("logs deployment/backend"))
        return "the portal took over what LiteLLM serves"

    def listed(self):
        shown, page, pages = {}, 1, 1
        while page <= pages:
            url = f"{self.portal}/api/v1/models?page={page}&limit=100"
            answer = self._get(url, "the backend is not ready", self._oc("get pods")).json()
            shown |= {one["name"]: one for one in answer["data"]}
            pages, page = answer["pagination"]["totalPages"], page + 1
        wrong = [text for model in self.models for text in _differences(model, shown.get(model["model"]))]
        if wrong:
            cause = "LiteLLM has another declaration of the model: an edit by hand, or a second model of that name"
            raise Problem("; ".join(wrong), cause, "undo the edit in the portal, then run `pulumi up --refresh`")
        away = [model["model"] for model in self.models if not model["verify"]]
        asleep = [model["model"] for model in self.models if model["verify"] and not model["serving"]]
        count = f"{len(self.models)} of {len(self.models)} as declared"
        away = f"; not called (verify: false): {', '.join(away)}" if away else ""
        return count + away + (f"; not called (scaled to zero): {', '.join(asleep)}" if asleep else "")


def _is_oauth_error(answer):
    try:
        body = answer.json()
    except ValueError:
        return False
    return isinstance(body, dict) and "error" in body


def _differences(model, shown):
    """In words, what the portal publishes of a model otherwise than declared."""
    name = model["model"]
    if shown is None:
        return [f"{name} is missing"]
    wanted = {
        "contextLength": model["context_length"],
        "inputCostPerToken": model["input_price"],
        "outputCostPerToken": model["output_price"],
        "supportsFunctionCalling": model["tools"],
        "supportsVision": model["vision"],
    }
    # The portal leaves out what is zero.
    return [
        f"{name}: {key} is {shown.get(key)}, not {value}"
        for key, value in wanted.items()
        if abs((shown.get(key) or 0) - value) > PRICE_STEP
    ]


def check(report, site):
    """All checks in order; each row of the report is one."""
    report.check("portal answers", site.portal_answers)
    report.check("portal data", site.portal_data, "portal answers")
    report.check("portal settings", site.portal_settings, "portal answers")
    report.check("portal login", site.login_address, "portal answers")
    report.check("OpenShift login", site.login_server, "portal answers", "portal login")
    report.check("guard of the portal", lambda: site.guard(site.portal))
    report.check("guard of the API", lambda: site.guard(site.env["API_URL"]))
    report.check("gateway answers", site.gateway_answers)
    report.check("model sync", site.synchronised, "portal answers", "gateway answers")
    report.check("models in the portal", site.listed, "portal answers", "gateway answers", "model sync")
    check_models(report, site)


def main():
    env = os.environ
    # As an exception, so that a temporary key is deleted and the table printed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    report = Report(float(env["PATIENCE_SECONDS"]), [env["LITELLM_MASTER_KEY"], env["ADMIN_API_KEY"]])
    try:
        check(report, Installation(Client(), env))
    except SystemExit:
        report.rows.append(Row("what is left", SKIPPED, "stopped from outside: the Job's time limit, or its deletion"))
    print(report.table(), flush=True)
    # Not sys.exit, which would wait for models that do not answer.
    os._exit(1 if report.failed else 0)


if __name__ == "__main__":
    main()
