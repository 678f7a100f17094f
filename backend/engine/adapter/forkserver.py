"""Keeps adapters for opsdeck: see "Why adapters are forked" in doc.go.

It is handed {"server": this text, "shim": the shim's, "holdings": holdings.py's,
"one": limits or null}. With
"one" this very process becomes one adapter. Without, it is the fork server: it imports
what adapters commonly use, forks an adapter for every request that comes on
descriptor 4, is the parent of them and of all that they leave behind, and ends
them with itself. It never runs a module's code. Python 3.8 and later.
"""
import os
import sys


def prepare(given):
    """Makes what both ways need: become, the end of an adapter's start, and adopt."""
    import resource

    code = compile(given["shim"], "<opsdeck-shim>", "exec")
    beside = {"__name__": "opsdeck_holdings"}
    exec(compile(given["holdings"], "<opsdeck-holdings>", "exec"), beside)
    prctl = None
    if sys.platform.startswith("linux"):
        try:
            import ctypes
            prctl = ctypes.CDLL(None, use_errno=True).prctl
        except Exception:
            prctl = None

    def adopt():
        """Has the orphans below this process become its children."""
        if prctl is None or prctl(36, 1, 0, 0, 0) != 0:  # PR_SET_CHILD_SUBREAPER
            return False
        return True

    def limit(name, value):
        which = getattr(resource, name, None)
        if which is None or not value:
            return
        try:
            hard = resource.getrlimit(which)[1]
            value = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(which, (value, value))
        except (ValueError, OSError):
            pass  # what the system has no such limit for, the engine watches

    def become(want, parent):
        """Turns this process into the adapter that is wanted. It does not return."""
        if prctl is not None:
            prctl(1, 9, 0, 0, 0)   # PR_SET_PDEATHSIG: it dies with its parent
            adopt()
            prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
        if os.getppid() != parent:
            os._exit(1)
        try:
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        except (ValueError, OSError):
            pass
        try:
            if want.get("processors"):
                os.sched_setaffinity(0, want["processors"])
            os.setpriority(os.PRIO_PROCESS, 0, want["nice"])
            with open("/proc/self/autogroup", "w") as f:  # where sessions share the processor
                f.write(str(want["nice"]))
        except OSError:
            pass
        limit("RLIMIT_NOFILE", want.get("files"))
        limit("RLIMIT_FSIZE", want.get("file_size"))
        limit("RLIMIT_DATA", want.get("memory"))
        limit("RLIMIT_AS", want.get("address_space"))
        limit("RLIMIT_NPROC", want.get("tasks"))
        program = want.get("program")
        try:
            os.chdir(want["dir"])
            os.environ["TMPDIR"] = want["tmp"]
            if program:
                os.execv(program, [program])
        except OSError as error:
            import json
            text = error.strerror or str(error)
            if isinstance(error, PermissionError) and program:
                text += ": an entry point that does not end in .py must be executable (chmod +x %s)" % os.path.basename(program)
            elif program and error.errno == 8:
                text += ": its first line must name what runs it (#!/bin/sh)"
            text = "its adapter %s does not start: %s" % (os.path.basename(program or want["dir"]), text)
            os.write(1, json.dumps({"op": "error", "stage": "start", "error": text}).encode() + b"\n")
            os._exit(1)
        import tempfile
        tempfile.tempdir = None
        sys.argv[:] = ["-c"]
        try:
            exec(code, {"__name__": "opsdeck_shim", "_opsdeck_shim_name": "<opsdeck-shim>",
                        "_opsdeck_holdings": beside["Holdings"]})
        except SystemExit as error:
            finish(error.code if isinstance(error.code, int) else 1)
        except BaseException:
            import traceback
            traceback.print_exc()
            finish(1)
        finish(0)

    def finish(status):
        """Ends a forked process as the interpreter would, without the fork server's own frames."""
        import atexit
        import threading
        try:
            threading._shutdown()
            atexit._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
        except BaseException:
            pass
        os._exit(status)

    return become, adopt


def keep(become, adopt):
    import gc
    import importlib
    import json
    import select
    import signal
    import socket

    # What adapters commonly import. A library that cannot be imported is no matter
    # here: the adapter that wants it says so.
    for name in ("array asyncio base64 calendar collections.abc concurrent.futures contextlib copy csv ctypes dataclasses "
                 "datetime decimal email.message email.parser email.utils enum fractions functools glob gzip hashlib heapq hmac "
                 "html html.parser http.client http.cookiejar importlib.util inspect io ipaddress itertools json logging math "
                 "operator os pathlib pickle platform queue random re secrets shlex shutil socket ssl statistics string struct "
                 "subprocess tempfile textwrap threading time traceback types typing unicodedata urllib.error urllib.parse "
                 "urllib.request uuid warnings weakref xml.etree.ElementTree zlib zoneinfo").split():
        try:
            importlib.import_module(name)
        except Exception:
            pass
    if not adopt():
        sys.exit("this interpreter has no prctl (ctypes): it cannot keep adapters")
    me = os.getpid()
    control = socket.socket(fileno=4)
    control.setblocking(True)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)  # it ends with the engine's end of descriptor 4
    wake, woken = os.pipe()
    for end in (wake, woken):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    adapters = {}  # process by the engine's key
    keys = {}      # and the other way round

    def say(message):
        try:
            control.send(json.dumps(message).encode())
        except OSError:
            pass  # the engine is gone: the next recv says so

    def children(pid):
        found = []
        try:
            for thread in os.listdir("/proc/%d/task" % pid):
                with open("/proc/%d/task/%s/children" % (pid, thread)) as f:
                    found.extend(map(int, f.read().split()))
            return found
        except OSError:
            if os.path.exists("/proc/self/task/%d/children" % me):
                return found
        for name in os.listdir("/proc"):  # a kernel without those files
            if name.isdigit():
                try:
                    with open("/proc/%s/stat" % name) as f:
                        if int(f.read().rpartition(")")[2].split()[1]) == pid:
                            found.append(int(name))
                except (OSError, ValueError, IndexError):
                    pass
        return found

    def signal_to(pid, number):
        try:
            os.kill(pid, number)
        except OSError:
            pass

    def end(pid):
        """Kills a process and all below it. They are stopped first, so that none
        starts another while the others are looked for, and it goes last, so that
        what its children leave behind still lies below it."""
        signal_to(-pid, signal.SIGSTOP)  # an adapter's whole group at once
        signal_to(pid, signal.SIGSTOP)
        stopped = {pid}
        for _ in range(1000):
            fresh = [p for q in list(stopped) for p in children(q) if p not in stopped]
            if not fresh:
                break
            for p in fresh:
                signal_to(p, signal.SIGSTOP)
            stopped.update(fresh)
        stopped.discard(pid)
        for p in stopped:
            signal_to(p, signal.SIGKILL)
        signal_to(pid, signal.SIGKILL)

    def reap():
        """Tells of adapters that ended, and ends what they left behind."""
        for _ in range(1000):
            while True:
                try:
                    pid, status = os.waitpid(-1, os.WNOHANG)
                except ChildProcessError:
                    return
                if pid == 0:
                    break
                key = keys.pop(pid, None)
                if key is not None:
                    adapters.pop(key, None)
                    left = [p for p in children(me) if p not in keys]
                    for p in left:
                        end(p)
                    say({"op": "ended", "key": key, "status": status, "left": len(left)})
            left = [p for p in children(me) if p not in keys]
            if not left:
                return
            for p in left:
                end(p)
            select.select([], [], [], 0.002)

    def start(message, files):
        gc.freeze()
        pid = os.fork()
        if pid == 0:
            try:
                os.setsid()
                signal.set_wakeup_fd(-1)
                for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGCHLD):
                    signal.signal(number, signal.SIG_DFL)
                for to, fd in enumerate(files):
                    os.dup2(fd, to)
                os.closerange(3, 1024)
                random = sys.modules.get("random")
                if random is not None:
                    random.seed()
                become(message, me)
            finally:
                os._exit(1)
        adapters[message["key"]] = pid
        keys[pid] = message["key"]
        say({"op": "started", "key": message["key"], "pid": pid})

    def receive():
        size = socket.CMSG_SPACE(3 * 4)
        data, ancillary, _, _ = control.recvmsg(65536, size)
        files = []
        for level, kind, payload in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                for i in range(0, len(payload) - len(payload) % 4, 4):
                    files.append(int.from_bytes(payload[i:i + 4], sys.byteorder))
        for fd in files:
            os.set_inheritable(fd, False)
        return data, files

    gc.collect()
    say({"op": "hello"})
    while True:
        ready, _, _ = select.select([control, wake], [], [])
        if wake in ready:
            try:
                os.read(wake, 65536)
            except OSError:
                pass
            reap()
        if control not in ready:
            continue
        try:
            data, files = receive()
        except OSError:
            data, files = b"", []
        if not data:
            break
        try:
            message = json.loads(data)
            if message["op"] == "start" and len(files) == 3:
                start(message, files)
            elif message["op"] == "end" and message["key"] in adapters:
                end(adapters[message["key"]])
        except OSError as error:
            say({"op": "failed", "key": message.get("key", 0), "error": error.strerror or str(error)})
        finally:
            for fd in files:
                os.close(fd)
    for pid in list(keys):
        end(pid)
    reap()


def main(given):
    become, adopt = prepare(given)
    if given.get("one"):
        become(given["one"], os.getppid())
    else:
        keep(become, adopt)


main(_opsdeck_given)  # noqa: F821  given by the engine
