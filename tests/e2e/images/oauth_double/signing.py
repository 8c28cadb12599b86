"""RS256 of a key that is made at its first use; with the standard library alone, and good for a double only."""

import base64
import functools
import hashlib
import json
import random
import secrets
import threading

from cluster import Json

BITS, EXPONENT = 2048, 65537
# What PKCS #1 puts before a SHA-256 digest.
_PREFIX = bytes.fromhex("3031300d060960864801650304020105000420")
_SMALL = [number for number in range(3, 2000, 2) if all(number % each for each in range(3, int(number**0.5) + 1, 2))]


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _is_prime(number: int) -> bool:
    """Miller-Rabin, after the small divisors."""
    if any(number % each == 0 for each in _SMALL):
        return False
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for _ in range(12):
        found = pow(random.SystemRandom().randrange(2, number - 1), odd, number)
        if found in (1, number - 1):
            continue
        for _ in range(twos - 1):
            found = found * found % number
            if found == number - 1:
                break
        else:
            return False
    return True


def _prime() -> int:
    while True:
        # The two highest bits, so that the product has all of its own.
        found = secrets.randbits(BITS // 2) | 3 << (BITS // 2 - 2) | 1
        if found % EXPONENT != 1 and _is_prime(found):
            return found


class Signer:
    """One key for the life of the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    @functools.cached_property
    def _key(self) -> tuple[int, int]:
        first, second = _prime(), _prime()
        return first * second, pow(EXPONENT, -1, (first - 1) * (second - 1))

    def _numbers(self) -> tuple[int, int]:
        with self._lock:
            return self._key

    def public(self) -> Json:
        """The key as a JWK."""
        modulus = self._numbers()[0].to_bytes(BITS // 8, "big")
        numbers = {"n": _encoded(modulus), "e": _encoded(EXPONENT.to_bytes(3, "big"))}
        return {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "double", **numbers}

    def sign(self, claims: Json) -> str:
        """The claims as a JWT."""
        modulus, private = self._numbers()
        head = {"alg": "RS256", "typ": "JWT", "kid": "double"}
        signed = ".".join(_encoded(json.dumps(part).encode()) for part in (head, claims))
        digest = _PREFIX + hashlib.sha256(signed.encode()).digest()
        padded = b"\x00\x01" + b"\xff" * (BITS // 8 - len(digest) - 3) + b"\x00" + digest
        number = pow(int.from_bytes(padded, "big"), private, modulus)
        return f"{signed}.{_encoded(number.to_bytes(BITS // 8, 'big'))}"
