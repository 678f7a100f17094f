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
	src.Interest(state.Interests{view.Interest(), end.Interest(), view.Interest()})
	text := func(w *state.LogWindow) (out []string) {
		for _, rec := range w.Records {
			out = append(out, rec.Text[strings.Index(rec.Text, "request "):])
		}
		return out
	}
	l := sourcetest.Wait(r, "the end of the file", func(l state.Logs) bool {
		e := l.View(end)
		return e != nil && !e.Pending && !e.Filling
	})
	if got := strings.Join(text(l.View(end)), ", "); got != "request 19998 ***, request 19999 ***" {
		t.Errorf("got %s", got)
	}
	l = sourcetest.Wait(r, "all that is known of it", func(l state.Logs) bool {
		w := l.View(view)
		return w != nil && !w.Pending && !w.Filling && w.Matches == 20 && w.Indexed == w.Size && len(w.Slots) > 0
	})
	w := l.View(view)
	if w.Levels[state.LevelError] != 20 || w.Levels[state.LevelInfo] != 19980 {
		t.Errorf("levels: got %v", w.Levels)
	}
	if w.First || w.Last || w.Files != 1 {
		t.Errorf("got %+v", w)
	}
	if got := strings.Join(text(w), ", "); got != "request 4997 ***, request 4998 ***, request 4999 ***, request 5000 ***, request 5001 ***, request 5002 ***" {
		t.Errorf("got %s", got)
	}
	// What is shown no more is released. The next match is where n goes.
	for _, tc := range []struct {
		view state.LogView
		want string
	}{
		{state.LogView{At: w.Middle, Seek: state.SeekMatch, Find: "level=error", Rows: 1}, "request 5499 ***, request 5500 ***"},
		{state.LogView{At: w.Middle, Seek: state.SeekError, Rows: 1}, "request 5499 ***, request 5500 ***"},
		{state.LogView{At: w.Middle, Seek: state.SeekError, Back: true, Rows: 1}, "request 4499 ***, request 4500 ***"},
		{state.LogView{At: -1, Seek: state.SeekMatch, Back: true, Find: `"request 31 "`, Rows: 1}, "request 30 ***, request 31 ***"},
		{state.LogView{At: w.Middle, Seek: state.SeekMatch, Find: `"request 9 "`, Keep: "/request .*9 /", Rows: 1}, "missing"},
		{state.LogView{At: w.Middle, Seek: state.SeekError, Back: true, Keep: "not 4500 not 3500", Rows: 1}, "request 2499 ***, request 2500 ***"},
		{state.LogView{At: w.Middle, Least: state.LevelError, Rows: 2}, "request 3500 ***, request 4500 ***, request 5500 ***, request 6500 ***"},
		{state.LogView{At: 0, Keep: "/request 1?999 /", Rows: 5}, "request 999 ***, request 1999 ***"},
		{state.LogView{At: -1, Keep: `"request 999 "`, Find: "nowhere", Rows: 5}, "request 999 ***"},
	} {
		tc.view.Source = id
		src.Interest(state.Interests{tc.view.Interest()})
		l = sourcetest.Wait(r, tc.want, func(l state.Logs) bool {
			w := l.View(tc.view)
			return w != nil && !w.Pending && !w.Filling && (!tc.view.Filters() || w.Searched == w.Size)
		})
		w := l.View(tc.view)
		got := strings.Join(text(w), ", ")
		if w.Missing {
			got = "missing"
		}
		if got != tc.want {
			t.Errorf("%+v: got %s, want %s", tc.view, got, tc.want)
		}
		if tc.view.Least > 0 && w.Passed != 20 {
			t.Errorf("%d pass", w.Passed)
		}
	}

	// It grows, is replaced, and goes away.
	src.Interest(state.Interests{end.Interest(), view.Interest()})
	appendTo(t, path, "2026-11-23T00:00:00Z - app - ERROR - request new\n")
	sourcetest.Wait(r, "what was added", func(l state.Logs) bool {
		w, e := l.View(view), l.View(end)
		return w != nil && w.Matches == 21 && e != nil && strings.HasSuffix(strings.Join(text(e), ", "), "request new")
	})
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	appendTo(t, path, "2026-11-23T00:00:01Z - app - INFO - request other\n")
	sourcetest.Wait(r, "the new file, behind the old one", func(l state.Logs) bool {
		e := l.View(end)
		return e != nil && e.Files == 2 && strings.Join(text(e), ", ") == "request new, request other"
	})
	bad := state.LogView{Source: id, At: 0, Rows: 1, Find: "status>="}
	src.Interest(state.Interests{bad.Interest(), state.LogView{Source: "file:/etc/passwd", At: -1, Rows: 5}.Interest()})
	l = sourcetest.Wait(r, "what is wrong with a filter", func(l state.Logs) bool {
		w := l.View(bad)
		return w != nil && strings.Contains(w.Err, "at column 9: a value is missing")
	})
	if len(l.Views) != 1 {
		t.Errorf("got %+v", l.Views)
	}
}
