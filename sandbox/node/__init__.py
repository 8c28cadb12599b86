"""A real one-node cluster: containerd, kubelet and what belongs to them, on this machine.

It joins a sandbox's own API server in place of KWOK's simulated nodes. Everything it puts on
the machine carries the sandbox's name (:mod:`sandbox.node.names`) and is taken back at the
stop, also after everything was killed (:mod:`sandbox.node.host`).
"""

REAL = """\
Real here: the node (containers of containerd and runc, Services, network policies, volumes, DNS)
and a router that serves the Routes at {address}. Doubles: the OAuth server (alice, bob and carol
log in with any password), the models, LiteMaaS' own images. Simulated: OpenShift's SCC admission;
the images that `python -m sandbox images` builds stand in for the vendors' under the same names.
Volumes' sizes are not enforced, and pods have no way out to the internet.
Try: curl --cacert STATE/pki/sandbox-ca.crt --connect-to ::{address}: https://NAME-NAMESPACE.{domain}/
A browser: chromium --host-resolver-rules="MAP *.{domain} {address}" (trust STATE/pki/sandbox-ca.crt)"""


class NodeError(Exception):
    """The real node or one of its images cannot be had; the message says why and what to do."""
