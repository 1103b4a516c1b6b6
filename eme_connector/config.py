"""Configuration: config.yaml, overridden by EME_SECTION__KEY; secrets also as KEY_file.

`load()` returns a frozen Config or raises ConfigError with every problem at once, each with its
dotted path. A missing section switches its feature off; a half-filled one is a problem.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator

from eme_connector.config_sections import (
    Asset,
    Cerebrate,
    CerebrateServer,
    Delivery,
    Egress,
    GroupRule,
    Instance,
    Limits,
    Live,
    Log,
    Misp,
    MispReceiver,
    Orchestrator,
    Organisation,
    Redis,
    Response,
    Section,
    Serve,
    Sessions,
    Sharing,
    SharingGroup,
    Store,
    Upstream,
)
from eme_connector.config_sync import Sync, SyncTarget
from eme_connector.errors import ConfigError

PREFIX = "EME_"


class Config(Section):
    """The whole configuration."""

    instance: Instance
    organisations: tuple[Organisation, ...] = Field(description="Organisations we know.")
    sharing_groups: tuple[SharingGroup, ...] = Field((), description="Groups we know.")
    store: Store = Store(url=None)
    serve: Serve = Serve()
    live: Live = Live()
    limits: Limits = Limits()
    sharing: Sharing = Sharing()
    response: Response = Response()
    orchestrators: tuple[Orchestrator, ...] = Field((), description="What runs playbooks.")
    delivery: Delivery = Delivery()
    misp: Misp | None = Field(None, description="Our own MISP.")
    cerebrate: Cerebrate | None = Field(None, description="Our own Cerebrate.")
    sync: Sync | None = Field(None, description="Sharing groups relayed to others.")
    redis: Redis | None = Field(None, description="What several processes share.")
    egress: Egress = Egress()
    sessions: Sessions = Sessions()
    log: Log = Log()

    @model_validator(mode="after")
    def _references(self) -> Config:
        problems = list(_dangling(self))
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def store_url(self) -> str:
        """The database's URL; SQLite in the data folder by default."""
        if self.store.url is not None:
            return self.store.url.get_secret_value()
        return f"sqlite:///{(self.instance.data_dir / 'eme.db').absolute()}"

    @property
    def public_url(self) -> str:
        """How others reach us, without a slash at the end."""
        return self.serve.public_url or f"http://{self.serve.host}:{self.serve.port}"


def load(path: Path, environ: Mapping[str, str] = os.environ) -> Config:
    """Return the configuration in *path* with EME_SECTION__KEY overrides applied.

    Raises:
        ConfigError: with every problem, each starting with its dotted path.
    """
    return parse(_read(path), environ, base=path.parent)


def parse(tree: Any, environ: Mapping[str, str] = os.environ, *, base: Path = Path()) -> Config:
    """Return the configuration in *tree*; relative `…_file` and data_dir paths start at *base*."""
    if not isinstance(tree, dict):
        raise ConfigError(["the configuration must be a mapping of sections"])
    problems: list[str] = []
    _override(tree, environ, problems)
    _read_secrets(tree, base, "", problems)
    try:
        config = Config.model_validate(tree)
    except ValidationError as exc:
        raise ConfigError([*problems, *_problems(exc)]) from exc
    if problems:
        raise ConfigError(problems)
    data_dir = base / config.instance.data_dir
    return config.model_copy(
        update={"instance": config.instance.model_copy(update={"data_dir": data_dir})}
    )


def _read(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        raise ConfigError([f"{path}: there is no such file; `eme init` writes one"]) from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError([f"{path}: cannot be read: {type(exc).__name__}"]) from exc
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise ConfigError([f"{path}: is not YAML{where}"]) from exc


def _override(tree: dict[str, Any], environ: Mapping[str, str], problems: list[str]) -> None:
    for name in sorted(environ):
        section, found, key = name.removeprefix(PREFIX).partition("__")
        if not name.startswith(PREFIX) or not found:
            continue
        target = tree.setdefault(section.lower(), {})
        if isinstance(target, dict):
            target[key.lower()] = yaml.safe_load(environ[name])
        else:
            problems.append(f"{name}: {section.lower()} is a list; only its file can set it")


def _read_secrets(node: Any, base: Path, at: str, problems: list[str]) -> None:
    if isinstance(node, list):
        for index, item in enumerate(node):
            _read_secrets(item, base, f"{at}.{index}", problems)
    if not isinstance(node, dict):
        return
    for key in list(node):
        where = f"{at}.{key}".lstrip(".")
        if isinstance(key, str) and key.endswith("_file"):
            try:
                text = (base / str(node.pop(key))).read_text(encoding="utf-8")
                node[key.removesuffix("_file")] = text.strip()
            except (OSError, UnicodeDecodeError) as exc:
                problems.append(f"{where}: cannot be read: {type(exc).__name__}")
        else:
            _read_secrets(node[key], base, where, problems)


def _problems(exc: ValidationError) -> list[str]:
    return [_problem(error) for error in exc.errors(include_input=False, include_url=False)]


def _problem(error: Any) -> str:
    path = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        hint = _suggestion(error["loc"])
        return f"{path}: there is no such key{hint}"
    message = error["msg"].removeprefix("Value error, ")
    return f"{path}: {message}" if path else message


def _suggestion(location: tuple[Any, ...]) -> str:
    model: Any = Config
    for part in location[:-1]:
        if isinstance(part, str) and model is not None:
            model = _section_of(model, part)
    known = list(model.model_fields) if model is not None else []
    close = difflib.get_close_matches(str(location[-1]), known, n=1)
    return f"; did you mean `{close[0]}`?" if close else ""


def _section_of(model: type[BaseModel], name: str) -> type[BaseModel] | None:
    field = model.model_fields.get(name)
    if field is None:
        return None
    kinds = [field.annotation, *getattr(field.annotation, "__args__", ())]
    return next((k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)), None)


def _dangling(config: Config) -> list[str]:
    known = {one.uuid for one in config.organisations}
    groups = {one.uuid for one in config.sharing_groups}
    found = []
    if config.serve.workers > 1 and config.store_url.startswith("sqlite"):
        found.append("serve.workers: more than 1 needs PostgreSQL (store.url)")
    if config.instance.organisation not in known:
        found.append("instance.organisation: is not among organisations")
    if len(known) != len(config.organisations):
        found.append("organisations: two have the same uuid")
    for index, one in enumerate(config.organisations):
        wanted = {one.default_group, *(rule.group for rule in one.group_rules)} - {None}
        if wanted - groups and config.cerebrate is None:  # then the group comes from there
            found.append(f"organisations.{index}: a group that is not among sharing_groups")
        if one.served_by is not None and one.served_by not in known:
            found.append(f"organisations.{index}.served_by: is not among organisations")
    for index, group in enumerate(config.sharing_groups):
        if group.members - known:
            found.append(f"sharing_groups.{index}.members: not all are among organisations")
    found += _dangling_sync(config)
    names = [name for one in config.organisations for name in {one.name, *one.aliases}]
    if len(names) != len(set(names)):
        found.append("organisations: two share a name or an alias")
    return found


def _dangling_sync(config: Config) -> list[str]:
    if config.sync is None:
        return []
    if config.sync.source == "cerebrate" and config.cerebrate is None:
        return ["sync.source: needs the section cerebrate, or `source: file`"]
    own = config.cerebrate.url if config.cerebrate and config.sync.source == "cerebrate" else None
    return [
        f"sync.targets.{index}.url: is the source itself"
        for index, one in enumerate(config.sync.targets)
        if one.url == own
    ]


__all__ = [
    "Asset",
    "Cerebrate",
    "CerebrateServer",
    "Config",
    "Delivery",
    "Egress",
    "GroupRule",
    "Instance",
    "Limits",
    "Live",
    "Log",
    "Misp",
    "MispReceiver",
    "Orchestrator",
    "Organisation",
    "Redis",
    "Response",
    "Section",
    "Serve",
    "Sessions",
    "Sharing",
    "SharingGroup",
    "Store",
    "Sync",
    "SyncTarget",
    "Upstream",
    "load",
    "parse",
]
