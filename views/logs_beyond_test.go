package views

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/theme"
)

// windowOf answers a view of a file of n records, record i at place 10*i.
func windowOf(v state.LogView, n int) state.LogWindow {
	i := int(v.At / 10)
	if v.Time != 0 {
		i = int(v.Time / 1e9)
	}
	from, to := max(0, i-v.Rows), min(n, i+v.Rows+1)
	w := state.LogWindow{View: v, Middle: int64(10 * i), Size: int64(10 * n), Indexed: int64(10 * n), Searched: int64(10 * n), Previous: -1, Next: -1}
	for k := from; k < to; k++ {
		w.Records = append(w.Records, state.LogRecord{Nanos: int64(k) * 1e9, Text: fmt.Sprintf("record %d", k)})
		w.Offsets = append(w.Offsets, int64(10*k))
	}
	return w
}

func TestTheStreamGoesOnInTheFile(t *testing.T) {
	const n, kept = 5000, 100
	src := state.LogSource{ID: "file:/a.log", Kind: "file", Title: "a.log", Path: "/a.log"}
	var tail []state.LogRecord
	for k := n - kept; k < n; k++ {
		tail = append(tail, state.LogRecord{Seq: uint64(k - (n - kept) + 1), Nanos: int64(k) * 1e9, Text: fmt.Sprintf("record %d", k)})
	}
	p := NewLogs(&Env{Theme: theme.New(theme.Options{}), Now: func() time.Time { return time.Unix(n, 0) }, Local: time.UTC}).(*Logs)
	p.Resize(80, 20)
	p.Focus(true)
	version := uint64(0)
	// settle answers what the pane asks for, until it asks for nothing new.
	settle := func() {
		for range 5 {
			version++
			logs := state.Logs{Health: state.Health{Status: state.OK}, Sources: []state.LogSource{src}, Tails: map[string]state.Tail{src.ID: {Records: tail}}}
			if v := p.Target().View; v != (state.LogView{}) {
				logs.Views = []state.LogWindow{windowOf(v, n)}
			}
			p.Apply(&state.Snapshot{Version: version, Versions: map[state.SectionName]uint64{state.SectionLogs: version}, Logs: logs})
		}
	}
	do := func(c Command) {
		if cmd := p.Update(Do{c}); cmd != nil {
			if note, ok := cmd().(Note); ok && !strings.Contains(note.Text, "searching") {
				t.Errorf("%s: %s", c, note.Text)
			}
		}
		settle()
	}
	here := func(want string) {
		t.Helper()
		p.View()
		_, r := p.cur.cur()
		if r == nil || r.Text != want {
			t.Fatalf("the cursor is on %+v, want %s", r, want)
		}
	}
	settle()
	do(Top)
	here("record 4900")
	do(Up)
	here("record 4900") // the window has come, at the same place
	for k := 4899; k > 3000; k-- {
		do(Up)
		here(fmt.Sprintf("record %d", k))
	}
	do(PageDown)
	here("record 3018")
	if _, err := p.Answer(GoTo, "1970-01-01 00:02:03"); err != nil {
		t.Fatal(err)
	}
	settle()
	here("record 123")
	do(Top)
	here("record 0")
	do(Up)
	here("record 0")
	do(Back)
	here("record 4999")
	if !p.following || p.Target().View != (state.LogView{}) {
		t.Error("it does not follow again")
	}
}
