package logs

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/views/pane"
)

func TestMarginsTakeWhatTheWidthAllows(t *testing.T) {
	for _, tt := range []struct {
		what                string
		w, streams          int
		noTimes, whole      bool
		times, level, names int
	}{
		{"narrow", 59, 2, false, false, 9, 1, 0}, {"names", 60, 2, false, false, 9, 1, 10}, {"one source", 60, 1, false, false, 9, 1, 0},
		{"before words", 79, 2, false, false, 9, 1, 13}, {"words of levels", 80, 2, false, false, 9, 5, 13},
		{"before milliseconds", 109, 2, false, false, 9, 5, 18}, {"milliseconds", 110, 2, false, false, 13, 5, 18},
		{"no times", 110, 1, true, false, 0, 5, 0}, {"a file over days", 70, 1, false, true, 15, 1, 0}, {"narrow, over days", 69, 1, false, true, 9, 1, 0},
	} {
		p := &Pane{noTimes: tt.noTimes, cur: merge{s: make([]stream, tt.streams)}}
		if tt.whole {
			p.beyond = &beyond{}
		}
		if tw, lw, nw := p.margins(tt.w); tw != tt.times || lw != tt.level || nw != tt.names {
			t.Errorf("%s: got %d, %d, %d, want %d, %d, %d", tt.what, tw, lw, nw, tt.times, tt.level, tt.names)
		}
	}
}

func TestAGlobStandsForFilesOfOneFolder(t *testing.T) {
	for _, tt := range []struct {
		what   string
		titles []string // "c:" before containers
		want   string
	}{
		{"one", []string{"a.log"}, "a.log"}, {"of the workspace", []string{"a.log", "b.log"}, "*.log"}, {"of a folder", []string{"x/a.log", "x/b.log"}, "x/*.log"},
		{"of two folders", []string{"x/a.log", "y/b.log"}, ""}, {"of two endings", []string{"x/a.log", "x/b.txt"}, ""},
		{"a container", []string{"c:web"}, "container:web"}, {"containers", []string{"c:web", "c:db"}, "container:*"}, {"one of each", []string{"a.log", "c:web"}, ""},
		{"files and a container", []string{"a.log", "b.log", "c:web"}, ""}, {"nothing", nil, ""},
	} {
		s := &state.Snapshot{}
		p := &Pane{snap: s, marks: map[string]bool{}}
		for _, title := range tt.titles {
			src := state.LogSource{ID: title, Kind: "file", Title: title, Path: "/w/" + title}
			if len(title) > 2 && title[:2] == "c:" {
				src.Kind, src.Title, src.Path = "container", title[2:], ""
			}
			p.marks[title] = true
			s.Logs.Sources = append(s.Logs.Sources, src)
		}
		if got := p.what(); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.what, got, tt.want)
		}
	}
}

func TestCountsAreBoundAndOfTheLastQuestion(t *testing.T) {
	var recs []state.LogRecord
	for i := range mostCounted + 5 {
		recs = append(recs, state.LogRecord{Seq: uint64(i + 1), Nanos: int64(i + 1), Text: fmt.Sprintf("id=%d", i)})
	}
	p := newScript(t, twoLogs(), 100, 12).p
	p.cur = mergeEnd([]stream{{recs: recs}})
	first := p.countBy("id")
	second := p.countBy("id")
	p.Update(first())
	if !p.counts.busy {
		t.Error("the answer to an earlier question is taken for that to the last")
	}
	p.Update(second())
	if p.counts.busy || len(p.counts.rows) != mostCounted || p.counts.records != len(recs) || p.counts.left != 0 {
		t.Errorf("got %d rows of %d records, %d left out, want %d of %d and none", len(p.counts.rows), p.counts.records, p.counts.left, mostCounted, len(recs))
	}
}

func TestAPaneWithoutLinesIsAsked(t *testing.T) {
	p := newScript(t, &state.Snapshot{}, 100, 12).p
	if got := p.fieldNames(); got != nil {
		t.Errorf("got the fields %v, want none", got)
	}
	if p.theFile() != nil || (&Pane{}).theFile() != nil {
		t.Error("there is a file, want none")
	}
	for _, size := range [][2]int{{0, 5}, {5, 0}, {-1, 5}} {
		if got := p.stream(size[0], size[1]); got != nil {
			t.Errorf("%v: got %q, want no line", size, got)
		}
	}
}

func TestOneFileIsOneFileInThePresentAlone(t *testing.T) {
	s := newScript(t, twoLogs(), 100, 12)
	if s.p.theFile() != nil {
		t.Error("two files are one")
	}
	s.step("tab-next")
	s.step("open")
	if f := s.p.theFile(); f == nil || f.Title != "logs/web.log" {
		t.Errorf("got %+v, want the one that is shown", f)
	}
	s.step("past")
	if s.p.theFile() != nil {
		t.Error("the whole file is looked at in the past, which keeps its tail alone")
	}
}

func TestNewLinesOfASourceThatWasEmptyAreNotCountedAsMissed(t *testing.T) {
	s := newScript(t, twoLogs(), 100, 12)
	s.step("up")
	s.apply(func(l *state.Logs) {
		tails := map[string]state.Tail{"container:abc": {Records: numbered(7, 8, 9)}}
		for id, tail := range l.Tails {
			tails[id] = tail
		}
		l.Tails = tails
	})
	if got := s.p.fresh(); got != 0 {
		t.Errorf("got %d new lines, want none", got)
	}
	s.step("new line")
	if got := s.p.fresh(); got != 1 {
		t.Errorf("got %d new lines, want 1", got)
	}
}

func TestASnapshotWithTheSameLogsChangesNothing(t *testing.T) {
	s := newScript(t, twoLogs(), 100, 12)
	_ = s.p.View()
	same := *s.snap
	same.Version++
	s.p.Apply(&same)
	if s.p.dirty || s.p.snap != &same {
		t.Errorf("drawn anew: %v, the newest held: %v, want it held and not drawn", s.p.dirty, s.p.snap == &same)
	}
	older := *s.snap
	older.Version -= 1
	s.p.Apply(&older)
	if !s.p.dirty {
		t.Error("an older instant is not drawn anew")
	}
}

func TestGoingToTheNewestLineSaysNothing(t *testing.T) {
	newest := noon.Add(-time.Minute)
	for _, tt := range []struct {
		at   time.Time
		says bool
	}{{newest, false}, {newest.Add(time.Millisecond), true}, {noon.Add(-12 * time.Minute), false}, {noon.Add(-12*time.Minute - time.Millisecond), true}} {
		p := newScript(t, twoLogs(), 100, 12).p
		cmd, err := p.goTo(tt.at.Format("15:04:05.000"))
		if err != nil {
			t.Fatal(err)
		}
		if says := cmd != nil; says != tt.says {
			t.Errorf("%v: says something: %v, want %v", tt.at, says, tt.says)
		}
	}
}

func TestFilesAreCountedWhereThereAreSeveral(t *testing.T) {
	for n, want := range map[int]string{0: "", 1: "", 2: " in 2 files"} {
		if got := inFiles(&state.LogWindow{Files: n}); got != want {
			t.Errorf("%d: got %q, want %q", n, got, want)
		}
	}
}

func TestALineLosesTheTimeItBeginsWith(t *testing.T) {
	for line, want := range map[string]string{
		"2026-02-11 11:57:00": "", "2026-02-11T11:57:00Z x": "x", "[2026-02-11 11:57:00,201] x": "x", "2026-02-11 11:57:00.5 +01:00 - x": "x", "2026-02-11 11:57:00 -0100 x": "x",
		"2026-02-11 11:57:0": "2026-02-11 11:57:0", "2026-02-11_11:57:00 x": "2026-02-11_11:57:00 x", "2026-02-11 11:57:00 - x": "x", "2026-02-11 11:57:00 +1 x": "+1 x",
	} {
		got, ok := unstamped(line)
		if got != want || ok != (want != line) {
			t.Errorf("%q: got %q, %v, want %q", line, got, ok, want)
		}
	}
}

func TestABookmarkIsKnownByItsTimeOrItsPlace(t *testing.T) {
	timed, guessed := state.LogRecord{Seq: 4, Nanos: 9, Text: "x"}, state.LogRecord{Seq: 4, Nanos: 9, Text: "x", Guessed: true}
	for _, tt := range []struct {
		what   string
		r      state.LogRecord
		place  int64
		ns, at int64
	}{{"a time", timed, 30, 9, 0}, {"a time, in the tail", timed, -1, 9, 0}, {"a place", guessed, 30, 0, 30}, {"the first place", guessed, 0, 0, 0}, {"a number", guessed, -1, 0, -4}} {
		if got := markOf("s", &tt.r, tt.place); got.ns != tt.ns || got.at != tt.at || got.source != "s" {
			t.Errorf("%s: got %+v, want the time %d and the place %d", tt.what, got, tt.ns, tt.at)
		}
	}
}

func TestMovingOnEndsAWaitForWhatIsLookedFor(t *testing.T) {
	l := newLongLog(t)
	l.do(pane.Top, pane.Up)
	l.slow = true
	l.typed(pane.Search, "nothing like it")
	if got := l.p.beyond.view.Seek; got != state.SeekMatch {
		t.Fatalf("it looks for %q, want a match that is not at hand", got)
	}
	l.do(pane.Up)
	if v := l.p.beyond.view; v.Seek != "" || v.Time != 0 {
		t.Errorf("it still looks for %+v", v)
	}
	if !slices.ContainsFunc(l.p.Target().Looks.Views(), func(v state.LogView) bool { return v.Seek == "" }) {
		t.Error("no place is asked for")
	}
}
