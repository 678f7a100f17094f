package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/opsdeck/opsdeck/backend/secrets"
	"github.com/opsdeck/opsdeck/backend/source/logs"
	"github.com/opsdeck/opsdeck/backend/state"
)

// logLine is a record as `opsdeck logs --json` prints it.
type logLine struct {
	Time    time.Time `json:"time"`
	Guessed bool      `json:"time_guessed,omitempty"`
	Level   string    `json:"level,omitempty"`
	Source  string    `json:"source"`
	Text    string    `json:"text"`
}

func newLogs(g *globals) *cobra.Command {
	var follow bool
	var grep, level string
	var lines int
	cmd := &cobra.Command{
		Use:   "logs [-f] [FILE...]",
		Short: "print, follow and rotate log files",
		Long: "Prints log files, all those of the workspace where none is named, merged by time, and with -f\n" +
			"follows them through rotation and truncation.",
		RunE: func(cmd *cobra.Command, args []string) error {
			ws, err := g.load()
			if err != nil {
				return err
			}
			least := state.LevelUnknown
			if level != "" {
				if least = state.ParseLevel(level); least == state.LevelUnknown {
					return usage("--level %q: expected trace, debug, info, warn, error or fatal", level)
				}
			}
			if len(args) == 0 {
				for _, l := range ws.Logs {
					m, _ := filepath.Glob(l.Path)
					args = append(args, m...)
				}
				slices.Sort(args)
				args = slices.Compact(args)
			}
			if len(args) == 0 {
				return exitError{exitFailed, fmt.Errorf("there are no log files: %s matches none; name them", ws.Rel(ws.Logs[0].Path))}
			}
			p := &printer{errOut: cmd.ErrOrStderr(), w: bufio.NewWriterSize(cmd.OutOrStdout(), 64<<10), json: g.json, many: len(args) > 1, least: least, grep: strings.ToLower(grep)}
			mask := &secrets.Mask{}
			mask.Add(ws.Getenv("OPSDECK_TOKEN"))
			if _, err := ws.Key(); err == nil {
				if err := secrets.Learn(filepath.Join(ws.Data, "module_credentials.db"), ws.Key, mask); err != nil {
					fmt.Fprintln(cmd.ErrOrStderr(), "opsdeck: credentials are not masked:", err)
				}
			}
			return p.print(cmd.Context(), args, follow, lines, mask.Mask)
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "wait for more")
	cmd.Flags().StringVar(&grep, "grep", "", "only records that hold this `TEXT`, in any case")
	cmd.Flags().StringVar(&level, "level", "", "only records of this `LEVEL` and above")
	cmd.Flags().IntVarP(&lines, "lines", "n", -1, "only the last `N` records of each file (default: all; 10 with -f)")
	list := listCmd(g, "list", "list the logs that are followed", state.SectionLogs, func(s *state.Snapshot) any { return s.Logs.Sources },
		"SOURCE KIND SIZE LINES ERRORS LAST ROTATION", func(s *state.Snapshot) (rows [][]string) {
			for _, l := range s.Logs.Sources {
				rows = append(rows, []string{l.Title, l.Kind, bytes(float64(l.Size)), fmt.Sprint(l.Lines), fmt.Sprint(l.Errors), ago(l.LastAt), firstLine(l.Err, l.Rotation)})
			}
			return rows
		})
	rotate := actionCmd(g, verb{use: "rotate FILE", short: "rotate a log file as the workspace file says", kind: state.LogRotate,
		prepare: func(_ *cobra.Command, s *session, a *state.Action, _ []string) error {
			snap, err := s.section(state.SectionLogs)
			if err != nil {
				return err
			}
			if snap.Logs.Source(a.Target) == nil { // a path relative to where we are
				if abs, err := filepath.Abs(a.Target); err == nil && snap.Logs.Source(abs) != nil {
					a.Target = abs
				}
			}
			return nil
		}})
	cmd.AddCommand(list, rotate)
	return cmd
}

// printer prints records, merged by time as far as they come together.
type printer struct {
	json, many bool
	least      state.Level
	grep       string
	errOut     io.Writer // what happened to files

	mu  sync.Mutex
	w   *bufio.Writer
	err error
}

// sourced is a record with the file it comes from.
type sourced struct {
	state.LogRecord
	file string
}

// historyPatience is how long following waits for the end of each file to be
// read, so that what is there already comes merged by time.
const historyPatience = 300 * time.Millisecond

// print prints files, at most the last lines records of each (negative for all),
// and with follow what comes after.
func (p *printer) print(ctx context.Context, files []string, follow bool, lines int, mask func(string) string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if follow {
		if lines < 0 {
			lines = 10
		}
		return p.follow(ctx, cancel, files, lines, mask)
	}
	opts := logs.FollowOptions{FromStart: true, Once: true, Mask: mask}
	if lines < 0 && len(files) == 1 { // nothing to merge: stream it
		return p.done(logs.Follow(ctx, files[0], opts, func(b logs.Batch) {
			if !p.emit(files[0], b.Records) {
				cancel()
			}
		}))
	}
	var history []sourced
	for _, f := range files {
		var own []sourced
		if err := logs.Follow(ctx, f, opts, func(b logs.Batch) {
			own = last(p.wanted(own, f, b.Records), lines)
		}); err != nil {
			return p.done(err)
		}
		history = append(history, own...)
	}
	p.merged(history)
	return p.done(nil)
}

// wanted appends the records that are to be printed.
func (p *printer) wanted(to []sourced, file string, records []state.LogRecord) []sourced {
	for _, r := range records {
		if p.wants(r) {
			to = append(to, sourced{r, file})
		}
	}
	return to
}

// last is the last n records, all where n is negative.
func last(records []sourced, n int) []sourced {
	if n < 0 || len(records) <= n {
		return records
	}
	return slices.Clone(records[len(records)-n:])
}

// merged prints records in the order of their times.
func (p *printer) merged(records []sourced) {
	slices.SortStableFunc(records, func(a, b sourced) int { return cmp.Compare(a.Nanos, b.Nanos) })
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range records {
		p.line(r.file, r.LogRecord)
	}
	p.fail(p.w.Flush())
}

// follow prints the last lines of each file, merged, and then what comes.
func (p *printer) follow(ctx context.Context, cancel context.CancelFunc, files []string, lines int, mask func(string) string) error {
	type batch struct {
		file    string
		records []state.LogRecord
	}
	batches := make(chan batch)
	errs := make([]error, len(files))
	var wg sync.WaitGroup
	for i, f := range files {
		wg.Go(func() {
			truncations := 0
			errs[i] = logs.Follow(ctx, f, logs.FollowOptions{Mask: mask}, func(b logs.Batch) {
				if n := b.Source.Truncations; n > truncations {
					truncations = n
					p.truncated(f, b.Source)
				}
				select {
				case batches <- batch{f, b.Records}:
				case <-ctx.Done():
				}
			})
		})
	}
	go func() { wg.Wait(); close(batches) }()
	history := map[string][]sourced{}
	patience := time.NewTimer(historyPatience)
	defer patience.Stop()
	printed := false
	show := func() {
		var all []sourced
		for _, own := range history {
			all = append(all, own...)
		}
		p.merged(all)
		printed = true
	}
	for {
		select {
		case <-patience.C:
			show()
		case b, ok := <-batches:
			switch {
			case !ok:
				if !printed {
					show()
				}
				return p.done(errors.Join(errs...))
			case !printed:
				history[b.file] = last(p.wanted(history[b.file], b.file, b.records), lines)
			case !p.emit(b.file, b.records):
				cancel()
			}
		}
	}
}

// truncated says that a file was emptied while it was followed: what had been
// written since the last look may be missing.
func (p *printer) truncated(file string, src state.LogSource) {
	p.mu.Lock()
	defer p.mu.Unlock()
	lost := "lines written just before may be lost"
	if src.LostBytes > 0 {
		lost = fmt.Sprintf("at least %d bytes were lost so far", src.LostBytes)
	}
	fmt.Fprintf(p.errOut, "opsdeck: %s was truncated (%d times so far): %s\n", file, src.Truncations, lost)
}

// done is the end of printing: a reader that went away and an interrupt are none.
func (p *printer) done(err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ferr := p.w.Flush(); p.err == nil {
		p.err = ferr
	}
	if p.err != nil {
		return nil // the reader has gone, as head does
	}
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// emit prints records; false means that nobody reads any more.
func (p *printer) emit(file string, records []state.LogRecord) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range records {
		if p.wants(r) {
			p.line(file, r)
		}
	}
	if err := p.w.Flush(); err != nil && p.err == nil {
		p.err = err
	}
	return p.err == nil
}

func (p *printer) wants(r state.LogRecord) bool {
	return r.Level >= p.least && (p.grep == "" || strings.Contains(strings.ToLower(r.Text), p.grep))
}

// line prints one record into the buffer.
func (p *printer) line(file string, r state.LogRecord) {
	if p.json {
		b, err := json.Marshal(logLine{Time: r.Time().UTC(), Guessed: r.Guessed, Level: r.Level.String(), Source: file, Text: r.Text})
		if err == nil {
			_, err = p.w.Write(append(b, '\n'))
		}
		p.fail(err)
		return
	}
	if p.many {
		_, err := p.w.WriteString(filepath.Base(file) + ": ")
		p.fail(err)
	}
	_, err := p.w.WriteString(r.Text)
	p.fail(err)
	p.fail(p.w.WriteByte('\n'))
}

func (p *printer) fail(err error) {
	if err != nil && p.err == nil {
		p.err = err
	}
}
