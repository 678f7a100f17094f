package logs

import (
	"fmt"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/record"
	"github.com/opsdeck/opsdeck/backend/state"
)

func TestMomentReadsTimesAsPeopleWriteThem(t *testing.T) {
	zone := time.FixedZone("x", 2*3600)
	now := time.Date(2026, 3, 2, 3, 12, 40, 0, zone)
	for text, want := range map[string]string{
		"03:10":               "2026-03-02 03:10:00",
		"03:10:05":            "2026-03-02 03:10:05",
		"23:59":               "2026-03-01 23:59:00", // it has not come yet today
		"-10m":                "2026-03-02 03:02:40",
		"2h ago":              "2026-03-02 01:12:40",
		"2026-02-28 14:03":    "2026-02-28 14:03:00",
		"2026-02-28T14:03:09": "2026-02-28 14:03:09",
		"2026-02-28":          "2026-02-28 00:00:00",
	} {
		got, err := moment(text, now, zone)
		if err != nil || got.In(zone).Format(time.DateTime) != want {
			t.Errorf("%s: got %v, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"noon", "25:00", "-", "10"} {
		if at, err := moment(text, now, zone); err == nil {
			t.Errorf("%q is taken for %v", text, at)
		}
	}
}

func TestAxisStandsStillWithinAStep(t *testing.T) {
	from := time.Date(2026, 3, 2, 3, 0, 0, 0, time.UTC).UnixNano()
	for _, span := range []time.Duration{time.Millisecond, time.Minute, time.Hour, 5 * time.Hour, 400 * 24 * time.Hour, 9000 * 24 * time.Hour} {
		for _, n := range []int{10, 61, 180} {
			a, b := axis(from, from+int64(span), n)
			if a > from || b < from+int64(span) || (b-a)%int64(n) != 0 {
				t.Errorf("%s in %d: %d to %d does not hold all of it", span, n, a-from, b-from)
			}
			if span > 365*24*time.Hour {
				continue
			}
			step := (b - a) / int64(n)
			if a2, b2 := axis(from, b-step/2, n); a2 != a || b2 != b {
				t.Errorf("%s in %d: it moved within a step", span, n)
			}
		}
	}
}

// Every record that a pattern counts passes the filter that the pattern gives.
func TestEnterOnAPatternKeepsWhatItCounts(t *testing.T) {
	ps := record.NewPatterns(0)
	of := map[uint64][]string{}
	for i := range 200 {
		for _, text := range []string{
			fmt.Sprintf("connection to db-%d refused after %d ms", i%3, i),
			fmt.Sprintf(`10.0.0.%d - - "GET /a/b(%d) HTTP/1.1" 200 %d`, i%9, i, 7*i),
			fmt.Sprintf("user  anna%d\tdid [%d] * 100%%", i%2, i),
			fmt.Sprintf("panic: index out of range [%d]\n  at main.go:%d", i, i),
		} {
			id, _ := ps.Add(state.LogRecord{Text: text, Nanos: int64(i)})
			of[id] = append(of[id], text)
		}
	}
	n := 0
	for _, p := range ps.List() {
		s, err := newFilterRun(templateFilter(p.Template), nil)
		if err != nil {
			t.Errorf("%s: %v", p.Template, err)
			continue
		}
		for _, text := range of[p.ID] {
			if n++; !s.filter.Match(state.LogRecord{Text: text}) {
				t.Errorf("%q does not pass %q of %q", text, s.text, p.Template)
			}
		}
	}
	if n != 800 {
		t.Errorf("%d records, want 800", n)
	}
}

func TestSavedFiltersCanBeRead(t *testing.T) {
	for text, pass := range map[string][2]string{
		"@failed-tasks":   {"Task nightly failed: timeout", "task done"},
		"@unauthorized":   {"401 Unauthorized", "authorized"},
		"@module-enabled": {"module weather/openweather enabled", "module loaded"},
		"!healthz":        {"GET /", "GET /healthz"},
	} {
		s, err := newFilterRun(text, record.BuiltinFilters())
		if err != nil {
			t.Fatal(err)
		}
		v := filterSet{terms: []filterRun{s}}
		if !v.passes(&state.LogRecord{Text: pass[0]}) || v.passes(&state.LogRecord{Text: pass[1]}) {
			t.Errorf("%s: %q must pass and %q must not", text, pass[0], pass[1])
		}
	}
}
