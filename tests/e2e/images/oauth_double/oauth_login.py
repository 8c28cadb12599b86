"""What a browser and a portal do at the OAuth double, for its tests."""

import http.client
import json
import re
import urllib.parse

CALLBACK = "https://portal.example.com/api/auth/callback"
CLIENT = {
    "metadata": {"name": "portal"},
    "secret": "new",
    "additionalSecrets": ["old"],
    "grantMethod": "auto",
    "redirectURIs": [CALLBACK],
    "scopeRestrictions": [{"literals": ["user:info", "user:check-access"]}],
}
ACCOUNT = "system:serviceaccount:litemaas:portal"
ACCOUNT_PATH = "/api/v1/namespaces/litemaas/serviceaccounts/portal"
OIDC = {"CLIENT": "oidc-portal", "SECRET": "s", "REDIRECT": CALLBACK, "GROUPS": "alice=admins,alice=others"}
OAUTH, USER = "/apis/oauth.openshift.io/v1/oauthclients/", "/apis/user.openshift.io/v1/"


class Answer:
    def __init__(self, raw: http.client.HTTPResponse) -> None:
        self.status, self.headers, self.body = raw.status, raw.headers, raw.read()

    def json(self) -> dict:
        return json.loads(self.body)

    @property
    def query(self) -> dict[str, str]:
        return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.headers["Location"]).query))


class Double:
    """The double, and the objects of its API server, which a test may change."""

    def __init__(self, port: int, objects: dict) -> None:
        self.port, self.objects = port, objects

    def send(self, method: str, path: str, form: dict | None = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection.request(method, path, urllib.parse.urlencode(form) if form is not None else None, headers)
        try:
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def authorize(self, cookie: str = "", **changed: str) -> Answer:
        query = {"response_type": "code", "client_id": "portal", "redirect_uri": CALLBACK, "state": "s1"}
        query |= {"scope": "user:info user:check-access"} | changed
        path = f"/oauth/authorize?{urllib.parse.urlencode({key: value for key, value in query.items() if value})}"
        return self.send("GET", path, Cookie=cookie)

    def login(self, name: str, **changed: str) -> str:
        """The session cookie of a user."""
        form = self.authorize(**changed)
        page = self.send("GET", form.headers["Location"]).body.decode()
        found = re.search(r'name="then" value="([^"]*)"', page)
        assert found
        fields = {"username": name, "password": "x", "then": found[1].replace("&amp;", "&")}
        answer = self.send("POST", "/login", fields)
        assert answer.status == 302
        return answer.headers["Set-Cookie"].partition(";")[0]

    def code(self, name: str = "alice") -> str:
        return self.authorize(self.login(name)).query["code"]

    def exchange(self, code: str, **changed: str) -> Answer:
        form = {"grant_type": "authorization_code", "client_id": "portal", "client_secret": "new"}
        return self.send("POST", "/oauth/token", form | {"code": code, "redirect_uri": CALLBACK} | changed)

    def user(self, token: str) -> Answer:
        return self.send("GET", f"{USER}users/~", Authorization=f"Bearer {token}")

    def token(self, name: str = "alice") -> str:
        return self.exchange(self.code(name)).json()["access_token"]
