package logs

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
	"github.com/opsdeck/opsdeck/backend/state"
)

func TestContract(t *testing.T) {
	dir := t.TempDir()
	for i := range 5 {
		appendTo(t, filepath.Join(dir, fmt.Sprintf("%d.log", i)), "hello\n")
	}
	eng := &engineStub{list: []state.Container{{ID: "c1", Title: "web"}}, logs: map[string]string{"c1": "one\n"}}
	sourcetest.Contract(t, sourcetest.Subject{
		New: func(*testing.T) state.Source {
			s := New(Config{Files: []string{"*.log"}, Root: dir, Containers: eng})
			s.Interest(state.Interests{{Logs: []string{"container:*"}}})
			return s
		},
		Ready: func(sec state.Section) bool {
			l := sec.(state.Logs)
			return len(l.Tails) == 6 && len(l.Tails["container:c1"].Records) == 1
		},
	})
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

func lastText(l state.Logs, id string) string {
	r := l.Tails[id].Records
	if len(r) == 0 {
		return ""
	}
	return r[len(r)-1].Text
}

func TestFilesAppearVanishAndRotateWhileFollowed(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a.log"), filepath.Join(dir, "b.log")
	appendTo(t, a, "before\n")
	s := New(Config{Files: []string{"*.log", "named.log"}, Root: dir, Mask: func(s string) string { return strings.ReplaceAll(s, "hunter2", "***") }})
	r := sourcetest.Run(t, s)
	l := sourcetest.Wait(r, "the history", func(l state.Logs) bool { return lastText(l, "file:"+a) == "before" })
	if src := l.Source("a.log"); src == nil || src.Lines != 0 || src.Rotation == "" || src.Size != 7 {
		t.Errorf("source: %+v", src)
	}
	if src := l.Source("named.log"); src == nil || src.Err == "" {
		t.Errorf("a named file that is missing must be listed with an error: %+v", src)
	}
	appendTo(t, a, "ERROR password hunter2\n")
	l = sourcetest.Wait(r, "a line", func(l state.Logs) bool { return lastText(l, "file:"+a) == "ERROR password ***" })
	if src := l.Source("a.log"); src.Lines != 1 || src.Errors != 1 || src.LastAt.IsZero() {
		t.Errorf("source: %+v", src)
	}
	appendTo(t, b, "first of b\n")
	sourcetest.Wait(r, "a file that appeared", func(l state.Logs) bool { return lastText(l, "file:"+b) == "first of b" })
	appendTo(t, b, "unfinished")
	sourcetest.Wait(r, "an unfinished line", func(l state.Logs) bool { return lastText(l, "file:"+b) == "unfinished" })
	appendTo(t, b, " and done\n")
	l = sourcetest.Wait(r, "its end", func(l state.Logs) bool { return lastText(l, "file:"+b) == "unfinished and done" })
	if n := len(l.Tails["file:"+b].Records); n != 2 {
		t.Errorf("an unfinished line was doubled: %d records", n)
	}
	if _, err := s.Execute(context.Background(), state.Action{Kind: state.LogRotate, Target: "a.log"}, func(string, float64) {}); err != nil {
		t.Fatal(err)
	}
	appendTo(t, a, "after the rotation\n")
	l = sourcetest.Wait(r, "on after a rotation", func(l state.Logs) bool { return lastText(l, "file:"+a) == "after the rotation" })
	if src := l.Source("a.log"); src.LostBytes != 0 || src.Truncations != 1 {
		t.Errorf("source: %+v", src)
	}
	if _, err := s.Execute(context.Background(), state.Action{Kind: state.LogRotate, Target: "/etc/passwd"}, func(string, float64) {}); err == nil {
		t.Error("a file that is not followed was rotated")
	}
}

func TestNothingToFollowIsAbsent(t *testing.T) {
	if err := New(Config{}).Run(t.Context(), func(state.Section) {}); !state.IsNotHere(err) {
		t.Errorf("got %v", err)
	}
}

func TestAQuietSourcePublishesNothing(t *testing.T) {
	p := filepath.Join(t.TempDir(), "a.log")
	appendTo(t, p, "x\n")
	s := New(Config{Files: []string{p}})
	r := sourcetest.Run(t, s)
	sourcetest.Wait(r, "the history", func(l state.Logs) bool { return lastText(l, "file:"+p) == "x" })
	puts := r.Puts()
	// Ten looks, by asking for them.
	for range 10 {
		if err := s.readToEnd(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	if n := r.Puts(); n > puts+1 {
		t.Errorf("%d publications while nothing happened", n-puts)
	}
}

// engineStub serves container logs in the engine's wire format.
type engineStub struct {
	mu   sync.Mutex
	list []state.Container
	logs map[string]string
	fail error
	open int
}

func (e *engineStub) Containers() []state.Container {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.list
}

func frame(stream byte, text string) []byte {
	h := make([]byte, 8, 8+len(text))
	h[0] = stream
	binary.BigEndian.PutUint32(h[4:], uint32(len(text)))
	return append(h, text...)
}

func (e *engineStub) OpenLog(ctx context.Context, id string, since time.Time, tail int) (io.ReadCloser, bool, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.open++
	if e.fail != nil {
		return nil, false, e.fail
	}
	r, w := io.Pipe()
	var b bytes.Buffer
	if since.IsZero() {
		at := time.Date(2026, 11, 22, 5, 22, 4, 5e8, time.UTC)
		for line := range strings.Lines(e.logs[id]) {
			stamp := at.Format(time.RFC3339Nano) + " "
			// The engine cuts long lines, with a time before each piece.
			for len(line) > 16<<10 {
				b.Write(frame(1, stamp+line[:16<<10]))
				line = line[16<<10:]
			}
			b.Write(frame(1, stamp+line))
			at = at.Add(time.Second)
		}
	}
	go func() {
		_, _ = w.Write(b.Bytes())
		<-ctx.Done()
		_ = w.Close()
	}()
	return r, false, nil
}

func TestContainerLogsOnlyWhileLookedAt(t *testing.T) {
	long := strings.Repeat("x", 40<<10)
	eng := &engineStub{list: []state.Container{{ID: "c1", Title: "web"}, {ID: "c2", Title: "db"}},
		logs: map[string]string{"c1": "plain\n{\"level\":\"error\",\"time\":\"2026-11-22T01:00:00Z\"}\n" + long + "\n"}}
	s := New(Config{Containers: eng})
	r := sourcetest.Run(t, s)
	l := sourcetest.Wait(r, "both listed", func(l state.Logs) bool { return len(l.Sources) == 2 })
	if l.Sources[0].Title != "db" || len(l.Tails) != 0 || eng.open != 0 {
		t.Errorf("unwatched: %+v, %d tails, %d opened", l.Sources, len(l.Tails), eng.open)
	}
	s.Interest(state.Interests{{Logs: []string{"container:c1"}}})
	l = sourcetest.Wait(r, "the history", func(l state.Logs) bool { return len(l.Tails["container:c1"].Records) == 3 })
	recs := l.Tails["container:c1"].Records
	if recs[0].Text != "plain" || recs[0].Guessed || !recs[0].Time().Equal(time.Date(2026, 11, 22, 5, 22, 4, 5e8, time.UTC)) {
		t.Errorf("a line without time has the engine's: %+v", recs[0])
	}
	if recs[1].Level != state.LevelError || recs[1].Time().UTC().Hour() != 1 {
		t.Errorf("a line with a time keeps it: %+v", recs[1])
	}
	if recs[2].Text != long {
		t.Errorf("a line in pieces: %d bytes", len(recs[2].Text))
	}
	eng.mu.Lock()
	eng.fail = errors.New("the log driver does not support reading")
	eng.list = append(eng.list[:1:1], state.Container{ID: "c3", Title: "queue"})
	eng.mu.Unlock()
	s.Interest(state.Interests{{Logs: []string{"container:*"}}})
	sourcetest.Wait(r, "one gone, one that cannot be read", func(l state.Logs) bool {
		q := l.Source("queue")
		return len(l.Sources) == 2 && q != nil && strings.Contains(q.Err, "log driver")
	})
}
