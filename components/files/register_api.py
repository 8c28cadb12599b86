"""LiteLLM's model API as register_models.py uses it: every call is counted.

A Service leads to any of LiteLLM's replicas, and each lists what it has in memory: what
another one wrote is missing there for up to a minute. So a list may be old, and each
write is made so that it leads to the same end whatever is stored.
"""

import io
import json
import time
import urllib.error
import urllib.request

TIMEOUT_SECONDS = 60
PATIENCE_SECONDS = 120
PAGE, MOST_PAGES = 100, 20


class LiteLLM:
    """One installation of LiteLLM. Methods raise HTTPError, URLError or TimeoutError."""

    def __init__(self, url, key):
        self._url, self._key = url, key
        self.calls = 0

    def call(self, method, path, body=None):
        """The decoded answer."""
        self.calls += 1
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, method=method, data=data, headers=headers)
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
            return json.load(answer)

    def models(self):
        """All deployments; waits while LiteLLM is not there yet, since its Service may still be moving.

        An alias is listed as a copy of the model it stands for, under the same id, behind the models.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                listed = self.call("GET", "/model/info")["data"]
                break
            except urllib.error.HTTPError as error:
                if error.code in (401, 403) or time.monotonic() > deadline:
                    raise
            except OSError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(2)
        first = {}
        for one in listed:
            first.setdefault(one["model_info"]["id"], one)
        return list(first.values())

    def create(self, deployment):
        """Adds it, or updates the one that has its id after all."""
        try:
            self.call("POST", "/model/new", deployment)
        except urllib.error.HTTPError as error:
            # What LiteLLM says of an id that exists; of anything else too.
            if error.code != 500 or self._patch(deployment) is None:
                raise

    def update(self, deployment):
        """Changes it in place, or adds it if somebody has just deleted it."""
        if self._patch(deployment) is None:
            self.call("POST", "/model/new", deployment)

    def _patch(self, deployment):
        """The answer, None if there is no such id."""
        try:
            return self.call("PATCH", f"/model/{deployment['model_info']['id']}/update", deployment)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise

    def delete(self, identity):
        """Deletes it, if it is still there."""
        try:
            self.call("POST", "/model/delete", {"id": identity})
        except urllib.error.HTTPError as error:
            said = error.read()
            if error.code != 400 or b"not found in db" not in said:
                raise urllib.error.HTTPError(error.url, error.code, error.msg, error.headers, io.BytesIO(said)) from None

    def keys_naming(self, models):
        """How many keys name each of these models, and whether all keys were looked at."""
        found = dict.fromkeys(models, 0)
        for page in range(1, MOST_PAGES + 1):
            answer = self.call("GET", f"/key/list?return_full_object=true&size={PAGE}&page={page}")
            for name in (name for key in answer["keys"] for name in set(key.get("models") or ())):
                if name in found:
                    found[name] += 1
            if page >= answer["total_pages"]:
                return found, True
        return found, False
