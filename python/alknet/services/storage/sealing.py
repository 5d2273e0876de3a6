"""What is sealed: the vault asked to seal, open and rotate, on behalf of whoever calls.

The vault is another service's; it is asked through the caller's own context, so it is the vault of
the caller's tenant, and locked when that is locked.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final, Protocol, TypeVar

import msgspec

from alknet.call.client import Client
from alknet.call.context import Context
from alknet.errors import CallError, DecryptionFailed, InvalidInput, NotFound, Unavailable
from alknet.protocol.secret import Decrypt, DeriveEncryptionKey, Encrypt, Rotate
from alknet.protocol.secret import Sealed as SealedBytes
from alknet.protocol.storage import (
    Line,
    Node,
    NodeLine,
    OpenNode,
    RotateGraph,
    Rotation,
    Sealing,
)
from alknet.runtime.service import handler
from alknet.services.storage.base import Storage
from alknet.store import nodes, rotation
from alknet.store.change import Change
from alknet.store.rotation import Aged
from alknet.store.sealing import Plain, Sealed, Seals, Unsealed, place

T = TypeVar("T")
L = TypeVar("L", bound=Line)
Kept = TypeVar("Kept", covariant=True)

# Before anything has been sealed.
NOTHING: Final[Seals] = {}
# What a handler that keeps attributes has to declare that it uses.
SEALING: Final = (Encrypt, DeriveEncryptionKey)
OPENING: Final = (Decrypt,)

_LISTED_FAILURES: Final = 10
_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


class Keep(Protocol[Kept]):
    """A change that keeps attributes; *seals* holds those of them that have been sealed."""

    def __call__(self, change: Change, seals: Seals = ...) -> Kept: ...


class SealedHandlers(Storage):
    """Sealed nodes, opened and rotated; and how the other handlers have attributes sealed."""

    @handler(concurrent=True, uses=OPENING)
    async def open_node(self, request: OpenNode, context: Context) -> Node:
        node = self._look(
            request.graph, lambda connection, graph: nodes.get(connection, graph, request.key)
        )
        if node.sealed is None:
            return node
        attributes = await _opened(context.env, node.sealed, node.graph, node.key)
        return msgspec.structs.replace(node, attributes=attributes, sealed=None)

    @handler(uses=(Rotate, DeriveEncryptionKey))
    async def rotate_graph(self, request: RotateGraph, context: Context) -> AsyncIterator[Rotation]:
        name = request.graph
        begun = await self._change(
            context, lambda change: rotation.begin(change, name, request.to_version)
        )
        to_version = begun.to_version
        state = Rotation(name, to_version, begun.total - begun.left, begun.total)
        yield state
        env, after = context.env, ""
        path = None
        while True:
            aged = self._aged(name, to_version, after)
            if not aged:
                return
            if path is None:
                path = await _path(env, to_version)
            resealed, failed = await _rotated(env, name, to_version, path, aged)
            done = await self._put(context, name, to_version, resealed)
            state = Rotation(
                name,
                to_version,
                state.done + done,
                state.total,
                state.failed + len(failed),
                (*state.failed_keys, *failed)[:_LISTED_FAILURES],
            )
            yield state
            after = aged[-1].key

    def _aged(self, name: str, to_version: int, after: str) -> list[Aged]:
        return self._look(
            name,
            lambda connection, graph: rotation.page(connection, graph, to_version, after),
        )

    async def _put(
        self, context: Context, name: str, to_version: int, resealed: list[tuple[Aged, Sealing]]
    ) -> int:
        return await self._change(
            context, lambda change: rotation.put(change, name, to_version, resealed)
        )

    async def _keep(self, context: Context, keep: Keep[T]) -> T:
        """Return what *keep* does, on behalf of the caller, with what it needs sealed."""
        change: Callable[[Change], T] = keep
        while True:
            try:
                return await self._change(context, change)
            except Unsealed as unsealed:
                plain = unsealed.plain
            change = partial(keep, seals=await _sealed(context.env, plain))

    async def _opened_lines(self, context: Context, graph: str, lines: Sequence[L]) -> Sequence[L]:
        """Return *lines* with the attributes, in clear, of those that were sealed in *graph*.

        They keep their `sealed`, by which it is known that they must not be kept in clear.
        """
        if not any(isinstance(line, NodeLine) and line.sealed is not None for line in lines):
            return lines
        env = context.env
        return [await _opened_line(env, graph, index, line) for index, line in enumerate(lines)]


async def _sealed(env: Client, plain: Mapping[int, Plain]) -> dict[int, Sealed]:
    paths: dict[int, str] = {}
    seals: dict[int, Sealed] = {}
    for position, each in plain.items():
        version = each.key_version
        if version not in paths:
            paths[version] = await _path(env, version)
        sealed = await env.call(Encrypt(each.text.encode(), version, place(each.graph, each.key)))
        seals[position] = Sealed(each.key, _sealing(sealed, paths[version]))
    return seals


async def _path(env: Client, key_version: int) -> str:
    try:
        return (await env.call(DeriveEncryptionKey(key_version))).path
    except NotFound:
        raise _no_vault() from None


async def _opened(env: Client, sealing: Sealing, graph: str, key: str) -> dict[str, Any]:
    try:
        plaintext = await env.call(Decrypt(_bytes(sealing), place(graph, key)))
    except NotFound:
        raise _no_vault() from None
    except DecryptionFailed:
        raise DecryptionFailed(
            f"the node {key!r} of the graph {graph!r} does not open: it was sealed by another "
            f"seed or tenant, for another place, or has been altered"
        ) from None
    return _decode(plaintext.data)


async def _opened_line(env: Client, graph: str, index: int, line: L) -> L:
    if not isinstance(line, NodeLine) or line.sealed is None:
        return line
    try:
        if line.key is None or line.attributes:
            raise InvalidInput(
                "a sealed line has the key that it was sealed for, and no attributes"
            )
        attributes = await _opened(env, line.sealed, graph, line.key)
    except CallError as error:
        error.details = {**(error.details or {}), "index": index}
        raise
    return msgspec.structs.replace(line, attributes=attributes)


async def _rotated(
    env: Client, graph: str, to_version: int, path: str, aged: Iterable[Aged]
) -> tuple[list[tuple[Aged, Sealing]], list[str]]:
    """Return what has been sealed anew, and the keys of those that do not open."""
    resealed: list[tuple[Aged, Sealing]] = []
    failed: list[str] = []
    for each in aged:
        try:
            sealed = await env.call(
                Rotate(_bytes(each.sealing), to_version, place(graph, each.key))
            )
        except (DecryptionFailed, InvalidInput):
            failed.append(each.key)
        else:
            resealed.append((each, _sealing(sealed, path)))
    return resealed, failed


def _sealing(sealed: SealedBytes, path: str) -> Sealing:
    return Sealing(path, sealed.key_version, sealed.salt, sealed.iv, sealed.data)


def _bytes(sealing: Sealing) -> SealedBytes:
    return SealedBytes(sealing.key_version, sealing.salt, sealing.iv, sealing.data)


def _no_vault() -> Unavailable:
    return Unavailable(
        "there is no vault to seal or open it with: turn it on with [secrets] in stack.toml",
        retryable=False,
    )
