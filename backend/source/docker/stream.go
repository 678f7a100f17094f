package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	"github.com/moby/moby/client"

	"github.com/opsdeck/opsdeck/backend/state"
)

// OpenLog opens a container's log and follows it: the lines since a time (zero
// for all), at most the last tail of them (negative for all), and what comes.
// Every line begins with its RFC 3339 time and a space. Without a TTY the stream
// is in frames: a byte for the stream (1 stdout, 2 stderr), three zeros, four
// bytes of big-endian length, and as many bytes. It ends when the container does,
// when ctx ends, or when it is closed, which it must be. The source need not run.
func (s *Source) OpenLog(ctx context.Context, id string, since time.Time, tail int) (rc io.ReadCloser, tty bool, err error) {
	cli, leave, err := s.connect()
	if err != nil {
		return nil, false, err
	}
	defer func() {
		if err != nil {
			leave()
		}
	}()
	in, err := cli.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return nil, false, fmt.Errorf("docker: read the log of %s: %s", id[:min(12, len(id))], state.Clean(err.Error()))
	}
	opts := client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Follow: true, Timestamps: true, Tail: "all"}
	if tail >= 0 {
		opts.Tail = strconv.Itoa(tail)
	}
	if !since.IsZero() {
		opts.Since = fmt.Sprintf("%d.%09d", since.Unix(), since.Nanosecond())
	}
	body, err := cli.ContainerLogs(ctx, id, opts)
	if err != nil {
		hint := ""
		if c := in.Container.HostConfig; c != nil && c.LogConfig.Type != "" {
			hint = fmt.Sprintf(": its log driver is %s, which may not support reading", state.Clean(c.LogConfig.Type))
		}
		return nil, false, fmt.Errorf("docker: read the log of %q: %s%s", state.Clean(in.Container.Name), state.Clean(err.Error()), hint)
	}
	return &logStream{ReadCloser: body, leave: leave}, in.Container.Config != nil && in.Container.Config.Tty, nil
}

// logStream gives its connection back when it is closed.
type logStream struct {
	io.ReadCloser
	leave func()
	once  sync.Once
}

// Close implements io.Closer.
func (s *logStream) Close() error {
	err := s.ReadCloser.Close()
	s.once.Do(s.leave)
	return err
}

// errNoShell says that an image has no shell.
var errNoShell = errors.New("it has neither sh nor bash: look into it with docker cp or a debug container (docker run --pid container:...)")

// Shell runs a shell in the container on a terminal of its own: bash where there
// is one, else sh. It ends when the shell does, when stdin ends and the shell
// with it, or when ctx ends. resize has columns and rows, and may be nil.
// The source need not run.
func (s *Source) Shell(ctx context.Context, id string, stdin io.Reader, stdout io.Writer, resize <-chan [2]uint16) error {
	cli, leave, err := s.connect()
	if err != nil {
		return err
	}
	defer leave()
	opts := client.ExecCreateOptions{
		TTY: true, AttachStdin: true, AttachStdout: true, AttachStderr: true, Env: []string{"TERM=xterm-256color"},
		Cmd: []string{"sh", "-c", "if command -v bash >/dev/null 2>&1; then exec bash; else exec sh; fi"},
	}
	var first [2]uint16
	select {
	case first = <-resize:
		opts.ConsoleSize = client.ConsoleSize{Height: uint(first[1]), Width: uint(first[0])}
	default:
	}
	name := id[:min(12, len(id))]
	ex, err := cli.ExecCreate(ctx, id, opts)
	if err != nil {
		return fmt.Errorf("docker: a shell in %s: %s", name, state.Clean(err.Error()))
	}
	att, err := cli.ExecAttach(ctx, ex.ID, client.ExecAttachOptions{TTY: true, ConsoleSize: opts.ConsoleSize})
	if err != nil {
		return fmt.Errorf("docker: a shell in %s: %s", name, state.Clean(err.Error()))
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		<-ctx.Done()
		att.Close()
	})
	wg.Go(func() {
		size, apply := first, time.NewTimer(0)
		defer apply.Stop()
		// An engine before API 1.42 takes no first size, and refuses one until the
		// process has started: so it is told again until it agrees.
		for tries := 0; ; {
			select {
			case <-ctx.Done():
				return
			case sz, ok := <-resize:
				if !ok {
					resize = nil
					continue
				}
				size, tries = sz, 0
				apply.Reset(0)
			case <-apply.C:
				if size == [2]uint16{} {
					continue
				}
				_, err := cli.ExecResize(ctx, ex.ID, client.ExecResizeOptions{Height: uint(size[1]), Width: uint(size[0])})
				if tries++; err != nil && tries < 20 {
					apply.Reset(time.Duration(tries) * 10 * time.Millisecond)
				}
			}
		}
	})
	// Reading the terminal cannot be interrupted from here: this one goroutine ends
	// with the next key or when the caller closes stdin.
	go func() {
		_, _ = io.Copy(att.Conn, stdin)
		_ = att.CloseWrite()
	}()
	_, err = io.Copy(stdout, att.Reader)
	stopped := ctx.Err()
	cancel()
	wg.Wait()
	if stopped != nil {
		return stopped
	}
	if err != nil {
		return fmt.Errorf("docker: a shell in %s: the connection broke: %s", name, state.Clean(err.Error()))
	}
	c, done := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer done()
	res, err := cli.ExecInspect(c, ex.ID, client.ExecInspectOptions{})
	if err == nil && (res.ExitCode == 126 || res.ExitCode == 127) && !res.Running {
		return fmt.Errorf("docker: a shell in %s: %w", name, errNoShell)
	}
	return nil
}
