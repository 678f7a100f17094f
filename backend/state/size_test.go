package state

import (
	"math"
	"testing"
)

func TestSizesForPeopleHaveThreeDigits(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0 B", 1: "1 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 99.94 * 1024: "99.9 KiB", 100 * 1024: "100 KiB",
		1023 * 1024: "1023 KiB", 1 << 20: "1.0 MiB", 43201331: "41.2 MiB", 5 << 30: "5.0 GiB", 1 << 40: "1.0 TiB", 1 << 50: "1.0 PiB", 1 << 60: "1.0 EiB", 1 << 70: "1024 EiB",
	} {
		if got := Size(v); got != want {
			t.Errorf("%v: got %q, want %q", v, got, want)
		}
	}
}

func TestSizesAreReadAsDockersFlagsHaveThem(t *testing.T) {
	for text, want := range map[string]struct {
		v    float64
		unit bool
	}{
		"0": {0, false}, "200": {200, false}, "1.5": {1.5, false}, "512b": {512, true}, "512k": {512 << 10, true}, "512 kB": {512 << 10, true}, " 64MiB ": {64 << 20, true},
		"1.5g": {1.5 * (1 << 30), true}, "0MiB": {0, true}, "2TB": {2 << 40, true}, "3p": {3 << 50, true}, "1E": {1 << 60, true},
	} {
		if v, unit, err := ParseSize(text); err != nil || v != want.v || unit != want.unit {
			t.Errorf("%q: got %v %v %v, want %v", text, v, unit, err, want)
		}
	}
	for _, text := range []string{"", "b", "m", "x", "-1", "-1m", "1x", "1mm", "inf", "nan", "1.2.3g", "1 2"} {
		if v, _, err := ParseSize(text); err == nil {
			t.Errorf("%q was read as %v", text, v)
		}
	}
	for _, text := range []string{"0", "0.5", "1e", "inf"} {
		if v, err := ParseBytes(text); err == nil {
			t.Errorf("%q was taken as a number of bytes, %v", text, v)
		}
	}
	if v, err := ParseBytes("1.0005k"); err != nil || v != math.Floor(1.0005*1024) {
		t.Errorf("got %v, %v", v, err)
	}
}

func TestTheLimitsThatAreShownAreReadBackAsTheSame(t *testing.T) {
	for _, v := range []float64{1, 1023, 1 << 10, 64 << 20, 1536 << 20, 3 << 30, 25276510208, 1<<60 - 1<<20} {
		got, err := ParseBytes(FormatBytes(v))
		if err != nil || got != v {
			t.Errorf("%v is shown as %q and read as %v, %v", v, FormatBytes(v), got, err)
		}
	}
}
