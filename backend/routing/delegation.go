package routing

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/opsdeck/opsdeck/backend/disk"
	"github.com/opsdeck/opsdeck/backend/state"
)

const (
	// keepDelegations is how many delegations are kept for a replay.
	keepDelegations = 10_000
	// delegationsFile may grow to this, in bytes; then what is kept is written anew.
	delegationsFile = 8 << 20
	// saveEvery is how often what came is written.
	saveEvery = 2 * time.Second
	// longestName bounds a category's or tier's name, in bytes.
	longestName = 128
)

// Delegation is one request that was routed, as its service told of it.
type Delegation struct {
	At         time.Time `json:"at"`
	Category   string    `json:"category"`
	Complexity float64   `json:"complexity"` // 0 to 1
	Tier       string    `json:"tier,omitempty"`
	Strategy   string    `json:"strategy,omitempty"`
	// LatencyMS and Cost are negative where they are not known.
	LatencyMS float64 `json:"latency_ms"`
	Cost      float64 `json:"cost"`
	// Failed says that it gave no answer.
	Failed bool `json:"failed,omitempty"`
}

// identity tells delegations apart. A log that is read from its beginning again, after a
// start or a reload, gives the same ones; times alone do not do, as those of logs are
// often whole seconds.
type identity struct {
	at                          int64
	category, tier, strategy    string
	complexity, latencyMS, cost float64
}

func (d Delegation) identity() identity {
	return identity{d.At.UnixNano(), d.Category, d.Tier, d.Strategy, d.Complexity, max(d.LatencyMS, -1), max(d.Cost, -1)}
}

// delegations keeps the last of them, and data/delegations.jsonl, a line each.
type delegations struct {
	path string

	mu sync.Mutex
	// ring is oldest first. It grows to twice keepDelegations before the older half goes,
	// so that one that comes costs no copy of all the others.
	ring    []Delegation
	known   map[identity]bool // of the ring
	unsaved []Delegation
}

// kept returns the part of the ring that counts.
func (k *delegations) kept() []Delegation { return k.ring[max(0, len(k.ring)-keepDelegations):] }

// list returns what is kept, oldest first.
func (k *delegations) list() []Delegation {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.kept())
}

// count returns how many are kept.
func (k *delegations) count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.kept())
}

// add takes delegations in. logged says that they come of a log, which may be read from
// its beginning again: what is kept already, or has been dropped for its age, is passed
// over then.
func (k *delegations) add(list []Delegation, logged bool) (n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, d := range list {
		if logged && (k.known[d.identity()] || len(k.ring) >= keepDelegations && d.At.Before(k.ring[0].At)) {
			continue
		}
		k.put(d)
		k.unsaved = append(k.unsaved, d)
		n++
	}
	if len(k.unsaved) >= 2*keepDelegations {
		k.unsaved = slices.Clone(k.unsaved[len(k.unsaved)-keepDelegations:])
	}
	return n
}

// put appends to the ring.
func (k *delegations) put(d Delegation) {
	if k.known == nil {
		k.known = map[identity]bool{}
	}
	k.ring = append(k.ring, d)
	k.known[d.identity()] = true
	if len(k.ring) >= 2*keepDelegations {
		k.ring = slices.Clone(k.kept())
		clear(k.known)
		for _, d := range k.ring {
			k.known[d.identity()] = true
		}
	}
}

// ReadDelegations reads a file of delegations, a line each, the last of them. Lines
// that are none, or too long for one, are passed over.
func ReadDelegations(path string) ([]Delegation, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var out []Delegation
	in, long := bufio.NewReaderSize(f, 64<<10), false
	for err == nil {
		var line []byte
		line, err = in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			long, err = true, nil
			continue
		}
		if d, ok := delegationOf(line, time.Time{}); ok && !long && !d.At.IsZero() {
			out = append(out, d)
		}
		long = false
		if len(out) >= 2*keepDelegations {
			out = slices.Clone(out[keepDelegations:])
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return out[max(0, len(out)-keepDelegations):], err
}

// load reads what was kept. What came meanwhile is newer, but for what a log gave that
// was read from its beginning again.
func (k *delegations) load() error {
	old, err := ReadDelegations(k.path)
	k.mu.Lock()
	defer k.mu.Unlock()
	was := map[identity]bool{}
	for _, d := range old {
		was[d.identity()] = true
	}
	again := func(d Delegation) bool {
		return was[d.identity()] || len(old) >= keepDelegations && d.At.Before(old[0].At)
	}
	k.unsaved = slices.DeleteFunc(k.unsaved, again)
	meanwhile := slices.DeleteFunc(k.ring, again)
	k.ring, k.known = nil, nil
	for _, d := range slices.Concat(old, meanwhile) {
		k.put(d)
	}
	return err
}

// save writes what came since the last time.
func (k *delegations) save() error {
	k.mu.Lock()
	list := k.unsaved
	k.unsaved = nil
	whole := k.kept()
	k.mu.Unlock()
	if len(list) == 0 {
		return nil
	}
	back := func(err error) error {
		k.mu.Lock()
		k.unsaved = append(list, k.unsaved...)
		k.mu.Unlock()
		return err
	}
	if st, err := os.Stat(k.path); err == nil && st.Size() > delegationsFile {
		b, err := lines(whole)
		if err == nil {
			err = disk.WriteFile(k.path, b)
		}
		if err != nil {
			return back(err)
		}
		return nil
	}
	b, err := lines(list)
	if err != nil {
		return back(err)
	}
	f, err := os.OpenFile(k.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return back(err)
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Close()); err != nil {
		return back(err)
	}
	return nil
}

func lines(list []Delegation) ([]byte, error) {
	var b bytes.Buffer
	for _, d := range list {
		line, err := json.Marshal(d)
		if err != nil {
			return nil, err
		}
		b.Write(append(line, '\n'))
	}
	return b.Bytes(), nil
}

// keepDelegationsOn reads what was kept and writes what comes, until ctx ends.
func (r *Service) keepDelegationsOn(ctx context.Context) {
	said := ""
	say := func(err error) {
		if err == nil || err.Error() == said {
			return
		}
		said = err.Error()
		r.cfg.Log.Error("delegations are not kept", "err", r.clean(said))
	}
	say(r.delegations.load())
	r.changed()
	defer func() { say(r.delegations.save()) }()
	n := -1
	every(ctx, saveEvery, func() {
		say(r.delegations.save())
		if now := r.delegations.count(); now != n {
			n = now
			r.changed()
		}
	})
}

// AddDelegations takes in delegations that a service tells of, a JSON object or an
// array of at most 1000, and says how many. The error names the first that is none.
func (r *Service) AddDelegations(text []byte) (int, error) {
	var list []json.RawMessage
	if text = bytes.TrimSpace(text); len(text) > 0 && text[0] == '[' {
		if err := json.Unmarshal(text, &list); err != nil {
			return 0, errors.New("an array of delegations was expected")
		}
	} else {
		list = []json.RawMessage{text}
	}
	if len(list) > 1000 {
		return 0, fmt.Errorf("%d delegations at once: at most 1000 were expected", len(list))
	}
	var out []Delegation
	for i, raw := range list {
		d, ok := delegationOf(raw, time.Now())
		if !ok {
			return 0, fmt.Errorf("delegation %d: an object with a complexity from 0 to 1 and a category or tier was expected", i+1)
		}
		d.Category, d.Tier, d.Strategy = r.clean(d.Category), r.clean(d.Tier), r.clean(d.Strategy)
		out = append(out, d)
	}
	return r.delegations.add(out, false), nil
}

// TapLog looks at a record of the followed logs: one whose text is a JSON object with a
// "complexity" (or "complexity_score") from 0 to 1, and a "category" (or
// "task_category") or a "tier" (or "lidm_tier"), is a delegation; "strategy",
// "latency_ms" (or "duration_ms"), "cost" (or "cost_usd") and "ok" (or "success") are
// taken where they are there. It never waits, and costs a search of the text where
// there is nothing.
func (r *Service) TapLog(at time.Time, text string) {
	if !strings.Contains(text, `"complexity`) {
		return
	}
	if i := strings.IndexByte(text, '{'); i >= 0 && len(text) < 64<<10 {
		if d, ok := delegationOf([]byte(text[i:]), at); ok {
			d.Category, d.Tier, d.Strategy = r.clean(d.Category), r.clean(d.Tier), r.clean(d.Strategy)
			r.delegations.add([]Delegation{d}, true)
		}
	}
}

// delegationOf reads one; at is when it happened where it does not say.
func delegationOf(text []byte, at time.Time) (Delegation, bool) {
	var m map[string]any
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if dec.Decode(&m) != nil {
		return Delegation{}, false
	}
	number := func(names ...string) float64 {
		for _, n := range names {
			if v, ok := m[n].(json.Number); ok {
				if f, err := v.Float64(); err == nil {
					return f
				}
			}
		}
		return -1
	}
	word := func(names ...string) string {
		for _, n := range names {
			if s, _ := m[n].(string); s != "" && len(s) <= longestName {
				return state.Clean(s)
			}
		}
		return ""
	}
	d := Delegation{At: at, Category: word("category", "task_category"), Tier: word("tier", "lidm_tier"), Strategy: word("strategy"),
		Complexity: number("complexity", "complexity_score"), LatencyMS: number("latency_ms", "duration_ms"), Cost: number("cost", "cost_usd")}
	for _, name := range []string{"ok", "success"} {
		if good, said := m[name].(bool); said && !good {
			d.Failed = true
		}
	}
	if failed, _ := m["failed"].(bool); failed { // as it is written to the file
		d.Failed = true
	}
	if s, _ := m["at"].(string); s != "" {
		if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
			d.At = t
		}
	}
	ok := d.Complexity >= 0 && d.Complexity <= 1 && (d.Category != "" || d.Tier != "")
	return d, ok
}

func delegationsPath(data string) string { return filepath.Join(data, "delegations.jsonl") }
