"""Command-line options made from a `Settings` class: help, type, limits and default are stated there, once."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, TypeVar, Union, get_args, get_origin

import typer
from pydantic.fields import FieldInfo

from leukopy.core.settings import Settings, Shown, apply_changes, read_settings

if TYPE_CHECKING:
    from leukopy.inference.workers import Pool

S = TypeVar("S", bound=Settings)
Command = Callable[..., None]

Resume = Annotated[bool, typer.Option("--resume", help="Resume the interrupted run in OUT.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Overwrite the results in OUT.")]
Changes = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Change a setting; may be repeated.")
]
On = Annotated[
    str, typer.Option("--on", metavar="local|auto|ray://…", help="This machine, or a Ray cluster (extra: cluster).")
]
_Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Settings to start from: the run.json of an earlier run, or YAML. Options override them.",
        show_default=False,
    ),
]


@dataclass(frozen=True)
class Spelling:
    """Spelling of a field on the command line, where its name and type do not determine it."""

    names: tuple[str, ...] = ()
    """Option names, as ``("--method",)``; nothing: the field's name."""
    positional: bool = False
    metavar: str | None = None
    type: Any = None
    """Type of the typed text; None: the field's type."""
    read: Callable[[Any], Any] | None = None
    """Conversion of the typed text to the field's value."""


def argument(metavar: str) -> Spelling:
    """The field is positional, and called ``metavar`` in the usage line."""
    return Spelling(positional=True, metavar=metavar)


@dataclass(frozen=True)
class Given(Generic[S]):
    """The options given to a command, and the settings file that they override."""

    settings: type[S]
    values: dict[str, Any]
    """Dotted field name -> value, for the given options only."""
    config: Path | None
    required: dict[str, str]
    """Dotted name of a field without a default -> how it is given."""

    def build(self, **more: Any) -> S:
        """The settings: the file's values, overridden by the options and by ``more`` (field name -> value).

        Raises:
            BadParameter: a field without a default is given nowhere.
            SettingsError: a value is wrong.
        """
        base = read_settings(self.config) if self.config else {}
        for name in self.values:  # of a mapping, one value is changed and the others stay
            first, _, detail = name.partition(".")
            default = self.settings.model_fields[first].get_default(call_default_factory=True)
            if detail and isinstance(default, dict):
                base = {first: default} | base
        values = apply_changes(base, self.values | more)
        for name, spelled in self.required.items():
            if not _holds(values, name):
                raise typer.BadParameter(f"give {spelled}, or --config with the settings of an earlier run.")
        return self.settings.build(values, where=str(self.config or "options"))


def options(
    settings: type[Settings],
    spell: Mapping[str, Spelling] | None = None,
    *,
    without: tuple[str, ...] = (),
    apart: tuple[tuple[str, str], ...] = (),
) -> Callable[[Command], Command]:
    """Give a command an option for each field of ``settings``, and ``--config``.

    Args:
        settings: the command's parameter ``given`` is replaced by the options, and holds those that were given; a
            parameter ``context`` is typer's.
        spell: dotted field name -> its spelling. Fields that are settings themselves count one by one
            (``cohort.path``); of those that are mappings, values are changed by ``--set mapping.name=value``.
        without: fields that are no options.
        apart: pairs of fields that cannot be given together.
    """

    def decorate(command: Command) -> Command:
        found = list(_options(settings, spell or {}, without))
        changeable = tuple(each.name for each in found if each.changeable)
        found = [each for each in found if not each.changeable]

        takes = inspect.signature(command).parameters

        def run(context: typer.Context, **typed: Any) -> None:
            if typed.get("resume") and typed.get("overwrite"):
                raise clash("--resume", "--overwrite")
            values = {each.name: each.read(typed[each.parameter]) for each in found if _was_given(context, typed, each)}
            for first, second in apart:
                if first in values and second in values:
                    raise clash(*(each.spelled for name in (first, second) for each in found if each.name == name))
            values |= _details(typed.pop("set", None), changeable)
            own = {name: value for name, value in typed.items() if not name.startswith("setting_")}
            required = {each.name: each.spelled for each in found if each.info.is_required()}
            if "context" in takes:
                own["context"] = context
            command(given=Given(settings, values, own.pop("config"), required), **own)

        run.__doc__, run.__name__, run.__module__ = command.__doc__, command.__name__, command.__module__
        signature = inspect.Signature(list(_parameters(command, found, changeable)))
        run.__signature__ = signature  # type: ignore[attr-defined]
        run.__annotations__ = {name: parameter.annotation for name, parameter in signature.parameters.items()}
        return run

    return decorate


def clash(option: str, other: str) -> typer.BadParameter:
    """The error of two options of which one would be ignored."""
    return typer.BadParameter(f"does not go with {other}.", param_hint=option)


def pool_on(where: str) -> Pool | None:
    """The pool of ``--on``; None: this machine."""
    if where == "local":
        return None
    from leukopy.cluster.pool import ray_pool

    return ray_pool(where)


def read_changes(texts: list[str] | None) -> dict[str, Any]:
    """``NAME=VALUE`` texts as dotted names and values, read as YAML."""
    import yaml

    changes = {}
    for text in texts or ():
        name, separator, value = text.partition("=")
        if not separator:
            raise typer.BadParameter(f"{text!r}: write NAME=VALUE, as in optimisation.epochs=2", param_hint="--set")
        changes[name] = yaml.safe_load(value)
    return changes


@dataclass(frozen=True)
class _Option:
    """A field as an option."""

    name: str
    """Dotted."""
    info: FieldInfo
    spelling: Spelling

    @property
    def parameter(self) -> str:
        return "setting_" + self.name.replace(".", "_")

    @property
    def type(self) -> Any:
        return self.spelling.type or _plain(self.info.annotation)

    @property
    def changeable(self) -> bool:
        """True for a mapping, whose values are changed one by one."""
        return self.type is dict or get_origin(self.type) is dict

    @property
    def spelled(self) -> str:
        """Name of the option in messages."""
        return self.spelling.metavar or "" if self.spelling.positional else self.names[0].partition("/")[0]

    @property
    def names(self) -> tuple[str, ...]:
        plain = self.name.rpartition(".")[2].replace("_", "-")
        return self.spelling.names or ((f"--{plain}/--no-{plain}",) if self.type is bool else (f"--{plain}",))

    def read(self, typed: Any) -> Any:
        """The typed value as the field takes it."""
        if self.spelling.read:
            return self.spelling.read(typed)
        if self.type is date:
            return typed.date()
        return next((value for value in _choices(self.type) if str(value) == typed), typed)

    def shown(self) -> tuple[Any, bool | str]:
        """The default, and how it is shown."""
        words = next((each.words for each in self.info.metadata if isinstance(each, Shown)), None)
        default = None if self.info.is_required() else self.info.get_default(call_default_factory=True)
        if words or default is None or self.spelling.read:
            return None, words or False
        return (str(default) if _choices(self.type) else default), True


def _options(settings: type[Settings], spell: Mapping[str, Spelling], without: tuple[str, ...]) -> Iterator[_Option]:
    for name, info in settings.model_fields.items():
        if name in without:
            continue
        if inspect.isclass(info.annotation) and issubclass(info.annotation, Settings):
            below = f"{name}."
            inner = {key.removeprefix(below): value for key, value in spell.items() if key.startswith(below)}
            for each in _options(info.annotation, inner, ()):
                yield _Option(below + each.name, each.info, each.spelling)
        else:
            yield _Option(name, info, spell.get(name, Spelling()))


def _parameters(command: Command, found: list[_Option], changeable: tuple[str, ...]) -> Iterator[inspect.Parameter]:
    """The parameters of a command, where ``given`` stands for the options."""
    yield _keyword("context", typer.Context)
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        if parameter.name == "context":
            continue
        if parameter.name != "given":
            yield parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            continue
        yield from map(_parameter, found)
        if changeable:
            text = f"Change a value of {' or '.join(changeable)}; may be repeated."
            made = typer.Option("--set", metavar=f"{changeable[0]}.NAME=VALUE", help=text)
            yield _keyword("set", Annotated[list[str] | None, made], None)
        yield _keyword("config", _Config, None)


def _parameter(option: _Option) -> inspect.Parameter:
    default, show = option.shown()
    text = " ".join((option.info.description or "").split())
    if option.info.is_required():
        text += " Required without --config."
    more: dict[str, Any] = {"help": text, "show_default": show, "metavar": option.spelling.metavar}
    of = option.type
    if of is Path:
        more["readable"] = False  # unreadable files are reported in one line, as any other input
    elif of is date:
        of, more["formats"], more["metavar"] = datetime, ["%Y-%m-%d"], "YYYY-MM-DD"
    elif _choices(of):
        of = Literal[tuple(map(str, _choices(of)))]
    elif of in (int, float):
        for limit in option.info.metadata:
            more |= {key: getattr(limit, sign) for key, sign in (("min", "ge"), ("max", "le")) if hasattr(limit, sign)}
    made = typer.Argument(**more) if option.spelling.positional else typer.Option(*option.names, **more)
    return _keyword(option.parameter, Annotated[of | None, made], default)


def _keyword(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


def _plain(annotation: Any) -> Any:
    """A type as typer takes it: neither optional nor annotated, a list for tuples of any length."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _plain(inner[0])
    if origin in (Union, UnionType):
        return _plain(next(each for each in inner if each is not type(None)))
    if origin is tuple:
        of = [_plain(each) for each in inner if each is not Ellipsis]
        return list[of[0]] if Ellipsis in inner else tuple[tuple(of)]  # type: ignore[valid-type,misc]
    return annotation


def _choices(of: Any) -> tuple[Any, ...]:
    return get_args(of) if get_origin(of) is Literal else ()


def _was_given(context: typer.Context, typed: dict[str, Any], option: _Option) -> bool:
    source = context.get_parameter_source(option.parameter)
    return source is not None and source.name == "COMMANDLINE" and typed[option.parameter] not in (None, (), [])


def _holds(values: Mapping[str, Any], name: str) -> bool:
    first, _, rest = name.partition(".")
    return first in values and (not rest or (isinstance(values[first], Mapping) and _holds(values[first], rest)))


def _details(texts: list[str] | None, changeable: tuple[str, ...]) -> dict[str, Any]:
    changes = read_changes(texts)
    for name in changes:
        if name.partition(".")[0] not in changeable:
            ways = " or ".join(f"{each}.NAME=VALUE" for each in changeable)
            raise typer.BadParameter(f"{name!r} is no such detail; write {ways}", param_hint="--set")
    return changes
