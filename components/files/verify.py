"""Checks through the public Routes that what was deployed works for users; the last step of `up`.

In: PORTAL_URL, API_URL, GATEWAY_URL, AUTH_PROVIDER (openshift or oidc), OAUTH_ISSUER, OAUTH_CLIENT_ID, OAUTH_CALLBACK, NAMESPACE,
LITELLM_MASTER_KEY, ADMIN_API_KEY, DECLARED (a directory of <name>.json, may be absent),
SSL_CERT_FILE (what is trusted), PATIENCE_SECONDS (how long things may take to settle), LIMIT_SECONDS (the end).
Not set by the Job: ADDRESS (where all hosts are reached but that of the URL ELSEWHERE), CALLS=no (no model is called), FORMAT=json or long
(every row, not what fits into the end of a log).
Out: a line whenever it waits, at the end a table with what was seen, the likely cause and what to do; exit
code 1 if any check failed. No secret is printed.
"""

import json
import os
import pathlib
import re
import signal
import sys

from verify_catalogue import listed, registered
from verify_client import Client
from verify_keys import open_keys
from verify_login import Login
from verify_models import check_models
from verify_report import ROOM, SKIPPED, Problem, Report, Row

# The backend lets browsers in without a login; only nginx in front of it does not.
BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36"}
# The backend tries LiteLLM three times.
SYNC_SECONDS = 45


class Installation:
    """The portal and the gateway as their users see them; ``env`` as above."""

    def __init__(self, client, env):
        self.client, self.env = client, env
        self.portal, self.gateway = env["PORTAL_URL"], env["GATEWAY_URL"]
        folder = pathlib.Path(env["DECLARED"])
        self.models = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.json"))]
        self.master = {"Authorization": f"Bearer {env['LITELLM_MASTER_KEY']}"}
        self.live = []

    def oc(self, command):
        return f"oc {command} -n {self.env['NAMESPACE']}"

    def get(self, url, cause, todo, **more):
        answer = self.client.ask("GET", url, **more)
        if answer.status != 200:
            raise Problem(answer.said(), cause, todo)
        return answer

    def master_key(self):
        """Whether LiteLLM takes it; keeps its models for those who look at them."""
        answer = self.client.ask("GET", f"{self.gateway}/model/info", headers=self.master)
        if answer.status != 200:
            cause = "LiteLLM has another master key than this program gave it, or cannot read its database"
            raise Problem(answer.said(), cause, self.oc("logs deployment/litellm"), final=answer.status in (401, 403))
        self.live = answer.json()["data"]
        return "accepted"

    def portal_answers(self):
        cause = "no ready backend stands behind its public address, or it lost its database"
        self.get(f"{self.portal}/api/v1/health/ready", cause, self.oc("get pods,endpointslices"))
        return "ready"

    def portal_data(self):
        answer = self.get(f"{self.portal}/api/v1/banners", "the backend is not ready", self.oc("get pods"))
        if re.search(r'"id"\s*:\s*"mock-', answer.text):
            cause = "the backend started without its database, and invents data until it is restarted"
            raise Problem("invented data (mock-...)", cause, self.oc("rollout restart deployment/backend"), final=True)
        return "from its database"

    def portal_settings(self):
        shown = self.get(f"{self.portal}/api/v1/config", "the backend is not ready", self.oc("get pods")).json()
        wanted = {"litellmApiUrl": self.gateway, "environment": "production", "authMode": "oauth"}
        wrong = [f"{key} is {shown.get(key)}, not {value}" for key, value in wanted.items() if shown.get(key) != value]
        if wrong:
            cause = "the backend runs with an environment that this program did not write"
            raise Problem("; ".join(wrong), cause, "`pulumi up --refresh` sets back what was changed by hand", final=True)
        return f"production, real logins, models at {self.gateway}"

    def guard(self, url):
        answer = self.client.ask("GET", f"{url}/api/v1/api-keys", headers=BROWSER)
        if answer.status == 200:
            cause = "nginx does not run this program's server block: whoever comes by browser is an administrator"
            raise Problem("200 to a browser without a login", cause, "`pulumi up --refresh`; compare images.frontend")
        if answer.status != 401:
            raise Problem(answer.said(), "no ready frontend stands behind its public address", self.oc("get pods,endpointslices"))
        return "401 without a login"

    def gateway_answers(self):
        cause = "no ready LiteLLM pod stands behind its public address"
        shown = self.get(f"{self.gateway}/health/readiness", cause, self.oc("get pods,endpointslices")).json()
        if shown.get("status") not in ("healthy", "connected") or shown.get("db") != "connected":
            cause = "LiteLLM has lost its database, or runs without it"
            raise Problem(f"status {shown.get('status')}, db {shown.get('db')}", cause, self.oc("logs deployment/litellm"))
        return "ready, database connected"

    def synchronised(self):
        key = {"Authorization": f"Bearer {self.env['ADMIN_API_KEY']}"}
        answer = self.client.ask("POST", f"{self.portal}/api/v1/models/sync", {}, key, SYNC_SECONDS)
        if answer.status in (401, 403):
            cause = "the backend has another admin API key than this program gave it"
            raise Problem(answer.said(), cause, self.oc("rollout restart deployment/backend"), final=True)
        # 200 also when it failed.
        if answer.status != 200 or not answer.json().get("success"):
            errors = answer.json().get("errors") if answer.status == 200 else None
            cause = "the backend cannot reach the gateway's public URL, or its master key is refused there"
            seen = f"success: false; {'; '.join(map(str, errors))}" if errors else answer.said()
            raise Problem(seen, cause, self.oc("logs deployment/backend"))
        return "the portal took over what LiteLLM serves"


def check(report, site):
    """All checks in order; each row of the report is one."""
    report.check("portal answers", site.portal_answers)
    report.check("portal data", site.portal_data, "portal answers")
    report.check("portal settings", site.portal_settings, "portal answers")
    login = Login(site)
    report.check("portal login", login.address, "portal answers")
    report.check(login.row, login.server, "portal answers", "portal login")
    report.check("guard of the portal", lambda: site.guard(site.portal))
    report.check("guard of the API", lambda: site.guard(site.env["API_URL"]))
    report.check("gateway answers", site.gateway_answers)
    report.check("master key", site.master_key, "gateway answers")
    report.check("model sync", site.synchronised, "portal answers", "gateway answers")
    report.check("models in the portal", lambda: listed(site), "portal answers", "gateway answers", "model sync")
    report.check("models in the gateway", lambda: registered(site), "master key")
    report.check("keys of the portal", lambda: open_keys(site), "master key")
    if site.env.get("CALLS") != "no":
        check_models(report, site)


def main():
    env, form = os.environ, os.environ.get("FORMAT")

    def stop(*_):
        # Once: whoever is impatient must not keep the temporary key from being deleted.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        # As an exception, so that the table is printed.
        sys.exit("stopped")

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    secrets = [env["LITELLM_MASTER_KEY"], env["ADMIN_API_KEY"]]
    progress = sys.stderr if form else sys.stdout
    report = Report(float(env["PATIENCE_SECONDS"]), float(env["LIMIT_SECONDS"]), secrets, progress)
    try:
        check(report, Installation(Client(env.get("ADDRESS"), env.get("ELSEWHERE")), env))
    except SystemExit:
        report.rows.append(Row("what is left", SKIPPED, "stopped from outside: the Job's time limit, its deletion, or Ctrl-C"))
    print(report.as_json(portal=env["PORTAL_URL"], namespace=env["NAMESPACE"]) if form == "json" else report.table(sys.maxsize if form else ROOM), flush=True)
    # Not sys.exit, which would wait for models that do not answer.
    os._exit(1 if report.failed else 0)


if __name__ == "__main__":
    main()
