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
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/opsdeck/opsdeck/backend/source/logs/scan"
	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
	"github.com/opsdeck/opsdeck/backend/state"
)

func TestContract(t *testing.T) {
	dir := t.TempDir()
	for i := range 5 {
		appendTo(t, filepath.Join(dir, fmt.Sprintf("%d.log", i)), "hello\n")
	}
	eng := &engineStub{list: []state.Container{{ID: "c1", Title: "web"}}, logs: map[string]string{"c1": "one\n"}}
	startTracker(t)
	sourcetest.Contract(t, sourcetest.Subject{
		New: func(*testing.T) state.Source {
			s := New(Config{Files: []string{"*.log"}, Root: dir, Containers: eng})
			s.Interest(state.Interests{{Topic: state.LookLog, Key: "container:*"}})
			return s
		},
		Ready: func(sec state.Section) bool {
			l := sec.(state.Logs)
			return len(l.Tails) == 6 && len(l.Tails["container:c1"].Records) == 1
		},
	})
}

func appendTo(t *testing.T, path, text string) { t.Helper(); sourcetest.Append(t, path, text) }

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
	l := sourcetest.Wait(r, "the history, and the named file that is missing with its error", func(l state.Logs) bool {
		src, missing := l.Source("a.log"), l.Source("named.log")
		return lastText(l, "file:"+a) == "before" && src.Size == 7 && src.Rotation != "" && missing != nil && missing.Err != ""
	})
	if src := l.Source("a.log"); src.Lines != 0 {
		t.Errorf("source: %+v", src)
	}
	appendTo(t, a, "ERROR password hunter2\n")
	sourcetest.Wait(r, "a line, and that it is counted", func(l state.Logs) bool {
		src := l.Source("a.log")
		return lastText(l, "file:"+a) == "ERROR password ***" && src.Lines == 1 && src.Errors == 1 && !src.LastAt.IsZero()
	})
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
	l = sourcetest.Wait(r, "on after a rotation", func(l state.Logs) bool {
		return lastText(l, "file:"+a) == "after the rotation" && l.Source("a.log").Truncations == 1
	})
	if src := l.Source("a.log"); src.LostBytes != 0 {
		t.Errorf("source: %+v", src)
	}
	if _, err := s.Execute(context.Background(), state.Action{Kind: state.LogRotate, Target: "/etc/passwd"}, func(string, float64) {}); err == nil {
		t.Error("a file that is not followed was rotated")
	}
}

func TestNothingToFollowIsAbsent(t *testing.T) {
	if err := New(Config{}).Run(t.Context(), func(state.Section) {}); !errors.Is(err, state.ErrAbsent) {
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
	at   time.Time // of the first line; zero for some time ago
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
		if !e.at.IsZero() {
			at = e.at.UTC()
		} else if now := time.Now(); now.Before(at) { // in a bubble it is long before
			at = now.Add(-time.Hour).UTC()
		}
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

func TestContainerLogsOnlyWhileShown(t *testing.T) {
	long := strings.Repeat("x", 40<<10)
	eng := &engineStub{list: []state.Container{{ID: "c1", Title: "web"}, {ID: "c2", Title: "db"}},
		logs: map[string]string{"c1": "plain\n{\"level\":\"error\",\"time\":\"2026-11-22T01:00:00Z\"}\n" + long + "\n"}}
	s := New(Config{Containers: eng})
	r := sourcetest.Run(t, s)
	l := sourcetest.Wait(r, "both listed", func(l state.Logs) bool { return len(l.Sources) == 2 })
	if l.Sources[0].Title != "db" || len(l.Tails) != 0 || eng.open != 0 {
		t.Errorf("unwatched: %+v, %d tails, %d opened", l.Sources, len(l.Tails), eng.open)
	}
	s.Interest(state.Interests{{Topic: state.LookLog, Key: "container:c1"}})
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
	s.Interest(state.Interests{{Topic: state.LookLog, Key: "container:*"}})
	sourcetest.Wait(r, "one gone, one that cannot be read", func(l state.Logs) bool {
		q := l.Source("queue")
		return len(l.Sources) == 2 && q != nil && strings.Contains(q.Err, "log driver")
	})
}

// What stands in a file is on the screen the same way in the newest lines, in the whole
// file and on the command line, and nothing of it drives the terminal.
func TestFilesOfEveryKindAreShown(t *testing.T) {
	dir := t.TempDir()
	wide := func(mark string, big bool, text string) string {
		b := []byte(mark)
		for _, u := range utf16.Encode([]rune(text)) {
			if big {
				b = append(b, byte(u>>8), byte(u))
			} else {
				b = append(b, byte(u), byte(u>>8))
			}
		}
		return string(b)
	}
	const at = "2026-11-22 05:00:00Z INFO "
	long := at + strings.Repeat("x", 10<<20)
	cut := long[:scan.CutLine] + scan.CutNote(len(long))
	cases := []struct {
		name, data string
		want       []string
	}{
		{"no newline", at + "one\n" + at + "two", []string{at + "one", at + "two"}},
		{"crlf", at + "one\r\n" + at + "two\r\n", []string{at + "one", at + "two"}},
		{"nuls", at + "o\x00ne\n" + at + "\x00\n", []string{at + "o^@ne", at + "^@"}},
		{"invalid", at + "\xff\xfe \xc3\n" + at + "two\xe2\x82\n", []string{at + "\\xFF\\xFE \\xC3", at + "two\\xE2\\x82"}},
		{"control", at + "\x1b[2J\x1b]0;title\x07\n" + at + "\x9b31m\u009b31m\x7f\n", []string{at + "^[[2J^[]0;title^G", at + "\\x9B31m<U+009B>31m^?"}},
		{"marked", "\xef\xbb\xbf" + at + "one\n", []string{at + "one"}},
		{"utf-16le", wide("\xff\xfe", false, at+"héllo 😀\r\n"+at+"two\n"), []string{at + "héllo 😀", at + "two"}},
		{"utf-16be", wide("\xfe\xff", true, at+"héllo 😀\r\n"+at+"two\n"), []string{at + "héllo 😀", at + "two"}},
		{"long", at + "one\n" + long + "\n" + at + "two\n", []string{at + "one", cut, at + "two"}},
		{"newlines", "\n\n\r\n" + at + "one\n\n", []string{at + "one"}},
		{"empty", "", nil},
	}
	for _, tc := range cases {
		path := filepath.Join(dir, tc.name)
		appendTo(t, path, "")
		src := New(Config{Files: []string{path}})
		r := sourcetest.Run(t, src)
		id := "file:" + path
		sourcetest.Wait(r, "the file to be followed", func(l state.Logs) bool { return l.Source(id) != nil })
		appendTo(t, path, tc.data)
		for _, beyond := range []bool{false, true} {
			view := state.LogView{Source: id, At: -1, Rows: 5}
			if src.Interest(nil); beyond {
				src.Interest(state.Interests{view.Interest()})
			}
			recs := func(l state.Logs) (out []string) {
				all := l.Tails[id].Records
				if w := l.View(view); beyond && w != nil {
					all = w.Records
				}
				for _, rec := range all {
					out = append(out, rec.Text)
				}
				return out
			}
			l := sourcetest.Wait(r, fmt.Sprintf("%s as %.200q, beyond the tail %v", tc.name, tc.want, beyond), func(l state.Logs) bool {
				return beyond && l.View(view) != nil && len(recs(l)) >= len(tc.want) || !beyond && slices.Equal(recs(l), tc.want) && l.Source(id).Size == int64(len(tc.data))
			})
			if got := recs(l); !slices.Equal(got, tc.want) {
				t.Errorf("%s, beyond the tail %v: got %.200q, want %.200q", tc.name, beyond, got, tc.want)
			}
		}
	}
}

func TestTheJournalIsFollowedWhileShown(t *testing.T) {
	dir := t.TempDir()
	script := `#!/bin/sh
cat <<'END'
{"MESSAGE":"started","__REALTIME_TIMESTAMP":"1795324924201000","PRIORITY":"6","SYSLOG_IDENTIFIER":"api","_PID":"12"}
{"MESSAGE":"failed\nat once","__REALTIME_TIMESTAMP":"1795324925201000","PRIORITY":"3","_COMM":"api"}
END
exec sleep 1000
`
	if err := os.WriteFile(filepath.Join(dir, "journalctl"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	journals := filepath.Join(dir, "journal")
	if err := os.MkdirAll(journals, 0o755); err != nil {
		t.Fatal(err)
	}
	src := New(Config{Files: []string{filepath.Join(dir, "none.log")}, Journals: []string{filepath.Join(dir, "no such"), journals}})
	r := sourcetest.Run(t, src)
	l := sourcetest.Wait(r, "the file alone", func(l state.Logs) bool { return len(l.Sources) == 1 })
	if l.Sources[0].Kind != "file" {
		t.Errorf("got %+v", l.Sources)
	}
	if err := os.Mkdir(filepath.Join(journals, "3d1219c7c4c5404aaa1f6d2a48adfda4"), 0o755); err != nil {
		t.Fatal(err)
	}
	l = sourcetest.Wait(r, "the journal", func(l state.Logs) bool { return l.Source("journal:") != nil && l.Source("journal") != nil })
	if s := l.Source("journal"); s.Kind != "journal" || s.Lines != 0 {
		t.Errorf("nobody looks, and it is %+v", s)
	}
	src.Interest(state.Interests{{Topic: state.LookLog, Key: "journal:"}})
	l = sourcetest.Wait(r, "its entries", func(l state.Logs) bool { return len(l.Tails["journal:"].Records) == 2 })
	for i, want := range []state.LogRecord{{Level: state.LevelInfo, Text: "api[12]: [INFO] started"}, {Level: state.LevelError, Text: "api: [ERROR] failed\n    at once"}} {
		if got := l.Tails["journal:"].Records[i]; got.Level != want.Level || !strings.HasSuffix(got.Text, want.Text) || got.Nanos != 1795324924201e6+int64(i)*1e9 {
			t.Errorf("entry %d: got %+v, want %+v", i, got, want)
		}
	}
}

func TestTheJournalIsReadAgainAfterItFailed(t *testing.T) {
	dir := t.TempDir()
	script := fmt.Sprintf(`#!/bin/sh
[ -e %[1]s/failed ] || { touch %[1]s/failed; echo broken >&2; exit 1; }
echo '{"MESSAGE":"started","__REALTIME_TIMESTAMP":"1795324924201000","PRIORITY":"6","SYSLOG_IDENTIFIER":"api"}'
exec sleep 1000
`, dir)
	if err := os.WriteFile(filepath.Join(dir, "journalctl"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	src := New(Config{Journals: []string{dir}})
	r := sourcetest.Run(t, src)
	src.Interest(state.Interests{{Topic: state.LookLog, Key: "journal:"}})
	sourcetest.Wait(r, "why it cannot be read", func(l state.Logs) bool {
		s := l.Source("journal")
		return s != nil && strings.Contains(s.Err, "broken")
	})
	sourcetest.Wait(r, "its entry, and that it can be read", func(l state.Logs) bool {
		return len(l.Tails["journal:"].Records) == 1 && l.Source("journal").Err == ""
	})
}
