package state

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ParseDuration reads a duration as people write it: "30s", "1h30m", or days,
// "7d". It is positive and at most ten years; the error says what was expected.
func ParseDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if days, ok := strings.CutSuffix(text, "d"); ok {
		var n float64
		if n, err = strconv.ParseFloat(days, 64); err == nil {
			if n > 0 && n <= 3660 {
				d = time.Duration(n * 24 * float64(time.Hour))
			}
		}
	}
	if err != nil || d <= 0 || d > 3660*24*time.Hour {
		return 0, fmt.Errorf("%q is not a duration: expected one such as 30s, 5m, 2h or 7d", text)
	}
	return d, nil
}

// ShortDuration returns d without its zero parts: "6h" for 6h0m0s.
func ShortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
