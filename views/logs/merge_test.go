package logs

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/opsdeck/opsdeck/backend/state"
)

func genStreams(t *rapid.T) []stream {
	var out []stream
	for i := range rapid.IntRange(0, 4).Draw(t, "streams") {
		s := stream{id: string(rune('a' + i))}
		at := int64(0)
		for n := range rapid.IntRange(0, 20).Draw(t, "records") {
			at += rapid.Int64Range(0, 3).Draw(t, "gap")
			s.recs = append(s.recs, state.LogRecord{Seq: uint64(n + 1), Nanos: at})
		}
		out = append(out, s)
	}
	return out
}

func TestMergeGoesBothWaysAlike(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := mergeEnd(genStreams(t))
		var back []*state.LogRecord
		for {
			_, r := m.back()
			if r == nil {
				break
			}
			back = append(back, r)
		}
		total := 0
		for _, s := range m.s {
			total += len(s.recs)
		}
		if len(back) != total {
			t.Fatalf("got %d records backwards, want %d", len(back), total)
		}
		for i := len(back) - 1; i >= 0; i-- {
			if i < len(back)-1 && back[i].Nanos < back[i+1].Nanos {
				t.Fatalf("record %d is out of order", i)
			}
			if _, r := m.forward(); r != back[i] {
				t.Fatalf("forward differs from backward at %d", i)
			}
		}
	})
}

func TestRebaseStaysInPlace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := mergeEnd(genStreams(t))
		for range rapid.IntRange(0, 30).Draw(t, "steps") {
			m.back()
		}
		_, before := m.cur()
		grown := make([]stream, len(m.s))
		for i, s := range m.s {
			grown[i] = s
			if n := len(s.recs); n > 0 {
				last := s.recs[n-1]
				last.Seq++
				last.Nanos++
				grown[i].recs = append(append([]state.LogRecord(nil), s.recs...), last)
			}
		}
		_, after := m.rebase(grown).cur()
		if (before == nil) != (after == nil) || before != nil && *before != *after {
			t.Fatalf("got %v, want %v", after, before)
		}
	})
}

func TestPatternFindsWhatFoldingFinds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringMatching(`[a-cA-C ]{0,30}`).Draw(t, "s")
		p := rapid.StringMatching(`[a-c ]{1,4}`).Draw(t, "p")
		pat, err := newPattern(p)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := pat.find(s)
		if want := strings.Index(strings.ToLower(s), p); got != want {
			t.Fatalf("%q in %q: got %d, want %d", p, s, got, want)
		}
	})
}

func TestSieveLooksAtEachRecordOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var all []state.LogRecord
		f := &filtered{}
		sv := filterSet{min: state.LevelWarn}
		for range rapid.IntRange(1, 6).Draw(t, "rounds") {
			for range rapid.IntRange(0, 10).Draw(t, "new") {
				all = append(all, state.LogRecord{Seq: uint64(len(all) + 1), Level: state.Level(rapid.IntRange(0, 6).Draw(t, "level"))})
			}
			tail := all[rapid.IntRange(0, len(all)).Draw(t, "from"):]
			if len(tail) == 0 {
				continue
			}
			all = all[:len(all):len(all)]
			f.update(sv, tail)
			var want []uint64
			for _, r := range tail {
				if sv.passes(&r) {
					want = append(want, r.Seq)
				}
			}
			got := f.upTo(tail[len(tail)-1].Seq)
			// Records that had fallen out of an earlier tail are not asked for again.
			for i := 1; i <= min(len(got), len(want)); i++ {
				if got[len(got)-i].Seq != want[len(want)-i] {
					t.Fatalf("got %v, want %v", got, want)
				}
			}
			if len(got) > len(want) {
				t.Fatalf("got %d records, want at most %d", len(got), len(want))
			}
		}
	})
}
