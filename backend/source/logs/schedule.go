package logs

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/opsdeck/opsdeck/backend/source/logs/scan"
	"github.com/opsdeck/opsdeck/backend/state"
)

const (
	// scheduleEvery is how often sizes and ages are checked, and scheduleRetry how
	// long a file is left alone after its rotation was requested, whatever the result.
	scheduleEvery, scheduleRetry = 30 * time.Second, 10 * time.Minute
)

// schedule rotates files that have become too large or too old, through the same
// action as T, so that it is in the journal and waits for its turn.
func (s *Source) schedule(ctx context.Context, every, again time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	asked := map[string]time.Time{}
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			paths := s.paths.Load()
			if paths == nil {
				continue
			}
			for _, path := range slices.Sorted(maps.Keys(*paths)) {
				if now.Sub(asked[path]) < again {
					continue
				}
				if why := due(path, s.rotation(path), now); why != "" {
					asked[path] = now
					s.cfg.Rotate(ctx, path, why)
				}
			}
		}
	}
}

// due returns why a file is to be rotated now, "" for not yet.
func due(path string, r Rotation, now time.Time) string {
	if r.MaxBytes == 0 && r.MaxAge == 0 {
		return ""
	}
	fi, err := os.Stat(path)
	if err != nil || !fi.Mode().IsRegular() || fi.Size() == 0 {
		return "" // its row says why it cannot be read
	}
	if r.MaxBytes > 0 && fi.Size() >= r.MaxBytes {
		return fmt.Sprintf("it has %d bytes, %d are allowed", fi.Size(), r.MaxBytes)
	}
	if r.MaxAge > 0 {
		if first := firstTime(path); !first.IsZero() && now.Sub(first) >= r.MaxAge {
			return fmt.Sprintf("its first line is of %s, older than %s", first.Format(time.RFC3339), r.MaxAge)
		}
	}
	return ""
}

// firstTime returns the time of the first line that has one, among the first few; the
// file's own time where none has.
func firstTime(path string) time.Time {
	f, err := os.Open(path)
	if err != nil {
		return time.Time{}
	}
	defer f.Close()
	br := bufio.NewReaderSize(f, 16<<10)
	for range 20 {
		line, err := br.ReadSlice('\n')
		if rec := scan.Parse(string(line)); len(line) > 0 && !rec.Guessed {
			return time.Unix(0, rec.Nanos)
		}
		if err != nil {
			break
		}
	}
	if fi, err := f.Stat(); err == nil {
		return fi.ModTime()
	}
	return time.Time{}
}

// Scheduled returns the actor of a rotation that was due.
func Scheduled(why string) state.Actor {
	return state.Actor{User: "schedule", From: why, Via: "engine"}
}
