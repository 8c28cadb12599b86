"""What pods trust: one file of certificate authorities, the same for every program.

Public authorities, the cluster's own (API server, ingress, service serving certificates), those that
OpenShift injects, and those of the stack file. Nothing here, and nothing elsewhere, turns verification off.
"""

from dataclasses import dataclass, replace

import pulumi_kubernetes as k8s
from pulumi import Input

from components import kube, volumes

_FOLDER, _SCRATCH = "/etc/litemaas-trust", "/run/litemaas-trust"
FILE = f"{_SCRATCH}/ca-bundle.pem"
# Node adds the file to its own authorities; the others read it instead of theirs. LiteLLM's clients take
# SSL_CERT_FILE too, before certifi's (http_handler.get_ssl_configuration, 1.81.0 and 1.108.7).
_VARIABLES = ("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PGSSLROOTCERT")


@dataclass(frozen=True, kw_only=True)
class Trust:
    """Two ConfigMaps: ``injected`` is filled by OpenShift, ``chosen`` holds the stack file's part and the script.

    ``more`` are files of one consumer, named ``*.crt``.
    """

    injected: Input[str]
    chosen: Input[str]
    more: tuple[k8s.core.v1.VolumeProjectionArgs, ...] = ()

    def including(self, authority: k8s.core.v1.VolumeProjectionArgs | None) -> "Trust":
        """The same and ``authority``, if there is one."""
        return replace(self, more=(*self.more, authority)) if authority else self


def contents(authorities: str) -> dict[str, str]:
    """The data of the ConfigMap ``Trust.chosen``; ``authorities`` in PEM, perhaps none."""
    script = {"trust.sh": kube.file("trust.sh")}
    return script | ({"chosen.crt": authorities} if authorities else {})


def trusting(pod: kube.Pod, trust: Trust) -> kube.Pod:
    """``pod``, whose command finds ``FILE`` in every variable by which a program may look for it.

    The file is made when the container starts, from what is there then: of a ConfigMap that is filled or
    changed later, a pod that runs takes no notice.
    """
    if not pod.command:
        msg = f"pod {pod.name} needs a command, since the image's own cannot be known"
        raise ValueError(msg)
    return replace(
        pod,
        command=["sh", f"{_FOLDER}/trust.sh", *pod.command],
        env={**dict.fromkeys(_VARIABLES, FILE), **pod.env},
        mounts=[*pod.mounts, _sources(trust), volumes.scratch(_SCRATCH, "4Mi")],
    )


def _sources(trust: Trust) -> volumes.Mount:
    own = [
        # The API server's and, on OpenShift, the ingress controller's authority.
        volumes.key("kube-root-ca.crt", "ca.crt", "cluster.crt", optional=True),
        # That of service serving certificates, in every namespace of OpenShift.
        volumes.key("openshift-service-ca.crt", "service-ca.crt", "service.crt", optional=True),
        volumes.key(trust.injected, "ca-bundle.crt", "injected.crt", optional=True),
    ]
    return volumes.projected("trust", _FOLDER, [*own, *trust.more, volumes.keys(trust.chosen)])
