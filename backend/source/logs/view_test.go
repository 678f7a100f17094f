package logs

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
	"github.com/opsdeck/opsdeck/backend/state"
)

func TestViewsShowAFileBeyondItsTail(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.log")
	at := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	var b strings.Builder
	for i := range 20_000 {
		level := "INFO"
		if i%1000 == 500 {
			level = "ERROR"
		}
		fmt.Fprintf(&b, "%s - app - %s - request %d hunter22\n", at.Add(time.Duration(i)*time.Second).Format("2006-01-02T15:04:05Z"), level, i)
	}
	appendTo(t, path, b.String())
	src := New(Config{Files: []string{path}, MaxBytes: 64 << 10, Mask: func(s string) string { return strings.ReplaceAll(s, "hunter22", "***") }})
	r := sourcetest.Run(t, src)
	id := "file:" + path
	view := state.LogView{Source: id, Time: at.Add(5000 * time.Second).UnixNano(), Rows: 3, Find: "level=error"}
	end := state.LogView{Source: id, At: -1, Rows: 2}
	src.Interest(state.Interests{{View: view}, {View: end}, {View: view}})
	text := func(w *state.LogWindow) (out []string) {
		for _, rec := range w.Records {
			out = append(out, rec.Text[strings.Index(rec.Text, "request "):])
		}
		return out
	}
	l := sourcetest.Wait(r, "the end of the file", func(l state.Logs) bool { return l.View(end) != nil })
	if got := strings.Join(text(l.View(end)), ", "); got != "request 19998 ***, request 19999 ***" {
		t.Errorf("got %s", got)
	}
	l = sourcetest.Wait(r, "all that is known of it", func(l state.Logs) bool {
		w := l.View(view)
		return w != nil && w.Matches == 20 && w.Indexed == w.Size && len(w.Slots) > 0
	})
	w := l.View(view)
	if w.Levels[state.LevelError] != 20 || w.Levels[state.LevelInfo] != 19980 {
		t.Errorf("levels: got %v", w.Levels)
	}
	// A time is found once the index knows where.
	l = sourcetest.Wait(r, "the time asked for", func(l state.Logs) bool {
		w := l.View(view)
		return w != nil && w.Middle < w.Size && w.Matches == 20
	})
	w = l.View(view)
	if got := strings.Join(text(w), ", "); got != "request 4997 ***, request 4998 ***, request 4999 ***, request 5000 ***, request 5001 ***, request 5002 ***" {
		t.Errorf("got %s", got)
	}
	// What nobody looks at any more is given up. The next match is where n goes.
	next := state.LogView{Source: id, At: w.Next, Rows: 1}
	src.Interest(state.Interests{{View: next}})
	l = sourcetest.Wait(r, "the next match", func(l state.Logs) bool { return l.View(next) != nil })
	if got := text(l.View(next)); len(got) != 2 || got[1] != "request 5500 ***" {
		t.Errorf("got %q", got)
	}

	// It grows, is replaced, and goes away.
	src.Interest(state.Interests{{View: end}, {View: view}})
	appendTo(t, path, "2026-11-23T00:00:00Z - app - ERROR - request new\n")
	sourcetest.Wait(r, "what was added", func(l state.Logs) bool {
		w, e := l.View(view), l.View(end)
		return w != nil && w.Matches == 21 && e != nil && strings.Contains(e.Records[len(e.Records)-1].Text, "request new")
	})
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	appendTo(t, path, "2026-11-23T00:00:01Z - app - INFO - request other\n")
	sourcetest.Wait(r, "the new file", func(l state.Logs) bool {
		e := l.View(end)
		return e != nil && len(e.Records) == 1 && strings.Contains(e.Records[0].Text, "request other")
	})
	bad := state.LogView{Source: id, At: 0, Rows: 1, Find: "status>="}
	src.Interest(state.Interests{{View: bad}, {View: state.LogView{Source: "file:/etc/passwd", At: -1, Rows: 5}}})
	l = sourcetest.Wait(r, "what is wrong with a filter", func(l state.Logs) bool { return l.View(bad) != nil })
	if w := l.View(bad); !strings.Contains(w.Err, "at column 9: a value is missing") || len(l.Views) != 1 {
		t.Errorf("got %+v of %d", w, len(l.Views))
	}
}
