package docker

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/opsdeck/opsdeck/backend/state"
)

// ReadLog opens a container's log as [Source.OpenLog] does, but ends with what is
// there unless follow is set. name is an ID or a name. The source need not run.
func (s *Source) ReadLog(ctx context.Context, name string, since time.Time, tail int, follow bool) (rc io.ReadCloser, tty bool, err error) {
	if follow {
		return s.OpenLog(ctx, name, since, tail)
	}
	cli, leave, err := s.connect(ctx)
	if err != nil {
		return nil, false, err
	}
	defer func() {
		if err != nil {
			leave()
		}
	}()
	in, err := cli.ContainerInspect(ctx, name, client.ContainerInspectOptions{})
	if err != nil {
		return nil, false, fmt.Errorf("docker: read the log of %s: %s", state.Clean(name), state.Clean(err.Error()))
	}
	opts := client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Timestamps: true, Tail: "all"}
	if tail >= 0 {
		opts.Tail = strconv.Itoa(tail)
	}
	if !since.IsZero() {
		opts.Since = fmt.Sprintf("%d.%09d", since.Unix(), since.Nanosecond())
	}
	body, err := cli.ContainerLogs(ctx, name, opts)
	if err != nil {
		return nil, false, fmt.Errorf("docker: read the log of %q: %s", state.Clean(in.Container.Name), state.Clean(err.Error()))
	}
	return &logStream{ReadCloser: body, leave: leave}, in.Container.Config != nil && in.Container.Config.Tty, nil
}

// HasContainer reports whether the engine answers and knows a container by that
// name or ID; the error says why it does not answer.
func (s *Source) HasContainer(ctx context.Context, name string) (bool, error) {
	cli, leave, err := s.connect(ctx)
	if err != nil {
		return false, err
	}
	defer leave()
	if _, err = cli.ContainerInspect(ctx, name, client.ContainerInspectOptions{}); err == nil {
		return true, nil
	}
	if errdefs.IsNotFound(err) {
		return false, nil
	}
	return false, err
}
