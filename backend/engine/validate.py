"""Checks one module for opsdeck without executing anything of it (see validate.go).

The shim runs main. Python 3.8 and later.
"""
import ast
import importlib.util
import os
import re
import sys

# Distributions whose name is not that of what they hold.
DISTRIBUTIONS = {
    "bs4": "beautifulsoup4", "cv2": "opencv-python", "Crypto": "pycryptodome", "dateutil": "python-dateutil", "dotenv": "python-dotenv",
    "google.protobuf": "protobuf", "jose": "python-jose", "jwt": "PyJWT", "MySQLdb": "mysqlclient", "PIL": "Pillow", "psycopg2": "psycopg2-binary",
    "serial": "pyserial", "skimage": "scikit-image", "sklearn": "scikit-learn", "telegram": "python-telegram-bot", "yaml": "PyYAML",
}


def main(given):
    findings = []

    def find(severity, check, text, remedy="", file="", line=0):
        findings.append({"severity": severity, "check": check, "file": file, "line": int(line or 0), "text": text[:500], "remedy": remedy[:300]})

    folder, entry = given["dir"], given["entry_point"]
    sys.path[:] = [p for p in sys.path if p not in ("", folder)] + [folder, given["workspace"]]
    trees = {}
    for name in given["files"]:
        trees[name] = compiled(folder, name, find if name == entry else None)
    tree = trees.get(entry)
    beside = set()
    if tree is not None:
        beside = imports(tree, given, find, entry)
        adapter_class(tree, given.get("class_name") or "", find, entry)
    for name, other in trees.items():
        if other is None and name != entry:
            compiled(folder, name, find, "error" if name.split("/")[0].split(".")[0] in beside else "warning")
    dependencies(folder, given["dependencies"], find)
    return findings


def compiled(folder, name, find, severity="error"):
    """The syntax tree of a file; None where it has none."""
    try:
        with open(os.path.join(folder, name), "rb") as f:
            text = f.read()
        tree = ast.parse(text, name)
        compile(text, name, "exec", dont_inherit=True)
        return tree
    except SyntaxError as error:
        if find:
            line = (error.text or "").strip()
            find(severity, "syntax", "%s: %s%s" % (type(error).__name__, error.msg, ": " + line if line else ""), "fix that line", name, error.lineno)
    except (ValueError, RecursionError, MemoryError, OSError) as error:
        if find:
            find(severity, "syntax", "it cannot be read as Python: %s" % (error or type(error).__name__), "fix the file", name)
    return None


def top_level(body, guarded=False):
    """The imports that happen when the file is loaded, and whether a failure is caught."""
    for node in body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node, guarded
        elif isinstance(node, ast.Try):
            yield from top_level(node.body, guarded or bool(node.handlers))
            for handler in node.handlers:
                yield from top_level(handler.body, True)
            yield from top_level(node.orelse + node.finalbody, guarded)
        elif isinstance(node, ast.If):
            name = getattr(node.test, "id", getattr(node.test, "attr", ""))
            if name != "TYPE_CHECKING":
                yield from top_level(node.body, True)
            yield from top_level(node.orelse, True)
        elif isinstance(node, ast.With):
            yield from top_level(node.body, True)  # contextlib.suppress, or not


def imports(tree, given, find, entry):
    """Finds imports that lead nowhere; returns the names of those that lie beside."""
    beside, seen = set(), set()
    for node, guarded in top_level(tree.body):
        severity = "warning" if guarded else "error"
        if isinstance(node, ast.ImportFrom) and node.level:
            find(severity, "dependencies", "a relative import has no package to start from: an adapter is loaded as a file of its own",
                 "write: from %s import ..." % (node.module or "name"), entry, node.lineno)
            continue
        names = [node.module] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
        for name in names:
            top = name.split(".")[0]
            if top == "shared":
                shared(name, given, find, entry, node.lineno, severity)
                continue
            if os.path.exists(os.path.join(given["dir"], top + ".py")) or os.path.isdir(os.path.join(given["dir"], top)):
                beside.add(top)
                continue
            if top in seen:
                continue
            seen.add(top)
            if not found(top):
                wanted = DISTRIBUTIONS.get(name) or DISTRIBUTIONS.get(top) or top
                find(severity, "dependencies", "it imports %s, which is neither installed, nor beside it, nor in the standard library%s"
                     % (name, "; that is caught there" if guarded else ""), "python3 -m pip install " + wanted, entry, node.lineno)
    return beside


def found(top):
    if top in sys.modules or top in sys.builtin_module_names:
        return True
    try:
        return importlib.util.find_spec(top) is not None
    except (ImportError, ValueError, AttributeError):
        return False


def shared(name, given, find, entry, line, severity):
    if name in ("shared", "shared.adapters", "shared.adapters.base", "shared.adapters.registry"):
        return
    root = given["shared"]
    if os.path.basename(root) != "shared":
        root = os.path.join(root, "shared")
    path = os.path.join(root, *name.split(".")[1:])
    if not os.path.isdir(path) and not os.path.exists(path + ".py"):
        find(severity, "dependencies", "it imports %s, and there is neither %s.py nor such a folder" % (name, path),
             "put the workspace's shared folder there, or name it as modules.shared", entry, line)


def adapter_class(tree, wanted, find, entry):
    classes = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    registers = any(isinstance(n, ast.Name) and n.id == "register_adapter" and isinstance(n.ctx, ast.Load)
                    or isinstance(n, ast.Attribute) and n.attr in ("register_adapter", "register") for n in ast.walk(tree))
    if wanted and wanted not in classes and not registers:
        find("warning", "class", "it defines no class %s, as its manifest says, and registers none" % wanted,
             "put @register_adapter on the adapter's class", entry, 1)
    elif not classes:
        find("warning", "class", "it defines no class: a BaseAdapter under @register_adapter was expected", "", entry, 1)
    elif not wanted and not registers:
        find("warning", "class", "it registers no adapter: the last class on BaseAdapter is taken", "put @register_adapter on the adapter's class", entry, 1)


SPEC = re.compile(r"^\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(\[[^\]]*\])?\s*\(?([^;)]*)\)?\s*(;.*)?$")
CLAUSE = re.compile(r"^\s*(===|==|~=|!=|<=|>=|<|>)\s*([^\s,]+)\s*$")


def dependencies(folder, wanted, find):
    """Checks declared distributions by what is installed, without importing them."""
    try:
        from importlib import metadata
    except ImportError:
        return
    try:
        with open(os.path.join(folder, "manifest.json"), encoding="utf-8", errors="replace") as f:
            lines = f.read(1 << 20).splitlines()
    except OSError:
        lines = []
    for text in wanted:
        line = next((i for i, s in enumerate(lines, 1) if '"%s"' % text in s), 0)
        match = SPEC.match(text)
        if not match:
            find("warning", "dependencies", "%r is no name of a distribution with versions" % text, "write it as requests>=2.31", "manifest.json", line)
            continue
        name, _, clauses, marker = match.groups()
        if marker:
            continue  # for other interpreters or systems, perhaps
        try:
            have = metadata.version(name)
        except Exception:
            if not found(name.replace("-", "_")):
                find("error", "dependencies", "it declares %s, which is not installed" % name, "python3 -m pip install '%s'" % text.strip(), "manifest.json", line)
            continue
        for clause in filter(None, (c.strip() for c in clauses.split(","))):
            parts = CLAUSE.match(clause)
            verdict = holds(have, *parts.groups()) if parts else None
            if verdict is None:
                find("warning", "dependencies", "it declares %s; whether the installed %s is that cannot be told" % (text, have), "", "manifest.json", line)
            elif not verdict:
                find("error", "dependencies", "it declares %s, and %s is installed" % (text, have), "python3 -m pip install '%s'" % text.strip(), "manifest.json", line)


def numbers(version):
    match = re.match(r"^v?(?:0+!)?(\d+(?:\.\d+)*)(.*)$", version)
    if not match:
        return None
    rest = match.group(2)
    if rest and not re.match(r"^(\.?post\d*|\+.*)$", rest):
        return None
    return [int(n) for n in match.group(1).split(".")]


def holds(have, op, want):
    """Whether a version is within a clause; None where that cannot be told."""
    if op == "===":
        return have == want
    prefix = want.endswith(".*")
    a, b = numbers(have), numbers(want[:-2] if prefix else want)
    if a is None or b is None:
        return None
    if prefix:
        same = (a + [0] * len(b))[:len(b)] == b
        return {"==": same, "!=": not same}.get(op)
    size = max(len(a), len(b))
    x, y = a + [0] * (size - len(a)), b + [0] * (size - len(b))
    if op == "~=":
        return x >= y and (a + [0] * len(b))[:len(b) - 1] == b[:-1] if len(b) > 1 else None
    return {"==": x == y, "!=": x != y, "<=": x <= y, ">=": x >= y, "<": x < y, ">": x > y}[op]
