"""Named, validated types of which the configuration is made.

Each validator says what would break and what to write instead: its text is what
the operator reads at preview (see ``report.py``).
"""

import re
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

# All of these are matched against the whole text: `$` would let a line break pass at its end.
DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
MODEL_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
SECRET = re.compile(r"[-A-Za-z0-9._~+=]+")
SECRET_KEY = re.compile(r"[-A-Za-z0-9._]+")
# Kubernetes' own grammar for resource.Quantity, without the exponent forms that
# nobody writes in a stack file.
QUANTITY = re.compile(r"(?P<number>[0-9]+(\.[0-9]+)?)(?P<suffix>m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?")
IMAGE = re.compile(r"[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9._-]+)+(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(@sha256:[0-9a-f]{64})?")
REGISTRY = re.compile(r"(localhost|[a-z0-9-]+(\.[a-z0-9-]+)+|[a-z0-9.-]+(?=:))(:[0-9]{1,5})?")
MIRROR_PATH = re.compile(r"(/[a-z0-9]+([._-]+[a-z0-9]+)*)*")
ENDPOINT = re.compile(r"https?://[A-Za-z0-9.-]+(:(?P<port>[0-9]{1,5}))?(/[^\s?#]*)?")
_LABEL_LENGTH = 63  # RFC 1035
_NAME_LENGTH = 253
# `litemaas-api-<namespace>` is the first label of a host.
_NAMESPACE_LENGTH = _LABEL_LENGTH - len("litemaas-api-")
# Leaves room for that label and a dot in a name of at most 253 characters.
_DOMAIN_LENGTH = _NAME_LENGTH - _LABEL_LENGTH - 1
_SECRET_LENGTH = 16
_PORTS = 65536
_FACTORS = {"m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15} | {
    f"{unit}i": 1024.0**power for power, unit in enumerate("KMGTP", start=1)
}
# Words that stand in charts, examples and tutorials. What is left of a secret without them has to be strong.
WELL_KNOWN = ("changeme", "change-me", "password", "litemaas", "litellm", "secret", "admin")
_DIFFERENT_CHARACTERS = 8


def quantity(value: str) -> float:
    """The size of a Kubernetes quantity such as ``500m`` or ``4Gi``, as a plain number.

    Raises ValueError if ``value`` is no quantity.
    """
    match = QUANTITY.fullmatch(value)
    if match is None:
        msg = "is no Kubernetes quantity; the API server would refuse the pod; write 500m, 2 or 4Gi"
        raise ValueError(msg)
    return float(match["number"]) * _FACTORS[match["suffix"] or ""]


def _domain(value: str) -> str:
    if "://" in value or "/" in value:
        msg = "is a URL; host names are made from it, so no route would resolve; write the bare domain"
        raise ValueError(msg)
    labels = value.split(".")
    if len(labels) == 1 or len(value) > _DOMAIN_LENGTH or not all(_is_label(part) for part in labels):
        msg = (
            "is no DNS domain in lower case; the router would serve no host under it; "
            "write it as `oc get ingresses.config cluster -o jsonpath={.spec.domain}` prints it"
        )
        raise ValueError(msg)
    return value


def _is_label(value: str) -> bool:
    return len(value) <= _LABEL_LENGTH and DNS_LABEL.fullmatch(value) is not None


def _namespace(value: str) -> str:
    if not _is_label(value) or len(value) > _NAMESPACE_LENGTH:
        msg = (
            f"is no namespace name of at most {_NAMESPACE_LENGTH} characters (a-z, 0-9, -); the host "
            "litemaas-api-<namespace> would be too long or malformed; write for example litemaas"
        )
        raise ValueError(msg)
    if value == "default" or value.startswith(("openshift", "kube-")):
        msg = "is reserved for the cluster; OpenShift puts no SCC on its pods; write a name of your own"
        raise ValueError(msg)
    return value


def _namespace_label(value: str) -> str:
    if not _is_label(value):
        msg = (
            "is no name of a namespace (a-z, 0-9, -; 63 at most); nothing could be found there; write it as oc shows it"
        )
        raise ValueError(msg)
    return value


def _object_name(value: str) -> str:
    if len(value) > _NAME_LENGTH or not all(DNS_LABEL.fullmatch(part) for part in value.split(".")):
        msg = "is no name of an object (a-z, 0-9, - and .); none could be found by it; write it as oc shows it"
        raise ValueError(msg)
    return value


def _secret_key(value: str) -> str:
    if not SECRET_KEY.fullmatch(value):
        msg = "is no key of a Secret (letters, digits, -, _ and .); none could be found by it; write it as oc shows it"
        raise ValueError(msg)
    return value


def _user(value: str) -> str:
    bad_colon = ":" in value and not value.startswith("b64:")
    if not value or value in {".", "..", "~"} or "/" in value or "%" in value or bad_colon:
        # openshift-apis.md section 3.7: what the real Group API refuses.
        msg = (
            "is no OpenShift user name (no '/', '%' or ':'); the Group would be refused by the API "
            "server; write the name that `oc get users` shows (virtual users such as kube:admin "
            "cannot be group members)"
        )
        raise ValueError(msg)
    if "," in value or value != value.strip():
        msg = "has a comma or spaces around it; LiteMaaS would read it as several names; write one name per entry"
        raise ValueError(msg)
    return value


def _model_name(value: str) -> str:
    if not MODEL_NAME.fullmatch(value) or len(value) > _LABEL_LENGTH:
        msg = (
            "is no model name of a-z, 0-9, '-' and '.' (63 at most); it also names the object that "
            "carries the model; write for example granite-8b-agent"
        )
        raise ValueError(msg)
    return value


def _host_name(value: str) -> str:
    if len(value) > _NAME_LENGTH or not all(_is_label(part) for part in value.split(".")):
        msg = (
            "is no host name in lower case; nothing would be found there; write the name alone, without scheme and port"
        )
        raise ValueError(msg)
    return value


def _endpoint(value: str) -> str:
    match = ENDPOINT.fullmatch(value)
    if match is None:
        msg = "is no http(s) URL; every call to the model would fail; write http://<service>.<namespace>.svc.cluster.local:8080/v1"
        raise ValueError(msg)
    if match["port"] and not 0 < int(match["port"]) < _PORTS:
        msg = f"has no port between 1 and {_PORTS - 1}; nothing could be called there; write the one of the Service"
        raise ValueError(msg)
    if not value.endswith("/v1"):
        # litellm.md section 4: without /v1 LiteLLM posts to /chat/completions, a 404 on vLLM.
        msg = f"does not end in /v1; LiteLLM would call a path that vLLM answers with 404; write {value.rstrip('/')}/v1"
        raise ValueError(msg)
    return value


def _image(value: str) -> str:
    if not IMAGE.fullmatch(value) or not REGISTRY.fullmatch(value.partition("/")[0]):
        msg = (
            "is no full image reference; short names resolve differently on each node; "
            "write registry/repository:tag or registry/repository@sha256:..."
        )
        raise ValueError(msg)
    tail = value.rsplit("/", 1)[-1]
    if ":" not in tail and "@" not in tail:
        msg = "has neither tag nor digest; what runs would change by itself; add :tag or @sha256:..."
        raise ValueError(msg)
    return value


def _mirror(value: str) -> str:
    registry, slash, path = value.partition("/")
    if not REGISTRY.fullmatch(registry) or not MIRROR_PATH.fullmatch(slash + path):
        msg = (
            "is no registry with a path in lower case; no image could be pulled from it; write host, port and path "
            "alone, without scheme, tag and a slash at the end: mirror.example.com:5000/litemaas"
        )
        raise ValueError(msg)
    return value


def _checked_quantity(value: str) -> str:
    if quantity(value) <= 0:
        msg = "is nothing; the pod could not run; write 500m, 2 or 4Gi"
        raise ValueError(msg)
    return value


def each_once(names: list[str]) -> list[str]:
    """The names, if none stands twice. Raises ValueError otherwise."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        msg = f"names {', '.join(twice)} twice; nobody would know which of the two counts; write each once"
        raise ValueError(msg)
    return names


Domain = Annotated[str, AfterValidator(_domain)]
NamespaceName = Annotated[str, AfterValidator(_namespace)]
NamespaceLabel = Annotated[str, AfterValidator(_namespace_label)]
ObjectName = Annotated[str, AfterValidator(_object_name)]
SecretKey = Annotated[str, AfterValidator(_secret_key)]
UserName = Annotated[str, AfterValidator(_user)]
ModelName = Annotated[str, AfterValidator(_model_name)]
HostName = Annotated[str, AfterValidator(_host_name)]
Endpoint = Annotated[str, AfterValidator(_endpoint)]
Image = Annotated[str, AfterValidator(_image)]
Mirror = Annotated[str, AfterValidator(_mirror)]
Quantity = Annotated[str, AfterValidator(_checked_quantity)]
Count = Annotated[int, Field(ge=1)]
Port = Annotated[int, Field(ge=1, le=_PORTS - 1)]
Price = Annotated[float, Field(ge=0)]


def weakness(text: str, prefix: str) -> str | None:
    """Why ``text`` is no secret to use, and what to write instead; None for a strong one."""
    if not text.startswith(prefix):
        return f"does not begin with {prefix}; its consumer would not take it for what it is; write {prefix}..."
    rest = text.removeprefix(prefix).lower()
    for word in WELL_KNOWN:
        rest = rest.replace(word, "")
    if len(rest) < _SECRET_LENGTH or len(set(rest)) < _DIFFERENT_CHARACTERS:
        return (
            f"is well known, repeats itself or is shorter than {_SECRET_LENGTH} characters; it would be guessed; "
            "leave it out to have one generated, or make a long random one"
        )
    if not SECRET.fullmatch(text):
        return (
            "has characters besides letters, digits and -._~+= (a space or a line break too); a URL, a list or a "
            "configuration file would read it differently; write others"
        )
    return None


def strong_secret(prefix: str) -> AfterValidator:
    """A validator that refuses secrets that are short, well known, or lack ``prefix``."""

    def check(value: SecretStr) -> SecretStr:
        if problem := weakness(value.get_secret_value(), prefix):
            raise ValueError(problem)
        return value

    return AfterValidator(check)
