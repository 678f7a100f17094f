package record

import "strconv"

// kind is what a number counts.
type kind uint8

const (
	plain kind = iota
	seconds
	byteSize
)

// quantity reads a number with an optional unit: "500", "1.5s", "1h30m", "10MB",
// "4KiB", "1_000". Durations are in seconds, sizes in bytes: kB, MB, GB and TB (or
// k, M, G, T) are powers of 1000, KiB and so on of 1024. "m" is minutes.
func quantity(s string) (v float64, k kind, ok bool) {
	if len(s) == 0 || len(s) > 40 {
		return 0, 0, false
	}
	neg := false
	if s[0] == '-' || s[0] == '+' {
		if neg, s = s[0] == '-', s[1:]; s == "" {
			return 0, 0, false
		}
	}
	for first := true; len(s) > 0; first = false {
		n := 0
		for n < len(s) && (s[n] >= '0' && s[n] <= '9' || s[n] == '.') {
			n++
		}
		if n > 0 && n+1 < len(s) && (s[n] == 'e' || s[n] == 'E') { // 1e9, 2.5e-03
			e := n + 1
			if s[e] == '-' || s[e] == '+' {
				e++
			}
			if d := e; d < len(s) && s[d] >= '0' && s[d] <= '9' {
				for d < len(s) && s[d] >= '0' && s[d] <= '9' {
					d++
				}
				n = d
			}
		}
		if n == 0 || s[0] == '.' && n == 1 || dots(s[:n]) > 1 {
			return 0, 0, false
		}
		num, err := strconv.ParseFloat(s[:n], 64)
		if err != nil {
			return 0, 0, false
		}
		s = s[n:]
		if len(s) > 0 && s[0] == ' ' {
			s = s[1:]
		}
		u := 0
		for u < len(s) && (s[u] < '0' || s[u] > '9') && s[u] != '.' {
			u++
		}
		factor, kk, known := unit(s[:u])
		if !known || !first && (kk != seconds || k != seconds) {
			return 0, 0, false
		}
		v, k, s = v+num*factor, kk, s[u:]
	}
	if neg {
		v = -v
	}
	return v, k, true
}

func dots(s string) (n int) {
	for i := range len(s) {
		if s[i] == '.' {
			n++
		}
	}
	return n
}

func unit(u string) (float64, kind, bool) {
	switch u {
	case "", "%":
		return 1, plain, true
	case "ns":
		return 1e-9, seconds, true
	case "us", "µs", "μs":
		return 1e-6, seconds, true
	case "ms", "msec":
		return 1e-3, seconds, true
	case "s", "sec", "secs", "second", "seconds":
		return 1, seconds, true
	case "m", "min", "mins":
		return 60, seconds, true
	case "h":
		return 3600, seconds, true
	case "d":
		return 86400, seconds, true
	case "B":
		return 1, byteSize, true
	case "k", "kB", "K", "KB", "kb":
		return 1e3, byteSize, true
	case "M", "MB", "Mb", "mb":
		return 1e6, byteSize, true
	case "G", "GB", "Gb", "gb":
		return 1e9, byteSize, true
	case "T", "TB":
		return 1e12, byteSize, true
	case "Ki", "KiB":
		return 1 << 10, byteSize, true
	case "Mi", "MiB":
		return 1 << 20, byteSize, true
	case "Gi", "GiB":
		return 1 << 30, byteSize, true
	case "Ti", "TiB":
		return 1 << 40, byteSize, true
	}
	return 0, 0, false
}
