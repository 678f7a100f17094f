package engine

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

// What an adapter keeps between its fetches is noticed, and nothing else.
func TestAdaptersThatKeepSomethingAreNoticed(t *testing.T) {
	needPython(t)
	cases := []struct{ name, body, keeps string }{
		{"nothing", "    async def fetch_raw(self, config):\n        log.info('hello')\n        return [1]\n", ""},
		{"executor", "    async def fetch_raw(self, config):\n        import asyncio\n        return await asyncio.get_running_loop().run_in_executor(None, lambda: [1])\n", ""},
		{"class_cache", "    _cache = {}\n    _cache_ttl = 300\n    async def fetch_raw(self):\n        self._cache['data'] = [1]\n        return [1]\n", "A._cache"},
		{"rebound", "    _cache = {}\n    async def fetch_raw(self):\n        self._cache = {'data': [1]}\n        return [1]\n", "self._cache"},
		{"global", "    async def fetch_raw(self):\n        seen.append(1)\n        return [1]\n", "seen"},
		{"lru", "    async def fetch_raw(self):\n        return [twice(2)]\n", "twice"},
		{"default", "    async def fetch_raw(self, config, _memo={}):\n        _memo[1] = 2\n        return [1]\n", "A.fetch_raw"},
		{"helper", "    async def fetch_raw(self):\n        import helper\n        helper.SEEN.add(1)\n        return [1]\n", "SEEN"},
		{"thread", "    async def fetch_raw(self):\n        import threading, time\n        threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()\n        return [1]\n", "a thread"},
		{"task", "    async def fetch_raw(self):\n        import asyncio\n        self.later = asyncio.get_running_loop().create_task(asyncio.sleep(1000))\n        return [1]\n", "a task"},
		{"file", "    async def fetch_raw(self):\n        self.f = open('/dev/null')\n        return [1]\n", "an open file or connection"},
		{"child", "    async def fetch_raw(self):\n        import subprocess\n        self.p = subprocess.Popen(['sleep', '1000'])\n        return [1]\n", "a child process"},
		{"much", "    table = [{'n': i} for i in range(50000)]\n    async def fetch_raw(self):\n        return [1]\n", "much data"},
	}
	files := map[string]string{}
	for _, c := range cases {
		for k, v := range adapterOf(c.name, "import functools, logging, helper\nlog = logging.getLogger(__name__)\nseen = []\n@functools.lru_cache\ndef twice(n): return 2 * n\n@register_adapter\nclass A(BaseAdapter):\n"+c.body) {
			files[k] = v
		}
		files["modules/t/"+c.name+"/helper.py"] = "SEEN = set()\n"
	}
	r := newRig(t, files)
	r.start(Config{Interval: time.Hour})
	for _, c := range cases {
		m := r.module("t/"+c.name, "fetches", func(m *state.Module) bool { return m.Successes+m.Failures > 0 })
		if m.Keeps != c.keeps || m.Failures > 0 {
			t.Errorf("%s: it keeps %q, want %q (%s)", c.name, m.Keeps, c.keeps, m.LastError)
		}
	}
}

// An adapter that works on between its fetches is stopped with its reason; its next
// fetch finds another process.
func TestAdapterThatUsesTheProcessorBetweenFetchesIsStopped(t *testing.T) {
	needPython(t)
	needProc(t)
	r := newRig(t, adapterOf("busy", `
@register_adapter
class A(BaseAdapter):
    async def fetch_raw(self, config):
        import threading
        def spin():
            while True: pass
        threading.Thread(target=spin, daemon=True).start()
        return [1]
`))
	r.start(Config{Interval: time.Hour, Idle: time.Second})
	for n := range int64(2) {
		m := r.module("t/busy", "was stopped", func(m *state.Module) bool {
			return m.Successes == n+1 && m.Runner == "idle" && m.LastError != ""
		})
		if m.PID != 0 || m.Failures != 0 || m.Restarts != 0 || m.Status != state.ModuleInstalled || m.HealthWord != "degraded" {
			t.Errorf("process %d, %d failures, %d restarts, %s, %s", m.PID, m.Failures, m.Restarts, m.Status, m.HealthWord)
		}
		if want := "% of a core for 1s while nothing was asked of it"; !strings.Contains(m.LastError, want) {
			t.Errorf("got %q, want %q in it", m.LastError, want)
		}
		if _, err := r.do(state.ModuleFetch, "t/busy", nil, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// Beyond the pool's places adapters leave after their fetch, are shown as idle and
// loaded, and fetch again; those that keep something stay.
func TestIdleAdaptersLeaveAndComeBack(t *testing.T) {
	needPython(t)
	needProc(t)
	files := map[string]string{}
	const size, n = 4, 4 + 6
	for i := range n {
		for k, v := range adapterOf(fmt.Sprintf("m%d", i), works) {
			files[k] = v
		}
	}
	keeps := adapterOf("keeps", "@register_adapter\nclass A(BaseAdapter):\n    _cache = {'n': 0}\n    async def fetch_raw(self):\n        self._cache['n'] += 1\n        return [self._cache['n']]\n")
	away := adapterOf("away", works)
	away["modules/t/away/manifest.json"] = strings.Replace(away["modules/t/away/manifest.json"], `"version"`, `"resident": false, "version"`, 1)
	r := newRig(t, merged(files, keeps, away))
	r.start(Config{Interval: time.Hour, Resident: size})
	s := r.until("all have fetched and those beyond the pool have left", func(s *state.Snapshot) bool {
		idle, done := 0, 0
		for _, m := range s.Modules.List {
			if m.Successes > 0 {
				done++
			}
			if m.Runner == "idle" {
				idle++
			}
		}
		return done == n+2 && idle >= 7
	})
	for _, m := range s.Modules.List {
		if m.Runner == "idle" && (m.PID != 0 || m.Status != state.ModuleInstalled || m.HealthWord != "healthy") {
			t.Errorf("%s is idle with process %d, %s, %s", m.ID, m.PID, m.Status, m.HealthWord)
		}
	}
	if j, err := r.e.Modules().JSON("t/away", false); err != nil || j["is_loaded"] != true {
		t.Errorf("the idle module is not loaded: %v %v", j["is_loaded"], err)
	}
	if _, err := r.do(state.ModuleFetch, "t/away", nil, nil); err != nil {
		t.Error(err)
	}
	m := r.module("t/away", "left again", func(m *state.Module) bool { return m.Successes == 2 && m.Runner == "idle" })
	if m.Restarts != 0 {
		t.Errorf("coming back counts as %d restarts", m.Restarts)
	}
	// A class-level cache lives on until caches are cleared.
	for range 2 {
		if _, err := r.do(state.ModuleFetch, "t/keeps", nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	m = r.module("t/keeps", "counts", func(m *state.Module) bool { return m.Successes == 3 })
	if !strings.Contains(m.LastResult, "3") || m.Runner != "running" {
		t.Errorf("its cache was lost: %s, it is %s", m.LastResult, m.Runner)
	}
	if got := r.e.fetcher.ClearCaches([]string{"t/keeps", "t/absent"}); got != 1 {
		t.Errorf("got %d, want 1", got)
	}
	r.module("t/keeps", "has left", func(m *state.Module) bool { return m.Runner == "idle" })
	if _, err := r.do(state.ModuleFetch, "t/keeps", nil, nil); err != nil {
		t.Fatal(err)
	}
	m = r.module("t/keeps", "starts anew", func(m *state.Module) bool { return m.Successes == 4 })
	if strings.TrimSpace(strings.Trim(m.LastResult, "[] \n")) != "1" {
		t.Errorf("got %s, want [1]", m.LastResult)
	}
}

// What an adapter says that it can do is known once it was loaded.
func TestAdaptersTellWhatTheyCanDo(t *testing.T) {
	needPython(t)
	body := func(gives string) string {
		return works + "    def get_capabilities(self):\n        return " + gives + "\n"
	}
	r := newRig(t, merged(
		adapterOf("tells", body(`{"read": True, "batch": {"size": 7}, "note": "a\x1b[2Jb"}`)),
		adapterOf("wrong", body(`["read"]`)),
		adapterOf("endless", body(`{"read": "x" * 100000}`)),
		adapterOf("breaks", body(`1 / 0`))))
	r.start(Config{})
	for _, name := range []string{"tells", "wrong", "endless", "breaks"} {
		m := r.module("t/"+name, "fetches", healthy)
		var want []string
		if name == "tells" {
			want = []string{"batch", "read"}
		}
		if !slices.Equal(m.Capabilities, want) {
			t.Errorf("%s: it is shown to have %q, want %q", name, m.Capabilities, want)
		}
	}
	want := map[string]map[string]any{"t/tells": {"read": true, "batch": map[string]any{"size": 7.0}, "note": state.Clean("a\x1b[2Jb")}}
	if got := r.e.Modules().Capabilities(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
