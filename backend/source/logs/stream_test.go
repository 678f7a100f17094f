package logs

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

func stream4(limit int) *stream {
	return newStream(state.LogSource{}, limit, func(s string) string { return strings.ReplaceAll(s, "hunter2", "***") })
}

func texts(rs []state.LogRecord) []string {
	var out []string
	for _, r := range rs {
		out = append(out, r.Text)
	}
	return out
}

func TestContinuationLinesFold(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		want     []string
	}{
		{"python", "2026-11-22 05:22:04,201 - x - ERROR - failed\nTraceback (most recent call last):\n  File \"a.py\", line 1\nValueError: no\n2026-11-22 05:22:05,201 - x - INFO - on\n",
			[]string{"2026-11-22 05:22:04,201 - x - ERROR - failed\nTraceback (most recent call last):\n  File \"a.py\", line 1\nValueError: no", "2026-11-22 05:22:05,201 - x - INFO - on"}},
		{"java", "ERROR x\n\tat a.b(C.java:1)\nCaused by: y\n\t... 3 more\nINFO z\n", []string{"ERROR x\n\tat a.b(C.java:1)\nCaused by: y\n\t... 3 more", "INFO z"}},
		{"crlf", "one\r\n  two\r\nthree\r\n", []string{"one\n  two", "three"}},
		{"control sequences and secrets", "a \x1b[31mhunter2\x00\xff\n", []string{`a ^[[31m***^@\xFF`}},
		{"empty lines", "a\n\n\nb\n", []string{"a", "b"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			// In one block, and line by line with a publication after each.
			whole := stream4(1 << 20)
			whole.add([]byte(tc.in), false, time.Now())
			whole.settle()
			single := stream4(1 << 20)
			for line := range strings.Lines(tc.in) {
				single.add([]byte(line), false, time.Now())
				single.settle()
				single.publish()
			}
			for name, s := range map[string]*stream{"whole": whole, "single": single} {
				if got := texts(s.tail); !slices.Equal(got, tc.want) {
					t.Errorf("%s: got %q, want %q", name, got, tc.want)
				}
				sum := 0
				for i, r := range s.tail {
					sum += overhead + len(r.Text)
					if r.Seq != uint64(i+1) {
						t.Errorf("%s: record %d has Seq %d", name, i, r.Seq)
					}
				}
				if sum != s.bytes {
					t.Errorf("%s: counted %d bytes, has %d", name, s.bytes, sum)
				}
			}
		})
	}
}

func TestWhatWasPublishedIsNeverWritten(t *testing.T) {
	s := stream4(4 << 10)
	type kept struct {
		tail state.Tail
		copy []state.LogRecord
	}
	var all []kept
	for i := range 500 {
		switch i % 5 {
		case 3:
			s.add([]byte(fmt.Sprintf("  continued %d\n", i)), false, time.Now())
		case 4:
			s.showPart(fmt.Sprintf("unfinished %d", i), time.Now())
		default:
			s.add([]byte(fmt.Sprintf("line %d\nand %d\n", i, i)), false, time.Now())
		}
		s.settle()
		p := s.publish()
		all = append(all, kept{p, slices.Clone(p.Records)})
	}
	for i, k := range all {
		if !slices.Equal(k.tail.Records, k.copy) {
			t.Fatalf("publication %d was written to", i)
		}
	}
}

func TestUnfinishedLineShowsAndIsNotDoubled(t *testing.T) {
	s := stream4(1 << 20)
	s.add([]byte("one\n"), false, time.Now())
	s.showPart("tw", time.Now())
	if got := texts(s.publish().Records); !slices.Equal(got, []string{"one", "tw"}) {
		t.Errorf("shown: %q", got)
	}
	s.add([]byte("two\n"), false, time.Now())
	s.settle()
	if got := texts(s.publish().Records); !slices.Equal(got, []string{"one", "two"}) || s.tail[1].Seq != 2 || s.src.Lines != 2 {
		t.Errorf("finished: %q, Seq %d, lines %d", got, s.tail[1].Seq, s.src.Lines)
	}
	s.showPart("  more", time.Now())
	if got := texts(s.publish().Records); !slices.Equal(got, []string{"one", "two\n  more"}) {
		t.Errorf("folded: %q", got)
	}
	s.add([]byte("  more of it\n"), false, time.Now())
	s.settle()
	if got := texts(s.publish().Records); !slices.Equal(got, []string{"one", "two\n  more of it"}) {
		t.Errorf("folded and finished: %q", got)
	}
}

func TestAFloodIsCountedAndOnlyItsEndKept(t *testing.T) {
	s := stream4(64 << 10)
	var block strings.Builder
	n, errs := 0, 0
	for range 200 {
		block.Reset()
		for range 300 {
			n++
			level := "INFO"
			if n%10 == 0 {
				level = "ERROR"
				errs++
			}
			fmt.Fprintf(&block, "2026-11-22 05:22:04,201 - x - %s - line %d\n", level, n)
		}
		s.add([]byte(block.String()), false, time.Now())
	}
	s.settle()
	last := s.tail[len(s.tail)-1]
	if s.src.Lines != uint64(n) || s.src.Errors != uint64(errs) || s.bytes > s.limit {
		t.Errorf("lines %d of %d, errors %d of %d, %d bytes", s.src.Lines, n, s.src.Errors, errs, s.bytes)
	}
	if !strings.HasSuffix(last.Text, fmt.Sprint("line ", n)) || last.Seq != uint64(n) || s.dropped+uint64(len(s.tail)) != uint64(n) {
		t.Errorf("last %+v, dropped %d, kept %d of %d", last, s.dropped, len(s.tail), n)
	}
	for i := 1; i < len(s.tail); i++ {
		if s.tail[i].Seq != s.tail[i-1].Seq+1 {
			t.Fatalf("a gap in the tail at %d", i)
		}
	}
}

func TestFitTrimsTheLargest(t *testing.T) {
	small, big := stream4(1<<20), stream4(1<<20)
	small.add([]byte(strings.Repeat("x\n", 10)), false, time.Now())
	big.add([]byte(strings.Repeat("y\n", 1000)), false, time.Now())
	small.settle()
	big.settle()
	fit([]*stream{big, small}, 10_000)
	if len(small.tail) != 10 || small.bytes+big.bytes > 10_000 || len(big.tail) < 100 {
		t.Errorf("small %d records, big %d, together %d bytes", len(small.tail), len(big.tail), small.bytes+big.bytes)
	}
}

func BenchmarkSettle(b *testing.B) {
	line := `{"level":"info","message":{"duration":1,"ip":"::ffff:127.0.0.1","method":"GET","path":"/me","statusCode":500,"userAgent":"curl/7.88.1"},"timestamp":"2026-11-22T05:22:04.201Z"}` + "\n"
	block := []byte(strings.Repeat(line, 5000))
	s := newStream(state.LogSource{}, DefaultMaxBytes, func(s string) string { return s })
	b.SetBytes(int64(len(block)))
	b.ReportAllocs()
	for b.Loop() {
		s.add(block, false, time.Now())
		s.settle()
		s.publish()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*5000), "ns/line")
}
