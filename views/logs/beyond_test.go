package logs

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/opsdeck/opsdeck/backend/record"
	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/theme"
	"github.com/opsdeck/opsdeck/views/pane"
)

// longLog is a log of n records, record i at place 10*i+100 and second i+1, each 100th an
// error; of which the last kept are in the tail.
type longLog struct {
	t       *testing.T
	p       *Pane
	n, kept int
	all     []state.LogRecord
	passed  map[string][]int
	version uint64
	slow    bool // what is looked for does not come
}

func (l *longLog) record(i int) state.LogRecord {
	if l.all == nil {
		for i := range l.n {
			r := state.LogRecord{Nanos: int64(i+1) * 1e9, Text: fmt.Sprintf("record %d", i), Level: state.LevelInfo}
			if i%100 == 0 {
				r.Level = state.LevelError
			}
			l.all = append(l.all, r)
		}
	}
	return l.all[i]
}

// passes returns the records that pass a filter and a level.
func (l *longLog) passes(text string, least state.Level) []int {
	key := least.String() + text
	if out, ok := l.passed[key]; ok {
		return slices.Clone(out)
	}
	f, err := record.Compile(text)
	if err != nil {
		l.t.Fatal(err)
	}
	var out []int
	for i := range l.n {
		if r := l.record(i); r.Level >= least && f.Match(r) {
			out = append(out, i)
		}
	}
	l.passed[key] = out
	return slices.Clone(out)
}

// answer returns what the source of logs answers to a view.
func (l *longLog) answer(v state.LogView) state.LogWindow {
	w := state.LogWindow{View: v, Size: int64(10 * l.n), Indexed: int64(10 * l.n), Searched: int64(10 * l.n), Files: 2}
	all := l.passes(v.Keep, v.Least)
	w.Passed, w.Levels[state.LevelInfo] = uint64(len(all)), uint64(l.n)
	for i := range l.n / 25 {
		w.Slots = append(w.Slots, state.LogSlot{Start: int64(1e9 + 25*i*1e9)})
	}
	for _, k := range all {
		s := &w.Slots[k/25]
		s.Passed++
		s.Levels[state.LevelInfo]++
	}
	at := int(v.At-100+9) / 10
	switch {
	case v.Time != 0:
		at = int((v.Time+1e9-1)/1e9) - 1
	case v.At < 0:
		at = l.n
	}
	at = max(0, min(at, l.n))
	if v.Find != "" {
		w.Matches = uint64(len(l.passes(v.Keep+" ("+v.Find+")", v.Least)))
	}
	if v.Seek != "" {
		hits := l.passes(v.Keep, max(v.Least, state.LevelError))
		if v.Seek == state.SeekMatch {
			hits = l.passes(v.Keep+" ("+v.Find+")", v.Least)
		}
		if l.slow {
			w.Pending, w.Looked, w.ToLook = true, 34, 100
			return w
		}
		if v.Back {
			slices.Reverse(hits)
		}
		k := slices.IndexFunc(hits, func(i int) bool { return v.Back && i < at || !v.Back && i > at })
		if w.Missing = k < 0; k >= 0 {
			at = hits[k]
		}
	}
	w.Middle = int64(10*at + 100)
	i, _ := slices.BinarySearch(all, at)
	from, to := max(0, i-v.Rows), min(len(all), i+v.Rows)
	w.First, w.Last = i < v.Rows, len(all)-i < v.Rows
	for _, k := range all[from:to] {
		w.Records, w.Offsets = append(w.Records, l.record(k)), append(w.Offsets, int64(10*k+100))
	}
	return w
}

// settle answers what the pane asks for, until it asks for nothing new.
func (l *longLog) settle() {
	src := state.LogSource{ID: "file:/a.log", Kind: "file", Title: "a.log", Path: "/a.log"}
	var tail []state.LogRecord
	for k := l.n - l.kept; k < l.n; k++ {
		r := l.record(k)
		r.Seq = uint64(k - (l.n - l.kept) + 1)
		tail = append(tail, r)
	}
	for range 5 {
		l.version++
		logs := state.Logs{Health: state.Health{Status: state.OK}, Sources: []state.LogSource{src}, Tails: map[string]state.Tail{src.ID: {Records: tail}}}
		for _, v := range l.p.Target().Looks.Views() {
			logs.Views = []state.LogWindow{l.answer(v)}
		}
		l.p.Apply(&state.Snapshot{Version: l.version, Versions: map[state.SectionName]uint64{state.SectionLogs: l.version}, Logs: logs})
	}
}

// do carries out commands and gives the last note.
func (l *longLog) do(cs ...pane.Command) (said string) {
	for _, c := range cs {
		said = ""
		if cmd := l.p.Update(pane.CommandMsg{Command: c}); cmd != nil {
			if note, ok := cmd().(pane.NoticeMsg); ok {
				said = note.Text
			}
		}
		l.settle()
	}
	return said
}

func (l *longLog) typed(c pane.Command, text string) {
	l.t.Helper()
	if _, err := l.p.Answer(c, text); err != nil {
		l.t.Fatal(err)
	}
	l.settle()
}

func (l *longLog) here(want int) {
	l.t.Helper()
	screen := ansi.Strip(l.p.View())
	_, r := l.p.cur.cur()
	if r == nil || r.Text != fmt.Sprintf("record %d", want) {
		l.t.Fatalf("the cursor is on %+v, want record %d", r, want)
	}
	if !strings.Contains(screen, r.Text) {
		l.t.Fatalf("record %d is not on the screen:\n%s", want, screen)
	}
}

func (l *longLog) summary() string {
	var out []string
	for _, s := range l.p.Summary() {
		out = append(out, s.Text)
	}
	return strings.Join(out, "; ")
}

func (l *longLog) says(want string) {
	l.t.Helper()
	if got := l.summary(); !strings.Contains(got, want) {
		l.t.Errorf("the summary is %q, want %q in it", got, want)
	}
}

func newLongLog(t *testing.T) *longLog {
	p := New(&pane.Env{Theme: theme.New(theme.Options{}), Now: func() time.Time { return time.Unix(5000, 0) }, Local: time.UTC}).(*Pane)
	p.Resize(80, 20)
	p.Focus(true)
	l := &longLog{t: t, p: p, n: 5000, kept: 100, passed: map[string][]int{}}
	l.settle()
	return l
}

func TestTheStreamGoesOnInTheFile(t *testing.T) {
	l := newLongLog(t)
	l.do(pane.Top)
	l.here(4900)
	l.do(pane.Up)
	l.here(4900) // the window has come, at the same place
	for k := 4899; k > 3000; k-- {
		l.do(pane.Up)
		l.here(k)
	}
	l.says("whole a.log; at ")
	l.says("in 2 files")
	l.do(pane.PageDown)
	l.here(3018)
	l.typed(pane.GoTo, "1970-01-01 00:02:04")
	l.here(123)
	l.do(pane.Top)
	l.here(0)
	l.do(pane.Up)
	l.here(0)
	for range 30 {
		l.do(pane.PageDown)
	}
	l.here(510)
	l.do(pane.Back)
	l.here(4999)
	if !l.p.following || len(l.p.Target().Looks.Views()) > 0 {
		t.Error("it does not follow again")
	}
}

func TestFiltersHoldInTheWholeFile(t *testing.T) {
	l := newLongLog(t)
	l.typed(pane.Keep, "/record .*77$/")
	l.says("50 of 5,000 pass in the whole file")
	l.do(pane.Up, pane.Up)
	l.here(4977)
	l.do(pane.Up)
	l.here(4877)
	l.says("50 of 5,000 pass")
	for k := 4777; k > 0; k -= 100 {
		l.do(pane.Up)
		l.here(k)
	}
	// Filters are stacked and taken away where one stands.
	l.do(pane.Down, pane.Down, pane.Down)
	l.here(377)
	l.typed(pane.Keep, "!377")
	l.here(477)
	l.do(pane.Up)
	l.here(277)
	l.says("drop 377")
	l.do(pane.LevelNext) // warnings and worse
	if s := ansi.Strip(l.p.View()); !strings.Contains(s, "no line of the whole file passes") {
		t.Errorf("nothing passes, and the screen is\n%s", s)
	}
	l.do(pane.LevelNext, pane.LevelNext)
	l.here(277)
	l.do(pane.Back)
	l.says("following")
	l.do(pane.Back)
	l.says("keep /record .*77$/")

	// Where nothing of the tail passes, k goes to what does.
	l.do(pane.Back)
	l.typed(pane.Keep, `"record 41"`)
	l.says("111 of 5,000 pass in the whole file")
	if s := ansi.Strip(l.p.View()); !strings.Contains(s, "111 of the whole file do: k goes to them") {
		t.Errorf("got\n%s", s)
	}
	l.do(pane.Up)
	l.here(4199)
}

func TestErrorsAndMatchesAreFoundInTheWholeFile(t *testing.T) {
	l := newLongLog(t)
	if said := l.do(pane.ErrNext); said != "" {
		t.Errorf("said %q", said)
	}
	l.here(4900)
	for k := 4800; k >= 4000; k -= 100 {
		l.do(pane.ErrPrev)
		l.here(k)
	}
	l.do(pane.ErrNext)
	l.here(4100)
	l.typed(pane.Keep, "/00$/ not 3900")
	for _, k := range []int{4000, 3800} {
		l.do(pane.ErrPrev)
		l.here(k)
	}
	l.typed(pane.Search, "record 12")
	l.here(1200)
	l.says("/record 12: 1;")
	l.do(pane.FindNext)
	l.here(1200)
	l.says("nothing more that way in the whole file")
	l.do(pane.Top, pane.ErrPrev)
	l.says("no error more that way in the whole file")

	// esc ends what is being looked for, and nothing else.
	l.do(pane.Back)
	l.p.search = pattern{}
	l.do(pane.Back, pane.ErrPrev, pane.ErrPrev, pane.ErrPrev)
	l.here(4700)
	l.do(pane.PageUp, pane.PageUp, pane.PageUp)
	l.slow = true
	l.do(pane.FindNext)
	l.typed(pane.Search, "record 333")
	l.says("looking for record 333 34.0%, esc stops")
	at := l.p.beyond.anchor
	l.do(pane.Back)
	if l.p.beyond == nil || l.p.beyond.anchor != at || l.p.waiting() != "" {
		t.Errorf("esc left %+v, %q", l.p.beyond, l.summary())
	}
}

func TestBookmarksHoldInTheTailAndBeyond(t *testing.T) {
	l := newLongLog(t)
	l.do(pane.Up, pane.Up, pane.Bookmark)
	l.here(4997)
	l.typed(pane.GoTo, "1970-01-01 01:23:00")
	l.here(4979) // in the tail
	l.typed(pane.GoTo, "1970-01-01 00:40:00")
	l.here(2399)
	l.do(pane.Bookmark)
	if s := ansi.Strip(l.p.View()); strings.Count(s, l.p.env.Theme.Bookmark) != 1 {
		t.Errorf("no mark on\n%s", s)
	}
	l.typed(pane.GoTo, "1970-01-01 00:10:00")
	l.do(pane.Bookmark)
	l.here(599)
	for _, k := range []int{4997, 2399, 599, 4997} {
		l.do(pane.BookNext)
		l.here(k)
	}
	l.do(pane.Bottom)
	for _, k := range []int{4997, 2399, 599} {
		l.do(pane.BookNext)
		l.here(k)
	}
	l.do(pane.Bookmark, pane.BookNext, pane.BookNext, pane.BookNext)
	l.here(4997)
}

func TestTheHistogramOfTheWholeFileIsAScrollBar(t *testing.T) {
	l := newLongLog(t)
	if said := l.do(pane.Bars); said != "the histogram is of the whole file" {
		t.Errorf("said %q", said)
	}
	if s := ansi.Strip(l.p.View()); !strings.HasPrefix(s, "00:00:01 ") {
		t.Errorf("got\n%s", s)
	}
	l.do(pane.Earlier)
	l.here(4725)
	l.do(pane.Earlier, pane.Earlier)
	l.here(4225)
	l.do(pane.Later)
	l.here(4475)
	for range 30 {
		l.do(pane.Earlier)
	}
	l.here(0)
	// Over what holds nothing.
	l.typed(pane.Keep, "/^record (10|4700)$/")
	l.do(pane.Later)
	l.here(4700)
	l.do(pane.Earlier)
	l.here(10)
	l.do(pane.Bars)
	if s := ansi.Strip(l.p.View()); strings.HasPrefix(s, "00:00:01 ") {
		t.Errorf("the histogram is there still:\n%s", s)
	}
}

// What is a lot to filter is filtered beside the loop, and the stream stays meanwhile.
func TestALotIsFilteredBesideTheLoop(t *testing.T) {
	l := newLongLog(t)
	l.kept = 4000
	for i := range l.n {
		l.record(i)
		l.all[i].Text += strings.Repeat(" and more", 40)
	}
	l.do(pane.Up)
	l.settle()
	l.do(pane.Bottom)
	cmd, err := l.p.Answer(pane.Keep, "/record .*77 /")
	if err != nil || cmd == nil {
		t.Fatal(cmd, err)
	}
	l.settle()
	l.says("filtering")
	if _, r := l.p.cur.cur(); r == nil || !strings.HasPrefix(r.Text, "record 4999 ") {
		t.Errorf("meanwhile the cursor is on %+v", r)
	}
	msg := cmd()
	l.p.Update(msg)
	for k, want := range []string{"record 4977 ", "record 4877 ", "record 4777 "} {
		if _, r := l.p.cur.cur(); r == nil || !strings.HasPrefix(r.Text, want) {
			t.Errorf("%d up: the cursor is on %+v", k, r)
		}
		l.do(pane.Up)
	}
	// What was asked for meanwhile counts.
	cmd, err = l.p.Answer(pane.Keep, "!4777")
	if err != nil {
		t.Fatal(err)
	}
	l.do(pane.Back)
	l.p.Update(cmd())
	if strings.Contains(l.summary(), "4777") {
		t.Errorf("got %q", l.summary())
	}
}

func TestWhatATruncationTookIsShown(t *testing.T) {
	l := newLongLog(t)
	s := *l.p.snap
	s.Version, s.Versions = 99, map[state.SectionName]uint64{state.SectionLogs: 99}
	s.Logs.Sources = []state.LogSource{{ID: "file:/a.log", Kind: "file", Title: "a.log", Path: "/a.log", Truncations: 2, LostBytes: 3 << 20}}
	l.p.Apply(&s)
	l.says("3.0 MiB lost")
}
