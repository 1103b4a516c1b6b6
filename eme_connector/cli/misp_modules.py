"""`eme misp-modules`: where the modules for misp-modules are, or a copy of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from eme_connector.cli.context import json_option, show

KINDS = ("expansion", "import_mod", "export_mod", "action_mod")


@click.group("misp-modules")
def misp_modules() -> None:
    """Modules that a misp-modules server loads: `misp-modules -c "$(eme misp-modules path)"`."""


@misp_modules.command()
@json_option
def path(as_json: bool) -> None:
    """Print the folder for `misp-modules -c`."""
    found = folder()
    show({"path": str(found), "modules": names(found)}, as_json, [str(found)])


@misp_modules.command()
@click.argument("dest", type=click.Path(file_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only show what would be copied.")
@json_option
def export(dest: Path, dry_run: bool, as_json: bool) -> None:
    """Copy the modules to DEST, for a container that mounts a folder of custom modules.

    eme-connector itself must be installed in that container too.
    """
    found = folder()
    copied = [dest / one for one in names(found)]
    for target in () if dry_run else copied:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(found / target.relative_to(dest), target)
    show(
        {"path": str(dest), "files": [str(one) for one in copied], "dry_run": dry_run},
        as_json,
        map(str, copied),
    )


def folder() -> Path:
    """Return the folder with our modules, wherever the package is installed."""
    import eme_connector

    return (Path(eme_connector.__file__).parent / "_misp_modules").resolve()


def names(found: Path) -> list[str]:
    """Return our modules below *found*, by kind."""
    return [f"{kind}/{one.name}" for kind in KINDS for one in sorted((found / kind).glob("*.py"))]
