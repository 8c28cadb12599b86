"""Service serving certificates: OpenShift's service-ca operator signs one for each Service that asks for it.

It is good for `<service>.<namespace>.svc`, so that is how such a Service is called, and lies in a Secret that the
operator makes and renews; pods wait until it is there. Everybody finds the authority in the one trust file.
"""

from pulumi import Input, Output

from components import volumes

_FOLDER = "/etc/litemaas-serving"
CERTIFICATE, KEY = f"{_FOLDER}/tls.crt", f"{_FOLDER}/tls.key"


def wanted(component: str) -> dict[str, str]:
    """The annotation of a Service that asks for a certificate."""
    return {"service.beta.openshift.io/serving-cert-secret-name": _secret(component)}


def mount(component: str) -> volumes.Mount:
    """The certificate of the Service of ``component`` as the files ``CERTIFICATE`` and ``KEY``."""
    return volumes.secret_files("serving", _FOLDER, _secret(component))


def host(service: Input[str], namespace: Input[str]) -> Output[str]:
    """The name for which the certificate is good."""
    return Output.format("{0}.{1}.svc", service, namespace)


def _secret(component: str) -> str:
    return f"{component}-serving"
