package engine

import (
	"strings"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

func TestBreaker(t *testing.T) {
	now := time.Date(2026, 2, 11, 12, 0, 0, 0, time.UTC)
	man := &Manifest{BreakerFailures: 3, BreakerOpen: 10 * time.Second}
	var b breaker
	fail := func(streak int) bool { return b.failed(now, streak, man, time.Second) }
	if fail(1) || fail(2) || b.state() != breakerClosed || b.try() {
		t.Errorf("it is %s after two failures", b.state())
	}
	if !fail(3) || b.state() != breakerOpen || b.until.Sub(now) != 10*time.Second {
		t.Errorf("it is %s until %s after three", b.state(), b.until)
	}
	if fail(4) {
		t.Error("it opened twice")
	}
	for _, want := range []time.Duration{20 * time.Second, 40 * time.Second, 80 * time.Second, 160 * time.Second, maxOpen, maxOpen} {
		if !b.try() || b.state() != breakerHalf {
			t.Fatalf("it is %s when tried", b.state())
		}
		if !fail(5) || b.until.Sub(now) != want {
			t.Errorf("open for %s, want %s", b.until.Sub(now), want)
		}
	}
	if !b.try() || !b.worked() || b.state() != breakerClosed || b.worked() {
		t.Errorf("it is %s after it worked", b.state())
	}
	if fail(1) {
		t.Error("it opens at the first failure after it was closed")
	}
	if (&breaker{}).failed(now, 5, nil, time.Hour) != true {
		t.Error("without a manifest it does not open")
	}
}

func TestRateLimitHoldsAndComesBack(t *testing.T) {
	now := time.Date(2026, 2, 11, 12, 0, 0, 0, time.UTC)
	m := &module{manifest: &Manifest{Rate: 12}}
	for range 2 {
		if m.permit(now) != 0 {
			t.Error("a sixth of a minute's fetches does not come at once")
		}
	}
	for range 2 { // a refusal takes nothing
		if got, want := m.permit(now), 5*time.Second; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if m.permit(now.Add(5*time.Second)) != 0 {
		t.Error("it does not come back")
	}
	m.manifest = &Manifest{}
	for range 1000 {
		if m.permit(now) != 0 {
			t.Fatal("a module without a limit is limited")
		}
	}
}

// policyModule returns a module whose adapter counts in a file and does what it says.
func policyModule(members, body string) map[string]string {
	files := adapterOf("x", `
import os
def count():
    with open("count", "a") as f: f.write("x")
    return os.path.getsize("count")
@register_adapter
class A(BaseAdapter):
    async def fetch_raw(self, config):
        n = count()
`+body)
	files["modules/t/x/manifest.json"] = strings.Replace(files["modules/t/x/manifest.json"], `"version"`, members+`, "version"`, 1)
	return files
}

func TestCachedResultAnswersUntilItIsTooOldOrForced(t *testing.T) {
	needPython(t)
	r := newRig(t, policyModule(`"cache_ttl_seconds": 3600, "interval_seconds": 1`, "        return list(range(n))\n"))
	r.start(Config{})
	m := r.module("t/x", "fetches", healthy)
	if until := m.CachedAt.Add(m.CacheTTL); m.CacheTTL != time.Hour || m.NextFetch.Before(until.Add(-time.Second)) {
		t.Errorf("the next fetch is at %s, before its cache ends at %s", m.NextFetch, until)
	}
	out, err := r.do(state.ModuleFetch, "t/x", map[string]string{"cached": "true"}, nil)
	if err != nil || !strings.Contains(out.Result, "1 item from its cache, ") {
		t.Errorf("got %q, %v", out.Result, err)
	}
	if out, err = r.do(state.ModuleFetch, "t/x", nil, nil); err != nil || !strings.Contains(out.Result, "fetched 2 items") {
		t.Errorf("forced: got %q, %v", out.Result, err)
	}
	if n := r.e.fetcher.ClearCaches(nil); n != 1 {
		t.Errorf("cleared %d", n)
	}
	r.module("t/x", "has no cache", func(m *state.Module) bool { return m.CachedAt.IsZero() })
	if out, err = r.do(state.ModuleFetch, "t/x", map[string]string{"cached": "true"}, nil); err != nil || !strings.Contains(out.Result, "fetched 3 items") {
		t.Errorf("after clearing: got %q, %v", out.Result, err)
	}
}

func TestRetriesStayWithinTheTimeout(t *testing.T) {
	needPython(t)
	for _, c := range []struct {
		name, members, body, reason string
		count                       int
	}{
		{"works at the third", `"max_retries": 3, "retry_delay_seconds": 0.01`, "        if n < 3: raise RuntimeError('no')\n        return [config.max_retries, config.retry_delay_seconds, config.rate_limit_per_minute]\n", "", 3},
		{"never works", `"max_retries": 2, "retry_delay_seconds": 0.01`, "        raise RuntimeError('no')\n", "RuntimeError: no (tried 3 times)", 3},
		{"dies and is started again", `"max_retries": 2, "retry_delay_seconds": 0.01`, "        if n < 3: os._exit(1)\n        return [1]\n", "", 3},
		{"no time is left", `"max_retries": 2, "retry_delay_seconds": 600`, "        raise RuntimeError('no')\n", "RuntimeError: no", 1},
		{"memory is no matter of luck", `"max_retries": 2, "retry_delay_seconds": 0`, "        raise MemoryError\n", "memory limit", 1},
		{"the rate limit holds", `"max_retries": 2, "retry_delay_seconds": 0, "rate_limit_per_minute": 6`, "        raise RuntimeError('no')\n", "RuntimeError: no", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, policyModule(c.members, c.body))
			r.start(Config{Interval: time.Hour})
			m := r.module("t/x", "is done", func(m *state.Module) bool { return m.Successes+m.Failures > 0 })
			if (c.reason == "") != (m.Failures == 0) || !strings.Contains(m.LastError, c.reason) || c.count == 1 && strings.Contains(m.LastError, "tried") {
				t.Errorf("got %q, want %q", m.LastError, c.reason)
			}
			r.stop()
			if got := len(read(t, r.dir+"/modules/t/x/count")); got != c.count {
				t.Errorf("tried %d times, want %d", got, c.count)
			}
		})
	}
}

func TestRateLimitRefusesOperatorsToo(t *testing.T) {
	needPython(t)
	r := newRig(t, policyModule(`"rate_limit_per_minute": 1`, "        return [config.rate_limit_per_minute]\n"))
	r.start(Config{Interval: time.Hour})
	r.module("t/x", "fetches", healthy)
	_, err := r.do(state.ModuleFetch, "t/x", nil, nil)
	if err == nil || !strings.Contains(err.Error(), "its rate limit of 1 a minute is used up: it is free again in ") {
		t.Errorf("got %v", err)
	}
	if m := r.module("t/x", "is well", healthy); m.Failures != 0 {
		t.Error("a refusal counts as a failure")
	}
}

func TestCircuitOpensIsShownAndIsClosedByAnOperator(t *testing.T) {
	needPython(t)
	r := newRig(t, policyModule(`"circuit_breaker": {"failures": 2, "open_seconds": 3600}`, "        if not os.path.exists('good'): raise RuntimeError('no')\n        return [1]\n"))
	r.start(Config{Interval: 20 * time.Millisecond})
	m := r.module("t/x", "opens its circuit", func(m *state.Module) bool { return m.Breaker == breakerOpen })
	if m.Failures != 2 || time.Until(m.BreakerUntil) < 50*time.Minute || m.NextFetch.Before(m.BreakerUntil.Add(-time.Minute)) {
		t.Errorf("%d failures, until %s, next fetch %s", m.Failures, m.BreakerUntil, m.NextFetch)
	}
	if _, err := r.do(state.ModuleFetch, "t/x", nil, nil); err == nil {
		t.Error("the fetch that tries it does not fail")
	}
	r.module("t/x", "is open again", func(m *state.Module) bool { return m.Breaker == breakerOpen && m.Failures == 3 })
	r.write("modules/t/x/good", "")
	if _, err := r.do(state.ModuleFetch, "t/x", nil, nil); err != nil {
		t.Error(err)
	}
	m = r.module("t/x", "is closed", func(m *state.Module) bool { return m.Breaker == breakerClosed && m.Successes > 1 })
	var all []string
	for _, h := range m.History {
		all = append(all, h.What)
	}
	for _, want := range []string{"its circuit is open until", "half-open", "its circuit is closed"} {
		if !strings.Contains(strings.Join(all, "\n"), want) {
			t.Errorf("%q is missing in its history %q", want, all)
		}
	}
}

func TestStaleDataIsMarkedAndThenDropped(t *testing.T) {
	needPython(t)
	r := newRig(t, policyModule(`"stale_while_error_seconds": 1`, "        if n > 1: raise RuntimeError('no')\n        return [1]\n"))
	r.start(Config{Interval: 50 * time.Millisecond})
	m := r.module("t/x", "fails", func(m *state.Module) bool { return m.Failures > 0 && m.Successes == 1 && m.Stale })
	if got, want := m.StaleUntil, m.LastOK.Add(time.Second); !got.Equal(want) {
		t.Errorf("stale until %s, want %s", got, want)
	}
	r.until("its data is marked and dropped", func() func(*state.Snapshot) bool {
		marked := false
		return func(*state.Snapshot) bool {
			c, ok := r.e.Delivered().Category("t")
			if ok && c.Modules[0].Stale && c.Modules[0].Age > 0 {
				marked = true
			}
			return marked && !ok
		}
	}())
	r.module("t/x", "has nothing stale any more", func(m *state.Module) bool { return !m.Stale && m.StaleUntil.IsZero() })
}
