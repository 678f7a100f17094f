package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"github.com/opsdeck/opsdeck/backend/state"
)

// Errors of [Source.Exec] and [Source.Shell].
var (
	// ErrNoShell says that an image has no shell.
	ErrNoShell = errors.New("it has no shell: neither bash nor ash nor sh: copy files out with opsdeck cp, or use a debug container (docker run --pid container:... --network container:...)")
	// ErrGone says that the container ended, or was removed, under what ran in it.
	ErrGone = errors.New("the container ended, or was removed, meanwhile")
	// ErrNotStarted says that the engine could not start the command.
	ErrNotStarted = errors.New("the engine could not start it")
)

// Exec is one command in a container.
type Exec struct {
	Cmd []string
	// TTY gives it a terminal of its own, whose size follows Resize: columns and rows.
	TTY    bool
	Resize <-chan [2]uint16
	// User and Dir are "" for the container's own.
	User, Dir string
	Env       []string
	// Stdin may be nil. One that has a Cancel method, as those of cancelreader, is
	// cancelled when the command has ended, so that no key is lost to it.
	Stdin io.Reader
	// Stdout also has what a command on a terminal writes to standard error.
	Stdout, Stderr io.Writer
}

// Exec runs a command in the container of that ID or name and returns its exit
// code. It ends when the command does, when ctx ends (the command then goes on), or
// when the container does. The source need not run.
func (s *Source) Exec(ctx context.Context, id string, e Exec) (code int, err error) {
	cli, leave, err := s.connect(ctx)
	if err != nil {
		return 0, err
	}
	defer leave()
	fail := func(err error) (int, error) {
		return 0, fmt.Errorf("docker: exec in %s: %w", short(id), err)
	}
	opts := client.ExecCreateOptions{
		TTY: e.TTY, AttachStdin: e.Stdin != nil, AttachStdout: true, AttachStderr: true, Env: e.Env, Cmd: e.Cmd, User: e.User, WorkingDir: e.Dir,
	}
	var first [2]uint16
	select {
	case first = <-e.Resize:
		opts.ConsoleSize = client.ConsoleSize{Height: uint(first[1]), Width: uint(first[0])}
	default:
	}
	c, cancelCreate := context.WithTimeout(ctx, callTimeout)
	defer cancelCreate()
	ex, err := cli.ExecCreate(c, id, opts)
	if err != nil {
		return fail(errors.New(state.Clean(err.Error())))
	}
	run, cancel := whileAlive(ctx, cli)
	defer cancel()
	att, err := cli.ExecAttach(run, ex.ID, client.ExecAttachOptions{TTY: e.TTY, ConsoleSize: opts.ConsoleSize})
	if err != nil {
		if errors.Is(context.Cause(run), ErrLost) {
			return fail(ErrLost)
		}
		if notFoundIn(err.Error()) {
			return fail(fmt.Errorf("%w: %s", ErrNotStarted, state.Clean(err.Error())))
		}
		return fail(errors.New(state.Clean(err.Error())))
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		<-run.Done()
		att.Close()
	})
	if e.TTY {
		wg.Go(func() { follow(run, cli, ex.ID, first, e.Resize) })
	}
	if e.Stdin != nil {
		feed := func() {
			_, _ = io.Copy(att.Conn, e.Stdin)
			_ = att.CloseWrite()
		}
		if _, ok := e.Stdin.(interface{ Cancel() bool }); ok {
			wg.Go(feed)
		} else {
			go feed() // it ends with the next byte, or when its owner closes it
		}
	}
	head := &heldOutput{w: e.Stdout}
	if e.TTY {
		_, err = io.Copy(head, att.Reader)
	} else {
		_, err = stdcopy.StdCopy(head, e.Stderr, att.Reader)
	}
	stopped, cause := run.Err(), context.Cause(run)
	if len(head.held) > 0 && !notFoundIn(head.String()) {
		err = errors.Join(err, head.flush())
	}
	cancel()
	if c, ok := e.Stdin.(interface{ Cancel() bool }); ok {
		c.Cancel()
	}
	wg.Wait()
	if errors.Is(cause, ErrLost) {
		return fail(fmt.Errorf("%w: what runs in the container may go on", ErrLost))
	}
	if stopped != nil {
		return fail(fmt.Errorf("%w: the command goes on in the container until it ends by itself", stopped))
	}
	c, done := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer done()
	res, gone, ierr := outcome(c, cli, id, ex.ID)
	switch {
	case gone:
		return fail(ErrGone)
	case ierr != nil:
		return fail(fmt.Errorf("its result is unknown: %s", state.Clean(ierr.Error())))
	case (res.ExitCode == 126 || res.ExitCode == 127) && !head.open && notFoundIn(head.String()):
		return fail(fmt.Errorf("%w: %s", ErrNotStarted, state.Clean(head.String())))
	case err != nil:
		return fail(fmt.Errorf("the connection broke: %s", state.Clean(err.Error())))
	}
	return res.ExitCode, nil
}

// killedCode is the exit code of what was ended by SIGKILL, as everything in a
// container is that ends.
const killedCode = 128 + 9

// outcome returns the result of a command whose output has ended, and whether its
// container ended under it. The engine learns of both a moment later than the
// output ends.
func outcome(ctx context.Context, cli *client.Client, id, exec string) (res client.ExecInspectResult, gone bool, err error) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for tries := 0; ; tries++ {
		res, err = cli.ExecInspect(ctx, exec, client.ExecInspectOptions{})
		switch {
		case errdefs.IsNotFound(err):
			return res, true, nil
		case err != nil:
			return res, false, err
		case !res.Running && res.ExitCode != killedCode:
			return res, false, nil
		}
		in, err := cli.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
		if errdefs.IsNotFound(err) || err == nil && in.Container.State != nil && !in.Container.State.Running {
			return res, true, nil
		}
		if !res.Running && tries >= 10 {
			return res, false, nil
		}
		if tries >= 60 {
			return res, false, errors.New("it still runs, though its output has ended")
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return res, false, ctx.Err()
		}
	}
}

// follow sends the terminal's sizes to the engine. One before API 1.42 accepts no
// first size, and refuses one until the process has started: so it is sent again
// until it agrees.
func follow(ctx context.Context, cli *client.Client, exec string, size [2]uint16, resize <-chan [2]uint16) {
	apply := time.NewTimer(0)
	defer apply.Stop()
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
			_, err := cli.ExecResize(ctx, exec, client.ExecResizeOptions{Height: uint(size[1]), Width: uint(size[0])})
			if tries++; err != nil && tries < 20 {
				apply.Reset(time.Duration(tries) * 10 * time.Millisecond)
			}
		}
	}
}

// notFoundIn reports whether text is a container runtime's message that there is no
// such program.
func notFoundIn(text string) bool {
	return bytes.Contains([]byte(text), []byte("executable file not found")) ||
		bytes.Contains([]byte(text), []byte("OCI runtime exec failed")) || bytes.Contains([]byte(text), []byte("exec failed: unable to start container process"))
}

// heldOutput passes on what is written to it, and keeps its first bytes. It holds back
// what may be the engine's word that there is no such program, which is no output.
type heldOutput struct {
	w    io.Writer
	buf  bytes.Buffer
	held []byte
	open bool
}

// refusal is how such a word begins.
const refusal = "OCI runtime exec failed"

// Write implements io.Writer.
func (b *heldOutput) Write(p []byte) (int, error) {
	if n := 512 - b.buf.Len(); n > 0 {
		b.buf.Write(p[:min(n, len(p))])
	}
	if b.open {
		return b.w.Write(p)
	}
	b.held = append(b.held, p...)
	if n := min(len(b.held), len(refusal)); string(b.held[:n]) == refusal[:n] && len(b.held) <= 4<<10 {
		return len(p), nil
	}
	return len(p), b.flush()
}

// flush passes on what is held back.
func (b *heldOutput) flush() error {
	b.open = true
	_, err := b.w.Write(b.held)
	b.held = nil
	return err
}

// String returns the first bytes.
func (b *heldOutput) String() string { return strings.TrimSpace(b.buf.String()) }

// shells are looked for in this order, where images have them.
var shells = []struct{ name, path string }{
	{"bash", "/bin/bash"}, {"bash", "/usr/bin/bash"}, {"bash", "/usr/local/bin/bash"},
	{"ash", "/bin/ash"}, {"sh", "/bin/sh"}, {"sh", "/usr/bin/sh"}, {"sh", "/busybox/sh"},
}

// FindShell returns the path of a shell in the container: of that name, or the best where
// it is "". A path is taken as it is.
func (s *Source) FindShell(ctx context.Context, id, name string) (string, error) {
	if len(name) > 0 && name[0] == '/' {
		return name, nil
	}
	cli, leave, err := s.connect(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	for _, sh := range shells {
		if name != "" && sh.name != name {
			continue
		}
		_, err := cli.ContainerStatPath(ctx, id, client.ContainerStatPathOptions{Path: sh.path})
		if err == nil {
			return sh.path, nil
		}
		if !errdefs.IsNotFound(err) {
			return "", fmt.Errorf("docker: a shell in %s: %s", short(id), state.Clean(err.Error()))
		}
	}
	if _, err := cli.ContainerInspect(ctx, id, client.ContainerInspectOptions{}); err != nil {
		return "", fmt.Errorf("docker: a shell in %s: %s", short(id), state.Clean(err.Error()))
	}
	if name == "" {
		name = "sh" // somewhere else on its path
	}
	return name, nil
}

// Shell runs a shell in the container on a terminal of its own: bash where there is
// one, else ash, else sh. It ends as [Source.Exec] does; what the shell's last
// command came to is no error.
func (s *Source) Shell(ctx context.Context, id string, stdin io.Reader, stdout io.Writer, resize <-chan [2]uint16) error {
	path, err := s.FindShell(ctx, id, "")
	if err != nil {
		return err
	}
	_, err = s.Exec(ctx, id, Exec{Cmd: []string{path}, TTY: true, Env: []string{"TERM=xterm-256color"}, Stdin: stdin, Stdout: stdout, Stderr: stdout, Resize: resize})
	if errors.Is(err, ErrNotStarted) {
		return fmt.Errorf("docker: a shell in %s: %w", short(id), ErrNoShell)
	}
	return err
}
