package engine

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

// hostile are adapters that harm whoever lets them, and what is said of each.
var hostile = []struct{ name, body, reason string }{
	{"type_error", "    async def fetch_raw(self, config):\n        return len(5)\n", "TypeError: object of type 'int' has no len()"},
	{"memory", "    async def fetch_raw(self, config):\n        return [len(bytearray(4 << 30))]\n", "went over its memory limit of 1024 MiB (MemoryError)"},
	{"shared_memory", "    async def fetch_raw(self, config):\n        import mmap\n        m = mmap.mmap(-1, 8 << 30)\n        return [1]\n", "went over its memory limit of 1024 MiB"},
	{"sleeps", "    async def fetch_raw(self, config):\n        await __import__('asyncio').sleep(1e6)\n", "timed out after 2s"},
	{"blocks", "    async def fetch_raw(self, config):\n        import signal, time\n        signal.signal(signal.SIGTERM, signal.SIG_IGN)\n        time.sleep(1e6)\n", "timed out after 2s"},
	{"spins", "    async def fetch_raw(self, config):\n        while True: pass\n", "timed out after 2s"},
	{"prints", "    async def fetch_raw(self, config):\n        while True: print('x' * 100000)\n", "timed out after 2s"},
	{"floods", "    async def fetch_raw(self, config):\n        import os\n        for fd in map(int, os.listdir('/proc/self/fd')):\n            if fd > 2:\n                try:\n                    while True: os.write(fd, b'{\"op\":\"noise\"}\\n')\n                except OSError: pass\n", "messages that nobody asked for"},
	{"forks", "    async def fetch_raw(self, config):\n        import os\n        while True:\n            try: os.fork()\n            except OSError: pass\n", "started more than 64 processes"},
	{"threads", "    async def fetch_raw(self, config):\n        import threading, time\n        threading.stack_size(65536)\n        for _ in range(3000): threading.Thread(target=time.sleep, args=(1e6,), daemon=True).start()\n        time.sleep(1e6)\n", "started more than 1024 threads"},
	{"file", "    async def fetch_raw(self, config):\n        import os, signal, tempfile\n        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)\n        f = tempfile.TemporaryFile()\n        f.truncate(2 << 30)\n        return [1]\n", "killed by signal 25"},
}

func hostileModules(timeout string) map[string]string {
	files := map[string]string{}
	for _, h := range hostile {
		for k, v := range adapterOf(h.name, "@register_adapter\nclass A(BaseAdapter):\n"+h.body) {
			files[k] = strings.Replace(v, `"timeout_seconds": 5`, timeout, 1)
		}
	}
	return files
}

func TestHostileAdaptersFailWithTheirReason(t *testing.T) {
	needPython(t)
	needProc(t)
	files := hostileModules(`"timeout_seconds": 2, "interval_seconds": 3600`)
	for _, h := range hostile {
		if file := "modules/t/" + h.name + "/manifest.json"; !strings.Contains(h.reason, "timed out") {
			// At their priority they may need long to go over another limit on a busy host.
			files[file] = strings.Replace(files[file], `"timeout_seconds": 2`, `"timeout_seconds": 30`, 1)
		}
	}
	r := newRig(t, files)
	r.start(Config{})
	for _, h := range hostile {
		m := r.module("t/"+h.name, "fails", func(m *state.Module) bool { return m.Failures > 0 || m.Successes > 0 })
		if !strings.Contains(m.LastError, h.reason) || strings.Contains(m.LastError, "\n") {
			t.Errorf("%s: got %q, want %q in it", h.name, m.LastError, h.reason)
		}
	}
}

// A module's latency beside hostile ones is what it is alone: both are measured in
// turn, in one engine. It says both; the bound is one that only a module that waits
// for others goes over.
func TestHostileAdaptersDoNotSlowOthers(t *testing.T) {
	needPython(t)
	needProc(t)
	const each = 50
	rounds := 4
	if testing.Short() {
		rounds = 1
	}
	r := newRig(t, merged(adapterOf("good", works), hostileModules(`"timeout_seconds": 2`)))
	r.start(Config{Interval: 50 * time.Millisecond})
	all := func(kind state.Kind) {
		var wg sync.WaitGroup
		for _, h := range hostile {
			wg.Go(func() {
				if _, err := r.do(kind, "t/"+h.name, nil, nil); err != nil && kind == state.ModuleDisable {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	measured := func() []float64 {
		from := r.module("t/good", "is there", func(*state.Module) bool { return true }).Successes
		m := r.module("t/good", "fetches", func(m *state.Module) bool { return m.Successes >= from+each })
		if m.Failures > 0 {
			t.Errorf("it failed: %s", m.LastError)
		}
		return m.Latencies[len(m.Latencies)-each:]
	}
	var alone, beside []float64
	r.module("t/good", "fetches", healthy)
	for range rounds {
		all(state.ModuleDisable)
		alone = append(alone, measured()...)
		begun := make(chan struct{})
		go func() { defer close(begun); all(state.ModuleEnable) }()
		beside = append(beside, measured()...)
		<-begun
	}
	t.Logf("alone: %s; beside %d hostile modules: %s", quantiles(alone), len(hostile), quantiles(beside))
	if s := sorted(beside); s[len(s)/2] > 1000 {
		t.Errorf("half of its fetches took over a second: it waits for others")
	}
}

func sorted(list []float64) []float64 {
	s := slices.Clone(list)
	slices.Sort(s)
	return s
}

func quantiles(list []float64) string {
	s := sorted(list)
	return fmt.Sprintf("p50 %.1f ms, p95 %.1f ms, p99 %.1f ms of %d", s[len(s)/2], s[len(s)*95/100], s[len(s)*99/100], len(s))
}

func TestForkServerThatDiesIsStartedAgainAndNoFetchFails(t *testing.T) {
	needPython(t)
	needProc(t)
	r := newRig(t, merged(adapterOf("x", "import asyncio\n@register_adapter\nclass A(BaseAdapter):\n    async def fetch_raw(self, config):\n        open('began', 'w').close()\n        await asyncio.sleep(0.3)\n        return [1]\n"), adapterOf("y", works)))
	r.start(Config{Interval: time.Hour})
	r.module("t/x", "fetches", healthy)
	r.module("t/y", "fetches", healthy)
	for range 2 {
		done := make(chan error, 1)
		go func() { _, err := r.do(state.ModuleFetch, "t/x", nil, nil); done <- err }()
		r.module("t/x", "is fetching", func(m *state.Module) bool { return m.Fetching })
		_ = syscall.Kill(r.e.fetcher.launcher.ForkServerPID(), syscall.SIGKILL)
		if err := <-done; err != nil {
			t.Errorf("the fetch under way failed: %v", err)
		}
		if _, err := r.do(state.ModuleFetch, "t/y", nil, nil); err != nil {
			t.Errorf("the next fetch failed: %v", err)
		}
	}
	for _, id := range []string{"t/x", "t/y"} {
		if m := r.module(id, "works", healthy); m.Failures != 0 || m.LastError != "" {
			t.Errorf("%s: %d failures, %q", id, m.Failures, m.LastError)
		}
	}
}
