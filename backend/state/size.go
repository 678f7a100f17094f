package state

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Sizes are binary everywhere: a container's limits, its use and what a disk holds are
// compared with each other, and docker's flags read "512m" so.

// byteUnits are the units of a size, by the letter that docker's flags have for them.
var byteUnits = []struct {
	suffix string
	size   float64
}{{"k", 1 << 10}, {"m", 1 << 20}, {"g", 1 << 30}, {"t", 1 << 40}, {"p", 1 << 50}, {"e", 1 << 60}}

// Size returns a number of bytes for people: "512 B", "41.2 MiB", "120 GiB". It is the one
// form of a size on the screen, on the command line and in what an action says.
func Size(bytes float64) string {
	if bytes < 1024 {
		return strconv.FormatFloat(bytes, 'f', 0, 64) + " B"
	}
	unit := 0
	for bytes >= 1024 && unit < len(byteUnits) {
		bytes /= 1024
		unit++
	}
	prec := 1
	if bytes >= 100 {
		prec = 0
	}
	return strconv.FormatFloat(bytes, 'f', prec, 64) + " " + strings.ToUpper(byteUnits[unit-1].suffix) + "iB"
}

// ParseSize returns the bytes of a size as docker's flags have it: "512m", "1.5g",
// "64MiB", "512 kB", or plain bytes, when unit is false. It is 0 or more.
func ParseSize(text string) (v float64, unit bool, err error) {
	text = strings.TrimSpace(text)
	s, scale := strings.ToLower(text), 1.0
	s = strings.TrimSuffix(strings.TrimSuffix(s, "b"), "i")
	for _, u := range byteUnits {
		if cut, ok := strings.CutSuffix(s, u.suffix); ok {
			s, scale = cut, u.size
			break
		}
	}
	v, err = strconv.ParseFloat(strings.TrimSpace(s), 64)
	if v *= scale; err != nil || !(v >= 0) || math.IsInf(v, 0) {
		return 0, false, fmt.Errorf("%q is not a size: expected one such as 512m or 1.5g", text)
	}
	return v, len(s) < len(text), nil
}

// ParseBytes returns a size of whole bytes, positive and below 2^60, as [ParseSize] reads
// it.
func ParseBytes(text string) (float64, error) {
	v, _, err := ParseSize(text)
	if err == nil && !(v >= 1 && v < 1<<60) {
		err = fmt.Errorf("%q is not a size: expected one such as 512m or 1.5g", text)
	}
	if err != nil {
		return 0, err
	}
	return math.Floor(v), nil
}

// FormatBytes returns a size such that [ParseBytes] reads the same: "512m". It is ""
// for 0 and less.
func FormatBytes(v float64) string {
	if v < 1 {
		return ""
	}
	for _, u := range slices.Backward(byteUnits) {
		if n := v / u.size; n == math.Floor(n) {
			return strconv.FormatFloat(n, 'f', -1, 64) + u.suffix
		}
	}
	return strconv.FormatFloat(v, 'f', 0, 64)
}
