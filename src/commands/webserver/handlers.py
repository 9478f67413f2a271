# Looks at Python handlers, and imports them if that is asked for. What is asked comes as JSON on
# standard input; one line of JSON is written for each handler, into the file that is named there.
import sys

sys.path[:] = [path for path in sys.path if path]
import ast
import importlib.util
import json
import os

asked = json.loads(sys.stdin.buffer.read().decode("utf-8"))
told = open(asked["told"], "w", encoding="utf-8")
# What handlers print is for people.
os.dup2(2, 1)


if not asked["imports"]:
    # What is only parsed needs no more memory than this.
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
    except (ImportError, OSError, ValueError):
        pass


def tell(**what):
    told.write(json.dumps(what) + "\n")
    told.flush()


def plain(text):
    return str(text).encode("utf-8", "replace").decode("utf-8")[:2000]


def names_of(target):
    if isinstance(target, (ast.Tuple, ast.List)):
        return [name for item in target.elts for name in names_of(item)]
    return [target.id] if isinstance(target, ast.Name) else []


def bound(statement):
    if isinstance(statement, ast.Assign):
        return [name for target in statement.targets for name in names_of(target)]
    if isinstance(statement, ast.AnnAssign):
        return names_of(statement.target)
    return []


def imported(statement):
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        return [name.asname or name.name for name in statement.names]
    return [statement.name] if isinstance(statement, ast.ClassDef) else []


def takes_a_call(args):
    """Whether a function can be called with `room` and `req` by their names, and nothing else."""
    first = args.args[: len(args.args) - len(args.defaults)]
    needed = [it.arg for it in first]
    needed += [it.arg for it, of in zip(args.kwonlyargs, args.kw_defaults) if of is None]
    without = len(args.posonlyargs) > len(args.defaults)
    known = [it.arg for it in args.args + args.kwonlyargs]
    is_known = args.kwarg is not None or ("room" in known and "req" in known)
    return is_known and not without and set(needed) <= {"room", "req"}


def by_syntax(path):
    with open(path, "rb") as file:
        text = file.read()
    try:
        body = ast.parse(text, filename=path).body
    except SyntaxError as error:
        line, column = max(error.lineno or 1, 1), max(error.offset or 1, 1)
        return dict(what="syntax", line=line, column=column, message=plain(error.msg))
    except (ValueError, RecursionError, MemoryError) as error:
        return dict(what="syntax", line=1, column=1, message=plain(str(error) or type(error).__name__))
    given = [name for statement in body for name in bound(statement)]
    if "METHOD" in given or "METHODS" in given:
        return dict(what="methods")
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    own = [it for it in body if isinstance(it, functions) and it.name == "handler"]
    if own:
        return dict(what="fine" if takes_a_call(own[-1].args) else "parameters")
    elsewhere = given + [name for statement in body for name in imported(statement)]
    return dict(what="elsewhere" if "handler" in elsewhere else "missing")


def by_import(number, path):
    name = "meshagent_handler_%d" % number
    folder = asked["app_dir"]
    sys.path.insert(0, folder)
    sys.argv[:] = [path]
    try:
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if package in ("aiohttp", "meshagent"):
            return dict(what="absent", name=package)
        return dict(what="failed", message=plain("ModuleNotFoundError: %s" % error))
    except BaseException as error:
        return dict(what="failed", message=plain("%s: %s" % (type(error).__name__, error)))
    finally:
        if folder in sys.path:
            sys.path.remove(folder)
    if hasattr(module, "METHOD") or hasattr(module, "METHODS"):
        return dict(what="methods")
    if not hasattr(module, "handler"):
        return dict(what="missing")
    return dict(what="fine" if callable(module.handler) else "uncallable")


def is_own(file):
    """Whether a file is below the folder that handlers import from, and no package's."""
    below = os.path.join(os.path.realpath(asked["app_dir"]), "")
    return file.startswith(below) and not any(
        name in file for name in ("/site-packages/", "/dist-packages/")
    )


def loaded():
    """The files of modules that were imported."""
    files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    return {os.path.realpath(file) for file in files if isinstance(file, str)}


def modules_in(path):
    """The files of modules that a file names, below the folder that handlers import from."""
    try:
        with open(path, "rb") as file:
            tree = ast.parse(file.read(1 << 20), filename=path)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(it.name for it in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names.update("%s.%s" % (node.module, it.name) for it in node.names)
    found = set()
    for name in names:
        place = asked["app_dir"]
        for part in name.split("."):
            place = os.path.join(place, part)
            for file in (os.path.join(place, "__init__.py"), place + ".py"):
                if os.path.isfile(file):
                    found.add(os.path.realpath(file))
                    break
    return found


def named():
    """The same for all handlers, and for what they name."""
    found, waiting = set(), list(asked["files"])
    while waiting and len(found) < 10000:
        new = {it for it in modules_in(waiting.pop()) if is_own(it)} - found
        found |= new
        waiting.extend(sorted(new))
    return found


tell(what="ready")
for number, path in enumerate(asked["files"]):
    found = by_syntax(path)
    is_imported = asked["imports"] and found["what"] != "syntax"
    tell(what="seen", syntax=found, imported=by_import(number, path) if is_imported else None)
if asked["app_dir"]:
    own = {os.path.realpath(file) for file in asked["files"]}
    all_of_them = {it for it in named() | (loaded() if asked["imports"] else set()) if is_own(it)}
    tell(what="used", files=sorted(plain(it) for it in all_of_them - own))
