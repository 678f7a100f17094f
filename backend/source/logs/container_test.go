package logs

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A container's log is resumed where it was left whenever its stream ends, by engines
// that tell times to the nanosecond and by those that tell whole seconds.
func TestAResumedLogHasEveryLineOnce(t *testing.T) {
	for name, layout := range map[string]string{"docker": time.RFC3339Nano, "podman": time.RFC3339} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begun, written := time.Now().UTC(), 0
				first := 7 // the first in the second that it was read to before
				last := begun.Add(2500 * time.Millisecond)
				// Five lines are written between one opening and the next, at 0.3 s from
				// each other: the stream of each is what has been written since, and ends.
				open := func(_ context.Context, _ string, since time.Time, _ int) (io.ReadCloser, bool, error) {
					written += 5
					var b bytes.Buffer
					for i := range written {
						if at := begun.Add(time.Duration(i) * 300 * time.Millisecond); !at.Before(since) {
							b.Write(frame(byte(1+i%2), fmt.Sprintf("%s line %d\n", at.Format(layout), i)))
						}
					}
					return io.NopCloser(&b), false, nil
				}
				ctx, cancel := context.WithCancel(t.Context())
				out := make(chan chunk)
				go streamReader{began: begun, last: last, tail: -1}.follow(ctx, &remoteStream{id: "c1"}, open, out)
				var got strings.Builder
				for strings.Count(got.String(), "\n") < 100 {
					got.Write((<-out).lines)
				}
				cancel()
				var want strings.Builder
				for i := range strings.Count(got.String(), "\n") {
					fmt.Fprintf(&want, "line %d\n", first+i)
				}
				if got.String() != want.String() {
					t.Errorf("got %q", got.String())
				}
			})
		})
	}
}
