"""Makes LiteLLM's database models equal to the declared ones.

Declared models are created or updated in place under an id of their own; retired ones
are deleted; what people made by hand is left alone. Safe to repeat and to interrupt.

In: LITELLM_URL, LITELLM_MASTER_KEY, DECLARED (a directory of <name>.json, may be absent),
RETIRED (names, comma-separated). Out: one line per model; exit code 1 with the reason.
"""

import json
import os
import pathlib
import sys
import time
import urllib.error
import urllib.request

MARK = "litemaas-pulumi"
TIMEOUT_SECONDS = 30
PATIENCE_SECONDS = 120


def call(method, path, body=None):
    """The decoded answer of LiteLLM's API. Raises HTTPError, URLError or TimeoutError."""
    request = urllib.request.Request(
        os.environ["LITELLM_URL"] + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "Authorization": f"Bearer {os.environ['LITELLM_MASTER_KEY']}",
            "Content-Type": "application/json",
        },
    )
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
        return json.load(answer)


def registered():
    """LiteLLM's models; waits while it is not there yet, since its Service may still be moving."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return call("GET", "/model/info")["data"]
        except urllib.error.HTTPError as error:
            if error.code in (401, 403) or time.monotonic() > deadline:
                raise
        except OSError:
            if time.monotonic() > deadline:
                raise
        time.sleep(2)


def wanted(declared):
    """A declaration in the words of LiteLLM's API.

    Prices stand in litellm_params: the API drops them from model_info without a word.
    The portal reads the context length from max_tokens.
    """
    (server,) = declared["endpoints"]
    parameters = {
        "model": f"hosted_vllm/{server['served_name']}",
        "api_base": server["url"],
        "input_cost_per_token": declared["input_price"],
        "output_cost_per_token": declared["output_price"],
    }
    parameters |= {key: declared[key] for key in ("tpm", "rpm") if declared[key] is not None}
    info = {
        "id": f"{MARK}-{declared['model']}",
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
    return {"model_name": declared["model"], "litellm_params": parameters, "model_info": info}


def differs(live, want):
    """Whether a registered model lacks anything that is wanted of it."""
    return live["model_name"] != want["model_name"] or any(
        live.get(part, {}).get(key) != value for part in ("litellm_params", "model_info") for key, value in want[part].items()
    )


def removed_limits(live, want):
    """Limits that are set and no longer wanted; a PATCH cannot take them away."""
    return [key for key in ("tpm", "rpm") if live["litellm_params"].get(key) and key not in want["litellm_params"]]


def plan(live, declarations, retired):
    """The calls that are needed, each with the line that tells of it.

    Raises SystemExit with every reason why nothing may be done, before anything is.
    """
    own = {one["model_info"]["id"]: one for one in live if one["model_info"].get("managed_by") == MARK}
    names = {declared["model"] for declared in declarations}
    problems = [
        f"{one['model_name']}: made by hand under a declared name; LiteLLM would split the calls between both. "
        "Delete it in the portal, or rename the declared one, and run up again."
        for one in live
        if one["model_name"] in names and one["model_info"]["id"] not in own
    ]
    steps = []
    for want in map(wanted, declarations):
        name, identity = want["model_name"], want["model_info"]["id"]
        if identity not in own:
            steps.append((f"{name}: created", ("POST", "/model/new", want)))
        elif lost := removed_limits(own[identity], want):
            problems.append(
                f"{name}: {', '.join(lost)} cannot be taken away from a registered model; write a high "
                "number instead of removing it."
            )
        elif differs(own[identity], want):
            steps.append((f"{name}: updated", ("PATCH", f"/model/{identity}/update", want)))
        else:
            steps.append((f"{name}: unchanged", None))
    for identity, one in own.items():
        name = one["model_name"]
        if name in retired and name not in names:
            steps.append((f"{name}: deleted", ("POST", "/model/delete", {"id": identity})))
        elif name not in names:
            problems.append(f"{name}: registered but neither declared nor retired; add it to retiredModels to remove it.")
    if problems:
        sys.exit("\n".join(problems))
    return steps


def main():
    folder = pathlib.Path(os.environ["DECLARED"])
    declarations = [json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))]
    retired = set(filter(None, os.environ["RETIRED"].split(",")))
    try:
        for line, step in plan(registered(), declarations, retired):
            if step:
                call(*step)
            print(line, flush=True)
    except urllib.error.HTTPError as error:
        sys.exit(f"LiteLLM answered {error.code} to {error.url}: {error.read().decode(errors='replace')[:500]}")
    except OSError as error:
        sys.exit(f"LiteLLM at {os.environ['LITELLM_URL']} cannot be reached: {error}")


if __name__ == "__main__":
    main()
