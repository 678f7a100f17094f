package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"time"
)

// written is what the writer tells when it is done.
type written struct {
	Lines, Bytes       int64
	Seconds            float64
	Renames, Truncates int
	// Gone is how many bytes came between the end of a copy and its truncation: no copy
	// has them, and only who had read them by then does.
	Gone int64
}

// linger is how long a writer writes on to the old file after a rename, as a daemon
// does until it is told to reopen.
const linger = 100 * time.Millisecond

// writeMain writes numbered lines at a rate: measure write -f FILE -rate N -secs S
// [-renames N] [-truncates N] [-copy]. Disturbances alternate, evenly spaced; with
// -copy a truncation is one by copy and truncate, as logrotate does it.
func writeMain(args []string) error {
	fs := flag.NewFlagSet("write", flag.ContinueOnError)
	path := fs.String("f", "", "the file")
	rate := fs.Float64("rate", 1000, "lines a second")
	secs := fs.Float64("secs", 10, "seconds")
	renames := fs.Int("renames", 0, "renames")
	truncates := fs.Int("truncates", 0, "truncations")
	cp := fs.Bool("copy", false, "copy before truncating")
	if err := fs.Parse(args); err != nil {
		return err
	}
	open := func() (*os.File, error) { return os.OpenFile(*path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644) }
	f, err := open()
	if err != nil {
		return err
	}
	var w written
	total := *renames + *truncates
	next := 0 // disturbance
	var reopen time.Time
	type copying struct {
		n   int64 // bytes in the copy
		err error
	}
	copied := make(chan copying, 1)
	var held int64 // bytes written to the present file since it was empty
	busy := false  // copying
	var buf []byte
	began := time.Now()
	for tick := time.NewTicker(time.Millisecond); ; <-tick.C {
		took := time.Since(began).Seconds()
		buf = buf[:0]
		due := int64(min(took, *secs) * *rate)
		stamp := time.Now().UTC().Format("2006-01-02 15:04:05,000")
		for ; w.Lines < due && len(buf) < 4<<20; w.Lines++ {
			buf = append(buf, stamp...)
			buf = append(buf, " - svc.worker - INFO - request completed status=200 path=/api/v1/orders/123456 duration_ms=42 upstream=10.0.3.17 n="...)
			buf = strconv.AppendInt(buf, w.Lines+1, 10)
			buf = append(buf, '\n')
		}
		n, err := f.Write(buf)
		w.Bytes += int64(n)
		held += int64(n)
		if err != nil {
			return err
		}
		if !reopen.IsZero() && time.Now().After(reopen) {
			f.Close()
			if f, err = open(); err != nil {
				return err
			}
			reopen, held = time.Time{}, 0
		}
		select {
		case c := <-copied:
			st, err := f.Stat()
			if err = errors.Join(c.err, err); err != nil {
				return err
			}
			// Nobody else writes: what is neither in the copy nor in the file is gone.
			w.Gone += held - c.n - st.Size()
			held, busy = st.Size(), false
		default:
		}
		if took >= *secs && w.Lines >= due && !busy && reopen.IsZero() {
			break
		}
		if next < total && took > *secs*(float64(next)+.5)/float64(total) && !busy && reopen.IsZero() {
			next++
			switch {
			case next%2 == 1 && w.Renames < *renames || w.Truncates == *truncates:
				w.Renames++
				if err := os.Rename(*path, fmt.Sprintf("%s.%d", *path, next)); err != nil {
					return err
				}
				reopen = time.Now().Add(linger)
			case *cp:
				w.Truncates++
				busy = true
				to := fmt.Sprintf("%s.%d", *path, next)
				go func() {
					n, err := copyTruncate(*path, to)
					copied <- copying{n, err}
				}()
			default:
				w.Truncates++
				if err := f.Truncate(0); err != nil {
					return err
				}
				held = 0
			}
		}
	}
	w.Seconds = time.Since(began).Seconds()
	return json.NewEncoder(os.Stdout).Encode(w)
}

// copyTruncate does what logrotate does beside a live writer, and gives the length
// of the copy.
func copyTruncate(path, to string) (int64, error) {
	in, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return 0, err
	}
	defer out.Close()
	n, err := io.Copy(out, in)
	if err != nil {
		return n, err
	}
	return n, in.Truncate(0)
}

// writer starts the writer in a process of its own, so that its CPU is not ours.
func (l *lab) writer(args ...string) (wait func() (written, error), err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	c := exec.CommandContext(l.ctx, self, append([]string{"write"}, args...)...)
	c.Stdout, c.Stderr = &out, os.Stderr
	if err := c.Start(); err != nil {
		return nil, err
	}
	return func() (w written, err error) {
		if err := c.Wait(); err != nil {
			return w, err
		}
		return w, json.Unmarshal(out.Bytes(), &w)
	}, nil
}
