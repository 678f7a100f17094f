package logs

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/theme"
	"github.com/opsdeck/opsdeck/views/pane"
)

var noon = time.Date(2026, 2, 11, 12, 0, 0, 0, time.UTC)

// script drives a pane and writes down what it shows.
type script struct {
	t    *testing.T
	p    *Pane
	th   *theme.Theme
	out  strings.Builder
	snap *state.Snapshot
}

func newScript(t *testing.T, s *state.Snapshot, w, h int) *script {
	th := theme.New(theme.Options{Name: "dark"})
	p := New(&pane.Env{Theme: th, Now: func() time.Time { return noon }, Local: time.UTC}).(*Pane)
	p.Resize(w, h)
	p.Focus(true)
	p.Apply(s)
	return &script{t: t, p: p, th: th, snap: s}
}

// run carries a command out, and those that come of it.
func (s *script) run(cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	switch msg := cmd().(type) {
	case nil:
	case tea.BatchMsg:
		for _, c := range msg {
			s.run(c)
		}
	case pane.NoticeMsg:
		fmt.Fprintf(&s.out, "says %q\n", msg.Text)
	case pane.CopyMsg:
		fmt.Fprintf(&s.out, "copies %s: %q\n", msg.What, msg.Text)
	case pane.FileMsg:
		var b bytes.Buffer
		if err := msg.Write(&b); err != nil {
			s.t.Fatal(err)
		}
		fmt.Fprintf(&s.out, "writes %s to %s:\n%s", msg.What, msg.Name, b.String())
	case pane.UnhandledMsg, pane.ClosedMsg:
		fmt.Fprintf(&s.out, "%T %v\n", msg, msg)
	default:
		s.p.Update(msg)
	}
}

// step is a command, a command with the text that it asks for behind "=", or a change of
// what there is before ":".
func (s *script) step(step string) {
	fmt.Fprintf(&s.out, "=== %s\n", step)
	switch c, text, ask := strings.Cut(step, "="); {
	case step == "new line":
		s.apply(func(l *state.Logs) {
			tail := l.Tails["file:/logs/web.log"]
			last := tail.Records[len(tail.Records)-1]
			tail.Records = append(slices.Clip(tail.Records), state.LogRecord{Seq: last.Seq + 1, Nanos: noon.Add(time.Second).UnixNano(), Level: state.LevelInfo, Text: "a new line"})
			l.Tails = map[string]state.Tail{"file:/logs/web.log": tail, "file:/logs/jobs.log": l.Tails["file:/logs/jobs.log"]}
		})
	case step == "past":
		s.p.SetInstant(noon.Add(-4 * time.Minute))
	case step == "present":
		s.p.SetInstant(time.Time{})
	case ask:
		if _, ok := s.p.Question(pane.Command(c)); !ok {
			s.t.Fatalf("%s asks for nothing", c)
		}
		cmd, err := s.p.Answer(pane.Command(c), text)
		if err != nil {
			fmt.Fprintf(&s.out, "refuses: %v\n", err)
		}
		s.run(cmd)
	default:
		s.run(s.p.Update(pane.CommandMsg{Command: pane.Command(step)}))
	}
	s.draw()
}

func (s *script) apply(change func(*state.Logs)) {
	l := s.snap.Logs
	change(&l)
	s.snap = s.snap.With(s.snap.Version+1, noon, l)
	s.p.Apply(s.snap)
}

func (s *script) draw() {
	var inks []string
	for _, x := range []struct {
		name string
		theme.Ink
	}{{"dim", s.th.Dim}, {"faint", s.th.Faint}, {"accent", s.th.Accent}, {"warn", s.th.Warn}, {"bad", s.th.Bad}, {"info", s.th.Info}, {"badge", s.th.Badge}, {"border", s.th.Border}, {"match", s.th.Match}, {"here", s.th.MatchHere}} {
		inks = append(inks, x.Open(false), "{"+x.name+"}")
		if x.name != "match" && x.name != "here" {
			inks = append(inks, x.Open(true), "{>"+x.name+"}")
		}
	}
	inks = append(inks, s.th.Text.Open(true), "{>}", "\x1b[m", "{}")
	r := strings.NewReplacer(inks...)
	for l := range strings.SplitSeq(s.p.View(), "\n") {
		s.out.WriteString(strings.TrimRight(r.Replace(l), " ") + "\n")
	}
	var words []string
	for _, x := range s.p.Summary() {
		words = append(words, r.Replace(x.Ink.Paint(x.Text, false)))
	}
	fmt.Fprintf(&s.out, "--- %s; follows: %v; %d targets\n", strings.Join(words, ", "), s.p.Following(), len(s.p.Target().IDs))
}

// twoLogs returns two files of a minute's steps, a container that is not followed, a
// journal with lines and a file on another host that cannot be read.
func twoLogs() *state.Snapshot {
	at := func(i int) int64 { return noon.Add(time.Duration(i-12) * time.Minute).UnixNano() }
	var web, jobs state.Tail
	for i := range 12 {
		r := state.LogRecord{Seq: uint64(i + 1), Nanos: at(i), Level: state.LevelInfo, Text: fmt.Sprintf("GET /page/%d status=%d", i, 200+i%3)}
		switch i {
		case 3:
			r.Level, r.Text = state.LevelError, "boom: it failed\n  at line one\n  at line two"
		case 5:
			r.Level, r.Text = state.LevelWarn, `{"level":"warn","message":"slow answer","ms":912,"path":"/page"}`
		case 7:
			r.Guessed, r.Text = true, "a line without a time"
		case 9:
			r.Level, r.Text = state.LevelDebug, "2026-02-11 11:57:00,201 - GET details of a very long line that goes on and on and on and on until it no longer fits"
		}
		web.Records = append(web.Records, r)
		if i%2 == 0 {
			jobs.Records = append(jobs.Records, state.LogRecord{Seq: uint64(i/2 + 1), Nanos: at(i) + 5e9, Level: []state.Level{state.LevelTrace, 0, state.LevelFatal}[i/2%3], Text: fmt.Sprintf("job %d done", i/2)})
		}
	}
	l := state.Logs{Health: state.Health{Status: state.OK}, Sources: []state.LogSource{
		{ID: "file:/logs/web.log", Kind: "file", Title: "logs/web.log", Path: "/logs/web.log", Lines: 12, Errors: 1, Rate: 0.2},
		{ID: "file:/logs/jobs.log", Kind: "file", Title: "logs/jobs.log", Path: "/logs/jobs.log", Lines: 6, Errors: 2, Rate: 12, LostBytes: 2048},
		{ID: "container:abc", Kind: "container", Title: "api"},
		{ID: "remote:ssh://edge/a.log", Kind: "remote", Title: "edge:/a.log", Err: "no route to host"},
	}, Tails: map[string]state.Tail{"file:/logs/web.log": web, "file:/logs/jobs.log": jobs}}
	return (&state.Snapshot{}).With(1, noon, l)
}

func TestWhatTheStreamShowsAfterEachKey(t *testing.T) {
	for _, tt := range []struct {
		name  string
		w, h  int
		steps string
	}{
		{"move", 70, 8, "up|up|down|half-page-up|page-up|top|up|down|half-page-down|page-down|bottom|down|top|follow|copy|open|down|bottom|up|top|page-down|half-page-up|back|back"},
		{"new-lines", 70, 6, "up|new line|down|down|new line|top|new line|bottom"},
		{"wide", 150, 14, "up|right|right|left|left|timestamps|raw|raw|wrap|right|wrap|timestamps|error-prev|error-prev|error-prev|error-prev|error-next|error-next|error-next"},
		{"narrow", 40, 5, "up|wrap|error-prev|up|tab-next|down|open|tab-prev"},
		{"level", 90, 14, "level|level|level|level|up|level|level|back|back"},
		{"filter", 110, 13, "keep=status>=201|keep=!page/1|keep=status>=201|keep=status>=|keep=|keep=nothing like it|up|back|back|back|back"},
		{"search", 110, 13, "find-next|search=get|find-next|find-next|find-prev|find-prev|search=/page.[0-9]+/|find-next|search=/(/|search=fits|find-next|search=nowhere|back|back|back"},
		{"time", 90, 13, "go-to=11:53|go-to=11:53:05|go-to=-2m|go-to=03:00|go-to=2026-02-11 11:59|go-to=2027-01-01|go-to=never|go-to=|back"},
		{"bookmarks", 80, 12, "bookmark-next|bookmark|up|up|bookmark|top|bookmark-next|bookmark-next|bookmark-next|bookmark|bookmark-next|bookmark-next"},
		{"histogram", 100, 14, "histogram|histogram|earlier|earlier|later|later|later|top|earlier"},
		{"columns", 100, 10, "columns=status,path|up|up|columns= |columns=nothing"},
		{"count", 100, 12, "count-by=|down|down|up|bottom|top|page-down|half-page-up|copy|follow|open|back|count-by=status|down|open|back|count-by=nothing|open|copy|back"},
		{"save", 90, 6, "save=a.log|keep=boom|save=a.json|save=|keep=nothing at all|save=b.log"},
		{"sources", 100, 10, "tab-next|down|mark|mark|up|copy|bottom|copy|top|open|tab-prev|back|tab-next|open|open|mark|back|bottom|open|back|page-up|half-page-down|back|sort|mark|edit"},
		{"past", 90, 9, "past|up|down|down|bottom|back|error-prev|present"},
		{"alone", 90, 13, "tab-next|open|tab-next|histogram|histogram|histogram|top|up|count-by=|back"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScript(t, twoLogs(), tt.w, tt.h)
			s.out.WriteString("=== at first\n")
			s.draw()
			for step := range strings.SplitSeq(tt.steps, "|") {
				s.step(step)
			}
			file := filepath.Join("..", "..", "testdata", "golden", "logs", tt.name+".txt")
			got := s.out.String()
			if *update {
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatalf("%v: go test ./views/logs -update writes it", err)
			}
			if got != string(want) {
				t.Errorf("%s differs%s", file, firstDifference(got, string(want)))
			}
		})
	}
}

// firstDifference returns the first line that differs, with the step that it is of.
func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	step := ""
	for i := range min(len(g), len(w)) {
		if strings.HasPrefix(w[i], "===") {
			step = w[i]
		}
		if g[i] != w[i] {
			return fmt.Sprintf(" after %s\ngot:  %s\nwant: %s", step, g[i], w[i])
		}
	}
	return " in its length"
}
