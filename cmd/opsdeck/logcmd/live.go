package logcmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/opsdeck/opsdeck/backend/record"
	"github.com/opsdeck/opsdeck/backend/source/logs/scan"
	"github.com/opsdeck/opsdeck/backend/state"
)

// redrawEvery is how often the table of patterns is drawn while they come.
const redrawEvery = 500 * time.Millisecond

// livePatterns counts the kinds of lines as they come, until ctx or the last input ends.
// On a terminal, whose columns and rows size gives, the table is drawn in place
// meanwhile; with size nil it is printed at the end only.
func (p *logPrinter) livePatterns(ctx context.Context, ins []scan.Input, appeared func(gone []string) []scan.Input, newSince int64, limit int, size func() (w, h int)) error {
	p.begin()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p.q.Parse = true
	p.share(len(ins))
	type event struct {
		notes []string
		ended bool
		title string
		err   error
	}
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex
		all    = record.NewPatterns(0)
		n      int
		events = make(chan event)
	)
	defer wg.Wait()
	defer cancel()
	start := func(in scan.Input) {
		wg.Go(func() {
			give := func(e event) error {
				select {
				case events <- e:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			err := scan.Scan(ctx, in, p.q, 1, func(f *scan.Found) {
				mu.Lock()
				defer mu.Unlock()
				for _, h := range f.Hits {
					all.Add(state.LogRecord{Nanos: h.Nanos, Level: h.Level, Text: f.Text(h)})
				}
				n += len(f.Hits)
			}, func(f *scan.Found) error {
				if len(f.Notes) == 0 {
					return nil
				}
				return give(event{notes: f.Notes})
			})
			_ = give(event{ended: true, title: in.Title, err: err})
		})
	}
	for _, in := range ins {
		start(in)
	}
	began := time.Now()
	s := inPlace{out: p.out}
	draw := func() error {
		if size == nil {
			return nil
		}
		w, h := size()
		var b strings.Builder
		mu.Lock()
		list := all.List()
		if newSince != 0 {
			list = all.NewSince(newSince)
		}
		records := n
		mu.Unlock()
		rows := p.patternRows(list[:min(len(list), max(1, limitOr(limit, len(list))))])
		_ = p.program.Table(&b, patternTitles, rows)
		lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
		if room := max(1, h-2); len(lines) > room {
			lines = lines[:room]
		}
		lines = append(lines, fmt.Sprintf("%d records of %d kinds in %s; ctrl-c ends", records, len(list), time.Since(began).Truncate(time.Second)))
		return s.draw(lines, w)
	}
	finish := func(err error) error {
		mu.Lock()
		defer mu.Unlock()
		if s.erase() != nil {
			return p.end(errGone)
		}
		p.matched = n
		return p.printPatterns(all, newSince, limit, err)
	}
	redraw := time.NewTicker(redrawEvery)
	defer redraw.Stop()
	scan := time.NewTicker(globScan)
	defer scan.Stop()
	running := len(ins)
	var gone []string
	var errs []error
	for {
		if running == 0 && appeared == nil {
			return finish(errors.Join(errs...))
		}
		select {
		case <-ctx.Done():
			return finish(nil)
		case <-redraw.C:
			if draw() != nil {
				return p.end(errGone)
			}
		case <-scan.C:
			if appeared == nil {
				continue
			}
			for _, in := range appeared(gone) {
				running++
				start(in)
			}
			gone = nil
		case e := <-events:
			if e.ended {
				running--
				gone = append(gone, e.title)
				if e.err == nil || errors.Is(e.err, context.Canceled) {
					continue
				}
				errs = append(errs, e.err)
				e.notes = []string{fmt.Sprintf("%s ended: %v", state.Clean(filepath.Base(e.title)), e.err)}
				if appeared == nil && running == 0 {
					continue // it is said at the end
				}
			}
			_ = s.erase()
			for _, note := range e.notes {
				fmt.Fprintln(p.errOut, "opsdeck:", note)
			}
		}
	}
}

// limitOr returns a limit of rows, where 0 is none.
func limitOr(limit, all int) int {
	if limit > 0 {
		return limit
	}
	return all
}

// inPlace draws lines on a terminal over those that it drew before.
type inPlace struct {
	out   io.Writer
	lines int
}

// draw draws lines, each cut to the terminal's width, in one write.
func (s *inPlace) draw(lines []string, width int) error {
	var b strings.Builder
	s.up(&b)
	for _, l := range lines {
		b.WriteString(ansi.Truncate(l, max(1, width-1), ""))
		b.WriteString("\x1b[K\n")
	}
	b.WriteString("\x1b[J")
	s.lines = len(lines)
	_, err := io.WriteString(s.out, b.String())
	return err
}

// erase takes away what was drawn.
func (s *inPlace) erase() error {
	if s.lines == 0 {
		return nil
	}
	var b strings.Builder
	s.up(&b)
	b.WriteString("\x1b[J")
	s.lines = 0
	_, err := io.WriteString(s.out, b.String())
	return err
}

func (s *inPlace) up(b *strings.Builder) {
	if s.lines > 0 {
		fmt.Fprintf(b, "\r\x1b[%dA", s.lines)
	}
}
