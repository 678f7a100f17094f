package views

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/views/list"
	"github.com/opsdeck/opsdeck/views/pane"
)

func TestExitCodesAreExplained(t *testing.T) {
	for _, c := range []struct {
		code int
		oom  bool
		want string
	}{
		{0, false, "without error"}, {0, true, "its memory ran out"}, {1, false, "error of its own"}, {125, false, "could not start"},
		{126, false, "cannot be run"}, {127, false, "not found"}, {137, true, "raise the limit"}, {137, false, "SIGKILL"}, {139, false, "SIGSEGV"},
		{143, false, "SIGTERM"}, {134, false, "SIGABRT"}, {255, false, "out of range"}, {200, false, "error of its own"}, {-1, false, "error of its own"},
	} {
		if got := exitMeaning(c.code, c.oom); !strings.Contains(got, c.want) {
			t.Errorf("%d, OOM %v: %q, want %q", c.code, c.oom, got, c.want)
		}
	}
}

func TestTroubleIsMarked(t *testing.T) {
	now := time.Date(2026, 2, 11, 3, 12, 40, 0, time.UTC)
	for _, c := range []struct {
		name string
		c    state.Container
		want string
	}{
		{"well", state.Container{State: "running", CPUPercent: 300, MemPercent: 99, PIDs: 5000, Restarts: 7, Started: now.Add(-time.Hour)}, ""},
		{"memory", state.Container{State: "running", Limits: state.Limits{Memory: 1 << 20}, MemPercent: 93}, "memory at 93% of its limit"},
		{"memory of a stopped one", state.Container{State: "exited", Limits: state.Limits{Memory: 1 << 20}, MemPercent: 93}, ""},
		{"CPU", state.Container{State: "running", Limits: state.Limits{CPUs: 0.5}, CPUPercent: 49}, "CPU at 98% of its limit"},
		{"PIDs", state.Container{State: "running", PIDsLimit: 100, PIDs: 95}, "95 of 100 processes"},
		{"restarting", state.Container{State: "restarting", Restarts: 1, ExitCode: 1}, "restarted 1 times; exit code 1"},
		{"back for a moment", state.Container{State: "running", Restarts: 5, Started: now.Add(-20 * time.Second)}, "ends again and again: restarted 5 times"},
		{"restarted once", state.Container{State: "running", Restarts: 1, Started: now.Add(-20 * time.Second)}, ""},
		{"killed", state.Container{State: "exited", ExitCode: 137, OOMKilled: true}, "exit code 137: its memory ran out"},
	} {
		got := containerWhy(now, &c.c)
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// crowd returns a host of n containers in projects of ten; running says which run.
func crowd(n int, running func(int) bool) *state.Snapshot {
	now := time.Date(2026, 2, 11, 3, 12, 40, 0, time.UTC)
	list := make([]state.Container, n)
	for i := range list {
		c := &list[i]
		*c = state.Container{ID: fmt.Sprintf("%064x", i), Title: fmt.Sprintf("project%04d-service-%d-1", i/10, i%10), Image: fmt.Sprintf("registry.example/team/service-%d:2.4", i%10), State: "exited",
			Project: fmt.Sprintf("project%04d", i/10), Service: fmt.Sprintf("service-%d", i%10), Created: now.Add(-time.Duration(i) * time.Minute), Finished: now.Add(-time.Hour), CPUPercent: -1, MemBytes: -1, MemPercent: -1, PIDs: -1}
		if running(i) {
			c.State, c.Started, c.Sampled = "running", now.Add(-time.Hour), now
			c.CPUPercent, c.MemBytes, c.MemPercent = float64(i*7919%4000)/10, float64(i*104729%(1<<30)), 10
			c.CPUHistory = make([]float64, 60)
		}
	}
	return (&state.Snapshot{}).With(1, now, state.Containers{List: list, Health: state.Health{Status: state.OK}})
}

// BenchmarkContainers is what one key costs at 200x50 among 1000 running containers
// and among 30,000 mostly stopped ones: the key, what the console asks of the pane
// after it, and the frame.
func BenchmarkContainers(b *testing.B) {
	for _, size := range []struct {
		name    string
		n       int
		running func(int) bool
	}{{"1000", 1000, func(int) bool { return true }}, {"30000-stopped", 30000, func(i int) bool { return i%600 == 0 }}} {
		snap := crowd(size.n, size.running)
		for _, flat := range []bool{false, true} {
			for _, bench := range []struct {
				name string
				do   func(l *list.List[state.Container], i int)
			}{
				{"down", func(l *list.List[state.Container], _ int) { l.Update(pane.CommandMsg{Command: pane.Down}) }},
				{"page", func(l *list.List[state.Container], _ int) { l.Update(pane.CommandMsg{Command: pane.PageDown}) }},
				{"end", func(l *list.List[state.Container], i int) {
					l.Update(pane.CommandMsg{Command: []pane.Command{pane.Bottom, pane.Top}[i%2]})
				}},
				{"sort", func(l *list.List[state.Container], _ int) { l.Update(pane.CommandMsg{Command: pane.SortNext}) }},
				{"filter", func(l *list.List[state.Container], i int) {
					l.SetFilter([]string{"service-3", "project:project01 cpu>5", "state:running", "mem>10MiB", ""}[i%5])
				}},
				{"fold", func(l *list.List[state.Container], _ int) { l.Update(pane.CommandMsg{Command: pane.FoldAll}) }},
				{"figures", func(l *list.List[state.Container], i int) { l.Apply(snap.With(uint64(i+2), snap.At, snap.Containers)) }},
			} {
				name := fmt.Sprintf("%s/%s", size.name, bench.name)
				if flat {
					name += "-flat"
				}
				b.Run(name, func(b *testing.B) {
					l := NewContainers(testEnv()).(*list.List[state.Container])
					l.Resize(196, 46)
					l.Focus(true)
					l.SetFolds(flat, nil)
					l.Apply(snap)
					_ = l.View()
					i := 0
					var worst time.Duration
					for b.Loop() {
						at := time.Now()
						bench.do(l, i)
						l.Target()
						_ = l.View()
						l.Summary()
						worst = max(worst, time.Since(at))
						i++
					}
					b.ReportMetric(float64(worst.Microseconds())/1000, "worst-ms")
				})
			}
		}
	}
}
