"""Runs a module's own tests for opsdeck (see testrun.go): with pytest where that is
installed, else unittest.TestCase classes and plain test_* functions.

The shim runs main, which has provided shared.adapters. Python 3.8 and later.
"""
import asyncio
import importlib.util
import inspect
import os
import sys
import traceback
import unittest


def main(given):
    folder = given["dir"]
    provide_shared(given["shared"])  # noqa: F821  given by the shim
    current["config"] = AdapterConfig(category=given["category"], platform=given["platform"], settings=given["settings"])  # noqa: F821
    sys.path[:] = [folder] + [p for p in sys.path if p not in ("", folder)] + [given["workspace"]]
    file = os.path.join(folder, given["test_file"])
    result = {"with": "", "passed": 0, "failed": 0, "skipped": 0, "failures": [], "err": ""}
    if importlib.util.find_spec("pytest") is not None:
        with_pytest(file, folder, result)
    else:
        without(file, folder, result)
    sys.stdout.flush()
    return result


def failed(result, test, file, line, text, folder):
    result["failed"] += 1
    if len(result["failures"]) < 50:
        if file and os.path.isabs(file):
            inside = os.path.relpath(file, folder)
            file = file if inside.startswith("..") else inside
        result["failures"].append({"test": str(test)[:200], "file": file or "", "line": int(line or 0), "text": text[:4000]})


def with_pytest(file, folder, result):
    import pytest
    result["with"] = "pytest"
    handled = any(importlib.util.find_spec(name) for name in ("pytest_asyncio", "anyio", "pytest_trio"))

    class Collector:
        @pytest.hookimpl(tryfirst=True)
        def pytest_pyfunc_call(self, pyfuncitem):
            if handled or not inspect.iscoroutinefunction(pyfuncitem.obj):
                return None
            names = pyfuncitem._fixtureinfo.argnames
            asyncio.run(pyfuncitem.obj(**{n: pyfuncitem.funcargs[n] for n in names}))
            return True

        def pytest_runtest_logreport(self, report):
            if report.outcome == "failed":
                crash = getattr(report.longrepr, "reprcrash", None)
                text = getattr(crash, "message", "") or str(report.longrepr)
                failed(result, report.nodeid.split("::", 1)[-1], getattr(crash, "path", "") or report.location[0],
                       getattr(crash, "lineno", 0), text if report.when == "call" else "%s: %s" % (report.when, text), folder)
            elif report.outcome == "skipped":
                result["skipped"] += 1
            elif report.when == "call":
                result["passed"] += 1

        def pytest_collectreport(self, report):
            if report.outcome == "failed":
                failed(result, report.nodeid or os.path.basename(file), str(report.fspath or ""), 0, str(report.longrepr), folder)

    code = pytest.main([file, "-q", "-p", "no:cacheprovider", "--tb=short", "--color=no", "--rootdir", folder, "-c", os.devnull], plugins=[Collector()])
    if int(code) == 5:
        result["err"] = "it has no tests: functions test_... or unittest.TestCase classes were expected"
    elif int(code) > 1 and not result["failed"]:
        result["err"] = "pytest ended with code %d" % int(code)


def without(file, folder, result):
    result["with"] = "unittest"
    name = os.path.splitext(os.path.basename(file))[0]
    try:
        spec = importlib.util.spec_from_file_location(name, file)
        if spec is None:
            raise ImportError("%s is no Python file" % file)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    except ModuleNotFoundError as error:
        wanted = (error.name or "").split(".")[0]
        result["err"] = "its tests need %s, which is not installed: python3 -m pip install %s" % (wanted, wanted)
        return
    except BaseException as error:
        where = place(error, folder, file)
        failed(result, "(loading)", where[0], where[1], "".join(traceback.format_exception_only(type(error), error)).strip(), folder)
        return

    class Result(unittest.TestResult):
        def addSuccess(self, test):
            result["passed"] += 1

        def addSkip(self, test, reason):
            result["skipped"] += 1

        def addExpectedFailure(self, test, err):
            result["passed"] += 1

        def addUnexpectedSuccess(self, test):
            failed(result, test, file, 0, "it passes, and was expected to fail", folder)

        def addFailure(self, test, err):
            where = place(err[1], folder, file)
            failed(result, test, where[0], where[1], "".join(traceback.format_exception_only(err[0], err[1])).strip(), folder)

        addError = addFailure

        def addSubTest(self, test, subtest, err):
            if err is not None:
                self.addFailure(subtest, err)

    unittest.defaultTestLoader.loadTestsFromModule(module).run(Result())
    for key, value in list(vars(module).items()):
        if not key.startswith("test") or not inspect.isfunction(value) or value.__module__ != name:
            continue
        if any(p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
               for p in inspect.signature(value).parameters.values()):
            result["skipped"] += 1
            print("%s was skipped: its arguments are fixtures, which pytest gives: python3 -m pip install pytest" % key)
            continue
        try:
            done = value()
            if inspect.isawaitable(done):
                asyncio.run(settled(done))
            result["passed"] += 1
        except unittest.SkipTest:
            result["skipped"] += 1
        except BaseException as error:
            where = place(error, folder, file)
            failed(result, key, where[0], where[1], "".join(traceback.format_exception_only(type(error), error)).strip(), folder)
    if not result["passed"] + result["failed"] + result["skipped"]:
        result["err"] = "it has no tests: functions test_... or unittest.TestCase classes were expected"


async def settled(value):
    return await value


def place(error, folder, file):
    """Where a failure shows: the last line of the module's own on its way."""
    found = (file, getattr(error, "lineno", 0) or 0)
    tb = error.__traceback__
    while tb is not None:
        name = tb.tb_frame.f_code.co_filename
        if os.path.realpath(name).startswith(os.path.realpath(folder) + os.sep):
            found = (name, tb.tb_lineno)
        tb = tb.tb_next
    return found
