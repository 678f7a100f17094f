package logs

import (
	"context"
	"fmt"
	"time"

	"github.com/opsdeck/opsdeck/backend/source/logs/scan"
	"github.com/opsdeck/opsdeck/backend/state"
)

// FollowFile reads a file's last 256 KiB, with fromStart all of it, and then what
// is written to it, through rotation and truncation, until ctx ends. A file that is
// not there is waited for; with forgetful it is dropped after a minute.
func FollowFile(path string, fromStart, forgetful bool) scan.Input {
	return scan.Input{Title: path, Live: true, Read: func(ctx context.Context, to *scan.Feed) error {
		f := newFollower(path, fromStart)
		defer f.close()
		buf := make([]byte, min(blockSize, max(64<<10, 4*to.BlockSize())))
		var failed error
		take := func(lines []byte) {
			if failed == nil {
				failed = to.Lines(lines)
			}
		}
		caught, said, truncations, lost := false, "", 0, int64(0)
		last := time.Now()
		wait := time.NewTimer(0)
		defer wait.Stop()
		wake, woken := newWaker(false), time.Time{}
		defer wake.close()
		for {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-wait.C:
			case <-wake.C:
				woken = time.Now()
			}
			now := time.Now()
			got, more := f.poll(now, buf, take, take)
			if failed != nil {
				return failed
			}
			if f.err != said {
				if said = f.err; said != "" {
					to.Note(fmt.Sprintf("%s: %s", state.Clean(path), said))
				}
			}
			if f.truncations > truncations || f.lost > lost {
				truncations, lost = f.truncations, f.lost
				what := "lines written just before may be lost"
				if lost > 0 {
					what = fmt.Sprintf("at least %d bytes were lost so far", lost)
				}
				to.Note(fmt.Sprintf("%s was truncated (%d times so far): %s", state.Clean(path), truncations, what))
			}
			if got {
				last = now
			}
			if forgetful && !f.goneSince.IsZero() && now.Sub(f.goneSince) > forgetAfter {
				return nil
			}
			if !more && !caught {
				caught = true
				if err := to.Flush(); err != nil {
					return err
				}
				to.CaughtUp()
				if err := to.Flush(); err != nil {
					return err
				}
			}
			quiet := now.Sub(last) >= scan.QuietFor
			if quiet || to.Noted() {
				if err := to.Flush(); err != nil {
					return err
				}
			}
			switch {
			case more:
				wait.Reset(0)
			case f.took >= hotBytes:
				wait.Reset(pollHot)
			case quiet && f.idle() && now.Sub(woken) >= pollIdle:
				switch fresh, ok := wake.watch(path, now); {
				case fresh:
					wait.Reset(0)
				case ok:
					wait.Reset(pollWatched)
				default:
					wait.Reset(pollIdle)
				}
			case quiet:
				wait.Reset(pollIdle)
			default:
				wait.Reset(pollBusy)
			}
		}
	}}
}
