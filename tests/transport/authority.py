"""A certificate authority of the tests' own."""

import datetime
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


class Authority:
    """Issues certificates into *folder*; `path` is its own."""

    def __init__(self, folder):
        self.folder = folder
        self.path = folder / "authority.pem"
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = named("an authority of the tests")
        certificate = (
            begun(self._name, self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.path.write_bytes(pem(certificate))
        self._issued = 0

    def issue(self, *names, kind="ecdsa"):
        """Return the paths of a certificate for *names*, and of its key."""
        self._issued += 1
        if kind == "ed25519":
            key = ed25519.Ed25519PrivateKey.generate()
        else:
            key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            begun(named(names[0]), self._name, key.public_key())
            .add_extension(x509.SubjectAlternativeName([alternative(n) for n in names]), False)
            .sign(self._key, hashes.SHA256())
        )
        chain = self.folder / f"chain-{self._issued}.pem"
        private = self.folder / f"key-{self._issued}.pem"
        chain.write_bytes(pem(certificate))
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return chain, private


def named(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def alternative(name):
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def begun(subject, issuer, public_key):
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + DAY)
    )


def pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)
