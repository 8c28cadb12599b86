"""Several backends behind each frontend: whose browser goes to which of them.

The state of a login lives in the memory of the backend that began it, so its callback has to come to the same
one, through whichever frontend. All frontends choose alike: by a random word that the browser got as a cookie
when its login began, and the same list of backends, each of which has a Service of its own. The next on the list
takes over while one is away. A login whose backend has gone is begun again by the browser, which OpenShift's
OAuth server, where its user has just logged in, lets pass without a question (docs/decisions/0035).
"""

from collections.abc import Sequence

from pulumi import Input, Output

from components import kube, volumes

URL = "http://litemaas_backends"
# The image includes *.conf of this directory outside its server block, where lists of servers belong.
_HTTP = "/opt/app-root/etc/nginx.d"
_KEY = "backends"


def files(backends: Sequence[Input[str]]) -> dict[str, Input[str]]:
    """Files of nginx' server block, and the list for outside of it; nothing without several ``backends``."""
    if not backends:
        return {}
    # Never taken off the list after a failure: frontends that remember different ones would choose differently.
    servers = Output.all(*backends).apply(lambda each: "\n".join(f"    server {one} max_fails=0;" for one in each))
    return {
        "logins.conf": kube.file("logins.conf"),
        "again.html": kube.file("again.html"),
        # Not *.conf: in the directory of the server block it would be taken for a part of that.
        _KEY: servers.apply(lambda text: kube.file("backends.conf.template").replace("${SERVERS}", text)),
    }


def mounts(backends: Sequence[Input[str]], config_map: Input[str]) -> list[volumes.Mount]:
    """The list of backends where nginx looks for it."""
    if not backends:
        return []
    return [volumes.projected("backends", _HTTP, [volumes.key(config_map, _KEY, "backends.conf")])]
