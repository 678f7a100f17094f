package record

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

func TestMaskHidesWhatVaries(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{"2026-11-22 05:22:04,201 - api - took 12ms for 10.0.0.1:8080", "<time> - api - took <num>ms for <ip>"},
		{"[2026-11-22T05:22:04.201+01:00] x", "[<time>] x"},
		{"id=550e8400-e29b-41d4-a716-446655440000 x=0xdeadbeef trace=00af13f51be21a04", "id=<uuid> x=<hex> trace=<hex>"},
		{`cannot open "a b.txt": it's gone`, `cannot open "a b.txt": it's gone`},
		{`cannot open "a b.txt" now, 'x y'`, `cannot open <str> now, <str>`},
		{"worker3 used 1,234.5MB of 99%", "worker<num> used <num>MB of <num>%"},
		{"path=/api/v1/orders/5512?x=1", "path=/api/v<num>/orders/<num>?x=<num>"},
		{"from fe80::1 at 05:22:04.5", "from <ip> at <time>"},
		{"facade decade", "facade decade"},
		{"", ""},
	} {
		if got := string(mask(nil, tc.text)); got != tc.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tc.text, got, tc.want)
		}
	}
}

func at(s int) int64 { return time.Date(2026, 11, 22, 5, 0, s, 0, time.UTC).UnixNano() }

func TestPatternsClusterAndCount(t *testing.T) {
	p := NewPatterns(0)
	for i := range 60 {
		p.Add(state.LogRecord{Nanos: at(i), Level: state.LevelInfo, Text: fmt.Sprintf("request %d from 10.0.0.%d took %dms", i, i, i*7)})
		p.Add(state.LogRecord{Nanos: at(i), Text: fmt.Sprintf(`{"level":"info","message":"job %d done","seq":%d}`, i, i)})
	}
	_, isNew := p.Add(state.LogRecord{Nanos: at(90), Level: state.LevelError, Text: "cannot reach the database at db-primary\n  at x"})
	if !isNew {
		t.Error("a line of a new kind is not new")
	}
	_, isNew = p.Add(state.LogRecord{Nanos: at(91), Level: state.LevelError, Text: "cannot reach the database at db-replica"})
	if isNew {
		t.Error("a line that is similar is new")
	}
	got := p.List()
	want := []string{"request <num> from <ip> took <num>ms", "job <num> done", "cannot reach the database at <*>"}
	if len(got) != len(want) {
		t.Fatalf("got %+v", got)
	}
	for i, w := range want {
		if got[i].Template != w {
			t.Errorf("got %q, want %q", got[i].Template, w)
		}
	}
	if c := got[0]; c.Count != 60 || c.First != at(0) || c.Last != at(59) || c.Level != state.LevelInfo || c.Rate < 0.9 || c.Rate > 1.1 {
		t.Errorf("got %+v", c)
	}
	since := p.NewSince(at(60))
	if len(since) != 1 || since[0].ID != got[2].ID || since[0].Count != 2 || since[0].Level != state.LevelError {
		t.Errorf("new since: got %+v", since)
	}
}

func TestRarePatternsAreDroppedAndCounted(t *testing.T) {
	p := NewPatterns(10)
	word := func(i int) string { return strings.Repeat(string(rune('a'+i%26)), 3+i/26) + " happened" }
	for i := range 100 {
		p.Add(state.LogRecord{Nanos: at(i), Text: word(i)})
		p.Add(state.LogRecord{Nanos: at(i), Text: "this is frequent"})
	}
	got := p.List()
	if len(got) != 10 || got[0].Template != "this is frequent" || got[0].Count != 100 {
		t.Errorf("got %+v", got)
	}
	if patterns, records := p.Dropped(); patterns != 91 || records != 91 {
		t.Errorf("dropped: got %d with %d records, want 91 with 91", patterns, records)
	}
	// It was seen, long ago: it is not new.
	if _, isNew := p.Add(state.LogRecord{Nanos: at(200), Text: word(0)}); isNew {
		t.Error("what fell out is new when it comes again")
	}
	if since := p.NewSince(at(150)); len(since) != 0 {
		t.Errorf("new since: got %+v", since)
	}
}

func TestPatternsMerge(t *testing.T) {
	a, b := NewPatterns(0), NewPatterns(0)
	for i := range 10 {
		a.Add(state.LogRecord{Nanos: at(10 + i), Text: fmt.Sprintf("took %d ms", i)})
		b.Add(state.LogRecord{Nanos: at(i), Text: fmt.Sprintf("took %d ms", i)})
	}
	b.Add(state.LogRecord{Nanos: at(1), Text: "something else entirely happened"})
	a.Merge(b)
	got := a.List()
	if len(got) != 2 || got[0].Count != 20 || got[0].First != at(0) || got[0].Last != at(19) || got[1].Count != 1 || got[1].First != at(1) {
		t.Errorf("got %+v", got)
	}
}

func FuzzPatterns(f *testing.F) {
	for _, s := range []string{winston, inside, logfmt, access, python, "", "\"", "<*> <num>", "::::", "0x", "1.2.3.4.5", "2026-11-22T"} {
		f.Add(s)
	}
	p := NewPatterns(50)
	f.Fuzz(func(t *testing.T, text string) {
		id, _ := p.Add(state.LogRecord{Nanos: at(1), Text: text})
		again, isNew := p.Add(state.LogRecord{Nanos: at(2), Text: text})
		if isNew || id != again {
			t.Errorf("%q is pattern %d, then %d", text, id, again)
		}
		if n := len(p.List()); n > 50 {
			t.Errorf("%d patterns", n)
		}
	})
}

func BenchmarkPatterns(b *testing.B) {
	texts := make([]string, 1000)
	n := 0
	for i := range texts {
		texts[i] = fmt.Sprintf("2026-11-22 05:22:04,201 - api.http - INFO - [seq=%d] request completed status=200 path=/api/v1/orders/%d duration_ms=%d upstream=10.0.3.%d trace=%016x", i, i*7, i%900, i%250, i*1e9)
		n += len(texts[i])
	}
	p := NewPatterns(0)
	b.SetBytes(int64(n / len(texts)))
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		p.Add(state.LogRecord{Nanos: at(1), Text: texts[i%len(texts)]})
		i++
	}
}
