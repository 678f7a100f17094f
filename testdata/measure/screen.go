package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// screen is a program in a tmux of its own, at 200 by 50.
type screen struct {
	socket string
	dir    string
	pid    int
	began  time.Time

	shown    string // when so many bytes were written
	captured int64
}

var screens int

// show starts a program; it waits before its exec until start is called.
func (l *lab) show(cmd ...string) (*screen, error) {
	screens++
	s := &screen{socket: fmt.Sprintf("%s-%d", l.name(), screens), dir: filepath.Join(l.dir, fmt.Sprintf("screen-%d", screens))}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, err
	}
	conf := "set -g status off\nset -g default-terminal tmux-256color\nset -g history-limit 0\nset -sg escape-time 0\n"
	if err := os.WriteFile(s.file("conf"), []byte(conf), 0o600); err != nil {
		return nil, err
	}
	if _, err := command("mkfifo", s.file("go")); err != nil {
		return nil, err
	}
	quoted := make([]string, len(cmd))
	for i, c := range cmd {
		quoted[i] = "'" + strings.ReplaceAll(c, "'", `'\''`) + "'"
	}
	script := fmt.Sprintf("echo $$ >'%s'; read _ <'%s'; HOME='%s' LC_ALL=C.UTF-8 exec %s 2>'%s'", s.file("pid"), s.file("go"), l.dir, strings.Join(quoted, " "), s.file("stderr"))
	c := exec.Command("tmux", "-L", s.socket, "-f", s.file("conf"), "new-session", "-d", "-s", "m", "-x", "200", "-y", "50", "sh", "-c", script)
	c.Env = append(os.Environ(), "TMUX=", "DOCKER_HOST=")
	if out, err := c.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("tmux: %w: %s", err, out)
	}
	if _, err := s.tmux("pipe-pane", "-t", "m", "exec cat >'"+s.file("out")+"'"); err != nil {
		return nil, err
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		b, _ := os.ReadFile(s.file("pid"))
		_, err := os.Stat(s.file("out"))
		if s.pid, _ = strconv.Atoi(strings.TrimSpace(string(b))); s.pid > 0 && err == nil {
			return s, nil
		}
		if time.Now().After(end) {
			s.close()
			return nil, fmt.Errorf("tmux did not start the program")
		}
	}
}

func (s *screen) file(name string) string { return filepath.Join(s.dir, name) }

func (s *screen) tmux(args ...string) (string, error) {
	out, err := exec.Command("tmux", append([]string{"-L", s.socket}, args...)...).Output()
	return string(out), err
}

// start lets the program begin, which is its time 0.
func (s *screen) start() error {
	f, err := os.OpenFile(s.file("go"), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	s.began = time.Now()
	_, err = f.WriteString("go\n")
	return err
}

// text returns what the screen shows. It is asked for only when something was written since:
// asking all the time takes a core of what is measured.
func (s *screen) text() string {
	if n := s.written(); n != s.captured || s.shown == "" {
		s.shown, _ = s.tmux("capture-pane", "-p", "-t", "m")
		s.captured = n
	}
	return s.shown
}

// written returns how many bytes the program has written to its terminal.
func (s *screen) written() int64 {
	st, err := os.Stat(s.file("out"))
	if err != nil {
		return 0
	}
	return st.Size()
}

func (s *screen) keys(keys ...string) {
	_, _ = s.tmux(append([]string{"send-keys", "-t", "m"}, keys...)...)
}

// until waits until the screen matches, and says how long after from that was;
// without a match it is an error that holds the screen's line most like it.
func (s *screen) until(from time.Time, limit time.Duration, what string) (time.Duration, error) {
	re := regexp.MustCompile(what)
	for {
		text := s.text()
		took := time.Since(from)
		if re.MatchString(text) {
			return took, nil
		}
		if _, err := os.Stat(fmt.Sprintf("/proc/%d", s.pid)); err != nil {
			stderr, _ := os.ReadFile(s.file("stderr"))
			return took, fmt.Errorf("the console has ended: %s", stderr)
		}
		if took > limit {
			_ = os.WriteFile(s.file("missing.txt"), []byte(what+"\n"+text), 0o600)
			return took, fmt.Errorf("%q does not show within %s", what, limit)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// untilNot waits until the screen no longer matches.
func (s *screen) untilNot(from time.Time, limit time.Duration, what string) (time.Duration, error) {
	re := regexp.MustCompile(what)
	for {
		text := s.text()
		took := time.Since(from)
		switch {
		case !re.MatchString(text):
			return took, nil
		case took > limit:
			return took, fmt.Errorf("%q still shows after %s", what, limit)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// alive reports whether the program still runs.
func (s *screen) alive() bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.pid)) // the command line is empty while a program takes the shell's place
	_, rest, ok := strings.Cut(string(b), ") ")
	return err == nil && ok && !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}

// close ends the program, and tmux.
func (s *screen) close() {
	if p, err := os.FindProcess(s.pid); err == nil && s.pid > 0 {
		_ = p.Signal(os.Interrupt)
	}
	for end := time.Now().Add(5 * time.Second); s.alive() && time.Now().Before(end); {
		time.Sleep(20 * time.Millisecond)
	}
	_, _ = s.tmux("kill-server")
}
