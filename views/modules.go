package views

import (
	"cmp"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/theme"
	"github.com/opsdeck/opsdeck/views/list"
	"github.com/opsdeck/opsdeck/views/pane"
)

type moduleCell = func(*pane.Env, *state.Module) (string, theme.Ink)

// moduleRank orders modules by how much they want looking at.
func moduleRank(m *state.Module) int {
	switch {
	case m.Status == state.ModuleFailed:
		return 0
	case m.Status == state.ModuleInstalled && m.HealthWord == "unhealthy":
		return 1
	case m.Status == state.ModuleInstalled && m.HealthWord == "degraded":
		return 2
	case m.Status == state.ModuleInstalled:
		return 3
	case m.Status == state.ModuleUninstalled:
		return 6
	case m.Status == state.ModuleDisabled:
		return 5
	}
	return 4
}

// NewModules makes the pane of modules.
func NewModules(env *pane.Env) pane.Pane {
	return list.New(env, list.Spec[state.Module]{
		Info: pane.Info{
			Name: "modules", Title: "Modules", Section: state.SectionModules,
			Band:  1,
			Acts:  []state.SectionName{state.SectionModules},
			About: "The engine's modules: what each is, how its fetches go, and whether it has its credentials. A failed module's detail has its traceback.",
		},
		Order: "Status",
		Cols: []list.Column[state.Module]{
			{Title: "Status", W: 11, Cell: moduleStatus, Cmp: func(a, b *state.Module) int { return cmp.Compare(moduleRank(a), moduleRank(b)) }},
			{Title: "Module", W: 18, Flex: 3, Cell: func(e *pane.Env, m *state.Module) (string, theme.Ink) { return m.ID, e.Theme.Text },
				Cmp: func(a, b *state.Module) int { return strings.Compare(a.ID, b.ID) }},
			{Title: "Health", W: 9, Rank: 2, Cell: moduleHealth, Cmp: func(a, b *state.Module) int { return strings.Compare(a.HealthWord, b.HealthWord) }},
			{Title: "Fetched", W: 8, Right: true, Rank: 1, Cell: moduleFetched, Cmp: func(a, b *state.Module) int { return b.LastFetch.Compare(a.LastFetch) }},
			{Title: "OK", Num: func(_ *pane.Env, m *state.Module) float64 { return float64(m.Successes) }, Unit: list.Number, W: 5, Right: true, Rank: 3, Cell: func(e *pane.Env, m *state.Module) (string, theme.Ink) {
				return pane.FiguresOf(e.Theme).Count(float64(m.Successes)), e.Theme.Text
			}, Cmp: func(a, b *state.Module) int { return cmp.Compare(b.Successes, a.Successes) }},
			{Title: "Failed", Num: func(_ *pane.Env, m *state.Module) float64 { return float64(m.Failures) }, Unit: list.Number, W: 6, Right: true, Rank: 2, Cell: moduleFailures, Cmp: func(a, b *state.Module) int { return cmp.Compare(b.Failures, a.Failures) }},
			{Title: "Last", W: 8, Right: true, Rank: 5, Cell: moduleLatency},
			{Title: "Latency", W: 8, Rank: 3, Cell: func(e *pane.Env, m *state.Module) (string, theme.Ink) {
				return pane.Spark(e.Theme, m.Latencies, 8, 0), e.Theme.Info
			}},
			{Title: "Credentials", W: 12, Rank: 5, Cell: moduleCredentials, Cmp: func(a, b *state.Module) int { return strings.Compare(string(a.Credentials), string(b.Credentials)) }},
			{Title: "Version", W: 7, Rank: 4, Cell: func(e *pane.Env, m *state.Module) (string, theme.Ink) { return m.Version, e.Theme.Dim }},
			{Title: "Why", W: 24, Flex: 4, Rank: 6, Cell: moduleWhy},
		},
		Rows:   func(s *state.Snapshot) []state.Module { return s.Modules.List },
		ID:     func(m *state.Module) string { return m.ID },
		Target: func(m *state.Module) string { return m.ID },
		Text: func(m *state.Module) string {
			return strings.Join([]string{m.ID, m.DisplayName, m.Status.Word(), changedWord(m), m.HealthWord, string(m.Credentials), m.LastError}, " ")
		},
		Health: func(s *state.Snapshot) state.Health { return s.Modules.Health },
		Deps:   []state.SectionName{state.SectionModules},
		Head:   modulesHead,
		Empty: func(s *state.Snapshot) string {
			return "no modules in " + s.Modules.Dir + ": put one at category/platform/ there"
		},
		Summary: modulesSummary,
		Tabs: []list.Tab[state.Module]{
			{Title: "Overview", Draw: moduleOverview}, {Title: "Error", Draw: moduleError}, {Title: "Result", Draw: moduleResult}, {Title: "Manifest", Draw: moduleManifest}, {Title: "Changes", Draw: moduleChanges}, {Title: "Findings", Draw: moduleFindings},
			{Title: "Versions", Draw: moduleVersions}, {Title: "History", Draw: moduleHistory},
		},
	})
}

var moduleStatus moduleCell = func(e *pane.Env, m *state.Module) (string, theme.Ink) {
	text, ink := pane.StatusWord(e.Theme, m.Status.Word())
	switch { // what a changed module waits for comes before how it does
	case m.Change == nil || !m.Change.Held:
	case m.Status == state.ModuleFailed:
		return e.Theme.Wrong + " changed", ink
	default:
		return e.Theme.Caution + " changed", e.Theme.Warn
	}
	return text, ink
}

var moduleHealth moduleCell = func(e *pane.Env, m *state.Module) (string, theme.Ink) {
	if m.HealthWord == "unknown" || m.HealthWord == "" {
		return e.Theme.Unknown, e.Theme.Dim
	}
	_, ink := pane.StatusInk(e.Theme, m.HealthWord)
	return m.HealthWord, ink
}

var moduleFetched moduleCell = func(e *pane.Env, m *state.Module) (string, theme.Ink) {
	if m.Fetching {
		return "fetching", e.Theme.Info
	}
	return pane.FiguresOf(e.Theme).Age(e.Now(), m.LastFetch), e.Theme.Text
}

var moduleFailures moduleCell = func(e *pane.Env, m *state.Module) (string, theme.Ink) {
	if m.Failures == 0 {
		return "0", e.Theme.Dim
	}
	return pane.FiguresOf(e.Theme).Count(float64(m.Failures)), e.Theme.Warn
}

var moduleLatency moduleCell = func(e *pane.Env, m *state.Module) (string, theme.Ink) {
	if len(m.Latencies) == 0 {
		return e.Theme.Unknown, e.Theme.Dim
	}
	last := m.Latencies[len(m.Latencies)-1]
	if last < 0 {
		return "failed", e.Theme.Bad
	}
	return pane.FiguresOf(e.Theme).Millis(last), e.Theme.Text
}

var moduleCredentials moduleCell = func(e *pane.Env, m *state.Module) (string, theme.Ink) {
	switch m.Credentials {
	case state.CredentialsNotNeeded, "":
		return "not needed", e.Theme.Dim
	case state.CredentialsPresent:
		return "present", e.Theme.Text
	}
	return pane.StatusWord(e.Theme, string(m.Credentials))
}

var moduleWhy moduleCell = func(e *pane.Env, m *state.Module) (string, theme.Ink) {
	if m.Change != nil && m.Change.Held {
		return m.Reason, e.Theme.Warn
	}
	if m.Status == state.ModuleFailed || m.HealthWord == "degraded" || m.HealthWord == "unhealthy" {
		if m.LastError != "" {
			return m.LastError, e.Theme.Dim
		}
	}
	return m.Reason, e.Theme.Dim
}

func modulesHead(e *pane.Env, s *state.Snapshot, w, h int) []string {
	var out []string
	t := e.Theme
	if h < 5 {
		return nil
	}
	if p := s.Modules.PythonErr; p != "" {
		out = append(out, pane.NewLine(t, w, false).Put(t.Warn, t.Caution+" no Python: "+p).String())
	}
	if p := s.Modules.Locked; p != "" {
		out = append(out, pane.NewLine(t, w, false).Put(t.Warn, t.Caution+" credentials are locked: "+p).String())
	}
	if n := s.Modules.UnderOldKeys(); n > 0 {
		out = append(out, pane.NewLine(t, w, false).Put(t.Warn, fmt.Sprintf("%s %d stored credentials are under an old key: change the key of the credential store", t.Caution, n)).String())
	}
	return out
}

func modulesSummary(e *pane.Env, s *state.Snapshot) []pane.Span {
	t := e.Theme
	on, failed, bad := 0, 0, 0
	for i := range s.Modules.List {
		switch moduleRank(&s.Modules.List[i]) {
		case 0:
			failed++
		case 1, 2:
			bad++
			on++
		case 3:
			on++
		}
	}
	out := []pane.Span{{Ink: t.Dim, Text: fmt.Sprintf("%d of %d enabled", on, len(s.Modules.List))}}
	if failed > 0 {
		out = append(out, pane.Span{Ink: t.Bad, Text: fmt.Sprintf("%s %d failed", t.Wrong, failed)})
	}
	if bad > 0 {
		out = append(out, pane.Span{Ink: t.Warn, Text: fmt.Sprintf("%s %d unhealthy", t.Caution, bad)})
	}
	changed := 0
	for i := range s.Modules.List {
		if c := s.Modules.List[i].Change; c != nil && c.Held {
			changed++
		}
	}
	if changed > 0 {
		out = append(out, pane.Span{Ink: t.Warn, Text: fmt.Sprintf("%s %d changed", t.Caution, changed)})
	}
	return out
}

func moduleOverview(d *pane.Doc, s *state.Snapshot, m *state.Module) {
	e := d.Env
	t, f := e.Theme, pane.FiguresOf(e.Theme)
	st, ink := pane.StatusWord(t, m.Status.Word())
	d.KV("status", ink, st)
	d.KV("reason", t.Text, m.Reason)
	if m.Change != nil {
		d.KV("files", t.Warn, t.Caution+" changed: "+m.Change.Summary())
	}
	if len(m.Findings) > 0 {
		d.KV("findings", t.Warn, fmt.Sprintf("%d, see there", len(m.Findings)))
	}
	if m.Tests != nil {
		ink := t.Text
		if !m.Tests.OK() {
			ink = t.Bad
		}
		d.KV("tests", ink, m.Tests.Summary()+", "+e.When(m.Tests.At))
	}
	hw, ink := pane.StatusWord(t, m.HealthWord)
	d.KV("health", ink, hw)
	d.KV("name", t.Text, m.DisplayName)
	d.KV("about", t.Text, m.Description)
	d.KV("version", t.Text, m.Version)
	runner, ink := pane.StatusWord(t, m.Runner)
	if m.Runner == "idle" {
		runner += ", started for its next fetch"
	}
	if m.PID > 0 {
		runner += fmt.Sprintf(", process %d", m.PID)
	}
	if m.Restarts > 0 {
		runner += fmt.Sprintf(", restarted %d times", m.Restarts)
	}
	d.KV("runner", ink, runner)
	d.KV("keeps", t.Text, m.Keeps)
	d.KV("asks", t.Text, m.Request)
	d.KV("can", t.Text, strings.Join(m.Capabilities, ", "))
	if m.Breaker != "" && m.Breaker != "closed" {
		circuit, ink := pane.StatusWord(t, m.Breaker)
		if !m.BreakerUntil.IsZero() {
			circuit += ", tried again " + e.When(m.BreakerUntil)
		}
		d.KV("circuit", ink, circuit)
	}
	d.Head("Fetches")
	d.KV("last", t.Text, e.When(m.LastFetch))
	d.KV("last good", t.Text, e.When(m.LastOK))
	if m.Stale {
		text := t.Caution + " served still, as stale"
		if !m.StaleUntil.IsZero() {
			text += ", until " + e.When(m.StaleUntil)
		}
		d.KV("data", t.Warn, text)
	}
	if !m.NextFetch.IsZero() {
		d.KV("next", t.Text, e.When(m.NextFetch))
	}
	if m.Interval > 0 {
		d.KV("every", t.Text, f.Span(m.Interval))
	}
	if m.CacheTTL > 0 {
		d.KV("cache", t.Text, "a result serves for "+f.Span(m.CacheTTL))
	}
	total := float64(m.Successes + m.Failures)
	if total > 0 {
		d.KV("count", t.Text, fmt.Sprintf("%s good, %s failed (%s of all)", f.Count(float64(m.Successes)), f.Count(float64(m.Failures)), f.Percent(100*float64(m.Failures)/total)))
	}
	d.KV("items", t.Text, fmt.Sprintf("%d in the last good fetch", m.Items))
	if len(m.Latencies) > 0 {
		lo, hi := math.Inf(1), -1.0
		for _, v := range m.Latencies {
			if v >= 0 {
				lo, hi = min(lo, v), max(hi, v)
			}
		}
		d.KV("latency", t.Info, pane.Spark(t, m.Latencies, min(len(m.Latencies), max(8, d.Width-18)), 0))
		d.KV("", t.Dim, fmt.Sprintf("%s to %s, %s is a failure", f.Millis(lo), f.Millis(hi), t.Fail))
	}
	if m.LastError != "" {
		d.Head("Last error, " + e.When(m.LastErrorAt))
		d.Text(t.Bad, m.LastError)
	}
	d.Head("Credentials")
	c, ink := moduleCredentials(e, m)
	d.KV("state", ink, c)
	d.KV("wanted", t.Text, strings.Join(m.RequiredCredentials, ", "))
	d.KV("stored", t.Text, strings.Join(m.CredentialFields, ", "))
	if !m.CredentialsUpdated.IsZero() {
		d.KV("changed", t.Text, e.When(m.CredentialsUpdated))
	}
	if !m.CredentialsUsed.IsZero() {
		d.KV("used", t.Text, e.When(m.CredentialsUsed))
	}
	if !m.CredentialsExpire.IsZero() {
		ink := t.Text
		if m.CredentialsExpire.Sub(e.Now()) < 14*24*time.Hour {
			ink = t.Warn
		}
		d.KV("end", ink, e.When(m.CredentialsExpire)+", "+m.CredentialsExpireBy)
	}
	d.KV("serve too", t.Text, strings.Join(m.CredentialsServe, ", "))
	d.Gap()
	d.KV("folder", t.Dim, m.Dir)
	d.KV("python", t.Dim, s.Modules.Python)
}

func moduleError(d *pane.Doc, _ *state.Snapshot, m *state.Module) {
	t := d.Env.Theme
	if m.LastError == "" && m.Traceback == "" {
		d.Text(t.Dim, "no error since the engine started")
		return
	}
	d.Text(t.Dim, d.Env.When(m.LastErrorAt))
	d.Text(t.Bad, m.LastError)
	d.Gap()
	d.Text(t.Text, m.Traceback)
}

func moduleResult(d *pane.Doc, _ *state.Snapshot, m *state.Module) {
	t := d.Env.Theme
	if m.LastResult == "" {
		d.Text(t.Dim, "no fetch has succeeded yet")
		return
	}
	d.Text(t.Dim, fmt.Sprintf("%d items, %s", m.Items, d.Env.When(m.LastOK)))
	d.Text(t.Text, m.LastResult)
}

func moduleManifest(d *pane.Doc, _ *state.Snapshot, m *state.Module) {
	d.Text(d.Env.Theme.Text, m.Manifest)
}

func moduleHistory(d *pane.Doc, _ *state.Snapshot, m *state.Module) {
	for _, ev := range m.History {
		d.KV(d.Env.Stamp(ev.At), d.Env.Theme.Text, ev.What)
	}
}
