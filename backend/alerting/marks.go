package alerting

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/opsdeck/opsdeck/backend/state"
)

// ack is one acknowledgement. It holds while the alert that it was given for
// stays active.
type ack struct {
	By    string    `json:"by"`
	At    time.Time `json:"at"`
	Since time.Time `json:"since"` // of the alert, when it was acknowledged
}

// restoredWithin is how far an alert's start may move when Prometheus restores it
// from its series after a restart.
const restoredWithin = 2 * time.Second

// marks are the acknowledgements and silences, kept in one file.
type marks struct {
	path   string
	parser parser.Parser

	mu       sync.Mutex
	Acks     map[string]ack  `json:"acks"`
	Silences []state.Silence `json:"silences"`
	matchers map[string][]*labels.Matcher
}

// openMarks reads the file at path; one that is not there is empty.
func openMarks(path string, p parser.Parser) (*marks, error) {
	m := &marks{path: path, parser: p, Acks: map[string]ack{}, matchers: map[string][]*labels.Matcher{}}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err == nil {
		err = json.Unmarshal(b, m)
	}
	if err != nil {
		return nil, fmt.Errorf("alerts: read %s: %w: repair or remove it", path, err)
	}
	if m.Acks == nil {
		m.Acks = map[string]ack{}
	}
	return m, nil
}

// save writes the file atomically. The caller holds m.mu.
func (m *marks) save() error {
	b, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(m.path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(m.path), ".alerts-*")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), m.path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("alerts: write %s: %w", m.path, err), os.Remove(f.Name()))
	}
	return nil
}

// acknowledge records that by has acknowledged the alert.
func (m *marks) acknowledge(a *state.Alert, by string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.Acks[a.ID] = ack{By: by, At: time.Now(), Since: a.Since}
	return m.save()
}

func (m *marks) unacknowledge(id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.Acks, id)
	return m.save()
}

// acked returns the acknowledgement of the alert that is active since then. One that was
// given to an earlier occurrence of the same alert does not hold.
func (m *marks) acked(id string, since time.Time) (ack, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a, ok := m.Acks[id]
	return a, ok && a.Since.Sub(since).Abs() < restoredWithin
}

// silence adds a silence for exactly these labels.
func (m *marks) silence(lset map[string]string, d time.Duration, by, comment string) (state.Silence, error) {
	now := time.Now()
	s := state.Silence{ID: strconv.FormatInt(now.UnixNano(), 36), Starts: now, Ends: now.Add(d), By: by, Comment: comment}
	for name, v := range lset {
		mt, err := labels.NewMatcher(labels.MatchEqual, name, v)
		if err != nil {
			return s, err
		}
		s.Matchers = append(s.Matchers, mt.String())
	}
	slices.Sort(s.Matchers)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.Silences = append(m.Silences, s)
	return s, m.save()
}

// unsilence removes a silence and returns what it was.
func (m *marks) unsilence(id string) (state.Silence, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, s := range m.Silences {
		if s.ID == id {
			m.Silences = slices.Delete(m.Silences, i, i+1)
			delete(m.matchers, id)
			return s, m.save()
		}
	}
	return state.Silence{}, fmt.Errorf("there is no silence %s", id)
}

// silencedBy returns the silence that lasts longest among those that cover lset now.
func (m *marks) silencedBy(lset labels.Labels, now time.Time) (state.Silence, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var best state.Silence
	for _, s := range m.Silences {
		if now.Before(s.Starts) || !now.Before(s.Ends) || !m.match(s, lset) {
			continue
		}
		if s.Ends.After(best.Ends) {
			best = s
		}
	}
	return best, best.ID != ""
}

// match reports whether all matchers of s match. The caller holds m.mu.
func (m *marks) match(s state.Silence, lset labels.Labels) bool {
	ms, ok := m.matchers[s.ID]
	if !ok {
		for _, text := range s.Matchers {
			parsed, err := m.parser.ParseMetricSelector("{" + text + "}")
			if err != nil {
				return false
			}
			ms = append(ms, parsed...)
		}
		m.matchers[s.ID] = ms
	}
	for _, mt := range ms {
		if !mt.Matches(lset.Get(mt.Name)) {
			return false
		}
	}
	return len(ms) > 0
}

// active returns the silences that have not ended.
func (m *marks) active(now time.Time) []state.Silence {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []state.Silence
	for _, s := range m.Silences {
		if now.Before(s.Ends) {
			out = append(out, s)
		}
	}
	return out
}

// expire drops acknowledgements of alerts that are over and silences that ended
// a day ago.
func (m *marks) expire(now time.Time, live map[string]bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := len(m.Acks) + len(m.Silences)
	for id := range m.Acks {
		if !live[id] {
			delete(m.Acks, id)
		}
	}
	m.Silences = slices.DeleteFunc(m.Silences, func(s state.Silence) bool {
		over := now.Sub(s.Ends) > 24*time.Hour
		if over {
			delete(m.matchers, s.ID)
		}
		return over
	})
	if len(m.Acks)+len(m.Silences) == n {
		return nil
	}
	return m.save()
}
