"""The commands `dj` and `datajoint`: a Python shell with ``dj`` imported and a connection at hand."""

from __future__ import annotations

import click


@click.command()
@click.option("-u", "--user", help="Database user.")
@click.option("-p", "--password", help="Database password; DJ_PASS keeps it off the command line.")
@click.option("-h", "--host", help="Database host.")
@click.option(
    "-s", "--schemas", multiple=True, metavar="SCHEMA:NAME", help="Open SCHEMA as module NAME; repeatable."
)
@click.version_option(package_name="dj-workers")
def main(user: str | None, password: str | None, host: str | None, schemas: tuple[str, ...]) -> None:
    """Open a Python shell with DataJoint."""
    import code

    import datajoint as dj

    if host or user or password:
        dj.conn(host, user, password, reset=True)
    names: dict[str, object] = {"dj": dj}
    for item in schemas:
        database, _, name = item.partition(":")
        names[name or database] = dj.virtual_schema(database)
    shown = ", ".join(names)
    code.interact(banner=f"DataJoint {dj.__version__}\nNames: {shown}", local=names, exitmsg="")


if __name__ == "__main__":
    main()
