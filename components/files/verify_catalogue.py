"""What portal and gateway know of the declared models, exactly as declared. Raises Problem where they do not."""

from verify_report import Problem

# The portal stores prices with ten decimals.
PRICE_STEP = 6e-11


def listed(site):
    """What the portal shows to everybody, as declared."""
    shown, page, pages = {}, 1, 1
    while page <= pages:
        url = f"{site.portal}/api/v1/models?page={page}&limit=100"
        answer = site.get(url, "the backend is not ready", site.oc("get pods")).json()
        shown |= {one["name"]: one for one in answer["data"]}
        pages, page = answer["pagination"]["totalPages"], page + 1
    wrong = [text for model in site.models for text in _differences(model, shown.get(model["model"]))]
    if wrong:
        cause = "LiteLLM has another declaration of the model: an edit by hand, or a second model of that name"
        raise Problem("; ".join(wrong), cause, "undo the edit in the portal, then run `pulumi up --refresh`")
    return f"{len(site.models)} of {len(site.models)} as declared"


def registered(site):
    """What LiteLLM has, as declared: every endpoint and the kind of model, which the portal may not show."""
    wrong = [text for model in site.models for text in _strays(model, site.live)]
    if wrong:
        cause = "somebody changed or added the model by hand: LiteLLM shares the calls out among all entries of a name"
        raise Problem("; ".join(wrong), cause, "undo the edit in the portal, then run `pulumi up --refresh`")
    return f"{sum(len(model['endpoints']) for model in site.models)} endpoints as declared"


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
    wrong = [
        f"{name}: {key} is {shown.get(key)}, not {value}"
        for key, value in wanted.items()
        if abs((shown.get(key) or 0) - value) > PRICE_STEP
    ]
    # Not every version of the portal tells this. Whether a model is restricted is its administrators' choice.
    told = shown.get("supportsEmbeddings", model["embedding"])
    return wrong + ([] if told == model["embedding"] else [f"{name}: supportsEmbeddings is {told}, not {model['embedding']}"])


def _strays(model, live):
    """In words, which entries LiteLLM has of a model otherwise than declared."""
    name = model["model"]
    entries = [one for one in live if one["model_name"] == name]
    wanted = sorted((one["url"], one["served_name"]) for one in model["endpoints"])
    found = sorted(
        (one["litellm_params"].get("api_base") or "", (one["litellm_params"].get("model") or "").partition("/")[2])
        for one in entries
    )
    wrong = [f"{name}: nothing calls {served} at {url}" for url, served in wanted if (url, served) not in found]
    wrong += [f"{name}: calls go to {served} at {url} too" for url, served in found if (url, served) not in wanted]
    if len(found) > len(wanted) and not wrong:
        wrong.append(f"{name}: {len(found)} entries, not {len(wanted)}")
    kinds = {bool(one["model_info"].get("supports_embeddings")) for one in entries}
    if kinds - {model["embedding"]}:
        wrong.append(f"{name}: supports_embeddings is {not model['embedding']}, not {model['embedding']}")
    return wrong
