package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/opsdeck/opsdeck/backend/disk"
	"github.com/opsdeck/opsdeck/backend/engine/adapter"
	"github.com/opsdeck/opsdeck/backend/engine/version"
	"github.com/opsdeck/opsdeck/backend/secrets"
	"github.com/opsdeck/opsdeck/backend/state"
)

const (
	keepLatencies = 60
	keepHistory   = 50
	// maxShown bounds what is shown of a result or a traceback, in bytes.
	maxShown = 64 << 10
)

// module is one module. All but id, category, platform, dir and op are guarded by
// Engine.mu.
type module struct {
	id, category, platform, dir string
	// op is held, by sending to it, while an action or the scanner works on it.
	op chan struct{}

	// status is the registry's; registered says that it has a row there.
	status     state.ModuleStatus
	registered bool
	record     Record
	// manifest is the one in force: the last good one. problem says what is wrong
	// with the file on disk, outdated that a newer good one waits for a reload.
	manifest *Manifest
	problem  string
	outdated bool
	seen     disk.Stamp // of the manifest file
	adapter  disk.Stamp // of the entry point, as last tried

	sup      *supervisor // nil while it is not to run
	runner   string
	pid      int
	begun    bool // a runner was started before
	restarts int
	loadedAt time.Time
	log      *adapter.Log // of the last runner that loaded

	next, lastFetch, lastOK time.Time
	fetching                bool
	held                    bool // a fetch is due and waits for room in the pipeline
	successes, failures     int64
	streak                  int // failures since the last success
	breaker                 breaker
	limiter                 *rate.Limiter
	cachedAt                time.Time      // of what the cache would give; zero for none
	keeps                   string         // what its process keeps between fetches
	capabilities            map[string]any // as its adapter said when it was last loaded; nil for nothing
	yielded                 bool           // its process had the lowest priority in the last fetch
	greedy                  bool           // and was ended: the next starts with that
	dropped                 time.Time      // the lastOK whose data was dropped as too old
	latencies               []float64
	items                   int
	result                  string
	failure                 *adapter.Failure // why the last attempt failed; nil when it did not
	lastErr, traceback      string
	errAt                   time.Time
	warning                 string // the adapter's own errors beside good data
	history                 []state.Event
	rows                    map[string]secrets.Info // of the credential store, shared

	tree     *version.Content // its program on disk, as last looked at
	past     *version.History // its versions; nil until they were loaded
	barred   string           // why its versions cannot be read
	known    string           // the digest on disk that was last dealt with
	change   *state.ProgramChange
	recheck  bool // its files changed: it is to be validated
	findings []state.ModuleFinding
	checked  time.Time
	tests    *state.TestRun

	view   state.Module
	stale  bool
	text   []byte // its JSON as of textAt; nil once it changed
	textAt time.Time
}

func newModule(id, category, platform, dir string) *module {
	return &module{id: id, category: category, platform: platform, dir: dir, op: make(chan struct{}, 1), runner: "stopped", stale: true}
}

// note adds to the history; e.mu is held.
func (m *module) note(now time.Time, format string, args ...any) {
	h := make([]state.Event, 0, min(len(m.history)+1, keepHistory))
	h = append(h, state.Event{At: now, What: state.Clean(fmt.Sprintf(format, args...))})
	m.history = append(h, m.history[:min(len(m.history), keepHistory-1)]...)
}

// status as shown: an enabled module that does not work is failed.
func (m *module) shown() state.ModuleStatus {
	switch {
	case m.status == "" && m.problem == "":
		return state.ModulePending
	case m.status == "":
		return state.ModuleFailed
	case m.status == state.ModuleInstalled && (m.failure != nil || m.sup == nil && (m.problem != "" || m.heldUp())):
		return state.ModuleFailed
	}
	return m.status
}

func (m *module) health() string {
	switch {
	case m.status == state.ModuleInstalled && m.failure != nil && m.streak < 3 && m.successes > 0 && m.failure.Stage != "import" && m.failure.Stage != "start":
		return "degraded"
	case m.status == state.ModuleInstalled && (m.failure != nil || m.sup == nil && (m.problem != "" || m.heldUp())):
		return "unhealthy"
	case m.status == state.ModuleInstalled && (m.warning != "" || m.ending(time.Now()) != ""):
		return "degraded"
	case m.status == state.ModuleInstalled && !m.lastOK.IsZero():
		return "healthy"
	}
	return "unknown"
}

func (m *module) reason() string {
	switch {
	case m.barred != "":
		return m.barred
	case m.failure != nil && m.status == state.ModuleInstalled && m.heldUp():
		return m.lastErr + "; " + m.change.Why()
	case m.failure != nil && m.status == state.ModuleInstalled:
		return m.lastErr
	case m.problem != "" && m.sup != nil:
		return "it runs on its last good manifest: " + m.problem
	case m.problem != "":
		return m.problem
	case m.heldUp() && m.sup != nil:
		return "it runs as it was approved: " + m.change.Why()
	case m.heldUp():
		return m.change.Why()
	case m.outdated:
		return "its manifest changed on disk: reload it to apply that"
	case m.status == state.ModuleFailed && len(m.findings) > 0 && refusing(m.findings[0]):
		return m.findings[0].String()
	case m.status == state.ModuleFailed:
		return "the registry has it as failed: enable it to try again"
	case m.status == state.ModuleApproved:
		return "it is approved, and waits to be enabled"
	case m.status == state.ModuleValidated:
		return "it waits to be enabled"
	case m.warning != "":
		return m.warning
	case m.held:
		return "its fetch is due and waits: the pipeline takes nothing now"
	}
	return m.ending(time.Now())
}

// endsSoon is how long before their end credentials are spoken of.
const endsSoon = 14 * 24 * time.Hour

// ending says that the module's credentials end soon, or have.
func (m *module) ending(now time.Time) string {
	info, has := m.credentials()
	left := info.Expires.Sub(now)
	switch {
	case !has || info.Expires.IsZero() || left > endsSoon:
		return ""
	case left <= 0:
		return fmt.Sprintf("its credentials ended on %s (%s): rotate them", info.Expires.UTC().Format(time.DateOnly), info.ExpiresBy)
	case left < 48*time.Hour:
		return fmt.Sprintf("its credentials end in %s (%s): rotate them", left.Round(time.Hour), info.ExpiresBy)
	}
	return fmt.Sprintf("its credentials end in %s, on %s (%s): rotate them", plural(int(left/(24*time.Hour)), "day"), info.Expires.UTC().Format(time.DateOnly), info.ExpiresBy)
}

// interval returns the time between its fetches; dflt is the workspace's.
func (m *module) interval(dflt time.Duration) time.Duration {
	if m.manifest != nil && m.manifest.Interval > 0 {
		return m.manifest.Interval
	}
	return dflt
}

// timeout returns what bounds one import and one fetch; dflt is the workspace's.
func (m *module) timeout(dflt time.Duration) time.Duration {
	if m.manifest != nil && m.manifest.Timeout > 0 {
		return m.manifest.Timeout
	}
	return dflt
}

// credentials returns what is known of the row that serves the module.
func (m *module) credentials() (secrets.Info, bool) {
	if i, ok := m.rows[m.id]; ok {
		return i, true
	}
	i, ok := m.rows[m.platform]
	return i, ok
}

// heldUp reports whether its files changed and wait for a yes.
func (m *module) heldUp() bool { return m.change != nil && m.change.Held }

// maxShownFiles bounds how many of a module's files are published.
const maxShownFiles = 100

// buildProgram adds what is known of the module's files.
func (m *module) buildProgram(out *state.Module) {
	out.Change, out.Findings, out.Checked, out.Tests = m.change, m.findings, m.checked, m.tests
	on := ""
	if m.tree != nil {
		on = m.tree.Digest
		for _, p := range m.tree.Parts[:min(len(m.tree.Parts), maxShownFiles)] {
			out.Files = append(out.Files, state.ProgramFile{Name: state.Clean(p.Name), Size: p.Size})
		}
	}
	out.Digest = on
	if m.past == nil {
		return
	}
	for _, v := range m.past.Versions {
		w := state.ProgramVersion{Digest: v.Digest, At: v.At, How: v.How, By: state.Clean(v.By), Version: state.Clean(v.Manifest), Files: len(v.Parts),
			Approved: v.Digest == m.past.Approved, OnDisk: v.Digest == on}
		for _, p := range v.Parts {
			w.Bytes += p.Size
		}
		out.Versions = append(out.Versions, w)
	}
}

func cleanAll(in []string) []string {
	var out []string
	for _, s := range in {
		out = append(out, state.Clean(s))
	}
	return out
}

// supervisor runs one enabled module.
type supervisor struct {
	cancel   context.CancelFunc
	done     chan struct{}
	requests chan ask
	due      chan struct{} // a fetch is due now
	leave    chan struct{} // its process is to go
	fresh    chan struct{} // its process is to go with all it keeps, and a fetch is due by its interval
}

// ask asks a supervisor for a fetch now.
type ask struct {
	answer chan fetched
	cached bool // what is in the cache is good enough
}

// fetched is what came of one fetch.
type fetched struct {
	items  int
	took   time.Duration
	cached time.Duration // the age of what the cache gave, 0 for a real fetch
	wait   time.Duration // until the rate limit allows one
	err    error
	handed bool // the pipeline has it
	aside  bool // the pipeline has no room for it: it is kept as a failed job
}

// String returns the result in a few words.
func (f fetched) String() string {
	if f.err != nil {
		return "its fetch fails: " + f.err.Error()
	}
	if f.cached > 0 {
		return fmt.Sprintf("%s from its cache, %s old", plural(f.items, "item"), f.cached.Round(time.Second))
	}
	text := fmt.Sprintf("fetched %s in %s", plural(f.items, "item"), f.took.Round(time.Millisecond))
	if f.aside {
		text += "; not delivered: the pipeline takes nothing now, it is kept as a failed job"
	}
	return text
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func indented(text []byte) string {
	if len(text) > maxShown {
		return string(text[:maxShown])
	}
	var v json.RawMessage = text
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return string(text)
	}
	return string(b)
}

// brief returns the first 80 bytes of a text, marked where it is cut.
func brief(s string) string {
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:80], "") + "..."
	}
	return s
}
