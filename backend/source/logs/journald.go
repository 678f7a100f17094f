package logs

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/opsdeck/opsdeck/backend/source/logs/scan"
	"github.com/opsdeck/opsdeck/backend/state"
)

// Journal reads systemd's journal, of one unit or ("") of all, by journalctl. since
// and until bound it where they are not zero; lines is how many entries are read at
// most from its end, negative for all.
func Journal(unit string, since, until time.Time, lines int, follow bool) scan.Input {
	title := "journal"
	if unit != "" {
		title += ":" + unit
	}
	return scan.Input{Title: title, Live: follow, Read: func(ctx context.Context, to *scan.Feed) error {
		args := []string{"--output=json", "--no-pager", "--quiet", "--all"}
		if unit != "" {
			args = append(args, "--unit="+unit)
		}
		if !since.IsZero() {
			args = append(args, fmt.Sprintf("--since=@%d", since.Unix()))
		}
		if !until.IsZero() {
			args = append(args, fmt.Sprintf("--until=@%d", until.Unix()+1))
		}
		if lines >= 0 {
			args = append(args, "--lines="+strconv.Itoa(lines))
		}
		if follow {
			args = append(args, "--follow")
			if lines < 0 {
				args = append(args, "--no-tail")
			}
		}
		n := 0
		err := command(ctx, "journalctl", args, func(r io.Reader) (err error) { n, err = journalLines(ctx, r, to, follow); return err })
		if err == nil && n == 0 && unit != "" && !follow && since.IsZero() && until.IsZero() {
			err = fmt.Errorf("it has no entry of a unit %s: systemctl list-units shows their names", state.Clean(unit))
		}
		if err != nil && !errors.Is(err, context.Canceled) {
			return fmt.Errorf("read the %s: %w", title, err)
		}
		return err
	}}
}

// journalRetry is how long it takes until a journalctl that ended is started again.
const journalRetry = 5 * time.Second

// journalled reports whether this host keeps a journal.
func (s *Source) journalled() bool {
	return slices.ContainsFunc(s.cfg.Journals, func(dir string) bool {
		ents, err := os.ReadDir(dir)
		return err == nil && len(ents) > 0
	})
}

// followJournal sends the journal's last entries, and what comes.
func followJournal(ctx context.Context, _ streamReader, b *remoteStream, out chan<- chunk) {
	to := remoteFeed{ctx: ctx, stream: b, out: out}
	for lines := streamHistory; ctx.Err() == nil; lines = 0 {
		err := to.scan(Journal("", time.Time{}, time.Time{}, lines, true), true)
		if err == nil {
			err = errors.New("journalctl ended; it is being restarted")
		}
		if ctx.Err() != nil || to.fails(err.Error()) != nil {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(journalRetry):
		}
	}
}

// command runs a program and reads what it prints. Its standard input stays open, and
// empty, for as long as it runs. An *exec.ExitError is in the error of one that fails.
func command(ctx context.Context, name string, args []string, read func(io.Reader) error) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = time.Second
	var said tailBuffer
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if _, err := cmd.StdinPipe(); err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return fmt.Errorf("there is no %s on this host", name)
		}
		return err
	}
	readErr := read(out)
	if readErr != nil {
		_ = cmd.Process.Kill()
	}
	err = cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case readErr != nil:
		return readErr
	case err != nil:
		if text := strings.TrimSpace(said.String()); text != "" {
			return programError{fmt.Sprintf("%s: %s", name, state.Clean(text)), err}
		}
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// programError is what a program that failed said.
type programError struct {
	stderr string
	err    error
}

func (e programError) Error() string { return e.stderr }
func (e programError) Unwrap() error { return e.err }

// tailBuffer keeps the end of a program's output.
type tailBuffer struct{ b []byte }

// Write implements io.Writer.
func (t *tailBuffer) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if n := len(t.b) - 1024; n > 0 {
		t.b = append(t.b[:0], t.b[n:]...)
	}
	return len(p), nil
}

func (t *tailBuffer) String() string { return string(t.b) }

// journalEntry is what is used of an entry as journalctl writes it. A message that
// is not text is an array of bytes.
type journalEntry struct {
	Message    json.RawMessage `json:"MESSAGE"`
	Time       string          `json:"__REALTIME_TIMESTAMP"`
	Priority   string          `json:"PRIORITY"`
	Identifier string          `json:"SYSLOG_IDENTIFIER"`
	Comm       string          `json:"_COMM"`
	PID        string          `json:"_PID"`
}

// journalLines makes lines of entries: time, identifier, level and message, of which
// further lines are indented so that they belong to it. It gives how many there were.
func journalLines(ctx context.Context, r io.Reader, to *scan.Feed, live bool) (n int, err error) {
	lines := make(chan []byte, 64)
	var readErr error
	go func() {
		defer close(lines)
		br := bufio.NewReaderSize(r, 64<<10)
		for {
			line, err := br.ReadBytes('\n')
			if len(line) > 0 {
				select {
				case lines <- line:
				case <-ctx.Done():
					return
				}
			}
			if err != nil {
				if !errors.Is(err, io.EOF) {
					readErr = err
				}
				return
			}
		}
	}()
	defer func() { // the program ends with ctx
		for range lines {
		}
	}()
	var out []byte
	quiet := time.NewTimer(scan.QuietFor)
	defer quiet.Stop()
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				return n, readErr
			}
			var e journalEntry
			if json.Unmarshal(line, &e) != nil {
				continue
			}
			n++
			var ns int64
			out, ns = e.line(out[:0])
			if err := to.Stamped(out, ns); err != nil {
				return n, err
			}
			if live {
				quiet.Reset(scan.QuietFor)
			}
		case <-quiet.C:
			if live {
				to.CaughtUp()
				if err := to.Flush(); err != nil {
					return n, err
				}
			}
		case <-ctx.Done():
			return n, ctx.Err()
		}
	}
}

// line appends the entry as a line, and gives its time.
func (e *journalEntry) line(to []byte) ([]byte, int64) {
	us, _ := strconv.ParseInt(e.Time, 10, 64)
	to = time.UnixMicro(us).AppendFormat(to, "2006-01-02T15:04:05.000000Z07:00")
	name := e.Identifier
	if name == "" {
		name = e.Comm
	}
	to = append(append(to, ' '), name...)
	if e.PID != "" {
		to = append(append(append(to, '['), e.PID...), ']')
	}
	to = append(to, ": "...)
	if len(e.Priority) == 1 && e.Priority[0] >= '0' && e.Priority[0] <= '7' {
		to = append(to, [...]string{"[FATAL] ", "[FATAL] ", "[FATAL] ", "[ERROR] ", "[WARN] ", "", "", "[DEBUG] "}[e.Priority[0]-'0']...)
		if e.Priority == "5" || e.Priority == "6" {
			to = append(to, "[INFO] "...)
		}
	}
	var msg string
	if json.Unmarshal(e.Message, &msg) != nil {
		var raw []int
		_ = json.Unmarshal(e.Message, &raw)
		b := make([]byte, len(raw))
		for i, c := range raw {
			b[i] = byte(c)
		}
		msg = string(b)
	}
	msg = strings.TrimRight(msg, "\n")
	if strings.IndexByte(msg, '\n') < 0 {
		to = append(to, msg...)
	} else {
		to = append(to, bytes.ReplaceAll([]byte(msg), nl, []byte("\n    "))...)
	}
	return append(to, '\n'), us * 1000
}
