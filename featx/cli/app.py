"""All commands together."""

from __future__ import annotations

from typing import Annotated

import typer

from featx.cli import (
    cache_cmd,
    compare_cmd,
    curve_cmd,
    demo_cmd,
    export_cmd,
    extract_cmd,
    finetune_cmd,
    fit_cmd,
    inspect_cmd,
    layers_cmd,
    lists_cmd,
    plan_cmd,
    predict_cmd,
    report_cmd,
    run_cmd,
    stats_cmd,
)
from featx.cli import command as shared

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
    version: Annotated[  # noqa: ARG001  # its callback answers
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Embed images once with a frozen backbone, fit heads in seconds, believe the number.

    Start with `featx demo`, or with `featx extract FOLDER --backbone vgg16`.
    """
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


for one in (
    stats_cmd.stats,
    plan_cmd.plan,
    extract_cmd.extract,
    fit_cmd.fit,
    finetune_cmd.finetune,
    predict_cmd.predict,
    compare_cmd.compare,
    curve_cmd.curve,
    layers_cmd.layers,
    report_cmd.report,
    inspect_cmd.inspect,
    run_cmd.run,
    demo_cmd.demo,
    cache_cmd.ls,
    cache_cmd.info,
    cache_cmd.verify,
    cache_cmd.rm,
    cache_cmd.gc,
    export_cmd.export,
    fit_cmd.runs,
    lists_cmd.backbones,
    lists_cmd.heads,
):
    app.command(one.__name__)(one)
