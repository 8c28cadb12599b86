"""Why a model probably did not answer, and what to do: by what LiteLLM said, which passes on its server's words."""

import re

# Of the server's words; the first that fits, by status (None: any) and pattern.
CAUSES = (
    (
        None,
        r"certificate verify failed|CERTIFICATE_VERIFY_FAILED|self.signed certificate",
        "LiteLLM does not trust the certificate of {url}",
        "name its authority in litemaas:trust.caBundle, or give the server a certificate for the name in its endpoint",
    ),
    (
        None,
        r"Name or service not known|name resolution|nodename nor servname|getaddrinfo|ENOTFOUND",
        "the name in {url} does not resolve: a typing error in the endpoint, or its Service is gone",
        "oc get services -A shows what there is; compare endpoint of {name}",
    ),
    (
        404,
        r"does not exist|model.{0,80}not found",
        "its server knows no model {served}: a wrong servedName",
        "curl {url}/models in the cluster shows what it serves; compare servedName of {name}",
    ),
    (
        404,
        r"",
        "no OpenAI API is at {url}: a wrong endpoint, perhaps without /v1 or with a path too many",
        "curl {url}/models in the cluster; compare endpoint of {name}",
    ),
    (
        401,
        r"Hosted_?vllm|AuthenticationError",
        "its server refuses the API key that LiteLLM has for it, or asks for one and LiteLLM has none",
        "compare apiKey of {name} with what its server accepts",
    ),
    (
        401,
        r"",
        "LiteLLM refuses the temporary key on some replica: they do not share their database or cache",
        "look at redis and at the logs of deployment/litellm",
    ),
    (
        403,
        r"key_model_access",
        "LiteLLM does not know the model under this name yet, or any more",
        "look at the row of the models in the gateway; `pulumi up --refresh` registers them again",
    ),
    (
        403,
        r"",
        "its server, or a proxy before it, does not let LiteLLM in",
        "let it take calls from this namespace; compare apiKey of {name}",
    ),
    (
        429,
        r"No deployments available",
        "LiteLLM pauses it, because calls before this one failed",
        "look at the logs of deployment/litellm",
    ),
    (429, r"", "its rate limits (tpm, rpm) are used up or too small for three calls", "raise tpm and rpm of {name}"),
    (
        422,
        r"budget",
        "what three calls could cost exceeds the temporary key's budget",
        "compare the prices of {name}: they are per token, not per million",
    ),
    (
        400,
        r"tool.choice|tool-call-parser|tools?\b.{0,40}not support",
        "its server takes no tools: vLLM needs --enable-auto-tool-choice and --tool-call-parser",
        "start it with both, or write tools: false for {name}",
    ),
    (
        None,
        r"context.?length|ContextWindow|max_model_len|maximum context",
        "its server has a smaller context than declared",
        "compare contextLength of {name} with --max-model-len of its server",
    ),
    (
        400,
        r"does not support (Embeddings|Chat|Completions)",
        "its server has another kind of model than declared",
        "compare embedding of {name} with what is served",
    ),
    (
        400,
        r"",
        "its server takes no such request: another kind of model, or LiteLLM does not know it yet",
        "compare embedding and contextLength of {name} with what is served",
    ),
    (
        504,
        r"",
        "the router gave up before the model answered: it loads, or is too slow for the router's timeout",
        "time a call inside the cluster; compare the timeout among the annotations of the Route or Ingress litellm",
    ),
    (
        (502, 503),
        r"web page",
        "no ready LiteLLM pod stands behind its public address",
        "oc get pods -l app.kubernetes.io/component=litellm",
    ),
)


def advice(model, what, status, text):
    """Likely cause and cure of an error of ``status`` that says ``text``, when the model was asked for ``what``."""
    # A server that refuses tools answers so only when it gets them.
    if what == "tool call" and status == 400:
        text = f"{text} tool-call-parser"
    first = model["endpoints"][0]
    words = {"name": model["model"], "url": first["url"], "served": first.get("served_name")}
    for known, pattern, cause, todo in CAUSES:
        if known in (None, status) or (isinstance(known, tuple) and status in known):
            if re.search(pattern, text, re.IGNORECASE):
                return cause.format(**words), todo.format(**words)
    return away(model)


def away(model):
    """Cause and cure where nothing answers."""
    urls = " and ".join(str(one["url"]) for one in model["endpoints"])
    cause = f"nothing answers at {urls}: a wrong endpoint, or a model that is scaled to zero or still loading"
    return cause, f"oc get inferenceservice,pods -A | grep {model['model']}; write verify: false if it is meant to be away"


def is_pause(status, text):
    """After a failure LiteLLM does not call a model for some seconds."""
    return status == 429 and "No deployments available" in text


def says(text):
    """An error of LiteLLM less what it puts before and behind the server's words, which would drown in it."""
    text = re.split(r"\s+LiteLLM: model group|\bstack trace:|Traceback \(|\. ?Received Model Group=", text)[0]
    text = re.sub(r"\b(?:litellm\.)?\w*(?:Error|Exception)\b(?: - |: ?)| ssl:(?:<[^>]*>|\w+)", "", text)
    # The server's answer as it came.
    return re.sub(r'\{"error": ?\{"message": ?"(.*?)", ?"type".*', r"\1", text).strip() or text
