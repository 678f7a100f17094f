package logs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/opsdeck/opsdeck/backend/source/logs/scan"
	"github.com/opsdeck/opsdeck/backend/state"
)

// OpenContainer opens a container's log: the lines since a time, at most the last
// tail of them (negative for all), in the form of [ContainerLogs], and with follow
// what comes.
type OpenContainer func(ctx context.Context, name string, since time.Time, tail int, follow bool) (rc io.ReadCloser, tty bool, err error)

// Container reads a container's log; with follow over restarts, until ctx ends.
func Container(title, name string, open OpenContainer, since time.Time, tail int, follow bool) scan.Input {
	return scan.Input{Title: title, Live: follow, Read: func(ctx context.Context, to *scan.Feed) error {
		began, said := time.Now(), ""
		read, caught := place{at: since.Truncate(time.Second)}, false // the query drops what is too much
		for {
			rc, tty, err := open(ctx, name, read.at, tail, follow)
			if err == nil {
				said = ""
				stop := context.AfterFunc(ctx, func() { _ = rc.Close() })
				d := &demux{r: bufio.NewReaderSize(rc, 64<<10), tty: tty, began: began, read: read, again: read}
				err = d.into(ctx, to, follow, &caught)
				if stop() {
					_ = rc.Close()
				}
				if read = d.read; read.pieces > 0 {
					tail = -1
				}
			} else if !caught && (!follow || read.pieces == 0) {
				return err
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if !follow {
				if errors.Is(err, io.EOF) || err == nil {
					return nil
				}
				return fmt.Errorf("read the log of container %s: %s", state.Clean(name), state.Clean(err.Error()))
			}
			if err != nil && !errors.Is(err, io.EOF) && err.Error() != said {
				said = err.Error()
				to.Note(state.Clean(said) + ": it is tried again")
			}
			to.CaughtUp()
			if err := to.Flush(); err != nil {
				return err
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(streamRetry):
			}
		}
	}}
}

// into passes on an engine's stream until it ends.
func (d *demux) into(ctx context.Context, to *scan.Feed, live bool, caught *bool) error {
	type lines struct {
		text  []byte
		times []int64
		err   error
	}
	give := func(l lines) error {
		for i := 0; len(l.text) > 0; i++ {
			n := scan.LineEnd(l.text, 0)
			ns := int64(0)
			if i < len(l.times) {
				ns = l.times[i]
			}
			if err := to.Stamped(l.text[:n], ns); err != nil {
				return err
			}
			l.text = l.text[n:]
		}
		return nil
	}
	come := make(chan lines, 8)
	go func() { // it ends when the stream is closed
		defer close(come)
		for {
			text, _, err := d.next()
			if err != nil {
				text = append(text, d.rest()...)
			}
			select {
			case come <- lines{text, d.times, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	defer func() { // whoever ends ctx closes the stream
		for range come {
		}
	}()
	quiet := time.NewTimer(scan.QuietFor)
	defer quiet.Stop()
	for {
		select {
		case l, ok := <-come:
			if !ok {
				return ctx.Err()
			}
			if err := give(l); err != nil {
				return err
			}
			if l.err != nil {
				return l.err
			}
			quiet.Reset(scan.QuietFor)
		case <-quiet.C:
			if live {
				if !*caught {
					*caught = true
					to.CaughtUp()
				}
				if err := to.Flush(); err != nil {
					return err
				}
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
