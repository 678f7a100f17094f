package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// terminal is a program on a pseudo-terminal of our own, 200 by 50, for what tmux
// is too slow to tell.
type terminal struct {
	cmd    *exec.Cmd
	pty    *os.File
	chunks chan chunk
}

// chunk is what the program wrote, and when.
type chunk struct {
	data []byte
	at   time.Time
}

func (l *lab) terminal(cmd ...string) (*terminal, error) {
	pty, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	fd := int(pty.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 50, Col: 200})
	}
	if err != nil {
		pty.Close()
		return nil, err
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		pty.Close()
		return nil, err
	}
	defer tty.Close()
	t := &terminal{cmd: exec.Command(cmd[0], cmd[1:]...), pty: pty, chunks: make(chan chunk, 1024)}
	t.cmd.Env = append(os.Environ(), "TERM=xterm-256color", "LC_ALL=C.UTF-8", "TMUX=", "DOCKER_HOST=", "HOME="+l.dir)
	t.cmd.Stdin, t.cmd.Stdout, t.cmd.Stderr = tty, tty, tty
	t.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := t.cmd.Start(); err != nil {
		pty.Close()
		return nil, err
	}
	go func() {
		defer close(t.chunks)
		for {
			buf := make([]byte, 64<<10)
			n, err := pty.Read(buf)
			if n > 0 {
				t.chunks <- chunk{buf[:n], time.Now()}
			}
			if err != nil {
				return
			}
		}
	}()
	return t, nil
}

// await reads until something holds want, and says when that came.
func (t *terminal) await(want string, limit time.Duration) (time.Time, error) {
	deadline := time.After(limit)
	var tail []byte
	for {
		select {
		case c, ok := <-t.chunks:
			if !ok {
				return time.Time{}, errors.New("the console has ended")
			}
			tail = append(tail, c.data...)
			if bytes.Contains(tail, []byte(want)) {
				return c.at, nil
			}
			tail = tail[max(0, len(tail)-len(want)):]
		case <-deadline:
			return time.Time{}, fmt.Errorf("%q was not drawn within %s", want, limit)
		}
	}
}

// drain forgets what has come, until nothing comes for a while.
func (t *terminal) drain(quiet time.Duration) {
	for end := time.Now().Add(quiet); ; {
		select {
		case _, ok := <-t.chunks:
			if !ok {
				return
			}
		case <-time.After(time.Until(end)):
			return
		}
	}
}

func (t *terminal) key(k string) (time.Time, error) {
	at := time.Now()
	_, err := t.pty.WriteString(k)
	return at, err
}

func (t *terminal) close() {
	_ = t.cmd.Process.Signal(syscall.SIGTERM)
	done := make(chan struct{})
	go func() { _ = t.cmd.Wait(); close(done) }()
	for {
		select {
		case <-done:
			t.pty.Close()
			return
		case <-t.chunks:
		case <-time.After(5 * time.Second):
			_ = t.cmd.Process.Kill()
		}
	}
}
