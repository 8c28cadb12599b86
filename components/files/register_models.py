"""Makes LiteLLM's database models equal to the declared ones.

Each endpoint of a declared model is a deployment of its own. It is created, or updated in
place; what a PATCH cannot take away (a limit, an API key) goes with a replacement that is
there before the old one is deleted. Deployments of retired models are deleted. What people
made by hand is left alone. Safe to repeat and to interrupt.

In: LITELLM_URL, LITELLM_MASTER_KEY, DECLARED (a directory of <name>.json, may be absent),
RETIRED (names, comma-separated). Out: a line for each change, and a sum; exit code 78 with all
conflicts before any change, 1 with another reason.
"""

import hashlib
import json
import os
import pathlib
import re
import sys
import time
import urllib.error
from collections import Counter, namedtuple

from register_api import LiteLLM

MARK = "litemaas-pulumi"
# The id says what a deployment is, since nobody can change it: which model, which endpoint, how often replaced.
# No name of a model contains an underscore.
IDENTITY = re.compile(rf"{MARK}-(?P<model>[^_]+)(_(?P<place>\d+))?(_r(?P<generation>\d+))?")
NO_KEY = "none"
SETTLE_SECONDS = 10
# EX_CONFIG of sysexits.h: somebody has to decide.
REFUSED = 78
PAUSES = (2, 5, 10)

Step = namedtuple("Step", "kind line do what")


def identity(model, place, generation):
    """The id of the deployment for a model's endpoint; both count from 1."""
    return f"{MARK}-{model}" + (f"_{place}" if place > 1 else "") + (f"_r{generation}" if generation > 1 else "")


def own(deployment):
    """Model, place and generation of a deployment that we made, None for any other.

    A copy that somebody made of ours has our mark, but not our id.
    """
    info = deployment["model_info"]
    match = IDENTITY.fullmatch(info["id"])
    if not match or info.get("managed_by") != MARK or not info.get("db_model"):
        return None
    return match["model"], int(match["place"] or 1), int(match["generation"] or 1)


def wanted(declared):
    """A declaration in the words of LiteLLM's API: a deployment for each endpoint, without its id.

    Prices stand in litellm_params: the API drops them from model_info without a word.
    The portal reads the context length from max_tokens.
    """
    info = {
        "managed_by": MARK,
        "mode": "embedding" if declared["embedding"] else "chat",
        "max_tokens": declared["context_length"],
        "max_input_tokens": declared["context_length"],
        "max_output_tokens": declared["max_output"],
        "supports_function_calling": declared["tools"],
        "supports_tool_choice": declared["tools"],
        "supports_vision": declared["vision"],
        "supports_embeddings": declared["embedding"],
    }
    shared = {"input_cost_per_token": declared["input_price"], "output_cost_per_token": declared["output_price"]}
    shared |= {key: declared[key] for key in ("tpm", "rpm") if declared[key] is not None}
    for endpoint in declared["endpoints"]:
        parameters = {"model": f"hosted_vllm/{endpoint['served_name']}", "api_base": endpoint["url"], **shared}
        reference = NO_KEY
        if endpoint["key_env"]:
            parameters["api_key"] = f"os.environ/{endpoint['key_env']}"
            reference = f"{endpoint['key_env']} {endpoint['key_revision']}"
            reference = hashlib.sha256(reference.encode()).hexdigest()[:16]
        # LiteLLM never shows api_key: by this it is known which one was registered.
        yield {
            "model_name": declared["model"],
            "litellm_params": parameters,
            "model_info": {**info, "api_key_reference": reference},
        }


def differs(live, want):
    """Whether a registered deployment lacks anything that is wanted of it, also by a person's hand.

    Not a hash alone: the portal's form rewrites the parameters and leaves a hash as it was.
    """
    return live["model_name"] != want["model_name"] or any(
        live[part].get(key) != value
        for part in ("litellm_params", "model_info")
        for key, value in want[part].items()
        if key != "api_key"
    )


def excess(live, want):
    """What is set and no longer wanted; a PATCH ignores null, so it cannot take it away."""
    found = [key for key in ("tpm", "rpm") if live["litellm_params"].get(key) and key not in want["litellm_params"]]
    keyed = live["model_info"].get("api_key_reference", NO_KEY) != NO_KEY
    return found + (["api_key"] if keyed and "api_key" not in want["litellm_params"] else [])


class Plan:
    """What has to be written: ``changes`` first, ``deletions`` only after all of them."""

    def __init__(self, litellm, live, declarations, retired):
        self._litellm, self._retired = litellm, retired
        self._names = {one["model"] for one in declarations}
        self._foreign = [one for one in live if not own(one)]
        self.changes, self.deletions, self.unchanged = [], [], 0
        slots = {}
        for one in live:
            if known := own(one):
                model, place, generation = known
                slots.setdefault((model, place), {})[generation] = one
        self.problems = [*self._conflicts(), *self._unexplained({model for model, _ in slots})]
        for declared in declarations:
            for place, want in enumerate(wanted(declared), 1):
                self._endpoint(place, want, slots.pop((declared["model"], place), {}))
        for (model, place), deployments in slots.items():
            why = f"endpoint {place} deleted" if model in self._names else "deleted"
            self._delete(f"{model}: {why}", deployments.values())

    def _conflicts(self):
        for one in self._foreign:
            name, known = one["model_name"], IDENTITY.fullmatch(one["model_info"]["id"])
            if name in self._names:
                yield (
                    f"{name}: made by hand under a declared name (id {one['model_info']['id']}); LiteLLM would split the "
                    "calls between both. Delete it in the portal, or rename the declared one, and run up again."
                )
            elif known and known["model"] in self._names:
                yield (
                    f"{name}: has the id of the declared {known['model']} ({one['model_info']['id']}) without our mark; "
                    "delete it in LiteLLM and run up again."
                )

    def _unexplained(self, registered):
        for name in sorted(registered - self._names - self._retired):
            yield f"{name}: registered but neither declared nor retired; add it to retiredModels to remove it."

    def _endpoint(self, place, want, deployments):
        name = want["model_name"]
        title = name if place == 1 else f"{name}, endpoint {place}"
        newest = max(deployments, default=0)
        live = deployments.pop(newest, None)
        want["model_info"]["id"] = identity(name, place, newest or 1)
        if live is None:
            self._change("created", title, self._litellm.create, want)
        elif lost := excess(live, want):
            want["model_info"]["id"] = identity(name, place, newest + 1)
            why = f"replaced by {want['model_info']['id']}: {', '.join(lost)} cannot be taken away in place"
            self._change("replaced", title, self._litellm.create, want, why)
            deployments[newest] = live
        elif differs(live, want):
            self._change("updated", title, self._litellm.update, want)
        else:
            self.unchanged += 1
        # Also what an interrupted run replaced and did not delete.
        self._delete(f"{title}: deleted, since it is replaced,", deployments.values())

    def _change(self, kind, title, do, want, why=""):
        self.changes.append(Step(kind, f"{title}: {why or kind}", do, want))

    def _delete(self, line, deployments):
        for one in deployments:
            known = one["model_info"]["id"]
            self.deletions.append(Step("deleted", f"{line} {known}", self._litellm.delete, known))

    def gone(self):
        """The retired models of which something is deleted."""
        return sorted({IDENTITY.fullmatch(step.what)["model"] for step in self.deletions} - self._names)

    def left_alone(self):
        """The names of the models that others made."""
        return sorted({one["model_name"] for one in self._foreign})


def tell_of_keys(litellm, models):
    """A line for each deleted model that keys still name. Their owners' portal says no word of it."""
    try:
        found, complete = litellm.keys_naming(models)
    except OSError as error:
        print(f"{', '.join(models)}: keys that still name them could not be counted ({error})")
        return
    for name, count in found.items():
        if count or not complete:
            least = "" if complete else "at least "
            print(f"{name}: {least}{count} keys of LiteLLM still name it and will work again should the name return")


def reconcile(litellm, declarations, retired):
    """The plan, carried out. Raises what LiteLLM's methods raise, and SystemExit at conflicts, before any write."""
    plan = Plan(litellm, litellm.models(), declarations, retired)
    if plan.problems:
        # Perhaps somebody has just cleared them away, and this replica has not heard of it.
        time.sleep(SETTLE_SECONDS)
        plan = Plan(litellm, litellm.models(), declarations, retired)
    if plan.problems:
        print("\n".join(plan.problems), file=sys.stderr)
        sys.exit(REFUSED)
    # One after the other: LiteLLM reloads all its models at each write, so several at once are no faster.
    for step in (*plan.changes, *plan.deletions):
        step.do(step.what)
        print(step.line, flush=True)
    return plan


def patiently(work):
    """What ``work`` returns, tried again where LiteLLM is in trouble; the Job has one try. SystemExit with the reason."""
    for pause in (*PAUSES, None):
        try:
            return work()
        except urllib.error.HTTPError as error:
            said, passing = error.read().decode(errors="replace")[:500], error.code >= 500
            said = f"LiteLLM answered {error.code} to {error.url}: {said}"
        except OSError as error:
            # Who does not answer at all was waited for.
            said, passing = f"LiteLLM at {os.environ['LITELLM_URL']} cannot be reached: {error}", False
        if pause is None or not passing:
            sys.exit(said)
        print(f"{said}; once more in {pause} s", flush=True)
        time.sleep(pause)


def main():
    started = time.monotonic()
    litellm = LiteLLM(os.environ["LITELLM_URL"], os.environ["LITELLM_MASTER_KEY"])
    files = sorted(pathlib.Path(os.environ["DECLARED"]).glob("*.json"))
    declarations = [json.loads(file.read_text()) for file in files]
    retired = set(filter(None, os.environ["RETIRED"].split(",")))
    plan = patiently(lambda: reconcile(litellm, declarations, retired))
    if gone := plan.gone():
        tell_of_keys(litellm, gone)
    if others := plan.left_alone():
        print(f"made by hand and left alone: {', '.join(others)}")
    count = Counter(step.kind for step in (*plan.changes, *plan.deletions))
    done = ", ".join(f"{count[kind]} {kind}" for kind in ("created", "updated", "replaced", "deleted"))
    spent = f"{litellm.calls} calls, {time.monotonic() - started:.1f} s"
    print(f"{len(declarations)} declared models: {done}, {plan.unchanged} unchanged; {spent}")


if __name__ == "__main__":
    main()
