package main

import (
	"context"
	"io"
	"log"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// A library's line in the middle of the console shifted the whole screen.
func TestLibrariesDoNotWriteToTheTerminal(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	old := os.Stderr
	os.Stderr = w
	defer func() { os.Stderr = old }()
	quietLibraries()
	said := func() {
		log.Printf("a library complains")
		c := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1})
		_ = c.Ping(context.Background()).Err()
		_ = c.Close()
	}
	said()
	var file strings.Builder
	libraryLog(slog.New(slog.NewJSONHandler(&file, nil)))
	defer libraryLog(slog.New(slog.DiscardHandler))
	said()
	w.Close()
	if got, _ := io.ReadAll(r); len(got) > 0 {
		t.Errorf("standard error got %q", got)
	}
	if !strings.Contains(file.String(), "a library complains") || !strings.Contains(file.String(), "redis client") {
		t.Errorf("the log file got %q", file.String())
	}
}
