"""Commands that talk to a running node: they take the same options, which stand here, once."""

import inspect
from collections.abc import Awaitable, Callable
from functools import partial, update_wrapper
from pathlib import Path
from typing import Annotated, Any, Concatenate, ParamSpec

import trio
import typer

from alknet import logs
from alknet.cli import identity
from alknet.cli.failure import Debug
from alknet.cli.target import DEFAULT_URL, Target, find_target

P = ParamSpec("P")

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="The node's settings.  (default: stack.toml)"),
]


def talks_to_a_node(
    command: Callable[Concatenate[Target, P], Awaitable[None]],
) -> Callable[..., None]:
    """Make a command of an async function of a Target, adding the options that say which one."""

    def run(
        node: Annotated[
            str | None,
            typer.Option(
                "--node",
                metavar="URL",
                help=f"The node.  (default: what its settings say, or {DEFAULT_URL})",
            ),
        ] = None,
        config: ConfigFile = None,
        identity_file: Annotated[
            Path | None,
            typer.Option(
                "--identity",
                metavar="FILE",
                envvar=identity.VARIABLE,
                show_envvar=False,
                help=f"The key to call with.  "
                f"(default: ${identity.VARIABLE}, or {identity.KEY_FILE} beside the settings)",
            ),
        ] = None,
        token_file: Annotated[
            Path | None, typer.Option(metavar="FILE", help="A token to call with, instead.")
        ] = None,
        timeout: Annotated[
            float, typer.Option(metavar="SECONDS", min=0.001, help="How long an answer may take.")
        ] = 30.0,
        expect: Annotated[
            str | None,
            typer.Option(
                metavar="KEY",
                help="The node's key or fingerprint; any other node is refused.  "
                "(default: `identity` in its settings)",
            ),
        ] = None,
        ca: Annotated[
            Path | None,
            typer.Option(
                metavar="FILE",
                help="Authorities that may vouch for the node over TLS.  "
                "(default: those of the system)",
            ),
        ] = None,
        debug: Debug = False,
        **arguments: Any,
    ) -> None:
        logs.configure(is_verbose=debug, level="debug" if debug else "critical")
        target = find_target(node, config, identity_file, token_file, timeout, expect, ca)
        trio.run(partial(command, target, **arguments))

    own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
    common = [
        parameter
        for parameter in inspect.signature(run, eval_str=True).parameters.values()
        if parameter.kind is not parameter.VAR_KEYWORD
    ]
    parameters = [each.replace(kind=each.KEYWORD_ONLY) for each in (*own, *common)]
    update_wrapper(run, command)
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    return run
