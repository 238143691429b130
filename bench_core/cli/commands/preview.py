"""Serve the published pages on this machine's loopback address only."""

from __future__ import annotations

import click


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=8080,
    show_default=True,
    help="Port on 127.0.0.1; 0 picks one.",
)
def command(port: int) -> None:
    """Serve the published pages on this machine's loopback address only.

    `asv preview` listens on every interface of the machine; on a shared host this is the safer
    way to look. Stop it with Ctrl-C. From elsewhere, use an ssh tunnel.
    """
    from functools import partial
    from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
    from pathlib import Path

    from bench_core.errors import RidgebenchError
    from bench_core.report.site import find_project

    project = find_project(Path.cwd())
    if not project.page.exists():
        raise RidgebenchError("no pages yet: run `ridgebench bench` or `ridgebench report` first")
    handler = partial(SimpleHTTPRequestHandler, directory=str(project.html))
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError as error:
        raise RidgebenchError(
            f"port {port} cannot be used ({error}): give another --port"
        ) from None
    with server:
        click.echo(f"http://127.0.0.1:{server.server_port}/{project.page.name}  (Ctrl-C stops)")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            click.echo("stopped")
