"""An OpenShift-shaped control plane on loopback, and the tools to deploy to it.

Real: etcd, the Kubernetes API server with its admission and RBAC, the controllers, the
scheduler, and Pulumi's engine and Kubernetes provider.

Simulated:

* Nodes run no containers. KWOK declares pods running and Jobs complete; an image whose
  name contains ``does-not-exist`` cannot be pulled, one with ``crash-loop`` crashes.
  ``kubectl logs`` prints a made-up line.
* Routes are validated and admitted by KWOK in a router's place; nothing serves them.
* OAuthClients, Groups and Users are stored and validated; there is no OAuth server.
* The models' InferenceServices are objects only; no model answers.
* Volumes are bound at once and hold nothing.
* Service serving certificates, and those of cert-manager's Certificates, are signed by a double of both operators.
* OpenShift's SCC admission is imitated by admission policies (a user id range for each
  namespace), and every namespace enforces PodSecurity ``restricted``.
"""

SIMULATED = """\
Simulated here: the nodes run no containers (KWOK declares pods running and Jobs complete, logs
are made up), Routes are admitted but not served, there is no OAuth server to log in with, no model
answers, and volumes hold nothing. The API server, admission, scheduler and Pulumi are real."""
