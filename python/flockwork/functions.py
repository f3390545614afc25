"""Which functions a job calls, and how a worker on another machine finds them: in the file where they stand.

A function is named `FILE::NAME` where it stands in the script that was started, and `FOLDER::MODULE::NAME` where it was imported. A worker runs a script under
the name `__flockwork__`, so what stands below `if __name__ == "__main__":` is not done there, and only as far as its first `flockwork.run`.
"""

from __future__ import annotations

import importlib
import os
import sys
import types
from collections.abc import Iterable
from typing import Any, Callable, Optional, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])
MapFunction = Callable[[Any], Optional[Iterable[tuple[Any, Any]]]]
CombineFunction = Callable[[Any, Iterable[Any]], Any]
ReduceFunction = Callable[[Any, Iterable[Any]], Any]

SCRIPT = "__flockwork__"
_decorated: dict[str, list[Callable[..., Any]]] = {"map": [], "combine": [], "reduce": []}
_here = "script"
"""What this process does: the script itself, as started; or, in a worker, loading it, and then working."""


class ScriptLoaded(BaseException):
    """A worker has run a script as far as its first `flockwork.run`."""


def map(function: Function) -> Function:
    """`function(line)` gives the pairs of a line: a generator, a list, or None for none."""
    return _note("map", function)


def combine(function: Function) -> Function:
    """`function(key, values)` returns one value for some of a key's values, before they travel; it is called any number of times, also never."""
    return _note("combine", function)


def reduce(function: Function) -> Function:
    """`function(key, values)` returns the result of a key, or yields any number of pairs; None is no result. `values` can be gone through once."""
    return _note("reduce", function)


def _note(role: str, function: Function) -> Function:
    if not callable(function):
        raise TypeError(f"@flockwork.{role} stands before a function, without brackets")
    _decorated[role].append(function)
    return function


def chosen(role: str, given: Callable[..., Any] | None) -> Callable[..., Any] | None:
    """The function that was given, or else the only one that was decorated."""
    found = _decorated[role]
    if given is None and len(found) > 1:
        names = ", ".join(getattr(function, "__qualname__", repr(function)) for function in found)
        raise ValueError(f"more than one function is decorated with @flockwork.{role} ({names}): say which with {role}=")
    return given or (found[0] if found else None)


def place_of(function: Callable[..., Any]) -> str:
    """Where a worker finds the function; ValueError where it cannot."""
    script = sys.modules["__main__"]
    name = _name_in(script, function)
    if name is not None:
        spec = getattr(script, "__spec__", None)
        if spec is not None and spec.name != "__main__":  # python -m MODULE
            return f"{_folder_of(spec.name, spec.origin)}::{spec.name}::{name}"
        path = getattr(script, "__file__", None)
        if path is None:
            raise ValueError(f"`{name}` stands in no file, so no worker can find it: write it in a script or a module, and run or import that")
        return f"{os.path.abspath(path)}::{name}"
    module = sys.modules.get(getattr(function, "__module__", None) or "")
    name = _name_in(module, function) if module else None
    if module is None or name is None or getattr(module, "__file__", None) is None:
        shown = getattr(function, "__qualname__", repr(function))
        raise ValueError(f"a worker cannot find `{shown}` by name: define it at the top level of a script or module")
    return f"{_folder_of(module.__name__, module.__file__)}::{module.__name__}::{name}"


def _name_in(module: types.ModuleType, function: Callable[..., Any]) -> str | None:
    return next((name for name, value in vars(module).items() if value is function), None)


def _folder_of(module: str, path: str | None) -> str:
    """The folder from which the module is imported."""
    folder = os.path.abspath(path or "")
    is_package = os.path.basename(folder) == "__init__.py"
    for _ in range(module.count(".") + 1 + is_package):
        folder = os.path.dirname(folder)
    return folder


def find(place: str) -> Callable[..., Any]:
    """The function at a place, in a worker; loads what it stands in."""
    global _here
    _here = "working"
    *where, name = place.split("::")
    module = _script(where[0]) if len(where) == 1 else _module(*where)
    function = vars(module).get(name)
    if function is None:
        raise LookupError(
            f"{where[0]} has no `{name}` before its first flockwork.run: define it above, or put the run below `if __name__ == \"__main__\":`"
        )
    return function  # type: ignore[no-any-return]


def _script(path: str) -> types.ModuleType:
    if SCRIPT in sys.modules:
        return sys.modules[SCRIPT]
    module = types.ModuleType(SCRIPT)
    module.__file__ = path
    sys.modules[SCRIPT] = module
    sys.path.insert(0, os.path.dirname(path))
    with open(path, "rb") as file:
        code = compile(file.read(), path, "exec", dont_inherit=True)
    _load(lambda: exec(code, vars(module)))
    return module


def _module(folder: str, name: str) -> types.ModuleType:
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return importlib.import_module(name)


def _load(run: Callable[[], Any]) -> None:
    global _here
    _here = "loading"
    try:
        run()
    except ScriptLoaded:
        pass
    finally:
        _here = "working"


def refuse_in_worker() -> None:
    """A worker runs no job: a script that it loads ends here."""
    if _here == "loading":
        raise ScriptLoaded
    if _here == "working":
        raise RuntimeError('a worker came to a flockwork.run: put it below `if __name__ == "__main__":`')
