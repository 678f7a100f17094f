package pane

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/theme"
)

func asciiEnv() *Env {
	return &Env{Theme: theme.New(theme.Options{Name: "none", ASCII: true}), Local: time.UTC, Now: func() time.Time { return noon }}
}

func TestGraphsRiseFromTheirScale(t *testing.T) {
	whole := func(v float64) string { return Figures{"-"}.Count(v) }
	for _, tt := range []struct {
		what    string
		vs      []float64
		w, rows int
		top     float64
		want    string
	}{
		{"no room", []float64{1}, 18, 2, 0, ""},
		{"no rows", []float64{1}, 20, 0, 0, ""},
		{"two rows, the newest at the right", []float64{0, 4, 8, 16}, 19, 2, 0, "        16        #|         0     _=##"},
		{"one row", []float64{8, 16}, 19, 1, 0, "        16       =#"},
		{"a larger scale", []float64{4, 8}, 19, 1, 32, "        32       _."},
		{"what is unknown is empty", []float64{8, -1, math.NaN(), math.Inf(1), 8}, 19, 1, 0, "         8    #   #"},
		{"nothing but zeros", []float64{0, 0}, 19, 2, 0, "         0|         0       __"},
	} {
		d := NewDoc(asciiEnv(), tt.w)
		d.Plot(tt.vs, tt.rows, tt.top, whole)
		if got := strings.ReplaceAll(PlainText(d.Lines), "\n", "|"); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.what, got, tt.want)
		}
	}
}

func TestSamplesWithoutRoomAreMeans(t *testing.T) {
	for _, tt := range []struct {
		what     string
		vs, want []float64
		w        int
	}{
		{"they fit", []float64{1, 2, 3}, []float64{1, 2, 3}, 3},
		{"two each", []float64{1, 3, 5, 7}, []float64{2, 6}, 2},
		{"the oldest alone", []float64{9, 1, 3}, []float64{9, 2}, 2},
		{"unknown ones do not count", []float64{-1, 4, -1, -1, 0, 2}, []float64{4, -1, 1}, 3},
	} {
		if got := squeeze(tt.vs, tt.w); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.what, got, tt.want)
		}
	}
}
