"""How many subscriptions and keys hang on a model: asked of the portal and LiteLLM themselves.

Only where a model is about to go: it takes a second or more, and needs what a project's admin may read.
"""

import ssl
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

import httpx2

from config.cluster import Cluster, Json, UnreachableError
from config.installation import CannotAskError, Installation, find

_TIMEOUT_SECONDS = 10.0
# LiteLLM gives no more at once.
_PAGE = 100
# Whoever has more keys need not know how many exactly.
_MOST_PAGES = 50
_UNKNOWN = "could not be asked"


class _UnknownError(Exception):
    """A number cannot be had; the text says why."""


@dataclass(frozen=True, kw_only=True)
class Stake:
    """What hangs on one model, in words."""

    subscriptions: str
    keys: str

    def __str__(self) -> str:
        if self.subscriptions == self.keys:
            return f"Active subscriptions and keys that name it: {self.keys}"
        return f"Active subscriptions: {self.subscriptions}; keys that name it: {self.keys}"


def ask(cluster: Cluster, namespace: str, models: Sequence[str]) -> dict[str, Stake]:
    """The stakes by model; what cannot be known says why."""
    try:
        found = find(cluster, namespace)
    except (CannotAskError, UnreachableError) as reason:
        unknown = f"{_UNKNOWN}: {reason}"
        return {model: Stake(subscriptions=unknown, keys=unknown) for model in models}
    return _asked(found, models)


def _asked(there: Installation, models: Sequence[str]) -> dict[str, Stake]:
    with httpx2.Client(verify=_trust(there.authorities), timeout=_TIMEOUT_SECONDS) as client:

        def keys() -> dict[str, str]:
            return _told("LiteLLM", lambda: _keys(client, there, models), models)

        def subscriptions() -> dict[str, str]:
            return _told("the portal", lambda: _subscriptions(client, there, models), models)

        with ThreadPoolExecutor(2) as pool:
            held, subscribed = pool.submit(keys), pool.submit(subscriptions)
            return {
                model: Stake(subscriptions=subscribed.result()[model], keys=held.result()[model]) for model in models
            }


def _told(who: str, count: Callable[[], Mapping[str, str]], models: Sequence[str]) -> dict[str, str]:
    try:
        return dict(count())
    except _UnknownError as reason:
        return dict.fromkeys(models, f"{_UNKNOWN}: {reason}")
    except (AttributeError, LookupError, TypeError, ValueError):
        # Another version, or something else at this address: no reason to refuse with a traceback.
        return dict.fromkeys(models, f"{_UNKNOWN}: {who} answered in another form")


def _subscriptions(client: httpx2.Client, there: Installation, models: Sequence[str]) -> dict[str, str]:
    url = f"{there.settings['API_URL']}/api/v1/admin/subscriptions"
    totals: dict[str, str] = {}
    for model in models:
        query = {"statuses": "active", "modelIds": model, "limit": "1"}
        answer = _get(client, "the portal", url, query, there.settings["ADMIN_API_KEY"])
        totals[model] = str(answer["pagination"]["total"])
    return totals


def _keys(client: httpx2.Client, there: Installation, models: Sequence[str]) -> dict[str, str]:
    """Of each model the keys that name it, and those among them that name no other."""
    named, alone = dict.fromkeys(models, 0), dict.fromkeys(models, 0)
    page, pages = 1, 1
    while page <= min(pages, _MOST_PAGES):
        query = {"return_full_object": "true", "size": str(_PAGE), "page": str(page)}
        answer = _get(
            client, "LiteLLM", f"{there.settings['GATEWAY_URL']}/key/list", query, there.settings["LITELLM_MASTER_KEY"]
        )
        for key in answer["keys"]:
            opened = set(key.get("models") or ())
            for model in opened.intersection(models):
                named[model] += 1
                alone[model] += len(opened) == 1
        pages, page = answer.get("total_pages") or 0, page + 1
    more = f" among the first {_MOST_PAGES * _PAGE}" if pages > _MOST_PAGES else ""
    without = {model: f" ({alone[model]} of them no other model)" if named[model] else "" for model in models}
    return {model: f"{named[model]}{more}{without[model]}" for model in models}


def _get(client: httpx2.Client, who: str, url: str, query: Mapping[str, str], key: str) -> Json:
    try:
        answer = client.get(url, params=dict(query), headers={"Authorization": f"Bearer {key}"})
    except (httpx2.HTTPError, OSError) as error:
        msg = f"{who} at {urlsplit(url).netloc} does not answer here: {error}"
        raise _UnknownError(msg) from None
    if answer.status_code != HTTPStatus.OK:
        msg = f"{who} answered {answer.status_code}"
        raise _UnknownError(msg)
    return answer.json()


def _trust(authorities: Sequence[str]) -> ssl.SSLContext:
    context = ssl.create_default_context()
    # As in the pods: Python 3.13 and newer refuse authorities over details that nobody else minds.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    for text in authorities:
        if "-----BEGIN CERTIFICATE-----" in text:
            context.load_verify_locations(cadata=text)
    return context
