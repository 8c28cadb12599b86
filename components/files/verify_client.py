"""HTTP as a user's program would speak it: the cluster's authorities are trusted, nothing else is relaxed."""

import dataclasses
import functools
import http.client
import json
import socket
import ssl
import urllib.error
import urllib.parse
import urllib.request

from verify_report import Problem

REQUEST_SECONDS = 10
MOST_BYTES = 2_000_000


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a server answered, whatever the status."""

    status: int
    headers: object
    text: str

    def json(self):
        """The decoded body. Raises ValueError."""
        return json.loads(self.text)

    def said(self):
        """Status and, of an error, what it says about itself."""
        return f"{self.status} {self._message()}".strip()

    def _message(self):
        try:
            body = self.json()
        except ValueError:
            return "(a web page)" if self.text.lstrip().startswith("<") else self.text
        if not isinstance(body, dict):
            return self.text
        inner = body.get("error")
        if isinstance(inner, dict):
            return str(inner.get("message", inner))
        words = [inner, body.get("error_description"), body.get("message"), body.get("detail")]
        return ": ".join(str(word) for word in words if word) or self.text


class _Stay(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer to look at, not one to follow."""

    def redirect_request(self, *_):
        return None


class _There(http.client.HTTPSConnection):
    """A connection to ``address``, whatever the host resolves to; certificate and request are the host's."""

    def __init__(self, host, *, address, tls, **more):
        super().__init__(host, context=tls, **more)
        self._address, self._tls = address, tls

    def connect(self):
        plain = socket.create_connection((self._address, self.port), self.timeout)
        self.sock = self._tls.wrap_socket(plain, server_hostname=self.host)


class _AllThere(urllib.request.HTTPSHandler):
    """All HTTPS goes to one address, as curl's --connect-to does it; but not that to the host of ``elsewhere``."""

    def __init__(self, address, elsewhere, tls):
        super().__init__(context=tls)
        self._there = functools.partial(_There, address=address, tls=tls)
        self._elsewhere = urllib.parse.urlsplit(elsewhere or "").netloc

    def https_open(self, req):
        return super().https_open(req) if req.host == self._elsewhere else self.do_open(self._there, req)


class Client:
    """Trusts the authorities in the file that SSL_CERT_FILE names: those that every other pod trusts.

    ``address`` is where all hosts are reached but that of the URL ``elsewhere``, None for what they resolve to.
    """

    def __init__(self, address=None, elsewhere=None):
        context = ssl.create_default_context()
        # Python 3.13 and newer refuse authorities over details of their form that browsers, curl and
        # the portal's Node.js accept; chain, name and dates are verified in any case.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        # A proxy would resolve the names itself.
        way = [_AllThere(address, elsewhere, context), urllib.request.ProxyHandler({})] if address else []
        self._opener = urllib.request.build_opener(*(way or [urllib.request.HTTPSHandler(context=context)]), _Stay())

    def ask(self, method, url, body=None, headers=None, seconds=REQUEST_SECONDS):
        """The Answer to a request with a JSON body. Raises Problem if there is none."""
        request = urllib.request.Request(
            url,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Accept": "application/json", **(headers or {})},
        )
        if body is not None:
            request.add_header("Content-Type", "application/json")
        try:
            return _read(self._opener.open(request, timeout=seconds))
        except urllib.error.HTTPError as error:
            return _read(error)
        except (OSError, http.client.HTTPException) as error:
            raise _unreachable(url, error, seconds) from None


def _read(answer):
    with answer:
        return Answer(answer.status, answer.headers, answer.read(MOST_BYTES).decode(errors="replace"))


def _unreachable(url, error, seconds):
    host, reason = urllib.parse.urlsplit(url).netloc, getattr(error, "reason", error)
    if isinstance(reason, ssl.SSLCertVerificationError):
        return Problem(
            f"the certificate of {host} is not trusted: {reason.verify_message}",
            "the ingress certificate is not for this name, or its authority is not one that the cluster hands out",
            "name the authority in litemaas:trust.caBundle, or in trustedCA of `oc edit proxy/cluster`, or give the ingress controller another certificate",
        )
    if isinstance(reason, socket.gaierror):
        return Problem(
            f"{host} does not resolve",
            "the wildcard DNS record of the apps domain is missing, or pods cannot reach DNS",
            f"ask for {host} inside and outside of the cluster; compare litemaas:clusterDomain",
        )
    if isinstance(reason, TimeoutError):
        return Problem(
            f"{host} did not answer within {seconds} s",
            "a firewall or network policy drops the packets, or the pods behind it are overloaded",
            f"look at the pods behind it, and at the router: curl {host} from inside and outside of the cluster",
        )
    return Problem(
        f"{host} cannot be reached: {reason}",
        "the cluster's router does not serve this address, lets these pods not in (exposure.allowFrom), or something on the way closes the connection",
        f"oc get routes -A | grep {host}, or ingresses; oc get pods -n openshift-ingress; compare exposure.allowFrom",
    )
