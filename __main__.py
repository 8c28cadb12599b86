"""LiteMaaS on OpenShift: settings, provider, tiers in order, outputs."""

import gc

# The imports make objects that all stay; looking for garbage among them takes a third of the start.
gc.disable()

import pulumi
import pulumi_kubernetes as k8s
from pulumi import ErrorHook, ResourceOptions

from components.backend import Backend, BackendArgs
from components.cache import Cache, CacheArgs, Store
from components.console import ApplicationMenu, ApplicationMenuArgs
from components.credentials import Credentials, CredentialsArgs
from components.database import Database, DatabaseArgs
from components.diagnosis import explainer
from components.exposure import Exposure, ExposureArgs
from components.foundation import Foundation, FoundationArgs
from components.frontend import Frontend, FrontendArgs
from components.gateway import Gateway, GatewayArgs
from components.isolation import Isolation, IsolationArgs
from components.keycheck import KeyCheck, KeyCheckArgs
from components.kube import Scope
from components.lockdown import Lockdown, LockdownArgs
from components.models import Models, ModelsArgs
from components.naming import API_ROUTE, GATEWAY_ROUTE, KUBERNETES, PORTAL_ROUTE
from components.oauth import OAuthPrerequisites, OAuthPrerequisitesArgs
from components.quota import Quota, QuotaArgs
from components.rolecheck import RoleCheck, RoleCheckArgs
from components.server import Names
from components.sources import Sources, SourcesArgs
from components.verification import Verification, VerificationArgs
from components.wiring import Place
from config import addresses, arguments, footprint, load, routing
from config.loading import secret_outputs
from config.names import ELEVATED, console_link, identity
from config.preflight import prepare
from config.profiles import JOB, termination
from config.types import quantity

gc.enable()
gc.freeze()

stack = pulumi.get_stack()
settings = load()
facts, cluster = prepare(settings, stack)
urls = addresses.of(settings, facts.domain)
doors = addresses.doors(settings, urls)
ingress = arguments.ingress(settings, facts.ingress_controller)
sizes = arguments.sizes(settings)
job_size = arguments.size(JOB)
images, access, storage, protect = settings.images.pulled(), settings.access, settings.storage, settings.protect_data

# An empty kubeconfig means the ambient one, read anew at each run; left out, the SDK would
# copy its path into the state. The context is pinned, so that a destroy goes where the up went.
provider = k8s.Provider(
    "cluster",
    kubeconfig="",
    context=cluster.context,
    cluster_identifier=stack,
    enable_config_map_mutable=True,
    enable_secret_mutable=True,
    # Default 5 and 10: a refresh of 100 objects would wait for the limiter.
    kube_client_settings=k8s.KubeClientSettingsArgs(qps=100, burst=200),
)
ours = ResourceOptions(provider=provider)
scope = Scope(
    namespace=settings.namespace,
    labels=identity(stack),
    timeout_seconds=settings.rollout_timeout_seconds,
    pull_secret=images.pull_secret,
    pull_policy=images.pull_policy,
    autoscaled=facts.autoscaled | arguments.autoscaled(settings),
    placements=arguments.placements(settings),
    on_failure=ErrorHook("explain-failure", explainer(cluster, settings.namespace)),
)

generated = Credentials(
    "credentials",
    CredentialsArgs(
        wanted=arguments.generated(settings),
        protect=protect,
    ),
)
foundation = Foundation(
    "foundation",
    FoundationArgs(scope=scope, authorities=facts.authorities, lasting=generated, protect=protect),
    ours,
)
scope = scope.within(foundation.namespace)
if settings.isolation.quota or settings.isolation.limit_range:
    Quota(
        "quota",
        QuotaArgs(
            scope=scope,
            home=foundation.home,
            hard=footprint.hard(settings),
            usual=arguments.usual(settings),
        ),
        ours,
    )
credentials = Sources(
    "sources",
    SourcesArgs(
        scope=scope,
        origins=arguments.origins(settings),
        generated=generated.values,
        given=secret_outputs(facts.secrets.given),
        external=arguments.fetched(settings, facts.secrets.pinned),
    ),
    ours,
)
exposure = Exposure(
    "exposure",
    ExposureArgs(
        scope=scope,
        doors=list(doors.values()),
        guard=arguments.guard(settings),
        ingress=ingress,
        termination=termination(settings),
        certificate=arguments.route_certificate(settings),
    ),
    ours,
)
oauth = OAuthPrerequisites(
    "oauth",
    OAuthPrerequisitesArgs(
        scope=scope,
        client=arguments.login_client(settings, credentials.values, generated.former),
        redirect_uri=urls.oauth_callback,
        groups=facts.groups,
    ),
    ours,
)
database = Database(
    "database",
    DatabaseArgs(
        scope=scope,
        server=arguments.postgres_server(settings, urls),
        names=Names(**settings.database.names()),
        trust=foundation.trust,
        tools_image=images.postgres,
        job_size=job_size,
        admin_password=credentials["postgresAdminPassword"],
        portal_password=credentials["portalDatabasePassword"],
        gateway_password=credentials["gatewayDatabasePassword"],
        protect=protect,
    ),
    ours,
)
cache = None
if settings.redis.mode == "bundled":
    cache = Cache(
        "cache",
        CacheArgs(
            scope=scope,
            image=images.redis,
            size=sizes["redis"],
            password=credentials["redisPassword"],
            # A quarter of the limit for Redis' own buffers, else the kernel kills it.
            max_memory=int(quantity(sizes["redis"].limits["memory"]) * 0.75),
            tls=settings.tls.internal,
        ),
        ours,
    )
redis = (
    cache.store
    if cache
    else Store(
        host=urls.server(*settings.redis.server),
        port=settings.redis.server[1],
        password=credentials["redisPassword"],
        tls=settings.redis.speaks_tls,
    )
)
gateway = Gateway(
    "gateway",
    GatewayArgs(
        scope=scope,
        image=images.litellm,
        size=sizes["litellm"],
        tuning=arguments.tuning(settings),
        door=doors[GATEWAY_ROUTE],
        entrance=exposure.entrance,
        internal_tls=settings.tls.internal,
        database=database,
        database_identity=database.gateway_identity,
        database_url=database.gateway_url,
        redis_host=redis.host,
        redis_port=redis.port,
        redis_password=redis.password,
        redis_tls=redis.tls,
        master_key=credentials["litellmMasterKey"],
        salt_key=credentials["litellmSaltKey"],
        ui_password=credentials["litellmUiPassword"],
        model_keys=arguments.model_keys(facts.model_keys),
        router_settings=routing.router_settings(facts.models),
        trust=database.trust,
    ),
    ours,
)
keys = KeyCheck(
    "key-check",
    KeyCheckArgs(
        scope=scope,
        image=images.litellm,
        size=job_size,
        schedule=settings.gateway.key_check.schedule,
        gateway=gateway,
        gateway_url=gateway.internal_url,
        env_secret=gateway.env_secret,
        trust=foundation.trust,
    ),
    ours,
)
models = Models(
    "models",
    ModelsArgs(
        scope=scope,
        image=images.litellm,
        size=job_size,
        gateway=gateway,
        gateway_url=gateway.internal_url,
        env_secret=gateway.env_secret,
        models=arguments.models(facts.models, urls),
        retired=settings.retired_models,
        trust=foundation.trust,
    ),
    ours,
)
backend = Backend(
    "backend",
    BackendArgs(
        scope=scope,
        image=images.backend,
        size=sizes["backend"],
        storage=storage.backups.size,
        storage_class=storage.backups.storage_class,
        access_mode=storage.backups.access_mode,
        trust=database.trust,
        ready=[database, models],
        database_url=database.portal_url,
        gateway_database_url=database.portal_gateway_url,
        gateway_key=credentials["litellmMasterKey"],
        gateway_url=urls.target(urls.gateway),
        users_url=arguments.users_api(settings, urls),
        jwt_secret=credentials["jwtSecret"],
        encryption_key=credentials["backendEncryptionKey"],
        admin_api_key=credentials["adminApiKey"],
        oauth_client_id=oauth.client_id,
        oauth_client_secret=oauth.client_secret,
        oauth_issuer=urls.target(facts.issuer),
        oauth_callback=urls.oauth_callback,
        oidc=arguments.claims(settings),
        origin=urls.portal,
        initial_admins=access.initial_admins,
        new_users=arguments.new_users(settings),
        protect=protect,
    ),
    ours,
)
roles = None
if access.enforce_groups:
    roles = RoleCheck(
        "role-check",
        RoleCheckArgs(
            scope=scope,
            image=images.backend,
            size=job_size,
            schedule=access.enforce_schedule,
            roles=ELEVATED,
            own_groups=[name for name in facts.groups if name in ELEVATED],
            initial_admins=access.initial_admins,
            backend=backend,
            env_secret=backend.env_secret,
            kubernetes_url=urls.target(KUBERNETES),
            database_url=database.portal_url,
            gateway_url=gateway.internal_url,
            trust=database.trust,
        ),
        ours,
    )
frontend = Frontend(
    "frontend",
    FrontendArgs(
        scope=scope,
        image=images.frontend,
        size=sizes["frontend"],
        backend_url=backend.url,
        backends=backend.addresses,
        gateway_url=urls.gateway,
        portal=doors[PORTAL_ROUTE],
        api=doors[API_ROUTE],
        entrance=exposure.entrance,
        internal_tls=settings.tls.internal,
    ),
    ours,
)
tiers = (database, *([cache] if cache else []), gateway, models, backend, frontend)
verification = Verification(
    "verification",
    VerificationArgs(
        scope=scope,
        image=images.litellm,
        size=job_size,
        trust=foundation.trust,
        tiers=tiers,
        # Not the whole of `oauth`: the members of groups are none of its business.
        revisions=[oauth.revision, exposure.revision, *(tier.revision for tier in tiers)],
        declarations=models.declarations,
        portal_url=urls.target(urls.portal),
        api_url=urls.target(urls.api),
        gateway_url=urls.target(urls.gateway),
        provider="oidc" if access.mode == "oidc" else "openshift",
        oauth_issuer=urls.target(facts.issuer),
        oauth_client_id=oauth.client_id,
        oauth_callback=urls.oauth_callback,
        gateway_secret=gateway.env_secret,
        backend_secret=backend.env_secret,
    ),
    ours,
)
if facts.console_link:
    link = settings.exposure.console_link
    ApplicationMenu(
        "application-menu",
        ApplicationMenuArgs(
            scope=scope,
            link=console_link(settings.namespace),
            portal=urls.portal,
            text=arguments.link_text(settings),
            section=link.section,
            image_url=link.image_url,
            ready=frontend,
        ),
        ours,
    )
callers = (database, gateway, keys, models, backend, *([roles] if roles else []), frontend, verification)
watched = (gateway.internal_url, backend.url) if settings.isolation.monitoring else ()
Isolation(
    "isolation",
    IsolationArgs(
        scope=scope,
        home=foundation.home,
        edges=[
            *(edge for tier in callers for edge in tier.edges),
            *(target.called_by(Place.MONITORING) for target in watched),
        ],
        ingress=ingress,
    ),
    ours,
)
if facts.guarded:
    Lockdown(
        "lockdown",
        LockdownArgs(
            scope=scope,
            caller=gateway.internal_url.peer,
            services=facts.guarded,
        ),
        ours,
    )

pulumi.export("portal_url", urls.portal)
pulumi.export("gateway_url", urls.gateway)
pulumi.export("api_url", urls.api)
pulumi.export("login_issuer", facts.issuer)
pulumi.export("namespace", foundation.namespace)
pulumi.export("models", models.names)
pulumi.export("litellm_ui_password", credentials["litellmUiPassword"])
