"""Reads certificates and keys in PEM, and says what is wrong with them.

Each function raises ValueError whose text is what the operator reads. No text quotes what was given, which
may be a private key. `cryptography` is imported where a certificate is read and not before: it takes 0.1 s.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)
_SOON = timedelta(days=30)


def bundle(text: str) -> str:
    """The certificate authorities of ``text`` in PEM, each once, with nothing between them."""
    kept: list[str] = []
    problems: list[str] = []
    for number, (pem, one) in enumerate(_read(text), start=1):
        which = f"certificate {number} ({_name(one)})"
        if one.not_valid_after_utc < datetime.now(UTC):
            problems.append(
                f"{which} expired on {one.not_valid_after_utc:%Y-%m-%d}; whatever it signed is refused; "
                "take it out, or write the authority's new certificate"
            )
        if _is_authority(one) is False:
            problems.append(
                f"{which} is no certificate authority but a server's; what other servers show would not be trusted, "
                "and this one's next certificate neither; write the authority that signed it"
            )
        kept.append(pem)
    if problems:
        raise ValueError(" | ".join(problems))
    return "".join(f"{pem}\n" for pem in dict.fromkeys(kept))


def chain(text: str) -> str:
    """A server's certificate and, behind it, the intermediate ones; all of them valid now."""
    now = datetime.now(UTC)
    problems: list[str] = []
    for number, (_, one) in enumerate(_read(text), start=1):
        which = f"certificate {number} ({_name(one)})"
        if one.not_valid_after_utc < now:
            problems.append(
                f"{which} expired on {one.not_valid_after_utc:%Y-%m-%d}; browsers and programs would refuse "
                "portal and gateway; write the renewed one with its key"
            )
        if one.not_valid_before_utc > now:
            problems.append(
                f"{which} is not valid before {one.not_valid_before_utc:%Y-%m-%d}; until then browsers and programs "
                "would refuse portal and gateway; write one that is valid now"
            )
        if number == 1 and _is_authority(one):
            problems.append(
                f"{which} is a certificate authority; browsers refuse one in a server's place; write the server's "
                "certificate first and the intermediate ones behind it"
            )
    if problems:
        raise ValueError(" | ".join(problems))
    return "".join(f"{pem}\n" for pem, _ in _read(text))


def private_key(text: str) -> None:
    """Sees that ``text`` is a private key in PEM without a passphrase."""
    _load_key(text)


def matching(certificates: str, key: str) -> None:
    """Sees that ``key`` belongs to the first of ``certificates``; both can be read."""
    _, first = _read(certificates)[0]
    if _load_key(key) != _public(first):
        msg = (
            f"is not the key of the certificate for {_name(first)}; the router would refuse the pair and serve "
            "nothing under these hosts; write the key that the certificate was made with"
        )
        raise ValueError(msg)


def uncovered(certificates: str, hosts: Iterable[str]) -> list[str]:
    """Those of ``hosts`` that the first of ``certificates`` is not good for."""
    names = server_names(certificates)
    return [host for host in hosts if host not in names and f"*.{host.partition('.')[2]}" not in names]


def server_names(certificates: str) -> Sequence[str]:
    """The host names that the first of ``certificates`` is good for, in lower case; browsers heed no other field."""
    from cryptography import x509  # noqa: PLC0415 (see the module's first lines)

    _, first = _read(certificates)[0]
    try:
        alternative = first.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [name.lower() for name in alternative.get_values_for_type(x509.DNSName)]


def ending(text: str) -> list[str]:
    """What of ``text``, which can be read, is valid for less than thirty days."""
    return [
        f"the certificate of {_name(one)} expires on {one.not_valid_after_utc:%Y-%m-%d}"
        for _, one in _read(text)
        if one.not_valid_after_utc < datetime.now(UTC) + _SOON
    ]


def _read(text: str) -> list[tuple[str, "Certificate"]]:
    from cryptography import x509  # noqa: PLC0415 (see the module's first lines)

    found: list[tuple[str, Certificate]] = []
    for number, match in enumerate(_BLOCK.finditer(text), start=1):
        if "PRIVATE KEY" in match[1]:
            msg = (
                "holds a private key, which would be read by everybody who may read certificates; take it out, and "
                "have key and certificate replaced, since this one is no secret any more"
            )
            raise ValueError(msg)
        if match[1] != "CERTIFICATE":
            msg = f"holds a {match[1]}, which no program takes from here; write certificates only"
            raise ValueError(msg)
        try:
            found.append((match[0], x509.load_pem_x509_certificate(match[0].encode())))
        except ValueError:
            msg = (
                f"certificate {number} cannot be read; programs would trust nothing of the whole file; write it as the "
                "authority hands it out, from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----"
            )
            raise ValueError(msg) from None
    if not found:
        msg = (
            "holds no certificate in PEM; nothing would be trusted by it; write text that begins with "
            "-----BEGIN CERTIFICATE----- (from DER: openssl x509 -inform der -in ca.der)"
        )
        raise ValueError(msg)
    return found


def _load_key(text: str) -> bytes:
    """The public half of a private key."""
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

    try:
        key = serialization.load_pem_private_key(text.encode(), password=None)
    except TypeError:
        msg = (
            "is locked with a passphrase, which the router does not know; write it without: openssl pkey -in tls.key "
            "and hand it to `pulumi config set --secret`"
        )
        raise ValueError(msg) from None
    except (ValueError, UnsupportedAlgorithm):
        msg = (
            "is no private key in PEM; the router would refuse the certificate; write the text from "
            "-----BEGIN PRIVATE KEY----- to -----END PRIVATE KEY-----"
        )
        raise ValueError(msg) from None
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.DER, form)


def _public(one: "Certificate") -> bytes:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return one.public_key().public_bytes(serialization.Encoding.DER, form)


def _is_authority(one: "Certificate") -> bool | None:
    """None if it does not say: authorities of the first days have no such field."""
    from cryptography import x509  # noqa: PLC0415

    try:
        return one.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return None


def _name(one: "Certificate") -> str:
    from cryptography.x509.oid import NameOID  # noqa: PLC0415

    names = one.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else one.subject.rfc4514_string() or "without a name"
