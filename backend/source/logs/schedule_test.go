package logs

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
	"github.com/opsdeck/opsdeck/backend/state"
)

func TestARotationIsDueBySizeAndByAge(t *testing.T) {
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		text string
		r    Rotation
		want string
	}{
		"no bound":         {"2026-03-01 00:00:00 INFO a\n", Rotation{}, ""},
		"too large":        {strings.Repeat("x", 100), Rotation{MaxBytes: 100}, "it has 100 bytes"},
		"not yet":          {strings.Repeat("x", 99), Rotation{MaxBytes: 100}, ""},
		"too old":          {"2026-03-01T11:59:59Z INFO a\n", Rotation{MaxAge: 24 * time.Hour}, "its first line is of"},
		"not yet old":      {"2026-03-01T12:00:01Z INFO a\n", Rotation{MaxAge: 24 * time.Hour}, ""},
		"behind a header":  {"# log\n2026-02-01T00:00:00Z INFO a\n", Rotation{MaxAge: 24 * time.Hour}, "its first line is of"},
		"empty, always so": {"", Rotation{MaxBytes: 1, MaxAge: time.Second}, ""},
	} {
		path := filepath.Join(t.TempDir(), "a.log")
		if err := os.WriteFile(path, []byte(tt.text), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := due(path, tt.r, now); got != tt.want && (tt.want == "" || !strings.HasPrefix(got, tt.want)) {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
	if got := due(t.TempDir(), Rotation{MaxBytes: 1}, now); got != "" {
		t.Errorf("a folder is due: %q", got)
	}
}

func TestFilesThatAreDueAreRotatedOnce(t *testing.T) {
	dir := t.TempDir()
	p := filepath.Join(dir, "a.log")
	asked := make(chan string, 100)
	s := New(Config{Files: []string{p}, Rotations: []RotationRule{{Files: []string{p}, Rotation: Rotation{MaxBytes: 4}}},
		Rotate: func(_ context.Context, path, why string) { asked <- path + ": " + why }})
	if err := os.WriteFile(p, []byte("12345"), 0o644); err != nil {
		t.Fatal(err)
	}
	r := sourcetest.Run(t, s)
	sourcetest.Wait(r, "the file", func(l state.Logs) bool { return len(l.Sources) == 1 })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); s.schedule(ctx, time.Millisecond, time.Hour) }()
	if got := <-asked; !strings.HasPrefix(got, p+": it has 5 bytes") {
		t.Errorf("asked for %q", got)
	}
	if err := rotate(s, p); err != nil {
		t.Fatal(err)
	}
	cancel()
	<-done
	if got := readAny(t, p+".1"); got != "12345" {
		t.Errorf("rotated: %q", got)
	}
	if len(asked) != 0 {
		t.Errorf("asked again: %q", <-asked)
	}
}
