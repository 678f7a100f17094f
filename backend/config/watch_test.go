package config

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestWatchesAreRead(t *testing.T) {
	f, err := Parse("opsdeck.yaml", []byte(`
filters:
  mine: "@server-errors not healthz"
watches:
  - name: mine
    source: logs/*.log
    where: "@mine"
    window: 1m
    above: 10
    for: 30s
    severity: critical
    runbook: https://wiki.example/r
  - {name: seen, source: "container:*", where: 'OOM or "out of memory"'}
`))
	if err != nil {
		t.Fatal(err)
	}
	a, b := f.Watches[0], f.Watches[1]
	if a.Span() != time.Minute || *a.Above != 10 || time.Duration(a.For) != 30*time.Second || a.Severity != "critical" {
		t.Errorf("got %+v", a)
	}
	if b.Span() != DefaultWindow || b.Above != nil {
		t.Errorf("got %+v", b)
	}
}

func TestErrorsInWatchesAndFiltersHaveTheirPosition(t *testing.T) {
	for text, want := range map[string]string{
		"filters:\n  a: x\n  b-c: status>=\n":                                            `o.yaml:3: filters.'b-c': the filter "status>=", at column 9: a value is missing`,
		"filters:\n  errors: x\n":                                                        "o.yaml:2: filters.'errors': @errors is there already",
		"filters:\n  a b: x\n":                                                           `"a b" is no name for a filter`,
		"filters:\n  a: '@b'\n  b: '@a'\n":                                               "@a stands for itself",
		"watches:\n  - name: a\n    source: x\n    where: (x\n":                          "o.yaml:4: watches[0].where: the filter \"(x\"",
		"watches:\n  - name: a\n    source: x\n    where: '@none'\n":                     "there is no saved filter @none",
		"watches:\n  - name: a\n    where: x\n":                                          "o.yaml:2: watches[0].source",
		"watches:\n  - name: a\n    source: x\n    where: x\n    window: 48h\n":          "o.yaml:5: watches[0].window: 48h0m0s: expected 1s to 24h",
		"watches:\n  - name: a\n    source: x\n    where: x\n    severity: critical\n":   "add above",
		"watches:\n  - name: a\n    source: x\n    where: x\n    above: -1\n":            "o.yaml:5: watches[0].above",
		"watches:\n  - name: a\n    source: x\n    where: x\n    above: many\n":          "o.yaml:5:",
		"watches:\n- {name: a, source: x, where: x}\n- {name: a, source: x, where: x}\n": `o.yaml:3: watches[1].name: "a": another watch`,
		"watches:\n- {name: a, source: '[', where: x}\n":                                 "expected a log's title or a glob",
		"watches:\n- {name: a, source: x, where: x, wehn: x}\n":                          "wehn",
	} {
		_, err := Parse("o.yaml", []byte(text))
		var p Problems
		if !errors.As(err, &p) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}
