package docker

import (
	"context"
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
	cli, leave, err := s.connect(ctx)
	if err != nil {
		return nil, false, err
	}
	ctx, cancel := context.WithCancel(ctx)
	s.mu.Lock()
	up := s.up
	s.mu.Unlock()
	if up != nil { // with the run ends what was opened in it: over a dead link it would hang
		stop := context.AfterFunc(up, cancel)
		end := leave
		leave = func() { stop(); end() }
	}
	defer func() {
		if err != nil {
			cancel()
			leave()
		}
	}()
	c, done := context.WithTimeout(ctx, callTimeout)
	defer done()
	in, err := cli.ContainerInspect(c, id, client.ContainerInspectOptions{})
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
	return &logStream{ReadCloser: body, leave: func() { cancel(); leave() }}, in.Container.Config != nil && in.Container.Config.Tty, nil
}

// logStream closes its connection when it is closed.
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
