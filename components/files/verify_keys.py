"""Keys of the portal that open every model: LiteLLM takes an empty list of models for all of them."""

from verify_report import Problem

# LiteLLM gives no more at once.
PAGE = 100
# More say nothing new.
NAMED = 5


def open_keys(site):
    """What was seen of the keys. Raises Problem if any of them is open."""
    seen, opened, page, pages = 0, [], 1, 1
    while page <= pages:
        query = f"return_full_object=true&size={PAGE}&page={page}"
        answer = site.client.ask("GET", f"{site.gateway}/key/list?{query}", headers=site.master)
        if answer.status != 200:
            raise Problem(answer.said(), "LiteLLM cannot read its database", "look at the logs of deployment/litellm")
        body = answer.json()
        of_portal = [key for key in body["keys"] if (key.get("metadata") or {}).get("created_by") == "litemaas"]
        seen += len(of_portal)
        opened += [key for key in of_portal if not key.get("models") and not key.get("blocked")]
        pages, page = body["total_pages"] or 0, page + 1
    if opened:
        names = [str(key.get("key_alias")) for key in opened]
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        raise Problem(
            f"{len(opened)} of {seen} have an empty list of models: {', '.join(names[:NAMED])}{more}",
            "a model was restricted in the portal: it took the last model from these keys, and LiteLLM takes none for all",
            "the scheduled check blocks them; at once: POST /key/block with the master key, or delete them in the portal",
            final=True,
        )
    return f"{seen}, each for the models it names"
