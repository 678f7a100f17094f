package logs

import (
	"flag"
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

var update = flag.Bool("update", false, "write the golden sessions anew")

// inked returns drawn text with its inks as letters.
func inked(t *theme.Theme, text string) string {
	r := []string{"\x1b[m", "}"}
	for letter, ink := range map[string]theme.Ink{".": t.Dim, ",": t.Faint, "|": t.Border, "r": t.Bad, "w": t.Warn, "g": t.Good, "a": t.Accent, "i": t.Info, "s": t.Strong, "m": t.Match, "*": t.MatchHere, "!": t.Badge} {
		r = append(r, ink.Open(false), "{"+letter+" ", ink.Open(true), "["+letter+" ")
	}
	r = append(r, t.Text.Open(true), "[_ ")
	letters := strings.NewReplacer(r...)
	var out []string
	for _, l := range strings.Split(text, "\n") {
		out = append(out, strings.TrimRight(letters.Replace(l), " "))
	}
	return strings.TrimRight(strings.Join(out, "\n"), "\n")
}

// session carries out commands in a pane and writes down what comes of each: what it says
// and sums up, what an action would mean, what is looked at, and the lines that changed.
type session struct {
	t   *testing.T
	p   *Pane
	out strings.Builder
	was []string // the lines of the frame before
	// next shows what has come since.
	next func()
}

// carry carries out what a command of the pane's comes to, and returns what it says.
func (s *session) carry(cmd tea.Cmd) (said []string) {
	if cmd == nil {
		return nil
	}
	switch msg := cmd().(type) {
	case nil:
	case tea.BatchMsg:
		for _, c := range msg {
			said = append(said, s.carry(c)...)
		}
	case hitsMsg, filteredMsg, counts:
		return s.carry(s.p.Update(msg))
	case pane.NoticeMsg:
		return []string{msg.Text}
	case pane.FileMsg:
		var b strings.Builder
		if err := msg.Write(&b); err != nil {
			s.t.Fatal(err)
		}
		return []string{fmt.Sprintf("%s %s %q", msg.Name, msg.What, b.String())}
	default:
		return []string{fmt.Sprintf("%T%+v", msg, msg)}
	}
	return said
}

func (s *session) write(head string, said []string) {
	if s.next != nil {
		s.next()
	}
	var sum []string
	for _, x := range s.p.Summary() {
		sum = append(sum, x.Ink.Paint(x.Text, false))
	}
	target := s.p.Target()
	fmt.Fprintf(&s.out, "== %s\nsays %q, sums up %s\nfor %q, looks at %v\n", head, said, inked(s.p.env.Theme, strings.Join(sum, "; ")), target.IDs, target.Looks)
	lines := strings.Split(inked(s.p.env.Theme, s.p.View()), "\n")
	for i, l := range lines {
		if i >= len(s.was) || s.was[i] != l {
			fmt.Fprintf(&s.out, "%2d %s\n", i, l)
		}
	}
	if len(s.was) > len(lines) {
		fmt.Fprintf(&s.out, "%d lines less\n", len(s.was)-len(lines))
	}
	s.was = lines
}

func (s *session) do(cs ...pane.Command) {
	for _, c := range cs {
		said := s.carry(s.p.Update(pane.CommandMsg{Command: c}))
		s.write(string(c), said)
	}
}

func (s *session) answer(c pane.Command, text string) {
	cmd, err := s.p.Answer(c, text)
	said := s.carry(cmd)
	if err != nil {
		said = append(said, err.Error())
	}
	s.write(string(c)+" "+text, said)
}

func (s *session) resize(w, h int) {
	s.p.Resize(w, h)
	s.write(fmt.Sprintf("%d x %d", w, h), nil)
}

func (s *session) check(name string) {
	s.t.Helper()
	file := filepath.Join("..", "..", "testdata", "golden", name+".txt")
	if *update {
		if err := os.WriteFile(file, []byte(s.out.String()), 0o644); err != nil {
			s.t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		s.t.Fatalf("%v: go test ./views/logs -update writes it", err)
	}
	got, wants := strings.Split(s.out.String(), "\n"), strings.Split(string(want), "\n")
	head := ""
	for i := range min(len(got), len(wants)) {
		if strings.HasPrefix(got[i], "== ") {
			head = got[i]
		}
		if got[i] != wants[i] {
			s.t.Fatalf("line %d of %s, %s: got\n%s\nwant\n%s", i+1, file, head, got[i], wants[i])
		}
	}
	if len(got) != len(wants) {
		s.t.Errorf("%s: got %d lines, want %d", file, len(got), len(wants))
	}
}

func newSession(t *testing.T, now time.Time) *session {
	e := &pane.Env{Theme: theme.New(theme.Options{Name: "dark"}), Now: func() time.Time { return now }, Local: time.UTC}
	p := New(e).(*Pane)
	p.Resize(100, 16)
	p.Focus(true)
	return &session{t: t, p: p}
}

// several returns a snapshot of two files, a container, a journal and one that cannot be
// read, with n records in each file.
func several(version uint64, n int) *state.Snapshot {
	at := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	var a, b []state.LogRecord
	for i := range n {
		r := state.LogRecord{Seq: uint64(i + 1), Nanos: at.Add(time.Duration(i) * time.Second).UnixNano(), Level: state.LevelInfo, Text: fmt.Sprintf("request %d handled in %d ms", i, i%7)}
		switch {
		case i%10 == 3:
			r.Level, r.Text = state.LevelError, fmt.Sprintf("request %d failed\n  at x\n  at y", i)
		case i%10 == 5:
			r.Level, r.Text = state.LevelWarn, fmt.Sprintf(`{"msg":"slow","path":"/p%d","status":%d}`, i%3, 500+i%2)
		case i%10 == 7:
			r.Level, r.Guessed, r.Text = state.LevelDebug, true, "detail"
		}
		a = append(a, r)
		if i%2 == 0 {
			b = append(b, state.LogRecord{Seq: uint64(i/2 + 1), Nanos: r.Nanos + int64(time.Millisecond), Level: state.LevelTrace, Text: strings.Repeat("wide ", 30) + fmt.Sprint(i)})
		}
	}
	ok := state.Health{Status: state.OK}
	return &state.Snapshot{Version: version, At: at, Versions: map[state.SectionName]uint64{state.SectionLogs: version},
		Journal: state.Journal{Entries: []state.Entry{{Phase: state.PhaseEnd, Kind: state.ModuleEnable, At: at.Add(20 * time.Second)}, {Phase: state.PhaseEnd, Kind: state.RoutingTest, At: at.Add(30 * time.Second)}}},
		Logs: state.Logs{Health: ok, Filters: []state.LogFilter{{Name: "mine", Where: "handled"}}, Watches: []state.LogWatch{{Name: "request"}},
			Sources: []state.LogSource{
				{ID: "file:/w/logs/a.log", Kind: "file", Title: "logs/a.log", Path: "/w/logs/a.log", Rate: 1.5, Errors: 4, Lines: 40},
				{ID: "file:/w/logs/b.log", Kind: "file", Title: "logs/b.log", Path: "/w/logs/b.log", Rate: 12, LostBytes: 2048},
				{ID: "container:1", Kind: "container", Title: "web"},
				{ID: "journal:", Kind: "journal", Title: "journal", Lines: 3},
				{ID: "file:/w/c.log", Kind: "file", Title: "c.log", Path: "/w/c.log", Err: "permission denied: chmod it"},
			},
			Tails: map[string]state.Tail{"file:/w/logs/a.log": {Records: a}, "file:/w/logs/b.log": {Records: b}}}}
}

// A walk through several sources: their list, the stream of them, filters, levels, search,
// bookmarks, columns, counts and what is proposed of it.
func TestAWalkThroughSeveralSources(t *testing.T) {
	s := newSession(t, time.Date(2026, 1, 2, 3, 1, 0, 0, time.UTC))
	s.write("nothing yet", nil)
	s.p.Apply(&state.Snapshot{Logs: state.Logs{Health: state.Health{Status: state.Down, Err: "no"}}})
	s.write("down", nil)
	s.p.Apply(&state.Snapshot{Logs: state.Logs{Health: state.Health{Status: state.OK}}})
	s.write("no sources", nil)
	s.p.Apply(several(1, 40))
	s.write("lines", nil)
	s.do(pane.Up, pane.PageUp, pane.HalfUp, pane.Down, pane.HalfDown, pane.PageDown, pane.Top, pane.Up, pane.ErrNext, pane.ErrPrev, pane.ErrPrev, pane.Right, pane.Right, pane.Left, pane.Left, pane.Wrap, pane.Right, pane.Wrap, pane.Raw, pane.Raw, pane.Times, pane.Times)
	s.p.Apply(several(2, 44))
	s.write("more has come", nil)
	s.do(pane.Bookmark, pane.Up, pane.Up, pane.Bookmark, pane.BookNext, pane.BookNext, pane.Bookmark, pane.BookNext, pane.CopyRow, pane.Open, pane.Down, pane.Bottom, pane.Top, pane.PageDown, pane.Back, pane.Mark, pane.Earlier, pane.Earlier, pane.Later, pane.Bars, pane.Bars)
	for _, text := range []string{"Handled", "handled in 3", "/in [45] ms/", "/[/", "nowhere"} {
		s.answer(pane.Search, text)
		s.do(pane.FindNext, pane.FindPrev)
	}
	s.do(pane.Back)
	for _, text := range []string{"request", "!handled in 3", "status>=", "@mine", "request", " "} {
		s.answer(pane.Keep, text)
	}
	for _, k := range []state.Kind{state.LogWatchAdd, state.LogFilterSave, state.LogRotate} {
		fmt.Fprintf(&s.out, "== proposes for %s: %v\n", k, s.p.Propose(k))
	}
	s.do(pane.Back, pane.Back, pane.Back, pane.LevelNext, pane.LevelNext)
	fmt.Fprintf(&s.out, "== proposes %v\n", s.p.Propose(state.LogWatchAdd))
	s.do(pane.Save, pane.LevelNext, pane.Follow)
	s.answer(pane.Columns, "path, status")
	s.answer(pane.CountBy, "")
	s.do(pane.Down, pane.PageDown, pane.Up, pane.Bottom, pane.Top, pane.CopyRow, pane.Follow, pane.Back)
	s.answer(pane.CountBy, "path")
	s.do(pane.Down, pane.Open, pane.Back)
	s.answer(pane.Columns, "")
	s.answer(pane.GoTo, "03:00:20")
	s.answer(pane.GoTo, "noon")
	s.do(pane.Follow, pane.TabNext, pane.Down, pane.Open, pane.Open, pane.Mark, pane.Up, pane.Up, pane.Mark, pane.CopyRow, pane.Bottom, pane.TabPrev)
	fmt.Fprintf(&s.out, "== proposes %v\n", s.p.Propose(state.LogWatchAdd))
	s.do(pane.TabNext, pane.Back, pane.Top, pane.PageDown, pane.HalfUp, pane.Down, pane.Down, pane.Open)
	fmt.Fprintf(&s.out, "== proposes %v\n", s.p.Propose(state.LogWatchAdd))
	s.do(pane.TabNext, pane.Back, pane.Back)
	s.resize(59, 9)
	s.resize(79, 12)
	s.do(pane.TabNext, pane.Bottom, pane.Back)
	s.resize(110, 11)
	s.resize(120, 5)
	s.p.SetInstant(time.Date(2026, 1, 2, 3, 0, 9, 0, time.UTC))
	s.write("at an instant", nil)
	s.do(pane.Up, pane.Bottom)
	s.p.SetInstant(time.Time{})
	s.write("now", nil)
	s.do(pane.Edit)
	s.p.Apply(several(3, 2))
	s.write("the sources began anew", nil)
	s.check("session-several")
}

// A walk through one file, from its newest lines on into the whole of it.
func TestAWalkThroughAWholeFile(t *testing.T) {
	s := newSession(t, time.Unix(5000, 0))
	s.p.Resize(80, 14)
	l := &longLog{t: t, p: s.p, n: 1000, kept: 100, passed: map[string][]int{}}
	s.next = l.settle
	l.settle()
	s.do(pane.Bars, pane.Earlier, pane.Earlier, pane.Later, pane.Later, pane.Top, pane.Up, pane.Up, pane.PageUp, pane.HalfUp, pane.Down, pane.ErrPrev, pane.ErrPrev, pane.ErrNext, pane.Bookmark, pane.Top, pane.BookNext, pane.BookNext, pane.ErrPrev, pane.CountBy, pane.Save, pane.TabNext, pane.Bars, pane.Bars)
	s.answer(pane.Search, "record 5")
	s.do(pane.FindNext, pane.FindPrev, pane.FindPrev, pane.PageDown, pane.HalfDown)
	s.answer(pane.Keep, "7")
	s.do(pane.Up, pane.LevelNext, pane.Up, pane.LevelNext, pane.LevelNext, pane.Back, pane.Back, pane.Back)
	s.answer(pane.GoTo, "00:05:00")
	s.do(pane.Open, pane.Back, pane.Earlier, pane.Later, pane.Bookmark, pane.Follow, pane.BookNext, pane.Back)
	l.slow = true
	s.do(pane.Top, pane.ErrPrev, pane.Down, pane.ErrNext, pane.Back, pane.Back)
	s.check("session-whole-file")
}

func TestTextIsFoundWithoutRegardToCaseUnlessItHasACapital(t *testing.T) {
	for _, tt := range []struct {
		text, in   string
		from, upto int
	}{
		{"err", "an ERR", 3, 6}, {"err", "eRr err", 0, 3}, {"Err", "err Err", 4, 7}, {"err", "er", -1, -1}, {"", "x", -1, -1}, {"é", "xé", 1, 3}, {"é", "É", -1, -1}, {"1a", "01A1a", 1, 3}, {"ab", "aab", 1, 3}, {"ab", "AxAB", 2, 4}, {"ab", "b a", -1, -1},
		{"/e+r/", "xeer", 1, 4}, {"/x*/", "abc", -1, -1}, {"/", "a/", 1, 2}, {"//", "a//", 1, 3}, {"zz", "azzZ", 1, 3},
	} {
		p, err := newPattern(tt.text)
		if err != nil {
			t.Fatal(err)
		}
		if a, b := p.find(tt.in); a != tt.from || b != tt.upto {
			t.Errorf("%q in %q: got %d to %d, want %d to %d", tt.text, tt.in, a, b, tt.from, tt.upto)
		}
		if got, want := p.in(tt.in), tt.from >= 0; got != want {
			t.Errorf("%q in %q: got %v, want %v", tt.text, tt.in, got, want)
		}
	}
	if _, err := newPattern("/[/"); err == nil {
		t.Error("a broken expression is taken")
	}
}

func TestWhatPassedIsRememberedAsItsSourceGoesOn(t *testing.T) {
	recs := func(from, n int) (out []state.LogRecord) {
		for i := range n {
			out = append(out, state.LogRecord{Seq: uint64(from + i), Nanos: int64(from + i), Level: state.Level((from + i) % 2 * int(state.LevelError))})
		}
		return out
	}
	f, w := &filtered{}, &worst{}
	least := filterSet{min: state.LevelError}
	for _, tt := range []struct {
		tail        []state.LogRecord
		upto        uint64
		want, worst string
	}{
		{recs(1, 4), 9, "[1 3]", "[1 3]"}, {recs(1, 4), 3, "[1 3]", "[1 3]"}, {recs(1, 4), 2, "[1]", "[1 3]"}, {recs(3, 4), 9, "[3 5]", "[3 5]"}, {recs(4, 4), 5, "[5]", "[5 7]"}, {nil, 9, "[5 7]", "[]"}, {recs(1, 2), 9, "[1]", "[1]"}, {recs(1, 1), 9, "[1]", "[1]"},
	} {
		f.update(least, tt.tail)
		w.update(tt.tail)
		seqs := []uint64{}
		for _, r := range f.upTo(tt.upto) {
			seqs = append(seqs, r.Seq)
		}
		if got := fmt.Sprint(seqs); got != tt.want {
			t.Errorf("%d records, up to %d: got %s, want %s", len(tt.tail), tt.upto, got, tt.want)
		}
		if got := fmt.Sprint(w.bad); got != tt.worst {
			t.Errorf("%d records: got errors %s, want %s", len(tt.tail), got, tt.worst)
		}
	}
	times := []int64{1, 3, 3, 7}
	for _, tt := range []struct {
		from, to int64
		want     int
	}{{0, 9, 4}, {1, 3, 1}, {3, 7, 2}, {3, 8, 3}, {4, 7, 0}} {
		if got := between(times, tt.from, tt.to); got != tt.want {
			t.Errorf("from %d to %d: got %d, want %d", tt.from, tt.to, got, tt.want)
		}
	}
}

func TestANameIsMadeOfAFiltersWords(t *testing.T) {
	for where, want := range map[string]string{
		"status>=500": "status-500", "Slow Upstream": "slow-upstream", "": "", "é": "", "/a|b/": "a-b", "one two three four five six seven": "one-two-three-four-five-six",
		strings.Repeat("x", 50): strings.Repeat("x", 40), "level>=error": "level-error",
	} {
		if got := slug(where); got != want {
			t.Errorf("%q: got %q, want %q", where, got, want)
		}
	}
}

// A walk through what stands far away: at the right of long lines, in a container's log
// beside a file, in a source that cannot be read, at the ends of the histogram, and in a
// table of more counts than there is room for.
func TestAWalkThroughWhatStandsFarAway(t *testing.T) {
	s := newSession(t, time.Date(2026, 1, 2, 3, 1, 0, 0, time.UTC))
	snap := several(1, 60)
	long := slices.Clone(snap.Logs.Tails["file:/w/logs/a.log"].Records)
	for i := range long {
		long[i].Text = fmt.Sprintf("%s far%d right %s", strings.Repeat("x ", 40+i), i, strings.Repeat("y ", 40))
	}
	snap.Logs.Tails = map[string]state.Tail{"file:/w/logs/a.log": {Records: long}}
	one := *snap
	one.Logs.Sources = snap.Logs.Sources[:1]
	s.p.Apply(&one)
	s.write("one file", nil)
	s.do(pane.Wrap, pane.Up, pane.Down, pane.Down, pane.Up, pane.Wrap)
	for _, text := range []string{"far50", "Far", "far5", "/far[34]. right/"} {
		s.answer(pane.Search, text)
		s.do(pane.FindNext, pane.FindNext, pane.FindPrev)
	}
	s.do(pane.Wrap, pane.FindNext, pane.Wrap, pane.Back)
	s.answer(pane.Columns, "none")
	s.answer(pane.Columns, "")
	s.answer(pane.CountBy, "")
	s.do(pane.Bottom, pane.Up, pane.PageUp, pane.Top, pane.PageDown, pane.PageDown, pane.Up)
	s.resize(59, 9)
	s.do(pane.Down, pane.Bottom, pane.Top, pane.Back)
	s.resize(100, 16)
	s.do(pane.Later, pane.Earlier)
	for range 19 {
		s.p.Update(pane.CommandMsg{Command: pane.Earlier})
	}
	s.do(pane.Earlier, pane.Earlier, pane.Follow, pane.Top, pane.Earlier, pane.Later, pane.Back)
	two := *snap
	two.Logs.Sources = []state.LogSource{snap.Logs.Sources[0], snap.Logs.Sources[2], snap.Logs.Sources[4]}
	two.Logs.Tails = map[string]state.Tail{"file:/w/logs/a.log": {Records: long[:20]}, "container:1": {Records: several(1, 9).Logs.Tails["file:/w/logs/a.log"].Records}}
	two.Version, two.Versions = 2, map[state.SectionName]uint64{state.SectionLogs: 2}
	s.p.Apply(&two)
	s.write("a file, a container and one that cannot be read", nil)
	s.do(pane.Top, pane.Up, pane.Earlier, pane.Later, pane.Later, pane.BookNext, pane.Bookmark, pane.Down, pane.Down, pane.Bookmark, pane.BookNext, pane.TabNext, pane.Down, pane.Mark, pane.TabNext, pane.BookNext, pane.TabNext, pane.Mark, pane.TabNext, pane.TabNext, pane.Back, pane.Bottom, pane.Open, pane.TabNext, pane.Open, pane.CopyRow)
	s.resize(80, 14)
	s.resize(80, 9)
	s.do(pane.TabNext, pane.Open, pane.Top, pane.Open, pane.TabNext)
	s.resize(60, 14)
	s.do(pane.Top, pane.Up, pane.Back, pane.Back)
	s.answer(pane.Keep, "nothing")
	s.do(pane.Up, pane.Down, pane.Open, pane.CopyRow, pane.ErrNext, pane.Earlier)
	s.answer(pane.CountBy, "path")
	s.do(pane.Open, pane.CopyRow, pane.Back)
	s.check("session-far")
}

// What is looked for in a file of long lines is scrolled to, there and along its histogram.
func TestWhatIsFoundInTheWholeFileIsScrolledTo(t *testing.T) {
	s := newSession(t, time.Unix(5000, 0))
	s.p.Resize(80, 14)
	l := &longLog{t: t, p: s.p, n: 1000, kept: 100, passed: map[string][]int{}}
	l.record(0)
	for i := range l.all {
		if i%50 == 7 {
			l.all[i].Text = strings.Repeat("wide ", 40) + "needle"
		}
	}
	s.next = l.settle
	l.settle()
	s.answer(pane.Search, "needle")
	s.do(pane.FindNext, pane.FindNext, pane.FindNext, pane.FindNext, pane.FindPrev, pane.Left, pane.FindNext)
	l.slow = true
	s.answer(pane.GoTo, "00:02:00")
	s.do(pane.FindNext, pane.FindNext, pane.FindNext)
	l.slow = false
	s.do(pane.Back, pane.Earlier, pane.Earlier, pane.Later, pane.Top, pane.Earlier, pane.Bars, pane.Earlier, pane.Bars, pane.Later)
	s.answer(pane.Keep, "record 1")
	s.do(pane.Earlier, pane.Earlier, pane.Earlier, pane.Later, pane.Later, pane.Later, pane.Bookmark, pane.Bottom, pane.Bars, pane.Earlier, pane.Earlier, pane.BookNext)
	for range 25 {
		s.p.Update(pane.CommandMsg{Command: pane.Later})
		l.settle()
	}
	s.write("at the end", nil)
	s.check("session-needle")
}
