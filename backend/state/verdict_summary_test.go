package state

import "testing"

func TestAVerdictWithoutAllFiguresIsStillSummedUp(t *testing.T) {
	cpu := func(v float64) Figure { return Figure{Title: "CPU", Value: v, Unit: "%"} }
	for _, tt := range []struct {
		v    Verdict
		want string
	}{
		{Verdict{Word: "worse", Before: []Figure{cpu(1), {Title: "lost", Value: 1}}, After: []Figure{cpu(9)}}, "worse: CPU 1.0 % -> 9.0 %"},
		{Verdict{Word: "unknown", Before: []Figure{cpu(1)}}, "unknown"},
	} {
		if got := tt.v.Summary(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}
