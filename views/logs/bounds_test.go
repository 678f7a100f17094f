package logs

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/record"
	"github.com/opsdeck/opsdeck/backend/state"
)

func TestTimesAreReadAsPeopleWriteThem(t *testing.T) {
	zone := time.FixedZone("", 3600)
	now := time.Date(2026, 2, 11, 12, 30, 0, 0, zone)
	for text, want := range map[string]string{
		"12:30": "2026-02-11T12:30:00+01:00", "12:31": "2026-02-10T12:31:00+01:00", "09:05:07": "2026-02-11T09:05:07+01:00", "12:29:59.250": "2026-02-11T12:29:59.25+01:00",
		"-10m": "2026-02-11T12:20:00+01:00", "10m": "2026-02-11T12:20:00+01:00", "2h ago": "2026-02-11T10:30:00+01:00", "1d": "2026-02-10T12:30:00+01:00",
		"2026-01-02 03:04:05": "2026-01-02T03:04:05+01:00", "2026-01-02 03:04": "2026-01-02T03:04:00+01:00", "2026-01-02T03:04": "2026-01-02T03:04:00+01:00",
		"2026-01-02T03:04:05Z": "2026-01-02T03:04:05Z", "2026-01-02": "2026-01-02T00:00:00+01:00", "0s": "", "soon": "", "25:00": "",
	} {
		got := ""
		if at, err := moment(text, now, zone); err == nil {
			got = at.Format(time.RFC3339Nano)
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestPatternsAreFoundWhereTheyStand(t *testing.T) {
	for _, tt := range []struct {
		pattern, text string
		from, to      int
	}{
		{"", "abc", -1, -1},
		{"b", "abc", 1, 2}, {"c", "abc", 2, 3}, {"a", "Abc", 0, 1}, {"a", "xAa", 1, 2}, {"a", "xaA", 1, 2},
		{"z", "Z", 0, 1}, {"zz", "aZzb", 1, 3}, {"{", "a{", 1, 2}, {"{", "[", -1, -1}, {"`", "@", -1, -1},
		{"ab", "aab", 1, 3}, {"ab", "aAB", 1, 3}, {"abc", "ab", -1, -1}, {"bc", "abcbc", 1, 3},
		{"A", "aA", 1, 2}, {"Ab", "ab", -1, -1}, // a capital makes case count
		{"é", "É", -1, -1}, {"é", "aé", 1, 3},
		{"/", "a/b", 1, 2}, {"//", "a//", 1, 3}, {"/b+/", "abbc", 1, 3}, {"/x*/", "abc", -1, -1}, {"/b", "a/b", 1, 3}, {"/^c/", "abc", -1, -1},
	} {
		p, err := newPattern(tt.pattern)
		if err != nil {
			t.Fatalf("%q: %v", tt.pattern, err)
		}
		if from, to := p.find(tt.text); from != tt.from || to != tt.to {
			t.Errorf("%q in %q: got %d to %d, want %d to %d", tt.pattern, tt.text, from, to, tt.from, tt.to)
		}
		if got, want := p.in(tt.text), tt.from >= 0; got != want {
			t.Errorf("%q in %q: got %v, want %v", tt.pattern, tt.text, got, want)
		}
	}
}

// numbered returns records of those numbers, at as many seconds.
func numbered(seqs ...uint64) (recs []state.LogRecord) {
	for _, n := range seqs {
		recs = append(recs, state.LogRecord{Seq: n, Nanos: int64(n) * 1e9, Level: state.Level(n % 7), Text: fmt.Sprintf("n=%d", n)})
	}
	return recs
}

func seqs(recs []state.LogRecord) (out []uint64) {
	for _, r := range recs {
		out = append(out, r.Seq)
	}
	return out
}

func TestRecordsAreFilteredOnce(t *testing.T) {
	f, err := record.Compile("n!=3")
	if err != nil {
		t.Fatal(err)
	}
	set := filterSet{terms: []filterRun{{filter: f}}}
	var x filtered
	for _, tt := range []struct {
		what string
		tail []uint64
		want []uint64
		last uint64
	}{
		{"nothing", nil, nil, 0},
		{"the first", []uint64{1, 2, 3}, []uint64{1, 2}, 3},
		{"the same again", []uint64{1, 2, 3}, []uint64{1, 2}, 3},
		{"more, and the oldest gone", []uint64{2, 3, 4}, []uint64{2, 4}, 4},
		{"an older look at it", []uint64{2, 3}, []uint64{2, 4}, 4},
		{"begun anew", []uint64{1}, []uint64{1}, 1},
	} {
		x.update(set, numbered(tt.tail...))
		if got := seqs(x.recs); !slices.Equal(got, tt.want) || x.last != tt.last {
			t.Errorf("%s: got %v up to %d, want %v up to %d", tt.what, got, x.last, tt.want, tt.last)
		}
	}
	x = filtered{}
	x.update(set, numbered(1, 2, 3, 4))
	for seq, want := range map[uint64]int{0: 0, 1: 1, 2: 2, 3: 2, 4: 3, 9: 3} {
		if got := len(x.upTo(seq)); got != want {
			t.Errorf("up to %d: got %d records, want %d", seq, got, want)
		}
	}
}

func TestWarningsAndErrorsAreRemembered(t *testing.T) {
	at := func(levels ...state.Level) (recs []state.LogRecord) {
		for i, l := range levels {
			recs = append(recs, state.LogRecord{Seq: uint64(i + 1), Nanos: int64(i+1) * 10, Level: l})
		}
		return recs
	}
	var x worst
	all := at(state.LevelInfo, state.LevelWarn, state.LevelError, state.LevelFatal, state.LevelDebug)
	for _, tt := range []struct {
		what      string
		recs      []state.LogRecord
		warn, bad []int64
	}{
		{"all", all, []int64{20}, []int64{30, 40}},
		{"the same again", all, []int64{20}, []int64{30, 40}},
		{"the oldest gone", all[2:], nil, []int64{30, 40}},
		{"begun anew", at(state.LevelWarn), []int64{10}, nil},
		{"nothing", nil, nil, nil},
	} {
		x.update(tt.recs)
		if !slices.Equal(x.warn, tt.warn) || !slices.Equal(x.bad, tt.bad) {
			t.Errorf("%s: got %v, %v, want %v, %v", tt.what, x.warn, x.bad, tt.warn, tt.bad)
		}
	}
	times := []int64{10, 20, 20, 30}
	for _, tt := range []struct {
		from, to int64
		want     int
	}{{0, 10, 0}, {10, 11, 1}, {20, 30, 2}, {20, 31, 3}, {0, 99, 4}, {31, 99, 0}} {
		if got := between(times, tt.from, tt.to); got != tt.want {
			t.Errorf("in [%d, %d): got %d, want %d", tt.from, tt.to, got, tt.want)
		}
	}
}

// bars returns a letter a cell: of its height, B a bad one, W a warning, h a hit.
func barsOf(bars []bar) (out string) {
	for _, b := range bars {
		switch {
		case b.hit:
			out += "h"
		case b.bad:
			out += "B"
		case b.warn:
			out += "W"
		}
		out += fmt.Sprintf("%g ", b.n)
	}
	return out
}

func TestTheHistogramOfTheWholeFileShowsWhatPasses(t *testing.T) {
	slot := func(start int64, passed, matches uint64, counts map[state.Level]uint64) state.LogSlot {
		s := state.LogSlot{Start: start, Passed: passed, Matches: matches}
		for l, n := range counts {
			s.Levels[l] = n
		}
		return s
	}
	slots := []state.LogSlot{
		slot(100, 2, 0, map[state.Level]uint64{state.LevelInfo: 4}), slot(110, 0, 1, map[state.Level]uint64{state.LevelWarn: 2, state.LevelInfo: 2}),
		slot(120, 1, 0, map[state.Level]uint64{state.LevelError: 1, state.LevelWarn: 1}), slot(130, 3, 0, map[state.Level]uint64{state.LevelFatal: 1}),
	}
	f, err := record.Compile("x")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		what string
		p    Pane
		n    int
		want string
	}{
		{"all", Pane{}, 4, "4 W4 B2 B1 "},
		{"two cells a slot", Pane{}, 8, "2 2 W2 W2 B1 B1 B0.5 B0.5 "},
		{"two slots a cell", Pane{}, 2, "W8 B3 "},
		{"the hits of a search", Pane{search: pattern{text: "x"}}, 4, "4 h4 B2 B1 "},
		{"a filter", Pane{filters: filterSet{terms: []filterRun{{filter: f}}}}, 4, "2 0 1 3 "},
		{"warnings", Pane{filters: filterSet{min: state.LevelWarn}}, 4, "W2 0 W1 W3 "},
		{"errors", Pane{filters: filterSet{min: state.LevelError}}, 4, "B2 0 B1 B3 "},
	} {
		bars, from, to := tt.p.wholeBars(slots, tt.n)
		if got := barsOf(bars); got != tt.want || from != 100 || to != 140 {
			t.Errorf("%s: got %s from %d to %d, want %s from 100 to 140", tt.what, got, from, to, tt.want)
		}
	}
}

func TestFiltersOfPatternsMatchTheirLines(t *testing.T) {
	for template, want := range map[string]string{
		"plain": "/plain/", "a <num> b": `/a\s+.*?\s+b/`, "GET /x/<id>?": `/GET\s+\/x\/.*?\?/`, "<ip>": "/.*?/", "a\tb": `/a\s+b/`, "a<b": "/a<b/",
	} {
		if got := templateFilter(template); got != want {
			t.Errorf("%q: got %s, want %s", template, got, want)
		}
	}
}

func TestTheLastChangeIsTheNewestThatWasDone(t *testing.T) {
	entry := func(minute int, kind state.Kind, phase state.Phase) state.Entry {
		return state.Entry{At: noon.Add(time.Duration(minute) * time.Minute), Kind: kind, Phase: phase}
	}
	for _, tt := range []struct {
		what    string
		entries []state.Entry
		want    time.Time
	}{
		{"nothing", nil, time.Time{}},
		{"begun", []state.Entry{entry(1, state.ContainerRestart, state.PhaseBegin)}, time.Time{}},
		{"a kind of another version", []state.Entry{entry(1, "gone.kind", state.PhaseEnd)}, time.Time{}},
		{"a question", []state.Entry{entry(1, state.RoutingTest, state.PhaseEnd)}, time.Time{}},
		{"the newest", []state.Entry{entry(1, state.ContainerRestart, state.PhaseEnd), entry(3, state.ContainerStop, state.PhaseEnd), entry(2, state.ContainerStart, state.PhaseEnd)}, noon.Add(3 * time.Minute)},
	} {
		p := &Pane{snap: &state.Snapshot{Journal: state.Journal{Entries: tt.entries}}}
		if got := p.lastChange(); !got.Equal(tt.want) {
			t.Errorf("%s: got %v, want %v", tt.what, got, tt.want)
		}
	}
	if got := (&Pane{}).lastChange(); !got.IsZero() {
		t.Errorf("without a snapshot: got %v, want never", got)
	}
}

func TestTheCursorComesToATime(t *testing.T) {
	m := mergeEnd([]stream{{recs: numbered(1, 3, 5)}, {recs: numbered(2, 4)}})
	for at, want := range map[int64]uint64{0: 1, 1e9: 1, 1e9 + 1: 2, 4e9: 4, 5e9: 5, 6e9: 5} {
		if _, r := m.atTime(at).cur(); r == nil || r.Seq != want {
			t.Errorf("at %d: got %+v, want record %d", at, r, want)
		}
	}
	for k, s := range m.s {
		for i := range s.recs {
			if gotK, r := m.atRecord(k, i).cur(); gotK != k || r.Seq != s.recs[i].Seq {
				t.Errorf("record %d of stream %d: got %+v of stream %d", i, k, r, gotK)
			}
		}
	}
}

func TestTheNextWindowIsAskedForNearTheEnds(t *testing.T) {
	for _, tt := range []struct {
		what        string
		to          int
		first, last bool
		asks        bool
	}{
		{"the middle", 300, false, false, false},
		{"just not near the beginning", beyondEdge, false, false, false},
		{"near the beginning", beyondEdge - 1, false, false, true},
		{"near the beginning of the file", beyondEdge - 1, true, false, false},
		{"just not near the end", 600 - beyondEdge - 1, false, false, false},
		{"near the end", 600 - beyondEdge, false, false, true},
		{"near the end of the file", 600 - beyondEdge, false, true, false},
	} {
		p := newLongLog(t).p
		w := &state.LogWindow{First: tt.first, Last: tt.last}
		for i := range 600 {
			w.Records, w.Offsets = append(w.Records, state.LogRecord{Nanos: int64(i)}), append(w.Offsets, int64(10*i))
		}
		p.beyond = &beyond{window: w, anchor: 3000}
		from := 350
		p.cur = merge{s: []stream{{recs: w.Records}}, at: []int{from + 1}}
		p.stepBeyond(tt.to - from)
		if asks := p.beyond.view != w.View; asks != tt.asks || p.beyond.anchor != int64(10*tt.to) {
			t.Errorf("%s: asks %v at %d, want %v at %d", tt.what, asks, p.beyond.anchor, tt.asks, 10*tt.to)
		}
	}
}

func TestTheSearchIsAskedForAsAFilter(t *testing.T) {
	for text, want := range map[string]string{"": "", `a "b"`: `"a \"b\""`, "/a+/": "/a+/"} {
		p := &Pane{}
		p.search, _ = newPattern(text)
		if got := p.findAll(); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}

func TestWhatIsKnownOfTheWholeFileIsSummedUp(t *testing.T) {
	l := newLongLog(t)
	levels := func(info, bad uint64) (n [state.LevelFatal + 1]uint64) {
		n[state.LevelInfo], n[state.LevelError], n[state.LevelFatal] = info, bad, bad
		return n
	}
	keep, find := state.LogView{Keep: "(x)"}, state.LogView{Find: `"x"`}
	for _, tt := range []struct {
		what string
		w    state.LogWindow
		want []string
	}{
		{"nothing special", state.LogWindow{Size: 100, Indexed: 100, Levels: levels(9, 0)}, nil},
		{"errors", state.LogWindow{Size: 100, Indexed: 100, Levels: levels(9, 1)}, []string{"2 errors!"}},
		{"half indexed", state.LogWindow{Size: 100, Indexed: 50, Levels: levels(9, 1)}, []string{"indexed 50.0%"}},
		{"a filter, not begun", state.LogWindow{View: keep, Size: 100, Indexed: 50}, []string{"counting what passes", "searched 0.0%"}},
		{"a filter, under way", state.LogWindow{View: keep, Size: 100, Indexed: 50, Searched: 25, Passed: 3, Levels: levels(9, 0)}, []string{"3 pass!", "searched 25.0%"}},
		{"a filter, done", state.LogWindow{View: keep, Size: 100, Indexed: 100, Searched: 100, Passed: 3, Levels: levels(9, 1)}, []string{"3 of 11 pass!"}},
		{"a search", state.LogWindow{View: find, Size: 100, Indexed: 100, Searched: 99, Matches: 4}, []string{"/: 4!", "searched 99.0%"}},
		{"an empty file", state.LogWindow{View: keep}, []string{"0 of 0 pass!"}},
		{"unreadable", state.LogWindow{Size: 1, Indexed: 1, Unread: []string{"a.1.gz: bad", "a.2.gz: bad"}}, []string{"▲ 2 rotated unreadable"}},
	} {
		var got []string
		for _, s := range l.p.wholeSummary(&tt.w, "!") {
			got = append(got, s.Text)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.what, got, tt.want)
		}
	}
}

func TestWatchesAreProposedFromWhatIsShown(t *testing.T) {
	for _, tt := range []struct {
		what  string
		steps []string
		want  map[string]string
	}{
		{"nothing", nil, map[string]string{"name": "level-error", "source": "logs/*.log", "where": "level>=error"}},
		{"a level", []string{"level"}, map[string]string{"name": "level-warn", "source": "logs/*.log", "where": "level>=warn"}},
		{"a filter of words", []string{"keep=slow answer"}, map[string]string{"name": "slow-answer", "source": "logs/*.log", "where": "slow answer"}},
		{"one that drops", []string{"keep=!slow answer"}, map[string]string{"name": "not-slow-answer", "source": "logs/*.log", "where": "not (slow answer)"}},
		{"two", []string{"keep=slow answer", "keep=page"}, map[string]string{"name": "slow-answer-page", "source": "logs/*.log", "where": "(slow answer) page"}},
		{"a filter and a search", []string{"keep=slow answer", `search=say "x"`}, map[string]string{"name": "slow-answer-say-x", "source": "logs/*.log", "where": `(slow answer) "say \"x\""`}},
		{"one file", []string{"tab-next", "open"}, map[string]string{"name": "level-error", "source": "logs/web.log", "where": "level>=error"}},
		{"a container", []string{"tab-next", "down", "down", "mark"}, map[string]string{"name": "level-error", "source": "container:api", "where": "level>=error"}},
		{"a file and a container", []string{"tab-next", "mark", "down", "mark"}, map[string]string{"name": "level-error", "source": "", "where": "level>=error"}},
	} {
		snap := twoLogs()
		snap.Logs.Sources = snap.Logs.Sources[:3] // without the one of another host
		s := newScript(t, snap, 100, 20)
		for _, step := range tt.steps {
			s.step(step)
		}
		got := s.p.Propose(state.LogWatchAdd)
		for k, want := range tt.want {
			if got[k] != want {
				t.Errorf("%s: %s is %q, want %q", tt.what, k, got[k], want)
			}
		}
		if got := s.p.Propose(state.ContainerStop); got != nil {
			t.Errorf("%s: for another action: got %v, want nothing", tt.what, got)
		}
	}
	s := newScript(t, twoLogs(), 100, 20)
	if got := s.p.Propose(state.LogWatchAdd)["source"]; got != "" {
		t.Errorf("files of which one is elsewhere: got %q, want no glob", got)
	}
}

func TestALookNamesTheLogsThatAreChosen(t *testing.T) {
	for _, tt := range []struct {
		what  string
		steps []string
		want  []string // keys of logs
		views int
	}{
		{"all", nil, nil, 0},
		{"under the cursor", []string{"tab-next", "down", "down"}, []string{"container:abc"}, 0},
		{"marked", []string{"tab-next", "down", "down", "mark", "tab-next"}, []string{"container:abc"}, 0},
		{"alone", []string{"tab-next", "down", "down", "open", "tab-next"}, []string{"container:abc"}, 0},
		{"one file, its whole histogram", []string{"tab-next", "open", "tab-next", "histogram"}, nil, 1},
		{"one file, filtered", []string{"tab-next", "open", "tab-next", "level"}, nil, 1},
		{"one file, searched", []string{"tab-next", "open", "tab-next", "search=x"}, nil, 1},
		{"one file", []string{"tab-next", "open", "tab-next"}, nil, 0},
	} {
		s := newScript(t, twoLogs(), 100, 20)
		for _, step := range tt.steps {
			s.step(step)
		}
		looks := s.p.Target().Looks
		if got := looks.Keys(state.LookLog); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got the logs %v, want %v", tt.what, got, tt.want)
		}
		if got := len(looks.Views()); got != tt.views {
			t.Errorf("%s: got %d views, want %d", tt.what, got, tt.views)
		}
	}
}
