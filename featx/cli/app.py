"""All commands together."""

from __future__ import annotations

from typing import Annotated

import typer

from featx.cli import command as shared
from featx.cli import extract_cmd, fit_cmd, predict_cmd

app = typer.Typer(
    name="featx",
    cls=shared.Group,
    invoke_without_command=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"featx {version('featx')}")
        raise typer.Exit


@app.callback()
def root(
    ctx: typer.Context,
    debug: shared.Debug = False,  # noqa: ARG001 - each command asks the root for it
    version: Annotated[  # noqa: ARG001
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Embed images once with a frozen backbone, fit heads in seconds, believe the number.

    Start with `featx demo`, or with `featx extract FOLDER --backbone vgg16`.
    """
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


app.command("extract")(extract_cmd.extract)
app.command("fit")(fit_cmd.fit)
app.command("predict")(predict_cmd.predict)
app.command("runs")(fit_cmd.runs)
