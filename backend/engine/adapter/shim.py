"""Runs one adapter for opsdeck, speaking JSON lines with it (see doc.go).

It provides shared.adapters.base and shared.adapters.registry; everything else
under "shared" comes from the workspace's own folder. Python 3.8 and later.
"""
import sys


def _main(source_name, Holdings):
    import asyncio
    import base64
    import dataclasses
    import datetime
    import decimal
    import enum
    import errno
    import importlib.machinery
    import importlib.util
    import inspect
    import json
    import logging
    import math
    import os
    import time
    import traceback
    import types
    import typing

    # The protocol gets descriptors of its own, so that what an adapter prints or
    # reads cannot disturb it: stdout becomes the log, stdin is empty.
    requests = os.fdopen(os.dup(0), "rb")
    replies = os.fdopen(os.dup(1), "wb", buffering=0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")

    def say(message):
        data = json.dumps(message, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode("ascii") + b"\n"
        view = memoryview(data)
        while view:
            view = view[replies.write(view):]

    # -- the adapter interface ---------------------------------------------------

    T = typing.TypeVar("T")
    current = {}
    registered = []

    class AdapterConfig:
        """What an adapter is configured with."""

        def __init__(self, category="", platform="", credentials=None, settings=None, enabled=True,
                     rate_limit_per_minute=60, timeout_seconds=30, max_retries=3, retry_delay_seconds=1.0, **other):
            self.category = category
            self.platform = platform
            self.credentials = dict(credentials or {})
            self.settings = dict(settings or {})
            self.enabled = enabled
            self.rate_limit_per_minute = rate_limit_per_minute
            self.timeout_seconds = timeout_seconds
            self.max_retries = max_retries
            self.retry_delay_seconds = retry_delay_seconds
            for key, value in other.items():
                setattr(self, key, value)

        def __repr__(self):
            return "AdapterConfig(category=%r, platform=%r, credentials=***)" % (self.category, self.platform)

    class AdapterResult(typing.Generic[T]):
        """What a fetch gave. Both shapes of adapters construct it."""

        def __init__(self, success=None, category=None, platform=None, data=None, fetched_at=None, error=None,
                     raw_count=None, transformed_count=None, metadata=None, errors=None, **other):
            self.errors = list(errors or [])
            self.error = error
            self.success = (error is None and not (self.errors and not data)) if success is None else success
            self.category = category
            self.platform = platform
            self.data = [] if data is None else data
            self.fetched_at = fetched_at or datetime.datetime.now(datetime.timezone.utc)
            self.raw_count = raw_count if raw_count is not None else _count(self.data)
            self.transformed_count = transformed_count if transformed_count is not None else _count(self.data)
            self.metadata = dict(metadata or {})
            for key, value in other.items():
                setattr(self, key, value)

    def _count(data):
        if data is None:
            return 0
        if isinstance(data, (list, tuple, set, frozenset)):
            return len(data)
        return 1

    class BaseAdapter(typing.Generic[T]):
        """The base of every adapter, of either shape."""

        category = ""
        platform = ""
        credentials_required = ()

        def __init__(self, category=None, platform=None, credentials_required=None, config=None, **other):
            if isinstance(category, AdapterConfig):
                category, config = None, category
            if category is not None:
                self.category = category
            if platform is not None:
                self.platform = platform
            if credentials_required is not None:
                self.credentials_required = list(credentials_required)
            self.config = config if config is not None else current.get("config")
            for key, value in other.items():
                setattr(self, key, value)

        @property
        def credentials(self):
            config = current.get("config")
            return config.credentials if config is not None else {}

        def _get_credential(self, name, *default):
            value = self.credentials.get(name)
            if value is None or value == "":
                if default:
                    return default[0]
                raise KeyError("credential %r is missing: none of that name is stored for this module" % (name,))
            return value

        async def fetch_raw(self, *args):
            raise NotImplementedError("%s has no fetch_raw" % type(self).__name__)

        def transform(self, raw):
            if raw is None:
                return []
            return raw if isinstance(raw, list) else [raw]

        def get_capabilities(self):
            return {"read": True, "write": False, "real_time": False, "batch": False, "webhooks": False}

        def get_schema(self):
            return {}

        async def fetch(self, config=None):
            try:
                return await run_fetch(self, config or current.get("config"))
            except Exception as error:
                return AdapterResult(success=False, category=self.category, platform=self.platform, error=str(error))

    def register_adapter(*args, **details):
        """Marks an adapter class: bare, or with category, platform and so on."""
        if len(args) == 1 and not details and isinstance(args[0], type):
            registered.append((args[0], {}))
            return args[0]
        details.update(zip(("category", "platform", "display_name"), args))

        def mark(cls):
            for key in ("category", "platform"):
                if details.get(key) is not None and not getattr(cls, key, ""):
                    setattr(cls, key, details[key])
            registered.append((cls, details))
            return cls
        return mark

    class AdapterRegistry:
        """The adapters that this process has imported: one module's."""

        def register(self, cls, **details):
            registered.append((cls, details))
            return cls

        def get(self, category, platform=None):
            for cls, _ in reversed(registered):
                if _plain(getattr(cls, "category", "")) == _plain(category) and platform in (None, getattr(cls, "platform", "")):
                    return cls
            return None

        get_adapter = get

        def list_all(self):
            return [cls for cls, _ in registered]

        list_adapters = list_all

    def _plain(value):
        return value.value if isinstance(value, enum.Enum) else value

    # -- the "shared" package ------------------------------------------------------

    def provide_shared(root):
        folder = os.path.join(root, "shared") if root and os.path.basename(root) != "shared" else root
        adapters = os.path.join(folder, "adapters") if folder else ""

        def package(name, path):
            module = types.ModuleType(name)
            module.__path__ = [path] if path and os.path.isdir(path) else []
            module.__spec__ = importlib.machinery.ModuleSpec(name, None, is_package=True)
            module.__spec__.submodule_search_locations = module.__path__
            sys.modules[name] = module
            return module

        def fallback(module, file):
            """Names that the engine does not provide come from the workspace's own file."""
            own = []

            def lookup(name):
                if name.startswith("__") or not file or not os.path.isfile(file):
                    raise AttributeError("module %r has no attribute %r" % (module.__name__, name))
                if not own:
                    spec = importlib.util.spec_from_file_location("_workspace_" + module.__name__.replace(".", "_"), file)
                    loaded = importlib.util.module_from_spec(spec)
                    loaded.__package__ = module.__name__ if file.endswith("__init__.py") else module.__name__.rpartition(".")[0]
                    own.append(loaded)
                    try:
                        spec.loader.exec_module(loaded)
                    except BaseException:
                        own.clear()
                        raise
                return getattr(own[0], name)
            module.__getattr__ = lookup

        shared = package("shared", folder)
        fallback(shared, os.path.join(folder, "__init__.py") if folder else "")
        packaged = package("shared.adapters", adapters)
        fallback(packaged, "")
        shared.adapters = packaged
        for name in ("base", "registry"):
            module = types.ModuleType("shared.adapters." + name)
            module.__spec__ = importlib.machinery.ModuleSpec(module.__name__, None)
            module.__package__ = "shared.adapters"
            for value in (BaseAdapter, AdapterConfig, AdapterResult, AdapterRegistry):
                setattr(module, value.__name__, value)
                setattr(packaged, value.__name__, value)
            module.register_adapter = packaged.register_adapter = register_adapter
            module.adapter_registry = packaged.adapter_registry = AdapterRegistry()
            fallback(module, os.path.join(adapters, name + ".py") if adapters else "")
            sys.modules[module.__name__] = module
            setattr(packaged, name, module)
        for value in (BaseAdapter, AdapterConfig, AdapterResult, AdapterRegistry):
            value.__module__ = "shared.adapters.base"
            value.__qualname__ = value.__name__

    # -- JSON ------------------------------------------------------------------------

    class NotJSON(TypeError):
        pass

    def plain(value, path, seen):
        if value is None or value is True or value is False:
            return value
        kind = type(value)
        if kind is str:
            return value
        if kind is int:
            return value
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else None
        if isinstance(value, enum.Enum):
            return plain(value.value, path, seen)
        if isinstance(value, str):
            return str(value)
        if isinstance(value, int):
            return int(value)
        if isinstance(value, decimal.Decimal):
            if not value.is_finite():
                return None
            return int(value) if value == value.to_integral_value() and abs(value) < 2**53 else float(value)
        if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
            return value.isoformat()
        if isinstance(value, datetime.timedelta):
            return value.total_seconds()
        if isinstance(value, (bytes, bytearray, memoryview)):
            data = bytes(value)
            try:
                return data.decode("utf-8")
            except UnicodeDecodeError:
                return base64.b64encode(data).decode("ascii")
        if id(value) in seen or len(seen) > 100:
            raise NotJSON("the result refers to itself (or is nested over 100 deep) at %s" % path)
        seen = seen | {id(value)}
        if isinstance(value, dict) or (hasattr(value, "keys") and hasattr(value, "__getitem__") and not isinstance(value, type)):
            return {key(k, path): plain(value[k], "%s.%s" % (path, k), seen) for k in value.keys()}
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return {name: plain(getattr(value, name), "%s.%s" % (path, name), seen) for name in value._fields}
        if isinstance(value, (list, tuple)):
            return [plain(item, "%s[%d]" % (path, i), seen) for i, item in enumerate(value)]
        if isinstance(value, (set, frozenset)):
            items = list(value)
            try:
                items.sort()
            except TypeError:
                items.sort(key=repr)
            return [plain(item, "%s[%d]" % (path, i), seen) for i, item in enumerate(items)]
        if not isinstance(value, type):
            if dataclasses.is_dataclass(value):
                return {f.name: plain(getattr(value, f.name), "%s.%s" % (path, f.name), seen) for f in dataclasses.fields(value)}
            for name in ("model_dump", "dict", "to_dict", "_asdict", "tolist", "isoformat"):
                method = getattr(value, name, None)
                if callable(method):
                    return plain(method(), path, seen)
            if kind.__module__ in ("uuid", "pathlib", "ipaddress", "pathlib._local", "zoneinfo"):
                return str(value)
            if isinstance(value, AdapterResult):
                return plain(vars(value), path, seen)
            if isinstance(value, (range, types.GeneratorType)) or inspect.isgenerator(value):
                return [plain(item, "%s[%d]" % (path, i), seen) for i, item in enumerate(value)]
        raise NotJSON("a value of type %s at %s has no JSON form: a dict, list, string, number, date, dataclass or model was expected"
                      % (kind.__module__ + "." + kind.__qualname__ if kind.__module__ != "builtins" else kind.__qualname__, path))

    def key(value, path):
        value = _plain(value)
        if isinstance(value, str):
            return str(value)
        if value is None or isinstance(value, (bool, int, float, decimal.Decimal, datetime.date)):
            return value.isoformat() if isinstance(value, datetime.date) else str(value)
        if type(value).__module__ == "uuid":
            return str(value)
        raise NotJSON("a key of type %s in %s has no JSON form: a string was expected" % (type(value).__qualname__, path))

    # -- errors ------------------------------------------------------------------------

    def failure(stage, error):
        tb = error.__traceback__
        ours = (source_name, "<frozen importlib._bootstrap>", "<frozen importlib._bootstrap_external>")
        while tb is not None and tb.tb_frame.f_code.co_filename in ours:
            tb = tb.tb_next
        if isinstance(error, SystemExit):
            text = "the adapter called sys.exit(%s)" % ("" if error.code is None else repr(error.code))
        else:
            text = "".join(traceback.format_exception_only(type(error), error)).strip()
            lines = text.splitlines()
            text = lines[-1] if lines else type(error).__name__
        try:
            full = "".join(traceback.format_exception(type(error), error, tb))
        except Exception:
            full = text
        if isinstance(error, MemoryError) or isinstance(error, OSError) and error.errno == errno.ENOMEM:
            stage = "memory"
        reply = {"op": "error", "stage": stage, "error": text, "traceback": full[-65536:]}
        if isinstance(error, ModuleNotFoundError) and error.name:
            reply["missing"] = error.name
        return reply

    class Refused(Exception):
        """A failure that the adapter reports of itself."""

    # -- fetching ------------------------------------------------------------------------

    def wants(method, base):
        """How many arguments the method can be given: 0, or 1 and more."""
        try:
            parameters = inspect.signature(method).parameters.values()
        except (TypeError, ValueError):
            return base
        count = 0
        for p in parameters:
            if p.kind == p.VAR_POSITIONAL:
                return max(count, base)
            if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD):
                count += 1
        return count

    async def settled(value):
        if inspect.isasyncgen(value):
            return [item async for item in value]
        if inspect.isawaitable(value):
            return await value
        return value

    class Staged(Exception):
        def __init__(self, stage, error):
            super().__init__(str(error))
            self.stage, self.error = stage, error

    async def run_fetch(adapter, config):
        try:
            raw = await settled(adapter.fetch_raw(config) if wants(adapter.fetch_raw, 1) else adapter.fetch_raw())
        except Exception as error:
            raise Staged("fetch_raw", error) from error
        try:
            transform = getattr(adapter, "transform", None)
            done = raw if transform is None else await settled(transform(raw))
        except Exception as error:
            raise Staged("transform", error) from error
        if isinstance(done, AdapterResult):
            if done.raw_count == done.transformed_count:
                done.raw_count = _count(raw)
            return done
        if inspect.isgenerator(done):
            done = list(done)
        return AdapterResult(success=True, category=getattr(adapter, "category", ""), platform=getattr(adapter, "platform", ""),
                             data=done, raw_count=_count(raw))

    async def run_once(adapter, config):
        own = type(adapter).fetch if isinstance(adapter, BaseAdapter) else getattr(type(adapter), "fetch", None)
        if own is None or own is BaseAdapter.fetch:
            return await run_fetch(adapter, config)
        try:
            return await settled(adapter.fetch(config) if wants(adapter.fetch, 1) else adapter.fetch())
        except Exception as error:
            raise Staged("fetch", error) from error

    def load(message):
        sys.path[:] = [p for p in sys.path if p not in ("", message["dir"])]
        provide_shared(message.get("shared", ""))
        for folder in (message["dir"], message.get("workspace", "")):
            if folder and folder not in sys.path:
                sys.path.append(folder)
        current["config"] = AdapterConfig(
            category=message.get("category", ""), platform=message.get("platform", ""),
            credentials=message.get("credentials"), settings=message.get("settings"),
            **{k: message[k] for k in ("timeout_seconds", "rate_limit_per_minute", "max_retries", "retry_delay_seconds") if k in message})
        file = os.path.join(message["dir"], message["entry_point"])
        name = "opsdeck_module_%s_%s" % (message.get("category", ""), message.get("platform", ""))
        name = "".join(c if c.isalnum() else "_" for c in name)
        spec = importlib.util.spec_from_file_location(name, file)
        if spec is None:
            raise ImportError("%s cannot be imported: a Python file was expected" % file)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        wanted = message.get("class_name") or ""
        cls = getattr(module, wanted, None) if wanted else None
        if not isinstance(cls, type):
            own = [c for c, _ in registered if getattr(c, "__module__", "") == name] or [c for c, _ in registered]
            found = [c for c in vars(module).values() if isinstance(c, type) and issubclass(c, BaseAdapter) and c.__module__ == name]
            if own:
                cls = own[-1]
            elif wanted:
                raise ImportError("%s defines no class %s, and registers none" % (message["entry_point"], wanted))
            elif found:
                cls = found[-1]
            else:
                raise ImportError("%s registers no adapter: a class under @register_adapter was expected" % message["entry_point"])
        try:
            adapter = cls()
        except TypeError as error:
            if wants(cls, 0) == 0:
                raise error
            adapter = cls(current["config"])
        if getattr(adapter, "config", None) is None:
            try:
                adapter.config = current["config"]
            except AttributeError:
                pass
        return adapter

    # -- the conversation ------------------------------------------------------------------

    say({"op": "hello", "protocol": 1, "adapter": "python " + ".".join(map(str, sys.version_info[:3]))})
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    adapter = holdings = None
    while True:
        line = requests.readline(64 << 20)
        if not line:
            break
        try:
            message = json.loads(line)
            op = message.get("op")
        except Exception:
            print("a request that is no JSON object was ignored", file=sys.stderr)
            continue
        if op == "bye":
            break
        if op == "run":  # a program of the engine's own: see errand in protocol.go
            try:
                scope = {"__name__": "opsdeck_errand", "provide_shared": provide_shared, "AdapterConfig": AdapterConfig, "current": current}
                exec(compile(message["code"], source_name, "exec"), scope)
                reply = {"op": "done", "data": scope["main"](message["given"])}
            except BaseException as error:
                reply = failure("run", error)
            say(reply)
        elif op == "configure":
            try:
                adapter = load(message)
                capabilities = {}
                try:
                    capabilities = plain(adapter.get_capabilities(), "capabilities", frozenset())
                except Exception:
                    pass
                reply = {"op": "ready", "capabilities": capabilities, "load_seconds": time.process_time()}
                holdings = Holdings(adapter, message["dir"], loop)
            except BaseException as error:
                reply = failure("import", error)
            say(reply)
        elif op == "fetch":
            ident = message.get("id", 0)
            try:
                if adapter is None:
                    raise Refused("the adapter is not loaded")
                result = loop.run_until_complete(run_once(adapter, current["config"]))
                if isinstance(result, AdapterResult):
                    data, metadata, errors = result.data, dict(result.metadata or {}), list(result.errors or [])
                    raw_count, ok = result.raw_count, result.success
                    if not ok:
                        raise Refused(str(result.error or "; ".join(map(str, errors)) or "the adapter reported a failure without a reason"))
                else:
                    data, metadata, errors, raw_count = result, {}, [], _count(result)
                if data is not None and not isinstance(data, (list, tuple, set, frozenset)):
                    if inspect.isgenerator(data):
                        data = list(data)
                reply = {"op": "result", "id": ident, "data": plain(data, "data", frozenset()),
                         "metadata": plain(metadata, "metadata", frozenset()), "raw_count": raw_count}
                if errors:
                    reply["errors"] = [str(e) for e in errors][:100]
                keeps = holdings.kept()
                if keeps:
                    reply["keeps"] = keeps
            except Staged as error:
                reply = failure(error.stage, error.error)
                reply["id"] = ident
            except NotJSON as error:
                reply = {"op": "error", "id": ident, "stage": "result", "error": str(error), "traceback": ""}
            except Refused as error:
                reply = {"op": "error", "id": ident, "stage": "result", "error": str(error), "traceback": ""}
            except BaseException as error:
                reply = failure("fetch", error)
                reply["id"] = ident
            say(reply)
    try:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
    except Exception:
        pass


_main(_opsdeck_shim_name, _opsdeck_holdings)  # noqa: F821  given by the fork server
