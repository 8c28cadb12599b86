"""What the components are told, where it takes more than handing a setting on."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pulumi import Output
from pydantic import SecretStr

from components.backend import Claims, NewUsers
from components.cnpg import Operated
from components.credentials import Credential
from components.entrance import Guard, IngressKind
from components.exposure import Given, Issued, Kept
from components.external import External
from components.gateway_config import Tuning
from components.kube import Size
from components.models import Endpoint, ModelArgs
from components.naming import KUBERNETES, Addresses
from components.oauth import Client, ClusterClient, GivenClient, ServiceAccountClient
from components.placement import Placement, Placements, Spread
from components.postgres import Bundled
from components.server import Dimensions
from components.sizes import Scaling
from components.sources import Fetched, Origin
from components.wiring import Target
from config import routing
from config.loading import secret_text, usable
from config.names import LOGIN_ACCOUNT, oauth_client
from config.placement import TIERS, PodPlacement
from config.profiles import PROFILES, Sizing, admin_ui, hsts_seconds, instances, sizing
from config.resolved import Resolved
from config.settings import Settings


def size(wanted: Sizing) -> Size:
    """Pods and what each asks for, as components take them."""
    return Size(requests=wanted.requests, limits=wanted.limits, replicas=wanted.replicas)


def sizes(settings: Settings) -> dict[str, Size]:
    """The pods of each tier, some of which may be scaled."""
    fixed = {tier: size(sizing(settings, tier)) for tier in PROFILES[settings.profile]}
    return fixed | {
        tier: replace(fixed[tier], scaling=Scaling(most=wanted.max_replicas, cpu_percent=wanted.cpu_percent))
        for tier, (_, wanted) in settings.scaled.items()
    }


def autoscaled(settings: Settings) -> frozenset[str]:
    """The Deployments that an autoscaler of this stack sizes; the live one is not there yet at the first up."""
    return frozenset(settings.scaled)


def placements(settings: Settings) -> Placements:
    """Where pods run; those of Jobs as all, except the one that is LiteLLM's own."""
    own = {tier: _placement(settings.placement.of(tier)) for tier in TIERS}
    return Placements(usual=_placement(settings.placement.all), own={**own, "litellm-migration": own["litellm"]})


def _placement(wanted: PodPlacement) -> Placement:
    spread = [
        Spread(topology_key=each.topology_key, max_skew=each.max_skew, when_unsatisfiable=each.when_unsatisfiable)
        for each in wanted.topology_spread or []
    ]
    return Placement(
        node_selector=wanted.node_selector,
        tolerations=[each.model_dump(by_alias=True, exclude_none=True) for each in wanted.tolerations or []],
        affinity=wanted.affinity.model_dump(by_alias=True, exclude_none=True) if wanted.affinity else None,
        spread=None if wanted.topology_spread is None else spread,
        priority_class=wanted.priority_class_name,
    )


def tuning(settings: Settings) -> Tuning:
    """How LiteLLM runs."""
    wanted = settings.gateway
    return Tuning(
        workers=wanted.workers,
        request_seconds=wanted.request_timeout_seconds,
        batch_write_seconds=wanted.batch_write_seconds,
        spend_logs_days=wanted.spend_log_retention_days,
        in_flight=wanted.max_in_flight_requests,
        admin_ui=admin_ui(settings),
        more=wanted.litellm_settings,
    )


def postgres_server(settings: Settings, urls: Addresses) -> Bundled | Operated | External:
    """Who runs PostgreSQL, by ``database.mode``."""
    wanted = settings.database
    if wanted.external:
        there = wanted.external
        return External(
            host=urls.server(there.host, there.port),
            port=there.port,
            verified=there.ssl_mode == "verify-full",
            authority=there.ca,
            admin=there.admin_user,
            admin_database=there.admin_database,
            ready_made=there.roles == "ready",
        )
    dimensions = Dimensions(
        size=size(sizing(settings, "postgres")),
        storage=wanted.storage.size,
        storage_class=wanted.storage.storage_class,
        max_connections=wanted.max_connections,
        parameters=wanted.settings(),
    )
    if wanted.mode == "operator":
        return Operated(instances=instances(settings), dimensions=dimensions)
    return Bundled(image=settings.images.pulled().postgres, dimensions=dimensions, tls=settings.tls.internal)


def route_certificate(settings: Settings) -> Given | Kept | Issued | None:
    """Where the Routes' own certificate comes from; None for the router's."""
    wanted = settings.exposure.tls.certificate
    if wanted is None:
        return None
    if wanted.cert_manager:
        return Issued(issuer=wanted.cert_manager.issuer, kind=wanted.cert_manager.issuer_kind)
    if wanted.secret:
        return Kept(secret=wanted.secret)
    return Given(certificate=wanted.crt or "", key=secret_text(wanted.key))


def guard(settings: Settings) -> Guard:
    """Who may come in from outside, and how often."""
    wanted = settings.exposure
    return Guard(
        allow_from=wanted.allow_from,
        connections=wanted.rate_limit.connections,
        requests_per_second=wanted.rate_limit.requests_per_second,
        hsts_seconds=hsts_seconds(settings),
    )


def ingress(settings: Settings, controller: str) -> IngressKind | None:
    """Whose Ingresses are made; None for Routes. ``controller`` is what the IngressClass names."""
    wanted = settings.exposure.ingress
    if wanted is None:
        return None
    return IngressKind(
        class_name=wanted.class_name,
        controller=controller,
        namespace=wanted.controller_namespace,
        labels=wanted.controller_labels,
        annotations=wanted.annotations,
    )


def generated(settings: Settings) -> list[Credential]:
    """Every secret, since one that comes from elsewhere may be generated again."""
    return [
        Credential(
            name=spec.name,
            prefix=spec.prefix,
            entropy_bytes=spec.entropy_bytes,
            generation=source.generation,
            overlap=spec.overlap,
            irreplaceable=bool(spec.fixed),
        )
        for spec, source in settings.secrets.items()
    ]


def origins(settings: Settings) -> dict[str, Origin]:
    """Source and generation of every secret."""
    return {
        spec.name: Origin(source=source.kind, generation=source.generation) for spec, source in settings.secrets.items()
    }


def fetched(settings: Settings, pinned: Mapping[str, str]) -> dict[str, Fetched]:
    """The secrets that an operator fetches; ``pinned`` are the digests of those that must not change."""
    return {
        spec.name: Fetched(
            store=wanted.store,
            store_kind=wanted.store_kind,
            key=wanted.key,
            part=wanted.part,
            check=usable(spec, pinned.get(spec.name)),
        )
        for spec, source in settings.secrets.items()
        if (wanted := source.external_secret)
    }


def usual(settings: Settings) -> tuple[dict[str, str], dict[str, str]] | None:
    """Requests and limits of a container that names none."""
    wanted = settings.isolation.limit_range
    return (wanted.requests.model_dump(), wanted.limits.model_dump()) if wanted else None


def login_client(settings: Settings, secrets: Mapping[str, Output[str]], former: Mapping[str, Output[str]]) -> Client:
    """What the portal is to whoever logs people in; ``former`` secrets are accepted besides those in use."""
    name = "oauthClientSecret"
    if settings.access.oidc:
        return GivenClient(client_id=settings.access.oidc.client_id, secret=secrets[name])
    if settings.access.mode == "serviceAccount":
        return ServiceAccountClient(name=LOGIN_ACCOUNT, generation=origins(settings)[name].generation)
    return ClusterClient(name=oauth_client(settings.namespace), secret=secrets[name], former_secret=former.get(name))


def claims(settings: Settings) -> Claims | None:
    """What a provider is asked for; None where people log in at OpenShift."""
    wanted = settings.access.oidc
    return Claims(scopes=wanted.scopes, groups=wanted.groups_claim) if wanted else None


def users_api(settings: Settings, urls: Addresses) -> Target[str] | None:
    """Who says who has logged in; None where the provider does."""
    return None if settings.access.oidc else urls.target(settings.access.api_url or KUBERNETES)


def new_users(settings: Settings) -> NewUsers:
    """What people may use when they come."""
    wanted = settings.access.new_users
    return NewUsers(budget=wanted.max_budget, tpm=wanted.tpm, rpm=wanted.rpm)


def model_keys(keys: Mapping[str, SecretStr]) -> dict[str, Output[str]]:
    """The API keys of models by environment variable; ``keys`` are by model."""
    return {routing.key_variable(model): secret_text(key) for model, key in keys.items()}


def models(offered: Sequence[Resolved], urls: Addresses) -> list[ModelArgs]:
    """The models that are offered."""
    return [
        ModelArgs(
            model=model.name,
            endpoints=[
                Endpoint(
                    target=urls.target(url),
                    served_name=one.served_name,
                    key_env=routing.key_variable(model.name) if model.api_key else None,
                    key_revision=model.api_key.origin if model.api_key else None,
                )
                for url in one.endpoints
            ],
            context_length=one.context_length,
            max_output=one.max_output,
            input_price=model.input_price,
            output_price=model.output_price,
            tools=one.tools,
            vision=model.vision,
            embedding=model.embedding,
            tpm=model.tpm,
            rpm=model.rpm,
            verify=model.verify,
            serving=one.serving,
        )
        for one in offered
        for model in [one.declared]
    ]


def link_text(settings: Settings) -> str:
    """What the portal is called in the console's menu."""
    usual = settings.namespace == Settings.model_fields["namespace"].default
    return settings.exposure.console_link.text or ("LiteMaaS" if usual else f"LiteMaaS ({settings.namespace})")
