package ssh

import (
	"context"
	"errors"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
)

func TestATargetIsTakenFromAURLAndNeverAnOption(t *testing.T) {
	for _, c := range []struct {
		at   string
		want Target
		err  error
	}{
		{"ssh://far", Target{Host: "far"}, nil},
		{"ssh://ops@far:2222/srv", Target{Host: "far", User: "ops", Port: "2222"}, nil},
		{"ssh://[::1]:22", Target{Host: "::1", Port: "22"}, nil},
		{"ssh://-oProxyCommand=x", Target{}, ErrNoHost},
		{"ssh://-l@far", Target{}, ErrNoHost},
		{"ssh:///path", Target{}, ErrNoHost},
		{"ssh://ops:pw@far", Target{}, ErrPassword},
	} {
		u, err := url.Parse(c.at)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := FromURL(u); got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: got %+v, %v, want %+v, %v", c.at, got, err, c.want, c.err)
		}
	}
	if got := (Target{Host: "far", User: "ops", Port: "22"}).String(); got != "ops@far:22" {
		t.Errorf("got %s", got)
	}
}

func TestACommandsOwnOptionsComeBeforeThoseOfEverySSH(t *testing.T) {
	c := Command{Target: Target{Host: "far", User: "ops", Port: "22"}, Flags: []string{"-N"}, Options: []string{"LogLevel=DEBUG"}, Connect: 1500 * time.Millisecond, Remote: "true"}
	const want = "-T -a -x -o LogLevel=DEBUG -o BatchMode=yes -o ConnectTimeout=2 -o RemoteCommand=none -o PermitLocalCommand=no -o LogLevel=INFO " +
		"-o ServerAliveInterval=5 -o ServerAliveCountMax=3 -p 22 -l ops -N -- far true"
	if got := strings.Join(c.Args(), " "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	c.Ask = true
	if got := strings.Join(c.Args(), " "); strings.Contains(got, "BatchMode") {
		t.Errorf("one that may ask: %s", got)
	}
}

func TestWhatSSHSaysIsExplained(t *testing.T) {
	far := Target{Host: "far"}
	set := Configuration{"userknownhostsfile": "/k /k2", "hostname": "10.0.0.1", "port": "2222"}
	for _, c := range []struct {
		said string
		set  Configuration
		is   error
		want string
	}{
		{"x\nHost key verification failed.", set, ErrHostKeyUnknown, "/k has none for [10.0.0.1]:2222"},
		{"x\nHost key verification failed.", nil, nil, "ssh: Host key verification failed.: connect once"},
		{"WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!\nOffending ED25519 key in /k:7\nHost key verification failed.", set, ErrHostKeyChanged, "(/k:7): it may be another machine that intercepts the connection"},
		{"ops@far: Permission denied (publickey).", set, nil, "it accepts none of the keys there are (ops@far: Permission denied (publickey).)"},
		{"ops@far: Permission denied (publickey).", nil, nil, "ssh: ops@far: Permission denied (publickey).: ssh-add"},
		{"No route to host\n\n", nil, nil, "ssh: No route to host"},
		{"", set, nil, "ssh: it ended without a reason"},
	} {
		err := far.Explain(c.said, c.set)
		if !strings.HasPrefix(err.Error(), c.want) && !strings.Contains(err.Error(), c.want) || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%q: got %v, want %q and %v", c.said, err, c.want, c.is)
		}
	}
}

// fake writes an ssh that is a script.
func fake(t *testing.T, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ssh")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAnSSHThatIsReadEndsWithItsReaderAndSaysWhyItFailed(t *testing.T) {
	all := func(want string) func(io.Reader) error {
		return func(r io.Reader) error {
			b, err := io.ReadAll(r)
			if string(b) != want {
				t.Errorf("read %q, want %q", b, want)
			}
			return err
		}
	}
	far := Command{Target: Target{Host: "far"}, Program: fake(t, "echo out; echo \"it is\033[1m gone\" >&2; exit 75")}
	err := far.Read(t.Context(), all("out\n"))
	var code *exec.ExitError
	if !errors.As(err, &code) || code.ExitCode() != 75 || err.Error() != "ssh: it is^[[1m gone" {
		t.Errorf("got %v", err)
	}
	far.Program = fake(t, "echo out; exec sleep 1000")
	stop := errors.New("enough")
	if err := far.Read(t.Context(), func(r io.Reader) error { _, _ = r.Read(make([]byte, 1)); return stop }); !errors.Is(err, stop) {
		t.Errorf("got %v, want what its reader said", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := far.Read(ctx, func(r io.Reader) error { _, _ = r.Read(make([]byte, 4)); cancel(); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	far.Program = "no-such-ssh-here"
	if err := far.Read(t.Context(), all("")); !errors.Is(err, ErrNotInstalled) {
		t.Errorf("got %v, want %v", err, ErrNotInstalled)
	}
}

func TestAClosedSSHHasEndedAndAGuardedOneEndsWithItsInput(t *testing.T) {
	for _, guarded := range []bool{false, true} {
		pid := filepath.Join(t.TempDir(), "pid")
		c := Command{Target: Target{Host: "far"}, Guarded: guarded, Program: fake(t, "echo $$ >"+pid+".new; mv "+pid+".new "+pid+"; echo here >&2; exec sleep 1000")}
		p, err := Start(c, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		sourcetest.Until(t, "it says so", func() bool { return p.Stderr() == "here" })
		if guarded { // as when this process ends
			_ = p.stdin.Close()
			<-p.Ended()
		}
		p.Close()
		b, err := os.ReadFile(pid)
		if err != nil {
			t.Fatal(err)
		}
		if exec.Command("kill", "-0", strings.TrimSpace(string(b))).Run() == nil {
			t.Errorf("guarded %v: ssh is alive", guarded)
		}
	}
}
