package remote

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

// Protocol is the wire's version; both ends must have the same.
const Protocol = 3

// hello is a stream's first line.
type hello struct {
	Protocol int    `json:"protocol"`
	Version  string `json:"version"`
	PID      int    `json:"pid"`
	// Console is the ID that this console has there; "" from an engine that knows no
	// control, where every console may act.
	Console string `json:"console,omitempty"`
}

// frame is what changed since the last one.
type frame struct {
	Version  uint64                                `json:"version"`
	At       time.Time                             `json:"at"`
	Versions map[state.SectionName]uint64          `json:"versions"`
	Sections map[state.SectionName]json.RawMessage `json:"sections,omitempty"`
	// Tails has the log sources whose records changed; Gone those that no longer
	// have any.
	Tails map[string]tail `json:"tails,omitempty"`
	Gone  []string        `json:"gone,omitempty"`
	// Same are the views of logs whose records are those of the last frame: they are
	// left out of the section.
	Same []state.LogView `json:"same,omitempty"`
}

// tail is the change of one log source's records.
type tail struct {
	// First is the sequence number of the oldest record that is kept, Last of the
	// newest: those outside go. Last is 0 where none is kept, as at the beginning.
	First   uint64 `json:"first"`
	Last    uint64 `json:"last,omitempty"`
	Dropped uint64 `json:"dropped"`
	// New follow after Last. A record that grew by a line comes as new.
	New []state.LogRecord `json:"new,omitempty"`
}

// request is an action on the wire, with its secrets.
type request struct {
	Session string            `json:"session"`
	Action  state.Action      `json:"action"`
	Secrets map[string]string `json:"secrets,omitempty"`
}

// answer is the result of Submit.
type answer struct {
	ID      state.ActionID `json:"id,omitempty"`
	Err     string         `json:"error,omitempty"`
	Refused bool           `json:"refused,omitempty"`
}

// apply makes the next snapshot out of the last and a frame.
func (f *frame) apply(last *state.Snapshot) (*state.Snapshot, error) {
	secs := make([]state.Section, 0, len(f.Sections))
	for name, raw := range f.Sections {
		sec, err := state.DecodeSection(name, raw)
		if err != nil { // what was known of it stays, and says that it is old
			h := last.HealthOf(name)
			h.Status, h.Err = state.Stale, "the engine sends it in a form that this console does not understand: use the same version on both sides"
			if h.LastOK.IsZero() {
				h.Status = state.Down
			}
			if sec = last.Section(name); sec == nil {
				sec = state.Unknown{Section: name}
			}
			sec = state.WithHealth(sec, h)
		}
		secs = append(secs, sec)
	}
	tails := last.Logs.Tails
	if len(f.Tails)+len(f.Gone) > 0 {
		tails = make(map[string]state.Tail, len(last.Logs.Tails))
		for id, t := range last.Logs.Tails {
			tails[id] = t
		}
		for _, id := range f.Gone {
			delete(tails, id)
		}
		for id, t := range f.Tails {
			tails[id] = t.apply(tails[id])
		}
	}
	next := last.With(f.Version, f.At, secs...)
	next.Logs.Tails = tails
	for i := range next.Logs.Views {
		w := &next.Logs.Views[i]
		if was := last.Logs.View(w.View); was != nil && slices.Contains(f.Same, w.View) {
			w.Records, w.Offsets = was.Records, was.Offsets
		}
	}
	next.Versions = f.Versions
	return next, nil
}

// apply appends what is new and drops what is old. The old tail's array is
// appended to in place only beyond its length, so its holders see no change.
func (t tail) apply(old state.Tail) state.Tail {
	keep := old.Records
	for len(keep) > 0 && keep[0].Seq < t.First {
		keep = keep[1:]
	}
	end := len(keep)
	for end > 0 && keep[end-1].Seq > t.Last {
		end--
	}
	if end < len(keep) || end+len(t.New) > cap(keep) {
		grown := make([]state.LogRecord, end, 2*(end+len(t.New)))
		copy(grown, keep[:end])
		keep = grown
	}
	return state.Tail{Records: append(keep, t.New...), Dropped: t.Dropped}
}

// differ tracks what has been sent on a stream.
type differ struct {
	versions map[state.SectionName]uint64
	sent     map[string]state.Tail
	views    []state.LogWindow
}

func newDiffer() *differ {
	return &differ{versions: map[state.SectionName]uint64{}, sent: map[string]state.Tail{}}
}

// frame returns what s has that was not sent yet. A section that has no JSON form is
// left out, so that the console keeps its last one; the error names it.
func (d *differ) frame(s *state.Snapshot) (f *frame, err error) {
	f = &frame{Version: s.Version, At: s.At, Versions: s.Versions, Sections: map[state.SectionName]json.RawMessage{}}
	for name, v := range s.Versions {
		if d.versions[name] == v {
			continue
		}
		d.versions[name] = v
		sec := s.Section(name)
		if name == state.SectionLogs {
			sec = d.windows(s.Logs, f)
		}
		raw, merr := json.Marshal(sec)
		if merr != nil {
			err = errors.Join(err, fmt.Errorf("section %s: %w", name, merr))
			if name == state.SectionLogs {
				d.views, f.Same = nil, nil // they were not sent
			}
			continue
		}
		f.Sections[name] = raw
	}
	if _, changed := f.Sections[state.SectionLogs]; changed {
		d.tails(s, f)
	}
	return f, err
}

// windows returns the section without the records of views that were sent already.
func (d *differ) windows(l state.Logs, f *frame) state.Logs {
	was := state.Logs{Views: d.views}
	d.views = l.Views
	l.Views = slices.Clone(l.Views)
	for i := range l.Views {
		w := &l.Views[i]
		if old := was.View(w.View); old != nil && len(w.Records) > 0 && slices.Equal(old.Offsets, w.Offsets) && slices.Equal(old.Records, w.Records) {
			w.Records, w.Offsets = nil, nil
			f.Same = append(f.Same, w.View)
		}
	}
	return l
}

func (d *differ) tails(s *state.Snapshot, f *frame) {
	for id := range d.sent {
		if _, ok := s.Logs.Tails[id]; !ok {
			f.Gone = append(f.Gone, id)
			delete(d.sent, id)
		}
	}
	for id, now := range s.Logs.Tails {
		was, known := d.sent[id]
		t := diff(was.Records, now.Records)
		if known && len(t.New) == 0 && (len(was.Records) == 0 || t.Last == was.Records[len(was.Records)-1].Seq && t.First <= was.Records[0].Seq) {
			continue
		}
		t.Dropped = now.Dropped
		f.addTail(id, t)
		d.sent[id] = now
	}
}

// diff returns what makes was into now. Both may have a run of records in common; the
// last ones of was may since have grown by the lines that continue them, and a
// source that was restarted counts from 1 again.
func diff(was, now []state.LogRecord) tail {
	if len(now) == 0 {
		return tail{}
	}
	t := tail{First: now[0].Seq, New: now}
	if len(was) == 0 || was[0].Seq > t.First || t.First-was[0].Seq >= uint64(len(was)) {
		return t
	}
	was = was[t.First-was[0].Seq:]
	n := min(len(was), len(now))
	if &was[0] != &now[0] { // else they are one array, which is never written again
		same := 0
		for same < n && was[same] == now[same] {
			same++
		}
		n = same
	}
	if n > 0 {
		t.Last, t.New = now[n-1].Seq, now[n:]
	}
	return t
}

func (f *frame) addTail(id string, t tail) {
	if f.Tails == nil {
		f.Tails = map[string]tail{}
	}
	f.Tails[id] = t
}
