"""How portal, gateway and API are seen from outside."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo, field_validator, model_validator

from config import certificates
from config.consolelink import ConsoleLink
from config.entrance import OPEN_PATHS, Hosts, Ingress, Networks, Paths, RateLimit
from config.entry import Entry
from config.types import ObjectName

Chain = Annotated[str, AfterValidator(certificates.chain)]
_WAYS = ("crt", "secret", "cert_manager")


class CertManager(Entry):
    """A certificate that cert-manager obtains and renews."""

    issuer: ObjectName = Field(description="Name of the issuer.", examples=["letsencrypt"])
    issuer_kind: Literal["ClusterIssuer", "Issuer"] = Field(
        default="ClusterIssuer",
        description="Its kind. Default: ClusterIssuer. An Issuer lies in the installation's namespace, where it has to be before.",
    )


class Certificate(Entry):
    """A certificate for all three hosts: crt and key, or the name of a Secret, or cert-manager."""

    crt: Chain | None = Field(
        default=None,
        description="The certificate in PEM, with the intermediate ones behind it; good for the hosts of portal, gateway and API. Default: none.",
    )
    key: SecretStr | None = Field(
        default=None,
        description="Its private key in PEM, without a passphrase: `pulumi config set --secret --path litemaas:exposure.tls.certificate.key < tls.key`. Default: none.",
    )
    secret: ObjectName | None = Field(
        default=None,
        description="Name of a Secret of type kubernetes.io/tls in the installation's namespace that somebody else fills and renews. Default: none.",
    )
    cert_manager: CertManager | None = Field(
        default=None,
        description="Have cert-manager, which must be installed, obtain and renew it. Default: none.",
    )

    @field_validator("key")
    @classmethod
    def _key_of_the_certificate(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is None:
            return None
        # `pulumi config set` takes the line break away with which a file of this kind ends.
        text = f"{value.get_secret_value().strip()}\n"
        certificates.private_key(text)
        if chain := info.data.get("crt"):
            certificates.matching(chain, text)
        return SecretStr(text)

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways = [name for name in _WAYS if getattr(self, name) is not None]
        if len(ways) != 1:
            named = " and ".join(("certManager" if way == "cert_manager" else way) for way in ways) or "nothing"
            msg = f"says {named}; nobody would know which certificate to serve; write one of: crt with key, secret, certManager"
            raise ValueError(msg)
        if (self.crt is None) != (self.key is None):
            msg = "has one of crt and key; the router needs both, or it would serve nothing; write the other one too"
            raise ValueError(msg)
        return self


class ExposureTls(Entry):
    """TLS of the entrances."""

    termination: Literal["edge", "reencrypt"] | None = Field(
        default=None,
        description="edge: the router speaks plain HTTP to the pods, reencrypt: TLS. Default: what the pods speak, that is reencrypt with tls.internal and edge without; the other one is refused.",
    )
    certificate: Certificate | None = Field(
        default=None,
        description="A certificate of one's own. It is handed over by the Routes' externalCertificate, which OpenShift has since 4.16, behind the feature gate RouteExternalCertificate until 4.19, or by the Ingresses' secretName. Default: the router's own, which is good for every host of the cluster's domain, or the Ingress controller's.",
    )


class Exposure(Entry):
    """How portal, gateway and API are seen from outside."""

    kind: Literal["route", "ingress"] = Field(
        default="route",
        description="Routes of OpenShift, or Ingresses of Kubernetes, for which exposure.ingress says whose. Default: route.",
    )
    ingress: Ingress | None = Field(
        default=None, description="Whose Ingresses, where kind is ingress. Default: none, there are Routes."
    )
    hosts: Hosts = Field(default=Hosts(), description="Host names of one's own.")
    tls: ExposureTls = Field(default=ExposureTls(), description="TLS of the entrances.")
    hsts_max_age_seconds: int | None = Field(
        default=None,
        ge=0,
        le=63072000,
        description="For so long browsers insist on TLS and a valid certificate for these hosts, subdomains not included (Strict-Transport-Security). Default: 31536000, a year, in production; no header in demo, where people may have to click a self-signed certificate away, which it forbids. 0 makes browsers forget it: write that before a host goes back to such a certificate.",
        examples=[31536000],
    )
    allow_from: Networks = Field(
        default=[],
        description="Networks that may come in, as the router sees their addresses. Default: everybody. Portal and verification call the gateway through the same entrance: the addresses with which pods reach the router have to be among them, or up fails.",
        examples=[["10.0.0.0/8", "192.0.2.0/24"]],
    )
    rate_limit: RateLimit = Field(
        default=RateLimit(), description="Limits for each source address; people behind one address share it."
    )
    gateway_paths: Paths | None = Field(
        default=None,
        description=f"What of the gateway is open to the outside while gateway.adminUi is hidden: these paths and what is below them, and what portal and verification call themselves (/health, /key, /model, /team, /user; each asks for a key but /health/readiness and /health/liveliness). All else, LiteLLM's web page and its log-in first of all, is not there from outside. Default: {', '.join(OPEN_PATHS)} where adminUi is hidden, everything where it is exposed.",
        examples=[["/v1", "/rerank"]],
    )
    console_link: ConsoleLink = Field(
        default=ConsoleLink(), description="The portal in the application menu of OpenShift's console."
    )

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if self.kind == "ingress" and self.ingress is None:
            msg = "has kind ingress and no ingress; no controller would serve it; write ingress.className too"
            raise ValueError(msg)
        if self.kind == "route" and self.ingress is not None:
            msg = "has ingress while kind is route; it would do nothing; write kind: ingress, or remove it"
            raise ValueError(msg)
        if self.kind == "ingress" and self.tls.termination == "reencrypt":
            msg = (
                "has tls.termination reencrypt and kind ingress; Kubernetes has no word for it, and controllers would "
                "not verify the pods; write termination: edge, or kind: route"
            )
            raise ValueError(msg)
        return self
