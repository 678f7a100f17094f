package main

import (
	"os"
	"strings"
	"testing"
)

func TestOwnLogStaysWithinItsBound(t *testing.T) {
	l, log := openLog(t.TempDir())
	l.most = 1000
	for range 100 {
		log.Warn("source failed", "source", "docker")
	}
	for _, path := range []string{l.path, l.path + ".1"} {
		b, err := os.ReadFile(path)
		if err != nil || len(b) == 0 || len(b) > 1000 || !strings.HasSuffix(string(b), "}\n") {
			t.Errorf("%s: %d bytes, %v; want whole lines and at most 1000", path, len(b), err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	log.Warn("after the end") // nobody hears it, and nothing breaks
}
