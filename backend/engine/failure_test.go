package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

// adapterOf returns a full-shape module named t/NAME that is enabled at once.
func adapterOf(name, body string) map[string]string {
	return map[string]string{
		"modules/t/" + name + "/manifest.json": fmt.Sprintf(`{"name": %q, "version": "1", "category": "t", "platform": %q,
  "entry_point": "adapter.py", "auth_type": "none", "status": "installed", "timeout_seconds": 5}`, name, name),
		"modules/t/" + name + "/adapter.py": "from shared.adapters.base import *\nfrom shared.adapters.base import BaseAdapter, AdapterConfig, AdapterResult, register_adapter\n" + body,
	}
}

const works = `
@register_adapter
class A(BaseAdapter):
    async def fetch_raw(self, config):
        return [1, 2]
`

// Every way in which real adapters fail: each turns its module failed, with the
// reason in one line and the traceback in the detail.
func TestAdaptersThatFail(t *testing.T) {
	needPython(t)
	cases := []struct {
		name, body string
		reason     string // in LastError
		trace      string // in Traceback
	}{
		{"missing_import", "import nonexistent_module_xyz\n", "ModuleNotFoundError: No module named 'nonexistent_module_xyz'; install it", "import nonexistent_module_xyz"},
		{"raises_on_import", "raise RuntimeError('no luck')\n", "RuntimeError: no luck", "raise RuntimeError"},
		{"syntax", "def broken(:\n", "SyntaxError", "def broken(:"},
		{"exits_on_import", "import sys; sys.exit(3)\n", "sys.exit(3)", "SystemExit"},
		{"raises_in_fetch", "@register_adapter\nclass A(BaseAdapter):\n    async def fetch_raw(self, config):\n        return {}['key']\n", "KeyError: 'key'", "in fetch_raw"},
		{"raises_in_transform", "@register_adapter\nclass A(BaseAdapter):\n    def fetch_raw(self):\n        return 1\n    def transform(self, raw):\n        return raw.items()\n", "AttributeError: 'int' object has no attribute 'items'", "in transform"},
		{"not_json", "class Odd: pass\n@register_adapter\nclass A(BaseAdapter):\n    async def fetch_raw(self, config):\n        return [{'ok': 1}, {'owner': Odd()}]\n", "opsdeck_module_t_not_json.Odd at data[1].owner has no JSON form", ""},
		{"circular", "@register_adapter\nclass A(BaseAdapter):\n    async def fetch_raw(self, config):\n        a = []\n        a.append(a)\n        return a\n", "refers to itself", ""},
		{"dies", "import os\n@register_adapter\nclass A(BaseAdapter):\n    async def fetch_raw(self, config):\n        print('last words', flush=True)\n        os._exit(7)\n", "exited with code 7: last words", "last words"},
		{"reports", "@register_adapter\nclass A(BaseAdapter):\n    async def fetch(self, config):\n        return AdapterResult(success=False, category='t', platform='x', data=[], error='upstream says 503')\n", "upstream says 503", ""},
		{"lists_errors", "@register_adapter\nclass A(BaseAdapter):\n    async def fetch_raw(self):\n        return 1\n    def transform(self, raw):\n        return AdapterResult(data=[], metadata={}, errors=['quota is spent'])\n", "quota is spent", ""},
		{"no_adapter", "x = 1\n", "registers no adapter", ""},
		{"credential", "@register_adapter\nclass A(BaseAdapter):\n    async def fetch_raw(self):\n        return self._get_credential('token')\n", "credential 'token' is missing", "_get_credential('token')"},
		{"too_large", "@register_adapter\nclass A(BaseAdapter):\n    async def fetch_raw(self, config):\n        return ['x' * (9 << 20)]\n", "over 8 MiB", ""},
	}
	files := map[string]string{}
	for _, c := range cases {
		for k, v := range adapterOf(c.name, c.body) {
			files[k] = v
		}
	}
	r := newRig(t, files)
	r.start(Config{})
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			m := r.module("t/"+c.name, "fails", func(m *state.Module) bool { return m.Status == state.ModuleFailed && m.Failures > 0 })
			if !strings.Contains(m.LastError, c.reason) {
				t.Errorf("got the reason %q, want %q in it", m.LastError, c.reason)
			}
			if !strings.Contains(m.Traceback, c.trace) {
				t.Errorf("got the traceback %q, want %q in it", m.Traceback, c.trace)
			}
			if strings.Contains(m.Traceback, "importlib") || strings.Contains(m.Traceback, "opsdeck-shim") && c.name != "credential" {
				t.Errorf("the traceback shows the engine's own frames:\n%s", m.Traceback)
			}
			if m.HealthWord == "healthy" || m.Reason == "" {
				t.Errorf("health %q, reason %q", m.HealthWord, m.Reason)
			}
		})
	}
	r.until("ingest counts failures", func(s *state.Snapshot) bool {
		return s.Pipeline.Stages[0].Errors >= int64(len(cases)) && s.Pipeline.Stages[0].State == "error" && s.Pipeline.Stages[0].LastError != ""
	})
}

func TestHangingAdapterIsKilledAndSaysSo(t *testing.T) {
	needPython(t)
	files := adapterOf("hang", "import time, subprocess, os\n@register_adapter\nclass A(BaseAdapter):\n    async def fetch_raw(self, config):\n        p = subprocess.Popen(['sleep', '1000'])\n        open('child.pid', 'w').write(str(p.pid))\n        time.sleep(1000)\n")
	files["modules/t/hang/manifest.json"] = strings.Replace(files["modules/t/hang/manifest.json"], `"timeout_seconds": 5`, `"timeout_seconds": 5, "interval_seconds": 60`, 1)
	r := newRig(t, files)
	r.start(Config{})
	m := r.module("t/hang", "times out", func(m *state.Module) bool { return m.Failures > 0 })
	if want := "fetch timed out after 5s"; !strings.Contains(m.LastError, want) || m.Runner != "backoff" || m.PID != 0 {
		t.Errorf("got %q, runner %s, pid %d; want %q", m.LastError, m.Runner, m.PID, want)
	}
	text, err := os.ReadFile(filepath.Join(r.dir, "modules/t/hang/child.pid"))
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	fmt.Sscan(string(text), &pid)
	waitGone(t, pid)
}

// waitGone waits until a process is gone, or only a zombie whose parent is not ours.
func waitGone(t *testing.T, pid int) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err == nil && strings.Contains(string(stat), ") Z ") {
			return
		}
		if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			return
		}
		<-time.After(5 * time.Millisecond)
	}
	t.Errorf("process %d still runs", pid)
}

func TestKilledRunnerIsStartedAgain(t *testing.T) {
	needPython(t)
	files := adapterOf("x", works)
	r := newRig(t, files)
	r.start(Config{Interval: time.Hour})
	m := r.module("t/x", "runs", healthy)
	if err := syscall.Kill(m.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	pid := m.PID
	r.module("t/x", "says that it was killed", func(m *state.Module) bool { return strings.Contains(m.LastError, "killed by signal 9") })
	m = r.module("t/x", "runs again", func(m *state.Module) bool { return m.PID != 0 && m.PID != pid && m.HealthWord == "healthy" })
	if m.Restarts != 1 || m.Failures != 0 {
		t.Errorf("got %d restarts, %d failures; want 1, 0", m.Restarts, m.Failures)
	}
}

func TestMendedAdapterRecoversByItself(t *testing.T) {
	needPython(t)
	r := newRig(t, adapterOf("x", "raise RuntimeError('broken')\n"))
	r.start(Config{Interval: time.Hour, NoApproval: true})
	r.module("t/x", "fails", func(m *state.Module) bool { return m.Status == state.ModuleFailed && m.Failures > 0 })
	r.write("modules/t/x/adapter.py", adapterOf("x", works)["modules/t/x/adapter.py"])
	m := r.module("t/x", "works", healthy)
	if m.Reason != "" || m.LastError == "" {
		t.Errorf("reason %q, last error %q: want the error kept, no reason", m.Reason, m.LastError)
	}
}

func TestEveryKindOfValueBecomesJSON(t *testing.T) {
	needPython(t)
	r := newRig(t, adapterOf("x", `
import dataclasses, datetime, decimal, enum, uuid, pathlib, collections, ipaddress
class Colour(enum.Enum):
    RED = "red"
class Level(enum.IntEnum):
    HIGH = 3
@dataclasses.dataclass
class Point:
    lat: float
    when: datetime.date
class Old:
    def dict(self):
        return {"old": decimal.Decimal("1.5")}
class New:
    def model_dump(self):
        return {"new": {1: Colour.RED}}
Pair = collections.namedtuple("Pair", "a b")
@register_adapter
class A(BaseAdapter):
    async def fetch_raw(self, config):
        print("noise on stdout")
        return [{"p": Point(1.5, datetime.date(2026, 2, 11)), "o": Old(), "n": New(), "s": {2, 1}, "b": b"text", "raw": bytes([255]),
                 "i": Level.HIGH, "nan": float("nan"), "pair": Pair(1, 2), "u": uuid.UUID(int=0), "f": pathlib.PurePosixPath("/x"),
                 "td": datetime.timedelta(seconds=90), "g": (x for x in [1]), "ip": ipaddress.ip_address("::1"), "big": 2**70, "esc": "\x1b[31m"}]
`))
	r.start(Config{})
	m := r.module("t/x", "fetches", func(m *state.Module) bool { return m.Successes+m.Failures > 0 })
	want := []string{`"lat": 1.5`, `"when": "2026-02-11"`, `"old": 1.5`, `"1": "red"`, `"b": "text"`, `"raw": "/w=="`, `"i": 3`, `"nan": null`, `"a": 1`,
		`"u": "00000000-0000-0000-0000-000000000000"`, `"f": "/x"`, `"td": 90`, `"ip": "::1"`, `"big": 1180591620717411303424`}
	for _, w := range want {
		if !strings.Contains(m.LastResult, w) {
			t.Errorf("%s is missing in the result: %s %s", w, m.LastResult, m.LastError)
		}
	}
}

func TestSharedComesFromTheWorkspaceButTheInterfaceDoesNot(t *testing.T) {
	needPython(t)
	files := map[string]string{
		"shared/__init__.py":          "raise RuntimeError('heavy')\n",
		"shared/adapters/__init__.py": "raise RuntimeError('broken')\n",
		"shared/adapters/base.py":     "class AdapterCategory:\n    WEATHER = 'weather'\n",
		"shared/adapters/extra.py":    "EXTRA = 5\n",
		"shared/schemas/__init__.py":  "",
		"shared/schemas/canonical.py": "from shared.adapters.base import BaseAdapter\nVALUE = 42\n",
	}
	for k, v := range adapterOf("x", `
from shared.schemas.canonical import VALUE
from shared.adapters.base import AdapterCategory
from shared.adapters.extra import EXTRA
import shared.adapters
from shared.adapters.registry import register_adapter
import helper
@register_adapter(category=AdapterCategory.WEATHER, platform="x", display_name="X", description="", icon="", requires_auth=False, auth_type="none")
class A(shared.adapters.BaseAdapter[dict]):
    async def fetch_raw(self, config):
        return [VALUE, EXTRA, helper.H]
`) {
		files[k] = v
	}
	files["modules/t/x/helper.py"] = "H = 9\n"
	r := newRig(t, files)
	r.start(Config{})
	m := r.module("t/x", "fetches", func(m *state.Module) bool { return m.Successes+m.Failures > 0 })
	if got := strings.Join(strings.Fields(m.LastResult), ""); got != "[42,5,9]" {
		t.Errorf("got %q (%s\n%s), want [42,5,9]", got, m.LastError, m.Traceback)
	}
}

func TestAdapterSeesNeitherKeyNorSecretsOutsideThePipe(t *testing.T) {
	needPython(t)
	key, _ := contractKey(t)()
	t.Setenv("MODULE_ENCRYPTION_KEY", key)
	t.Setenv("SOME_TOKEN", "abc")
	r := newRig(t, adapterOf("openweather", `
import os, sys
@register_adapter
class A(BaseAdapter):
    async def fetch_raw(self, config):
        with open("/proc/self/cmdline") as f: cmd = f.read()
        return {"env": sorted(os.environ), "cmd": cmd, "argv": sys.argv, "got": config.credentials["api_key"], "fds": sorted(os.listdir("/proc/self/fd"))}
`))
	r.copyFile(filepath.Join(contractDir, "module_credentials.db"), "data/module_credentials.db")
	// The row of the platform alone serves every module of the platform.
	sqlite(t, filepath.Join(r.dir, "data/module_credentials.db"), "UPDATE credentials SET module_id = 'openweather' WHERE module_id = 'weather/openweather'")
	r.start(Config{Key: contractKey(t)})
	m := r.module("t/openweather", "fetches", func(m *state.Module) bool { return m.Successes+m.Failures > 0 })
	if m.Failures > 0 {
		t.Fatal(m.LastError, m.Traceback)
	}
	for _, bad := range []string{"MODULE_ENCRYPTION_KEY", "SOME_TOKEN", "ow-4f1c"} {
		if strings.Contains(m.LastResult, bad) {
			t.Errorf("%s is in what the adapter saw or in what was published: %s", bad, m.LastResult)
		}
	}
	if !strings.Contains(m.LastResult, `"got": "***"`) {
		t.Errorf("the credential did not arrive, or was not masked: %s", m.LastResult)
	}
}

func TestShellAdapters(t *testing.T) {
	manifest := func(name string) string {
		return fmt.Sprintf(`{"name":%q,"version":"1","category":"t","platform":%q,"entry_point":"a.sh","status":"installed","timeout_seconds":1}`, name, name)
	}
	files := map[string]string{}
	for name, body := range map[string]string{
		"mute":    "#!/bin/sh\nsleep 100\n",
		"talks":   "#!/bin/sh\necho what; echo '{\"op\":\"error\",\"error\":\"no disk\"}'; sleep 100\n",
		"future":  "#!/bin/sh\necho '{\"op\":\"hello\",\"protocol\":9}'; sleep 100\n",
		"ends":    "#!/bin/sh\necho gone >&2\nexit 3\n",
		"garbage": "#!/bin/sh\necho '{\"op\":\"hello\",\"protocol\":1}'\nread x; echo '{\"op\":\"ready\"}'; read x; echo '{\"op\":\"result\",\"data\":[1,}'; sleep 100\n",
	} {
		files["modules/t/"+name+"/manifest.json"] = manifest(name)
		files["modules/t/"+name+"/a.sh"] = body
	}
	files["modules/t/plain/manifest.json"] = strings.Replace(manifest("plain"), "a.sh", "a.txt", 1)
	files["modules/t/plain/a.txt"] = "not a program"
	files["modules/t/absent/manifest.json"] = manifest("absent")
	r := newRig(t, files)
	r.start(Config{Python: "no-such-python", Interval: time.Hour})
	for name, want := range map[string]string{
		"mute": "did not load within 1s", "talks": "no disk", "future": "protocol 9", "ends": "exited with code 3: gone",
		"garbage": "timed out after 1s", "plain": "must be executable", "absent": "cannot be read: no such file",
	} {
		m := r.module("t/"+name, "fails", func(m *state.Module) bool { return m.Failures > 0 })
		if m.Status != state.ModuleFailed || !strings.Contains(m.LastError, want) {
			t.Errorf("%s: got %s %q, want %q in it", name, m.Status, m.LastError, want)
		}
	}
}

func TestWithoutPythonTheRestRuns(t *testing.T) {
	r := newRig(t, nil)
	r.copyIn(modulesDir, "modules")
	r.start(Config{Python: "no-such-python"})
	r.module("host/disk", "fetches", healthy)
	s := r.until("says that Python is missing", func(s *state.Snapshot) bool { return s.Modules.PythonErr != "" })
	if !strings.Contains(s.Modules.PythonErr, "no-such-python was not found") {
		t.Errorf("got %q", s.Modules.PythonErr)
	}
	// Without its key the store is locked, and that is the first thing it lacks.
	if s.Modules.Locked == "" {
		t.Error("the store without a key is not locked")
	}
	if _, err := r.do(state.ModuleEnable, "host/load", nil, nil); err != nil {
		t.Fatal(err)
	}
	m := r.module("host/load", "fails", func(m *state.Module) bool { return m.Failures > 0 })
	if !strings.Contains(m.LastError, "Python adapters cannot run") {
		t.Errorf("got %q", m.LastError)
	}
}

// Whoever is told that an action is done, and asks then, finds what it did.
func TestWhatAnActionDidIsShownOnceItIsDone(t *testing.T) {
	r := newRig(t, scriptModule("x", "[1]"))
	r.start(Config{Python: "none", Interval: time.Hour})
	r.module("t/x", "fetches", healthy)
	for i := range 6 {
		kind, want := state.ModuleDisable, state.ModuleDisabled
		if i%2 > 0 {
			kind, want = state.ModuleEnable, state.ModuleInstalled
		}
		if _, err := r.do(kind, "t/x", nil, nil); err != nil {
			t.Fatal(err)
		}
		if m := r.snapshot().Modules.Module("t/x"); m.Status != want {
			t.Errorf("%s is done, and the module is shown as %s", kind, m.Status)
		}
	}
}
