"""Notices what an adapter would lose with its process: see "Why a module stays
resident" in doc.go. Python 3.8 and later.
"""


def make():
    import asyncio
    import collections
    import os
    import sys
    import threading
    import types

    # Objects of these change by themselves and hold nothing of the adapter's.
    others = ("logging", "asyncio", "threading")

    class Much(Exception):
        """There is too much to look through."""

    def marks(value, depth, seen, out):
        """Writes to out what tells a value from what it was before."""
        kind = type(value)
        if len(out) > 20000:
            raise Much
        if value is None or kind in (bool, int, float, complex, str, bytes):
            out.append((kind, value))
            return
        if id(value) in seen:
            return
        seen[id(value)] = value
        if isinstance(value, (dict, list, tuple, set, frozenset, collections.deque)):
            out.append((kind, len(value)))
            if depth > 0:
                for item in list(value.items()) if isinstance(value, dict) else list(value):
                    marks(item, depth - (kind is not tuple), seen, out)
            return
        out.append((kind, id(value)))
        if callable(getattr(value, "cache_info", None)):  # functools.lru_cache
            out.append(value.cache_info().currsize)
        if depth <= 0 or isinstance(value, (type, types.ModuleType)) or kind.__module__.partition(".")[0] in others:
            return
        if isinstance(value, types.FunctionType):
            marks(value.__defaults__, depth, seen, out)
            marks(value.__kwdefaults__, depth, seen, out)
            for cell in value.__closure__ or ():
                try:
                    marks(cell.cell_contents, depth - 1, seen, out)
                except ValueError:
                    pass
        if hasattr(value, "__dict__"):
            marks(dict(vars(value)), depth - 1, seen, out)
        for cls in kind.__mro__:
            slots = cls.__dict__.get("__slots__", ())
            for name in (slots,) if isinstance(slots, str) else tuple(slots):
                marks(getattr(value, name, None), depth - 1, seen, out)

    def files():
        try:
            return len(os.listdir("/proc/self/fd"))
        except OSError:
            return 0

    def children():
        try:
            with open("/proc/self/task/%d/children" % os.getpid()) as f:
                return f.read().strip()
        except OSError:
            return ""

    class Holdings:
        """What a module holds: its globals, its classes' attributes, its adapter's own."""

        def __init__(self, adapter, folder, loop):
            self.adapter, self.loop = adapter, loop
            self.inside = os.path.join(folder, "")
            self.files, self.why, self.was = files(), "", {}
            self.why, self.was = self.look()

        def look(self):
            found = {}
            try:
                modules = [m for m in list(sys.modules.values()) if str(getattr(m, "__file__", None) or "").startswith(self.inside)]
                own = [m.__name__ for m in modules]
                for module in modules:
                    self.add(found, "", vars(module), own)
                self.add(found, "self.", getattr(self.adapter, "__dict__", {}), own)
            except Much:
                return "much data", found
            except Exception as error:
                return "what cannot be looked through (%s)" % type(error).__name__, found
            return "", found

        def add(self, found, prefix, items, own):
            for name, value in list(items.items()):
                if name.startswith("__") and name.endswith("__") or isinstance(value, types.ModuleType):
                    continue
                if isinstance(value, type):
                    if prefix == "" and getattr(value, "__module__", "") in own:
                        self.add(found, name + ".", vars(value), own)
                    continue
                out = []
                marks(value, 5, {}, out)
                found[prefix + name] = out

        def kept(self):
            """Says in a few words what would be lost with this process, "" for nothing."""
            if self.why:
                return self.why
            workers = getattr(getattr(self.loop, "_default_executor", None), "_threads", ())
            if any(t is not threading.main_thread() and t not in workers for t in threading.enumerate()):
                return "a thread"
            if asyncio.all_tasks(self.loop):
                return "a task"
            if children():
                return "a child process"
            if files() > self.files:
                return "an open file or connection"
            why, now = self.look()
            if not why:
                for name, value in now.items():
                    if self.was.get(name) != value:
                        why = name
                        break
            self.why = why[:200]
            return self.why

    return Holdings


Holdings = make()
