"""What the cluster has to say of the way in from outside: Ingress controller, hosts, certificate."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from config import addresses, controllers, tls_findings
from config.cluster import Cluster
from config.report import Problem
from config.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Outside:
    """``controller`` serves the Ingresses (empty for Routes); ``notices`` are what the operator should know."""

    controller: str
    notices: Sequence[str]
    problems: Sequence[Problem]


def examine(settings: Settings, cluster: Cluster, apis: Collection[str], domain: str | None) -> Outside:
    """What is there, and what speaks against the settings.

    Raises UnreachableError.
    """
    controller, problems = controllers.examine(settings, cluster)
    notices = controllers.notices(settings, controller)
    if domain:
        urls = addresses.of(settings, domain)
        problems += [*addresses.clashes(urls), *tls_findings.served(settings, cluster, apis, urls.hosts)]
        notices += addresses.notices(settings, urls)
    return Outside(controller=controller, notices=notices, problems=problems)
