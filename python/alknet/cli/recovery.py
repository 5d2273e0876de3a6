"""A node made anew from its recovery phrase alone: what that gives back, and what it cannot."""

from pathlib import Path

from alknet.cli.identity import KEY_FILE
from alknet.cli.init import stack_of
from alknet.cli.output import emit, emit_json
from alknet.cli.phrase import PhraseSource
from alknet.cli.publish import publish
from alknet.cli.share_source import ShareSource
from alknet.cli.stack_toml import PROFILES, ProfileName
from alknet.cli.target import CONFIG
from alknet.keys import ssh_fingerprint, ssh_public_line
from alknet.runtime.vault import HOST_KEY_PATH, IDENTITY_PATH

_LOST = """\
A phrase cannot give back what never grew out of it:
  - the database: graphs, tasks, accounts and the audit log (alknet restore FILE, from a backup)
  - whom the node knew: peers, tokens and rules; list them again in {config}
  - the operator's old key; {key} is a new one
  - what is in other hands: workers' keys, certificates of an authority"""


def recover(
    config: Path,
    source: PhraseSource | ShareSource,
    *,
    name: str,
    profile: ProfileName,
    as_json: bool,
) -> None:
    """Write the files of the node that *source* has the phrase of, and say what is back.

    Raises:
        Failure: files are there already, or the phrase cannot be read.
        BadMnemonic, BadShare: it is no phrase, or does not come together.
    """
    keyring = source.keyring()
    try:
        identity = keyring.ed25519(IDENTITY_PATH).public_key
        host_key = keyring.ed25519(HOST_KEY_PATH).public_key
        files = stack_of(keyring, name=name, profile=PROFILES[profile])
    finally:
        keyring.lock()
    key = config.parent / KEY_FILE
    contents = {config: files[str(CONFIG)], key: files[KEY_FILE]}
    publish(contents, overwrites=False)
    if as_json:
        emit_json({
            "identity": ssh_fingerprint(identity),
            "host_key": ssh_public_line(host_key, name),
            "made": [str(path) for path in contents],
        })  # fmt: skip
        return
    emit(f"identity  {ssh_fingerprint(identity)}")
    emit(f"host key  {ssh_public_line(host_key, name)}")
    emit("secrets   every key version: what this node has sealed opens again")
    emit(f"made {config} and {key}\n")
    emit(_LOST.format(config=config, key=key))
