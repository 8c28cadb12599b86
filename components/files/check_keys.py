"""Blocks the portal's keys whose list of models is empty: LiteLLM reads that as all models.

The portal empties a key when its last model becomes restricted (docs/decisions/0028). Keys that others made,
an administrator's own above all, are left alone: there an empty list is meant. Safe to repeat and to interrupt.

In: LITELLM_URL, LITELLM_MASTER_KEY. Out: one line per key that was blocked, and a count; exit code 1 with the
reason if not all keys could be looked at, or one not be blocked. No key is printed: LiteLLM lists hashes.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.request

PORTAL = "litemaas"
PAGE_SIZE = 100  # LiteLLM's maximum
TIMEOUT_SECONDS = 30
# LiteLLM may be rolling, and its first answer after a pause takes a while.
ATTEMPTS = 3
PAUSE_SECONDS = 2


def call(method, path, body=None):
    """The decoded answer of LiteLLM's API; tried again where that can help. Raises HTTPError or OSError."""
    request = urllib.request.Request(
        os.environ["LITELLM_URL"] + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "Authorization": f"Bearer {os.environ['LITELLM_MASTER_KEY']}",
            "Content-Type": "application/json",
        },
    )
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code < 500 or attempt == ATTEMPTS:
                raise
        except OSError:
            if attempt == ATTEMPTS:
                raise
        time.sleep(PAUSE_SECONDS)
    raise AssertionError("unreachable: the last attempt returns or raises")


def all_keys():
    """Every key by its hash, of all pages.

    A key that is deleted meanwhile moves the later ones up, and one of them may be missed until the next run;
    one that is made meanwhile moves them down, and one is seen twice. So nothing is blocked before all are listed.
    """
    keys, page, pages = {}, 1, 1
    while page <= pages:
        answer = call("GET", f"/key/list?return_full_object=true&page={page}&size={PAGE_SIZE}")
        keys |= {key["token"]: key for key in answer["keys"]}
        page, pages = page + 1, answer["total_pages"]
    return keys


def opens_everything(key):
    """Whether a key of the portal has no model, and still works."""
    metadata = key.get("metadata") or {}
    return metadata.get("created_by") == PORTAL and not key.get("models") and not key.get("blocked")


def described(token, key):
    return f"{key.get('key_alias') or 'without a name'} of user {key.get('user_id') or 'nobody'} (hash {token[:12]}...)"


def main():
    try:
        keys = all_keys()
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f"the keys of LiteLLM at {os.environ['LITELLM_URL']} cannot be listed: {reason(error)}")
    failed = 0
    found = {token: key for token, key in keys.items() if opens_everything(key)}
    for token, key in found.items():
        try:
            call("POST", "/key/block", {"key": token})
            print(f"blocked: {described(token, key)}; it had no model left, and so opened all of them", flush=True)
        except (OSError, ValueError) as error:
            # Deleted since it was listed: it opens nothing any more.
            if isinstance(error, urllib.error.HTTPError) and error.code == 404:
                continue
            failed += 1
            print(f"NOT blocked: {described(token, key)}: {reason(error)}", file=sys.stderr, flush=True)
    print(f"{len(keys)} keys looked at, {len(found)} of the portal without a model, {failed} of them not blocked")
    if failed:
        sys.exit(1)


def reason(error):
    """An error in one line, with what LiteLLM said."""
    if isinstance(error, urllib.error.HTTPError):
        return f"answer {error.code}: {error.read().decode(errors='replace')[:300]}"
    return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    main()
