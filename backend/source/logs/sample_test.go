package logs

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

func TestSamplesKeepEveryLineAndTakeTheNeighboursTime(t *testing.T) {
	for _, file := range []string{"testdata/combined.sample.log", "testdata/error.sample.log"} {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s := newStream(state.LogSource{}, 1<<20, func(s string) string { return s })
		s.add(b, true, time.Now())
		s.settle()
		want := strings.Count(strings.TrimRight(string(b), "\n"), "\n") + 1
		if len(s.tail) != want {
			t.Errorf("%s: got %d records, want %d", file, len(s.tail), want)
		}
		first := int64(0)
		for i, r := range s.tail {
			if r.Level == 0 {
				t.Errorf("%s:%d: no level: %s", file, i+1, r.Text)
			}
			garbage := strings.Contains(r.Text, "8601")
			if r.Guessed != garbage {
				t.Errorf("%s:%d: guessed %v: %s", file, i+1, r.Guessed, r.Text)
			}
			if !garbage && first == 0 {
				first = r.Nanos
			}
		}
		if s.tail[0].Guessed && first != 0 && s.tail[0].Nanos != first {
			t.Errorf("%s: a first line without time got %s, want its neighbour's", file, s.tail[0].Time())
		}
	}
}
