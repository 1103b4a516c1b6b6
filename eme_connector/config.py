"""Configuration: config.yaml, overridden by EME_SECTION__KEY; secrets also as KEY_file.

`load()` returns a frozen Config or raises ConfigError with every problem at once, each with its
dotted path. A missing section switches its feature off; a half-filled one is a problem.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

from eme_connector.errors import ConfigError

PREFIX = "EME_"


def _uuid(value: str) -> str:
    return str(UUID(value))


def _url(value: str) -> str:
    if not value.startswith(("https://", "http://")):
        raise ValueError("must start with https:// or http://")
    return value.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


Uuid = Annotated[str, AfterValidator(_uuid)]
Url = Annotated[str, AfterValidator(_url)]


class Section(BaseModel):
    """A part of the configuration: frozen, unknown keys are problems."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Instance(Section):
    """Who runs this sidecar and where it keeps its data."""

    name: str = Field("EME", description="Shown in the frame of every page.")
    organisation: Uuid = Field(description="Uuid of the organisation that runs this sidecar.")
    data_dir: Path = Field(Path("data"), description="Folder for the database and the keys.")


class Store(Section):
    """Where the data is kept; SQLite in `instance.data_dir` unless a URL is given."""

    url: SecretStr | None = Field(
        None, description="`postgresql+psycopg://…` or `sqlite:///…`; may hold a password."
    )


class Serve(Section):
    """The HTTP server."""

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8150, ge=1, le=65535, description="Port to listen on.")
    threads: int = Field(16, ge=2, le=256, description="Threads beside those of live streams.")
    workers: int = Field(1, ge=1, le=64, description="Processes; more than 1 needs PostgreSQL.")
    behind_proxy: bool = Field(
        False, description="A proxy stands in front; needed to listen beyond loopback."
    )
    public_url: Url | None = Field(
        None, description="How browsers and peers reach this sidecar, with https://."
    )

    @model_validator(mode="after")
    def _loopback_or_proxy(self) -> Serve:
        if not self.behind_proxy and not _is_loopback(self.host):
            raise ValueError("host beyond loopback needs behind_proxy: true and a proxy in front")
        return self


class Live(Section):
    """Live updates of pages (server-sent events)."""

    max_streams: int = Field(200, ge=0, le=2000, description="Open streams at once; then 503.")


class Limits(Section):
    """What one request may ask of us."""

    body_bytes: int = Field(1_048_576, ge=1024, description="Largest body, after inflation.")
    steps: int = Field(256, ge=1, le=10_000, description="Most steps of one bundle.")
    logins_per_minute: int = Field(10, ge=1, description="Tries to log in, per address.")


class GroupRule(Section):
    """Choose a sharing group by type, tag or TLP; the first rule that matches counts."""

    group: Uuid = Field(description="Uuid of the sharing group.")
    type: Literal["attack", "vulnerability"] | None = Field(None, description="Type of threat.")
    tag: str = Field("", description="Tag of a registered asset of the threat.")
    tlp: Literal["clear", "green", "amber", "amber+strict", "red"] | None = Field(
        None, description="Marking of the threat."
    )


class Asset(Section):
    """An asset as its organisation knows it; what a message says can only raise criticality."""

    address: str = Field("", description="IP address.")
    device: str = Field("", description="Device name, compared exactly.")
    criticality: int = Field(ge=1, le=5, description="1–5, 5 is the most critical.")
    type: str = Field("", description="Type, for policies of their own.")
    tags: frozenset[str] = Field(frozenset(), description="Tags, for policies of their own.")

    @model_validator(mode="after")
    def _identified(self) -> Asset:
        if not (self.address or self.device):
            raise ValueError("an asset needs an address or a device")
        if self.address:
            ipaddress.ip_address(self.address)
        return self


class Organisation(Section):
    """An organisation: ours, those that send through this sidecar, and members of groups."""

    uuid: Uuid = Field(description="Its uuid, the same as in Cerebrate and MISP.")
    name: str = Field(min_length=1, description="Its exact name.")
    role: Literal["ci", "cert"] = Field("ci", description="Operator (ci) or CERT/CSIRT (cert).")
    aliases: frozenset[str] = Field(frozenset(), description="Other exact names in messages.")
    sector: str = Field("", description="Sector, such as `transport`; policies can be by sector.")
    location: str = Field("", description="Country or place, shown to CERTs.")
    default_group: Uuid | None = Field(None, description="Sharing group of its new threats.")
    group_rules: tuple[GroupRule, ...] = Field((), description="Exceptions to `default_group`.")
    assets: tuple[Asset, ...] = Field((), description="Asset register.")
    served_by: Uuid | None = Field(
        None, description="Organisation whose sidecar sends and receives for it; empty = its own."
    )


class SharingGroup(Section):
    """A sharing group: threats go to its members and to nobody else."""

    uuid: Uuid = Field(description="Its uuid, the same as in Cerebrate and MISP.")
    name: str = Field(min_length=1, description="Its name.")
    members: frozenset[Uuid] = Field(description="Uuids of the member organisations.")


class Sharing(Section):
    """How threats leave."""

    default_tlp: Literal["clear", "green", "amber", "amber+strict", "red"] = Field(
        "amber", description="Marking of bundles that carry none."
    )


class Response(Section):
    """How playbooks are read."""

    step_order: Literal["start-first", "wait"] = Field(
        "start-first",
        description="`wait`: a list whose first entry is not its start waits for a person.",
    )


class Orchestrator(Section):
    """What runs approved playbooks."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$", description="Short name.")
    kind: Literal["webhook"] = Field("webhook", description="How it is spoken to.")
    url: Url = Field(description="Where approved playbooks are posted.")
    secret: SecretStr = Field(
        description="Standard Webhooks secret (`whsec_…`); also `secret_file`."
    )
    idempotent: bool = Field(
        False, description="It dedupes by webhook-id, so sending again is safe."
    )
    look_up_url: Url | None = Field(
        None, description="GET {look_up_url}/{webhook-id}: 200 it has it, 404 surely not."
    )
    organisations: frozenset[Uuid] = Field(
        frozenset(), description="Organisations whose playbooks it runs; empty = all."
    )
    timeout_s: float = Field(10.0, gt=0, le=120, description="Limit of one request.")
    width: int = Field(4, ge=1, le=64, description="Requests at once.")


class Delivery(Section):
    """How what is owed gets out."""

    settle_s: float = Field(
        600.0, gt=0, description="How long to ask whether a delivery arrived before a person is."
    )
    give_up_s: float = Field(
        604_800.0, gt=0, description="Age after which an undeliverable delivery is dead."
    )
    retry_first_s: float = Field(1.0, gt=0, description="First wait after a failure; it doubles.")
    retry_most_s: float = Field(300.0, gt=0, description="Longest wait between attempts.")


class Egress(Section):
    """Where outgoing calls may go besides public addresses."""

    private_networks: tuple[str, ...] = Field(
        (), description="Private ranges (CIDR) that targets may resolve to; `127.0.0.0/8` too."
    )

    @model_validator(mode="after")
    def _networks(self) -> Egress:
        for network in self.private_networks:
            ipaddress.ip_network(network)
        return self


class Sessions(Section):
    """Logins of people."""

    hours: float = Field(8.0, gt=0, le=24 * 7, description="A session ends after this.")


class Log(Section):
    """Structured logs on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level.")
    format: Literal["json", "console"] = Field("json", description="`console` is for people.")


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
    if config.instance.organisation not in known:
        found.append("instance.organisation: is not among organisations")
    if len(known) != len(config.organisations):
        found.append("organisations: two have the same uuid")
    for index, one in enumerate(config.organisations):
        wanted = {one.default_group, *(rule.group for rule in one.group_rules)} - {None}
        if wanted - groups:
            found.append(f"organisations.{index}: a group that is not among sharing_groups")
        if one.served_by is not None and one.served_by not in known:
            found.append(f"organisations.{index}.served_by: is not among organisations")
    for index, group in enumerate(config.sharing_groups):
        if group.members - known:
            found.append(f"sharing_groups.{index}.members: not all are among organisations")
    names = [name for one in config.organisations for name in {one.name, *one.aliases}]
    if len(names) != len(set(names)):
        found.append("organisations: two share a name or an alias")
    return found
