"""Keys as stack.toml lists them."""

from alknet.keys import ssh_public_line


def line_of(key, comment="somebody@somewhere"):
    """Return the OpenSSH line of *key*."""
    return ssh_public_line(key.public_key, comment)
