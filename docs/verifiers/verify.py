# Verifies a Sallyport-Assertion: python3 verify.py ASSERTION JWKS_FILE AUDIENCE [ISSUER]
import base64
import hashlib
import json
import sys
import time

# The curve P-256 (FIPS 186-4, D.1.2.3). Only public values are handled here, so nothing has to take constant time.
P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)


def add(one, other):
    if one is None or other is None:
        return one or other
    if one[0] == other[0]:
        if (one[1] + other[1]) % P == 0:
            return None
        slope = (3 * one[0] * one[0] - 3) * pow(2 * one[1], -1, P)
    else:
        slope = (other[1] - one[1]) * pow(other[0] - one[0], -1, P)
    x = (slope * slope - one[0] - other[0]) % P
    return x, (slope * (one[0] - x) - one[1]) % P


def multiply(scalar, point):
    total = None
    while scalar:
        if scalar & 1:
            total = add(total, point)
        point = add(point, point)
        scalar >>= 1
    return total


def decode(part):
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def is_signed(message, signature, key):
    x, y = (int.from_bytes(decode(key[name]), "big") for name in ("x", "y"))
    if len(signature) != 64 or not (x < P and y < P) or (y * y - (x * x * x - 3 * x + B)) % P != 0:
        return False
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    if not (0 < r < N and 0 < s < N):
        return False
    digest = int.from_bytes(hashlib.sha256(message).digest(), "big")
    inverse = pow(s, -1, N)
    point = add(multiply(digest * inverse % N, G), multiply(r * inverse % N, (x, y)))
    return point is not None and point[0] % N == r


def verify_assertion(assertion, keys, audience, issuer="sallyport", now=None):
    header, payload, signature = assertion.split(".")
    head = json.loads(decode(header))
    named = [key for key in keys if key.get("kid") == head.get("kid") and key.get("crv") == "P-256"]
    if head.get("alg") != "ES256" or not named:
        raise ValueError("not signed by a known key")
    if not is_signed(f"{header}.{payload}".encode(), decode(signature), named[0]):
        raise ValueError("bad signature")
    claims = json.loads(decode(payload))
    if claims.get("iss") != issuer or claims.get("aud") != audience:
        raise ValueError("for somebody else")
    if not (time.time() if now is None else now) < claims["exp"]:
        raise ValueError("expired")
    return claims


if __name__ == "__main__":
    try:
        with open(sys.argv[2], encoding="utf-8") as file:
            print(json.dumps(verify_assertion(sys.argv[1], json.load(file)["keys"], *sys.argv[3:])))
    except (ValueError, KeyError) as error:
        sys.exit(str(error))
