"""How portal, gateway and API are seen from outside."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo, field_validator, model_validator

from config import certificates
from config.consolelink import ConsoleLink
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
    """TLS of the three Routes."""

    termination: Literal["edge", "reencrypt"] = Field(
        default="edge",
        description="edge: the router speaks plain HTTP to the pods, reencrypt: TLS, for which tls.internal has to be true. Default: edge.",
    )
    certificate: Certificate | None = Field(
        default=None,
        description="A certificate of one's own. It is handed over by the Routes' externalCertificate, which OpenShift has since 4.16, behind the feature gate RouteExternalCertificate until 4.19. Default: the router's own, which is good for every host of the cluster's domain.",
    )


class Exposure(Entry):
    """How portal, gateway and API are seen from outside."""

    tls: ExposureTls = Field(default=ExposureTls(), description="TLS of the three Routes.")
    console_link: ConsoleLink = Field(
        default=ConsoleLink(), description="The portal in the application menu of OpenShift's console."
    )
