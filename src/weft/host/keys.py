"""Keys of WireGuard: pairs of X25519, in base 64 as its own tools write them."""

from base64 import b64decode, b64encode


def make_key() -> str:
    """A new private key."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    return _dump(X25519PrivateKey.generate().private_bytes_raw())


def find_public(private: str) -> str:
    """The public key that belongs to a private one. Raises ValueError."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    return _dump(X25519PrivateKey.from_private_bytes(b64decode(private, validate=True)).public_key().public_bytes_raw())


def _dump(key: bytes) -> str:
    return b64encode(key).decode()
