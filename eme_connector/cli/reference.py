"""Write the reference pages and config.example.yaml from the code: `python -m …cli.reference`.

A test compares what stands in the repository with what this returns.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path
from typing import Any, get_args

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from eme_connector.cli import COMMANDS, main
from eme_connector.config import Config

ROOT = Path(__file__).parent.parent.parent
_OWN = "3f0d3a52-58a5-4a6e-9a53-0d6a7a3c1f10"
_CERT = "8c1c2f6e-2d0b-4a3e-8f4d-5b7a9e1c3d20"
_GROUP = "b7e4d1a0-6c3f-4b2e-9d8a-1f5c7e3b9a30"
_VALUES: dict[str, Any] = {
    "instance.organisation": _OWN,
    "instance.name": "Metro sidecar",
    "organisations.uuid": _OWN,
    "organisations.name": "Metro",
    "organisations.aliases": ["Metro S.A."],
    "organisations.sector": "transport",
    "organisations.location": "GR",
    "organisations.default_group": _GROUP,
    "organisations.group_rules.group": _GROUP,
    "organisations.group_rules.type": "vulnerability",
    "organisations.assets.address": "10.1.2.9",
    "organisations.assets.device": "PLC-9",
    "organisations.assets.criticality": 5,
    "organisations.assets.type": "plc",
    "organisations.assets.tags": ["tram"],
    "sharing_groups.uuid": _GROUP,
    "sharing_groups.name": "Transport",
    "sharing_groups.members": [_OWN],
    "orchestrators.name": "soar",
    "orchestrators.url": "https://soar.example.org/hooks/eme",
    "orchestrators.secret": "whsec_ZXhhbXBsZS1leGFtcGxlLWV4YW1wbGUtZXhhbXA=",
    "redis.url": "redis://127.0.0.1:6379/0",
    "cerebrate.url": "https://cerebrate.example.org",
    "cerebrate.key": "0" * 40,
    "cerebrate.upstreams.name": "national",
    "cerebrate.upstreams.url": "https://cerebrate.national.example.org",
    "cerebrate.upstreams.key": "0" * 40,
    "misp.url": "https://misp.example.org",
    "misp.key": "put-the-key-here-or-its-file-in-key_file",
    "misp.receivers.organisation": _CERT,
    "misp.receivers.url": "https://misp.cert.example.org",
    "sync.targets.name": "cert-misp",
    "sync.targets.url": "https://misp.cert.example.org",
    "sync.targets.key": "put-the-key-here-or-its-file-in-key_file",
    "sync.targets.servers": ["https://misp.partner.example.org"],
    "sync.every_s": 60,
}


def pages() -> dict[str, str]:
    """Return every generated file: path below the repository -> text."""
    from eme_connector.web.app import document as openapi

    document = openapi()
    return {
        "config.example.yaml": example(),
        "docs/configuration.md": configuration(),
        "docs/cli.md": commands(),
        "docs/api.md": api(document),
        "docs/openapi.json": json.dumps(document, indent=1, ensure_ascii=False) + "\n",
    }


def example() -> str:
    """Return a configuration that names and explains every key."""
    lines = [
        "# Every key, with what it means and its default. A missing section switches its feature",
        "# off. EME_SECTION__KEY in the environment overrides a key, KEY_file reads it from a file",
    ]
    for name, field in Config.model_fields.items():
        model = _model(field)
        assert model is not None
        lines += ["", *_comment(_doc(model), "")]
        if _is_list(field):
            lines += [f"{name}:", *_entry(model, name, "  - ")]
        else:
            lines += [f"{name}:", *_keys(model, name, "  ")]
    return "\n".join(lines) + "\n"


def configuration() -> str:
    """Return the configuration reference."""
    lines = [
        "# Configuration",
        "",
        "The sidecar reads `config.yaml` (or the file that `--config` or `EME_CONFIG` names). A",
        "missing section switches its feature off; a half-filled one is an error, and so is a key",
        "that does not exist. All problems are told at once, each with its path.",
        "",
        "- `EME_SECTION__KEY` in the environment overrides one key of a section.",
        "- `KEY_file` in the place of `KEY` reads the value from a file: use it for secrets.",
        "- `eme config check` says whether a file can be used, `eme config show` what counts.",
        "",
    ]
    for name, field in Config.model_fields.items():
        model = _model(field)
        assert model is not None
        title = f"{name} (a list)" if _is_list(field) else name
        lines += [f"## {title}", "", _doc(model), "", *_table(model, name)]
    return "\n".join(lines).rstrip() + "\n"


def commands() -> str:
    """Return the command reference."""
    lines = ["# Commands", "", "`eme [--config PATH] COMMAND`. Exit codes:", ""]
    from eme_connector.cli.errors import EXIT_CODES

    lines += [f"- {code}: {word}" for word, code in EXIT_CODES.items()]
    context = click.Context(main, info_name="eme")
    for name in COMMANDS:
        command = main.get_command(context, name)
        assert command is not None
        lines += _command(command, f"eme {name}", context)
    return "\n".join(lines).rstrip() + "\n"


def api(document: dict[str, Any]) -> str:
    """Return the table of operations."""
    from eme_connector.web.routes import OPERATIONS

    rights = {one.id: str(one.right) for one in OPERATIONS.values()}
    lines = [
        "# API",
        "",
        "The base path is `/api/v1`; a running sidecar publishes the whole description (OpenAPI",
        "3.1) at `/api/v1/openapi.json`. Errors are RFC 9457 problem details. `public` needs no",
        "credential, `signed` is a message signed by a peer; everything else needs a token with",
        "the right, or the session of a person who has it. `decide` is never given to a token.",
        "",
        "| operation | | path | right | what it does |",
        "|---|---|---|---|---|",
    ]
    for path, operations in document["paths"].items():
        for method, found in operations.items():
            right = rights[found["operationId"]]
            lines.append(
                f"| `{found['operationId']}` | {method.upper()} | `{path}` | {right} |"
                f" {found['summary']} |"
            )
    return "\n".join(lines) + "\n"


def _entry(model: type[BaseModel], path: str, indent: str) -> list[str]:
    """Return the lines of one list entry: the first key carries the dash."""
    lines = _keys(model, path, " " * len(indent))
    first = next(i for i, line in enumerate(lines) if not line.lstrip().startswith("#"))
    return [*lines[:first], indent + lines[first].lstrip(), *lines[first + 1 :]]


def _keys(model: type[BaseModel], path: str, indent: str) -> list[str]:
    lines: list[str] = []
    for name, field in model.model_fields.items():
        inner, at = _model(field), f"{path}.{name}"
        lines += _comment(_description(field), indent)
        if inner is not None and _is_list(field):
            lines += [f"{indent}{name}:", *_entry(inner, at, f"{indent}  - ")]
        elif inner is not None:
            lines += [f"{indent}{name}:", *_keys(inner, at, f"{indent}  ")]
        else:
            lines.append(f"{indent}{name}: {_value(at, field)}")
    return lines


def _table(model: type[BaseModel], path: str) -> list[str]:
    rows = ["| key | default | meaning |", "|---|---|---|"]
    rows += [f"| `{key}` | {default} | {text} |" for key, default, text in _rows(model, "")]
    return [*rows, ""]


def _rows(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str, str]]:
    for name, field in model.model_fields.items():
        inner = _model(field)
        default = "" if field.is_required() else f"`{_plain(_default(field))}`"
        yield f"{prefix}{name}", default, _description(field).replace("|", "\\|")
        if inner is not None:
            yield from _rows(inner, f"{prefix}{name}[].")


def _value(path: str, field: FieldInfo) -> str:
    return _plain(_VALUES.get(path, _default(field)))


def _default(field: FieldInfo) -> Any:
    return None if field.default is PydanticUndefined else field.default


def _plain(value: Any) -> str:
    if isinstance(value, frozenset | tuple):
        value = sorted(value)
    if isinstance(value, Path):
        value = str(value)
    return json.dumps(value, ensure_ascii=False)


def _model(field: FieldInfo) -> type[BaseModel] | None:
    kinds = [field.annotation, *get_args(field.annotation)]
    return next((k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)), None)


def _is_list(field: FieldInfo) -> bool:
    return str(field.annotation).startswith("tuple")


def _doc(model: type[BaseModel]) -> str:
    return " ".join((model.__doc__ or "").split())


def _description(field: FieldInfo) -> str:
    return field.description or ""


def _comment(text: str, indent: str) -> list[str]:
    return [f"{indent}# {text}"] if text else []


def _command(command: click.Command, name: str, parent: click.Context) -> list[str]:
    context = click.Context(command, info_name=name.split()[-1], parent=parent)
    lines = ["", f"## {name}", "", cleandoc(command.help or ""), ""]
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record:
            lines.append(f"- `{record[0]}` {record[1]}".rstrip())
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            assert found is not None
            lines += _command(found, f"{name} {child}", context)
    return lines


if __name__ == "__main__":
    for path, text in pages().items():
        (ROOT / path).write_text(text, encoding="utf-8")
        click.echo(path)
