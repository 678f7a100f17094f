package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
)

func TestExecGivesOutputErrorsAndExitCodeApart(t *testing.T) {
	engineHere(t)
	src := New(Config{})
	name := start(t, "exec", "--", "sleep", "1000")
	for _, tt := range []struct {
		name           string
		e              Exec
		code           int
		out, errOut    string
		notStarted, in bool
	}{
		{name: "both streams", e: Exec{Cmd: []string{"sh", "-c", "echo a; echo b >&2; exit 7"}}, code: 7, out: "a\n", errOut: "b\n"},
		{name: "standard input", e: Exec{Cmd: []string{"cat"}, Stdin: strings.NewReader("typed\nlines")}, out: "typed\nlines"},
		{name: "folder and variables", e: Exec{Cmd: []string{"sh", "-c", "echo $PWD $A"}, Dir: "/bin", Env: []string{"A=b"}}, out: "/bin b\n"},
		{name: "user", e: Exec{Cmd: []string{"sh", "-c", "busybox id -u"}, User: "12:13"}, out: "12\n"},
		{name: "no such program", e: Exec{Cmd: []string{"nope"}}, notStarted: true},
		{name: "its own 127", e: Exec{Cmd: []string{"sh", "-c", "nope"}}, code: 127, errOut: "sh: nope: not found\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out, errOut bytes.Buffer
			tt.e.Stdout, tt.e.Stderr = &out, &errOut
			code, err := src.Exec(t.Context(), name, tt.e)
			if tt.notStarted {
				if !errors.Is(err, ErrNotStarted) {
					t.Errorf("got %d, %v", code, err)
				}
				return
			}
			if err != nil || code != tt.code || out.String() != tt.out || errOut.String() != tt.errOut {
				t.Errorf("got %d, %q, %q, %v; want %d, %q, %q", code, out.String(), errOut.String(), err, tt.code, tt.out, tt.errOut)
			}
		})
	}
	if _, err := src.Exec(t.Context(), "no-such-container", Exec{Cmd: []string{"true"}, Stdout: io.Discard, Stderr: io.Discard}); err == nil || !strings.Contains(err.Error(), "No such container") {
		t.Errorf("no such container: %v", err)
	}
}

// signalWriter is an output that signals when it has text.
type signalWriter struct {
	mu   sync.Mutex
	buf  strings.Builder
	text string
	has  chan struct{}
	once sync.Once
}

func (o *signalWriter) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.buf.Write(p)
	if strings.Contains(o.buf.String(), o.text) {
		o.once.Do(func() { close(o.has) })
	}
	return len(p), nil
}

func TestAnExecEndsCleanlyWhenItsContainerIsRemovedOrItIsCancelled(t *testing.T) {
	engineHere(t)
	src := New(Config{})
	for _, how := range []string{"removed", "killed", "cancelled"} {
		t.Run(how, func(t *testing.T) {
			name := start(t, "end-"+how, "--", "sleep", "1000")
			ctx, cancel := context.WithTimeout(t.Context(), sourcetest.Patience)
			defer cancel()
			keys, typed := io.Pipe()
			defer typed.Close()
			out := &signalWriter{text: "42", has: make(chan struct{})}
			done := make(chan error, 1)
			go func() { done <- src.Shell(ctx, name, keys, out, nil) }()
			go func() { _, _ = io.WriteString(typed, "echo $((6*7))\n") }()
			<-out.has
			want := ErrGone
			switch how {
			case "removed":
				docker(t, "rm", "-f", name)
			case "killed":
				docker(t, "kill", name)
			case "cancelled":
				cancel()
				want = context.Canceled
			}
			if err := <-done; !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
		})
	}
}

func TestAnImageWithoutAShellSaysSo(t *testing.T) {
	engineHere(t)
	image := fmt.Sprintf("opsdeck-test:noshell-%d", os.Getpid())
	root := t.TempDir()
	box, err := exec.LookPath("busybox")
	if err != nil {
		sourcetest.Missing(t, "a static busybox")
	}
	b, err := os.ReadFile(box)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Mkdir(filepath.Join(root, "only"), 0o755), os.WriteFile(filepath.Join(root, "only", "busybox"), b, 0o755)); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("sh", "-c", "tar -C "+root+" -c only | docker import - "+image).CombinedOutput(); err != nil {
		t.Fatalf("docker import: %v: %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("docker", "rmi", image).Run() })
	name := fmt.Sprintf("opsdeck-test-%d-noshell", os.Getpid())
	docker(t, "run", "-d", "--name", name, image, "/only/busybox", "sleep", "1000")
	t.Cleanup(func() { _ = exec.Command("docker", "rm", "-f", name).Run() })
	src := New(Config{})
	if err := src.Shell(t.Context(), name, strings.NewReader(""), io.Discard, nil); !errors.Is(err, ErrNoShell) {
		t.Errorf("got %v", err)
	}
	if path, err := src.FindShell(t.Context(), start(t, "shells", "--", "sleep", "1000"), ""); path != "/bin/sh" || err != nil {
		t.Errorf("busybox has %q, %v", path, err)
	}
}

func TestFilesGoInAndComeOutAsTheyWere(t *testing.T) {
	engineHere(t)
	src := New(Config{})
	name := start(t, "copy", "--", "sleep", "1000")
	from := filepath.Join(t.TempDir(), "tree")
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	for _, err := range []error{
		os.MkdirAll(filepath.Join(from, "sub", "deep"), 0o755), os.WriteFile(filepath.Join(from, "big"), big, 0o640), os.WriteFile(filepath.Join(from, "sub", "run.sh"), []byte("#!/bin/sh\n"), 0o755),
		os.Symlink("../big", filepath.Join(from, "sub", "link")), os.WriteFile(filepath.Join(from, "sub", "deep", "wëird name"), nil, 0o600),
		os.Chmod(filepath.Join(from, "sub", "deep"), 0o500),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	var seen int64
	in, err := src.CopyIn(t.Context(), from, name, "/", func(n int64) { seen = n })
	if err != nil || in.Files != 3 || in.Bytes != int64(len(big))+10 || seen != in.Bytes || in.To != "/tree" {
		t.Fatalf("in: %+v, seen %d, %v", in, seen, err)
	}
	if _, err := src.CopyIn(t.Context(), filepath.Join(from, "big"), name, "/tree/renamed", nil); err != nil {
		t.Fatal(err)
	}
	if got := docker(t, "exec", name, "sh", "-c", "busybox stat -c '%u %a' /tree/big /tree/renamed /tree/sub/run.sh"); got != "0 640\n0 640\n0 755\n" {
		t.Errorf("in the container: %q", got)
	}
	to := t.TempDir()
	out, err := src.CopyOut(t.Context(), name, "/tree", to, nil)
	if err != nil || out.Files != 5 || len(out.Skipped) != 0 {
		t.Fatalf("out: %+v, %v", out, err)
	}
	t.Cleanup(func() { _ = os.Chmod(filepath.Join(to, "tree", "sub", "deep"), 0o700) })
	for file, mode := range map[string]fs.FileMode{"big": 0o640, "sub/run.sh": 0o755, "sub/deep": fs.ModeDir | 0o500, "sub/deep/wëird name": 0o600} {
		if st, err := os.Stat(filepath.Join(to, "tree", file)); err != nil || st.Mode() != mode {
			t.Errorf("%s: %v, %v, want %v", file, st, err, mode)
		}
	}
	if got, err := os.ReadFile(filepath.Join(to, "tree", "sub", "link")); err != nil || !bytes.Equal(got, big) {
		t.Errorf("through the link: %d bytes, %v", len(got), err)
	}
	one := filepath.Join(t.TempDir(), "one")
	if _, err := src.CopyOut(t.Context(), name, "/tree/sub/run.sh", one, nil); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(one); string(b) != "#!/bin/sh\n" {
		t.Errorf("one file: %q", b)
	}
	var w bytes.Buffer
	if c, err := src.ReadOut(t.Context(), name, "/tree/sub/run.sh", &w); err != nil || w.String() != "#!/bin/sh\n" || c.Bytes != 10 {
		t.Errorf("to a stream: %q, %+v, %v", w.String(), c, err)
	}
	for what, f := range map[string]func() error{
		"Could not find":  func() error { _, err := src.CopyOut(t.Context(), name, "/none", to, nil); return err },
		"no such file":    func() error { _, err := src.CopyIn(t.Context(), "/none/here", name, "/", nil); return err },
		"no folder /none": func() error { _, err := src.CopyIn(t.Context(), one, name, "/none/x", nil); return err },
		"No such container": func() error {
			_, err := src.CopyIn(t.Context(), one, "no-such-container", "/x", nil)
			return err
		},
	} {
		if err := f(); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("got %v, want %q in it", err, what)
		}
	}
}

func TestAHostileArchiveWritesNothingOutsideOfItsFolder(t *testing.T) {
	outside := t.TempDir()
	victim := filepath.Join(outside, "victim")
	write(t, victim, "as it was")
	for _, tt := range []struct {
		name    string
		entries []tar.Header
		skipped int
		fails   bool
	}{
		{"names that climb", []tar.Header{{Name: "../../../../../../" + victim, Typeflag: tar.TypeReg}, {Name: "base/../../x", Typeflag: tar.TypeReg}}, 0, false},
		{"an absolute name", []tar.Header{{Name: victim, Typeflag: tar.TypeReg}}, 0, false},
		{"through a link to a folder", []tar.Header{{Name: "base/l", Typeflag: tar.TypeSymlink, Linkname: outside}, {Name: "base/l/victim", Typeflag: tar.TypeReg}}, 1, false},
		{"through a relative link", []tar.Header{{Name: "base/l", Typeflag: tar.TypeSymlink, Linkname: "../../../../../../../.." + outside}, {Name: "base/l/victim", Typeflag: tar.TypeReg}}, 1, false},
		{"over a link to a file", []tar.Header{{Name: "base/l", Typeflag: tar.TypeSymlink, Linkname: victim}, {Name: "base/l", Typeflag: tar.TypeReg}}, 1, false},
		{"a hard link out", []tar.Header{{Name: "base/h", Typeflag: tar.TypeLink, Linkname: victim}, {Name: "base/h", Typeflag: tar.TypeReg}}, 1, false},
		{"a device and a pipe", []tar.Header{{Name: "base/d", Typeflag: tar.TypeChar, Devmajor: 1}, {Name: "base/p", Typeflag: tar.TypeFifo}}, 2, false},
		{"set-uid", []tar.Header{{Name: "base/s", Typeflag: tar.TypeReg, Mode: 0o6755}}, 0, false},
		{"through a link that was there", []tar.Header{{Name: "base/there/victim", Typeflag: tar.TypeReg}}, 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b bytes.Buffer
			w := tar.NewWriter(&b)
			for _, h := range tt.entries {
				if h.Mode == 0 {
					h.Mode = 0o644
				}
				body := []byte("changed")
				if h.Typeflag != tar.TypeReg {
					body = nil
				}
				h.Size = int64(len(body))
				if err := w.WriteHeader(&h); err != nil {
					t.Fatal(err)
				}
				_, _ = w.Write(body)
			}
			_ = w.Close()
			dir := t.TempDir()
			to := filepath.Join(dir, "to")
			if err := errors.Join(os.MkdirAll(filepath.Join(to, "base"), 0o755), os.Symlink(outside, filepath.Join(to, "base", "there"))); err != nil {
				t.Fatal(err)
			}
			root, err := os.OpenRoot(to)
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			var c Copied
			err = c.extract(tar.NewReader(&b), root, "base", "base", nil)
			if (err != nil) != tt.fails || len(c.Skipped) != tt.skipped {
				t.Errorf("skipped %q, %v", c.Skipped, err)
			}
			if got, _ := os.ReadFile(victim); string(got) != "as it was" {
				t.Errorf("what is outside is now %q", got)
			}
			if left, _ := os.ReadDir(dir); len(left) != 1 {
				t.Errorf("beside the folder there are now %v", left)
			}
			_ = filepath.WalkDir(to, func(p string, d fs.DirEntry, err error) error {
				if st, err := d.Info(); err == nil && st.Mode()&(fs.ModeSetuid|fs.ModeSetgid|fs.ModeDevice|fs.ModeNamedPipe) != 0 {
					t.Errorf("%s has mode %v", p, st.Mode())
				}
				return nil
			})
		})
	}
}
