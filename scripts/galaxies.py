"""Write templates/misp/galaxies.json: technique id -> [tag, uuid of the cluster].

The galaxies are 42 MB, so this runs when the table is made and never where the connector runs:

    .venv/bin/python scripts/galaxies.py
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

OUT = Path(__file__).parent.parent / "templates" / "misp" / "galaxies.json"
GALAXIES = ("mitre-atlas-attack-pattern", "mitre-attack-pattern", "mitre-ics-techniques")


def _ics_id(listed: list[str] | None) -> str:
    """Return `T0859` for the `T859` that this galaxy writes."""
    return f"T{int(listed[0].removeprefix('T')):04d}" if listed else ""


def table() -> dict[str, tuple[str, str]]:
    """Return (tag, uuid) by technique id from the galaxies that are installed.

    Where two galaxies have an id the first one counts; a retired technique stays.
    """
    folder = files("pymispgalaxies") / "data" / "misp-galaxy" / "clusters"
    found: dict[str, tuple[str, str]] = {}
    for name in GALAXIES:
        galaxy = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        for one in galaxy["values"]:
            meta = one.get("meta", {})
            technique = meta.get("external_id") or _ics_id(meta.get("Technique ID"))
            if technique:
                tag = f'misp-galaxy:{galaxy["type"]}="{one["value"]}"'
                found.setdefault(technique, (tag, one["uuid"]))
    return found


def main() -> None:
    """Write the table anew."""
    rows = [f"  {json.dumps(key)}: {json.dumps(one)}" for key, one in sorted(table().items())]
    OUT.write_text("{\n" + ",\n".join(rows) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
