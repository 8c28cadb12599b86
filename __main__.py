"""LiteMaaS on OpenShift: settings, provider, tiers in order, outputs."""

import gc

# The imports make objects that all stay; looking for garbage among them takes a third of the start.
gc.disable()

import pulumi
import pulumi_kubernetes as k8s
from pulumi import ErrorHook, ResourceOptions

from components.backend import Backend, BackendArgs
from components.cache import Cache, CacheArgs, Store
from components.cnpg import Operated
from components.credentials import Credential, Credentials, CredentialsArgs
from components.database import Database, DatabaseArgs
from components.diagnosis import explainer
from components.exposure import Exposure, ExposureArgs, Given, Issued, Kept
from components.external import External
from components.foundation import Foundation, FoundationArgs
from components.frontend import Frontend, FrontendArgs
from components.gateway import Gateway, GatewayArgs
from components.isolation import Isolation, IsolationArgs
from components.kube import Scope, Size
from components.models import ModelArgs, Models, ModelsArgs
from components.naming import API_ROUTE, GATEWAY_ROUTE, KUBERNETES, PORTAL_ROUTE, Addresses
from components.oauth import OAuthPrerequisites, OAuthPrerequisitesArgs
from components.postgres import Bundled
from components.server import Dimensions, Names
from components.sources import Fetched, Origin, Sources, SourcesArgs
from components.verification import Verification, VerificationArgs
from config import load
from config.exposure import Certificate
from config.loading import secret_outputs, secret_text, usable
from config.names import ADMINS, READONLY, USERS, identity, oauth_client
from config.preflight import prepare
from config.profiles import JOB, Sizing, instances, sizing
from config.types import quantity

gc.enable()
gc.freeze()

stack = pulumi.get_stack()
settings = load()
facts, cluster = prepare(settings, stack)
urls = Addresses(namespace=settings.namespace, domain=facts.domain)


def size(wanted: Sizing) -> Size:
    return Size(requests=wanted.requests, limits=wanted.limits, replicas=wanted.replicas)


def own_certificate(wanted: Certificate | None) -> Given | Kept | Issued | None:
    if wanted is None:
        return None
    if wanted.cert_manager:
        return Issued(issuer=wanted.cert_manager.issuer, kind=wanted.cert_manager.issuer_kind)
    if wanted.secret:
        return Kept(secret=wanted.secret)
    return Given(certificate=wanted.crt or "", key=secret_text(wanted.key))


sizes = {tier: size(sizing(settings, tier)) for tier in ("postgres", "redis", "litellm", "backend", "frontend")}


def postgres_server() -> Bundled | Operated | External:
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
        size=sizes["postgres"],
        storage=wanted.storage.size,
        storage_class=wanted.storage.storage_class,
        max_connections=wanted.max_connections,
        parameters=wanted.settings(),
    )
    if wanted.mode == "operator":
        return Operated(instances=instances(settings), dimensions=dimensions)
    return Bundled(image=settings.images.postgres, dimensions=dimensions, tls=settings.tls.internal)


images, access, storage, protect = settings.images, settings.access, settings.storage, settings.protect_data

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
    autoscaled=facts.autoscaled,
    on_failure=ErrorHook("explain-failure", explainer(cluster, settings.namespace)),
)

generated = Credentials(
    "credentials",
    CredentialsArgs(
        wanted=[
            Credential(
                name=spec.name,
                prefix=spec.prefix,
                entropy_bytes=spec.entropy_bytes,
                generation=source.generation,
                overlap=spec.overlap,
                irreplaceable=bool(spec.fixed),
            )
            for spec, source in settings.secrets.items()
        ],
        protect=protect,
    ),
)
foundation = Foundation(
    "foundation",
    FoundationArgs(scope=scope, authorities=facts.authorities, lasting=generated, protect=protect),
    ours,
)
scope = scope.within(foundation.namespace)
credentials = Sources(
    "sources",
    SourcesArgs(
        scope=scope,
        origins={
            spec.name: Origin(source=source.kind, generation=source.generation)
            for spec, source in settings.secrets.items()
        },
        generated=generated.values,
        given=secret_outputs(facts.secrets.given),
        external={
            spec.name: Fetched(
                store=wanted.store,
                store_kind=wanted.store_kind,
                key=wanted.key,
                part=wanted.part,
                check=usable(spec, facts.secrets.pinned.get(spec.name)),
            )
            for spec, source in settings.secrets.items()
            if (wanted := source.external_secret)
        },
    ),
    ours,
)
exposure = Exposure(
    "exposure",
    ExposureArgs(
        scope=scope,
        termination=settings.exposure.tls.termination,
        hosts=urls.hosts,
        certificate=own_certificate(settings.exposure.tls.certificate),
    ),
    ours,
)
groups = {ADMINS: access.admins, READONLY: access.readonly, USERS: access.users}
oauth = OAuthPrerequisites(
    "oauth",
    OAuthPrerequisitesArgs(
        scope=scope,
        client_id=oauth_client(settings.namespace),
        client_secret=credentials["oauthClientSecret"],
        former_secret=generated.former.get("oauthClientSecret"),
        redirect_uri=urls.oauth_callback,
        groups=groups if access.manage_groups else {},
    ),
    ours,
)
database = Database(
    "database",
    DatabaseArgs(
        scope=scope,
        server=postgres_server(),
        names=Names(**settings.database.names()),
        trust=foundation.trust,
        tools_image=images.postgres,
        job_size=size(JOB),
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
        host=urls.host(GATEWAY_ROUTE),
        tls=exposure.tls,
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
        trust=database.trust,
    ),
    ours,
)
models = Models(
    "models",
    ModelsArgs(
        scope=scope,
        image=images.litellm,
        size=size(JOB),
        gateway=gateway,
        gateway_url=gateway.internal_url,
        env_secret=gateway.env_secret,
        models=[
            ModelArgs(
                scope=scope,
                model=model.name,
                endpoint=urls.target(model.endpoint),
                served_name=model.backend_model,
                context_length=model.context_length,
                max_output=model.max_output or model.context_length,
                input_price=model.input_price,
                output_price=model.output_price,
                tools=model.tools,
                vision=model.vision,
                embedding=model.embedding,
                tpm=model.tpm,
                rpm=model.rpm,
                verify=model.verify,
            )
            for model in settings.models
        ],
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
        trust=database.trust,
        ready=[database, models],
        database_url=database.portal_url,
        gateway_database_url=database.portal_gateway_url,
        gateway_key=credentials["litellmMasterKey"],
        gateway_url=urls.target(urls.gateway),
        kubernetes_url=urls.target(KUBERNETES),
        jwt_secret=credentials["jwtSecret"],
        encryption_key=credentials["backendEncryptionKey"],
        admin_api_key=credentials["adminApiKey"],
        oauth_client_id=oauth.client_id,
        oauth_client_secret=oauth.client_secret,
        oauth_issuer=urls.target(urls.oauth_issuer),
        oauth_callback=urls.oauth_callback,
        origin=urls.portal,
        initial_admins=access.initial_admins,
        protect=protect,
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
        portal_host=urls.host(PORTAL_ROUTE),
        api_host=urls.host(API_ROUTE),
        tls=exposure.tls,
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
        size=size(JOB),
        trust=foundation.trust,
        tiers=tiers,
        # Not the whole of `oauth`: the members of groups are none of its business.
        revisions=[oauth.revision, *(tier.revision for tier in tiers)],
        declarations=models.declarations,
        portal_url=urls.target(urls.portal),
        api_url=urls.target(urls.api),
        gateway_url=urls.target(urls.gateway),
        oauth_issuer=urls.target(urls.oauth_issuer),
        oauth_client_id=oauth.client_id,
        oauth_callback=urls.oauth_callback,
        gateway_secret=gateway.env_secret,
        backend_secret=backend.env_secret,
    ),
    ours,
)
Isolation(
    "isolation",
    IsolationArgs(
        scope=scope,
        home=foundation.home,
        edges=[edge for tier in (database, gateway, models, backend, frontend, verification) for edge in tier.edges],
    ),
    ours,
)

pulumi.export("portal_url", urls.portal)
pulumi.export("gateway_url", urls.gateway)
pulumi.export("api_url", urls.api)
pulumi.export("namespace", foundation.namespace)
pulumi.export("models", models.names)
pulumi.export("litellm_ui_password", credentials["litellmUiPassword"])
