package ssh

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

const (
	// maxStderr bounds how much of ssh's standard error is kept, in bytes.
	maxStderr = 8 << 10
	// killAfter is how long ssh may take to end on its own.
	killAfter = 5 * time.Second
)

// guard runs its arguments until they or its standard input end.
const guard = `exec 3<&0; "$@" </dev/null & p=$!; { cat <&3; kill $p; } >/dev/null 2>&1 & wait $p`

// Tail keeps the end of what is written to it, and may pass it on.
type Tail struct {
	mu   sync.Mutex
	last []byte
	to   io.Writer
}

// Write implements io.Writer.
func (t *Tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = append(t.last, b...)
	if over := len(t.last) - maxStderr; over > 0 {
		t.last = append(t.last[:0], t.last[over:]...)
	}
	if t.to != nil {
		_, _ = t.to.Write(b)
	}
	return len(b), nil
}

// Text returns the end of what was written, without control sequences.
func (t *Tail) Text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return state.Clean(strings.TrimSpace(string(t.last)))
}

// LastLine returns the last line of s that is not blank.
func LastLine(s string) string {
	s = strings.TrimSpace(s)
	return strings.TrimSpace(s[strings.LastIndexByte(s, '\n')+1:])
}

// Process is a running ssh, until it is closed or ends by itself.
type Process struct {
	cmd     *exec.Cmd
	stdin   io.Closer // the far end, or the guard, lasts as long as it
	stderr  *Tail
	ended   chan struct{}
	guarded bool
}

// Start starts ssh. Its standard output goes to read, which may be nil and returns when
// it wants no more of it; its standard error goes to terminal too, which may be nil, until
// Quiet. The caller has to Close it.
func Start(c Command, read func(io.Reader), terminal io.Writer) (*Process, error) {
	path, err := c.program()
	if err != nil {
		return nil, err
	}
	p := &Process{stderr: &Tail{to: terminal}, ended: make(chan struct{}), guarded: c.Guarded}
	p.cmd = exec.Command(path, c.Args()...)
	if c.Guarded {
		p.cmd = exec.Command("sh", append([]string{"-c", guard, "sh", path}, c.Args()...)...)
	}
	p.cmd.Stderr = p.stderr
	p.cmd.WaitDelay = time.Second
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	var out io.Reader
	if read != nil {
		if out, err = p.cmd.StdoutPipe(); err != nil {
			return nil, err
		}
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start ssh: %w", err)
	}
	go func() { // Close waits for it
		defer close(p.ended)
		if read != nil {
			read(out)
			_, _ = io.Copy(io.Discard, out)
		}
		_ = p.cmd.Wait()
	}()
	return p, nil
}

// Ended returns a channel that is closed once ssh has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Stderr returns the end of ssh's standard error so far.
func (p *Process) Stderr() string { return p.stderr.Text() }

// Quiet stops passing standard error to the terminal.
func (p *Process) Quiet() {
	p.stderr.mu.Lock()
	defer p.stderr.mu.Unlock()
	p.stderr.to = nil
}

// Close ends ssh, and waits for it.
func (p *Process) Close() {
	_ = p.stdin.Close()
	if !p.guarded { // the guard ends it
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
	}
	kill := time.AfterFunc(killAfter, func() { _ = p.cmd.Process.Kill() })
	<-p.ended
	kill.Stop()
}

// ExitError is the failure of ssh, or of the remote command.
type ExitError struct {
	// Stderr is its standard error, or its exit state if that is empty.
	Stderr string
	// Err is an *exec.ExitError with its exit code: 255 is that of ssh itself.
	Err error
}

// Error implements error.
func (e *ExitError) Error() string { return "ssh: " + e.Stderr }

// Unwrap returns the *exec.ExitError.
func (e *ExitError) Unwrap() error { return e.Err }

// Read runs ssh and calls read with its standard output, until that returns or ctx ends;
// then ssh has ended too. Its standard input stays open for as long. The error is that
// of ctx, of read, or an *ExitError.
func (c Command) Read(ctx context.Context, read func(io.Reader) error) error {
	path, err := c.program()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, path, c.Args()...)
	cmd.WaitDelay = time.Second
	said := &Tail{}
	cmd.Stderr = said
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if _, err := cmd.StdinPipe(); err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start ssh: %w", err)
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
		text := said.Text()
		if text == "" {
			text = err.Error()
		}
		return &ExitError{Stderr: text, Err: err}
	}
	return nil
}
