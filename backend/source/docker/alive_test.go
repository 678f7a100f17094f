package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moby/moby/client"

	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
	"github.com/opsdeck/opsdeck/backend/state"
)

// wire is an engine's end of the API without a network, so that it can be had in a
// bubble. A nil answer is that of a frozen one.
type wire func(*http.Request) *http.Response

// RoundTrip implements http.RoundTripper.
func (w wire) RoundTrip(r *http.Request) (*http.Response, error) {
	if res := w(r); res != nil {
		res.Request = r
		return res, nil
	}
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func frozen(*http.Request) *http.Response { return nil }

func answer(code int, body string) *http.Response {
	return &http.Response{StatusCode: code, Header: http.Header{"Api-Version": {"1.41"}, "Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body))}
}

// runningOn returns a source whose run has that engine, and one container, web.
func runningOn(t *testing.T, w wire) *Source {
	t.Helper()
	cli, err := client.New(client.WithHTTPClient(&http.Client{Transport: w}), client.WithAPIVersion("1.41"))
	if err != nil {
		t.Fatal(err)
	}
	s := New(Config{})
	s.setEngine(cli, t.Context())
	s.list.Store(&[]state.Container{{ID: webID, Title: "web", State: "running"}})
	return s
}

var webID = strings.Repeat("5e", 32)

func TestAnActionOnAFrozenEngineEndsAndSaysWhatIsKnown(t *testing.T) {
	for _, kind := range []state.Kind{state.ContainerRestart, state.ContainerPrune, state.ContainerUpdate} {
		synctest.Test(t, func(t *testing.T) {
			s := runningOn(t, frozen)
			began := time.Now()
			_, err := s.Execute(t.Context(), state.Action{Kind: kind, Target: "web", Args: map[string]string{"memory": "64m", "images": "yes"}}, func(string, float64) {})
			if err == nil || time.Since(began) > silenceLimit+pingEvery+pingTimeout {
				t.Fatalf("%s: %v after %s", kind, err, time.Since(began))
			}
			if kind != state.ContainerRestart {
				return
			}
			if !errors.Is(err, ErrLost) {
				t.Errorf("%v is not ErrLost", err)
			}
			for _, part := range []string{"no answer for 15s", "Known: the engine was asked at 00:00:00 UTC, when it was running", "Not known: whether it was done"} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%v\nwant %q in it", err, part)
				}
			}
		})
	}
}

func TestAnActionOnAnEngineThatIsSlowIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		silent := 0
		s := runningOn(t, func(r *http.Request) *http.Response {
			switch {
			case strings.HasSuffix(r.URL.Path, "/_ping"):
				if silent++; silent%3 != 0 { // two pings are lost, the third is not
					return nil
				}
				return answer(200, "OK")
			case strings.HasSuffix(r.URL.Path, "/restart"):
				time.Sleep(10 * time.Minute)
				return answer(204, "")
			}
			return answer(404, `{"message":"no"}`)
		})
		out, err := s.Execute(t.Context(), state.Action{Kind: state.ContainerRestart, Target: "web"}, func(string, float64) {})
		if err != nil || !strings.Contains(out.Result, "restarted web in 10m0s") {
			t.Errorf("%q, %v", out.Result, err)
		}
	})
}

// What broke on its way says whether the engine was asked.
func TestWhatIsKnownOfAnActionWhoseConnectionBroke(t *testing.T) {
	e := newScripted(t, "web")
	var asked atomic.Bool
	mux := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/restart") {
			e.serve(w, r)
			return
		}
		asked.Store(true)
		if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_ = c.Close()
		}
	})
	e.srv.Config.Handler = mux
	cli, err := client.New(client.WithHost(e.host()))
	if err != nil {
		t.Fatal(err)
	}
	s := New(Config{})
	s.setEngine(cli, t.Context())
	s.list.Store(&[]state.Container{{ID: e.id("web"), Title: "web", State: "running"}})
	restart := func() string {
		_, err := s.Execute(t.Context(), state.Action{Kind: state.ContainerRestart, Target: "web"}, func(string, float64) {})
		return fmt.Sprint(err)
	}
	if got := restart(); !asked.Load() || !strings.Contains(got, "Not known: whether it was done") {
		t.Errorf("cut off after it was asked: %s", got)
	}
	gone, err := client.New(client.WithHost("unix://" + filepath.Join(t.TempDir(), "none.sock")))
	if err != nil {
		t.Fatal(err)
	}
	s.setEngine(gone, t.Context())
	if got := restart(); !strings.Contains(got, "nothing was sent to the engine") {
		t.Errorf("never connected: %s", got)
	}
}

func TestAContainerOfOneHostIsFoundWhileAnotherIsFrozen(t *testing.T) {
	for target, most := range map[string]time.Duration{webID: 0, "web": stragglerTimeout} {
		synctest.Test(t, func(t *testing.T) {
			h := hostsOf(t, Config{Title: "a"}, Config{Title: "b"})
			h.members[0].src = runningOn(t, frozen)
			h.members[1].src = runningOn(t, func(*http.Request) *http.Response {
				return answer(200, `{"Id":"`+webID+`"}`)
			})
			began := time.Now()
			s, _, err := h.Of(t.Context(), target)
			if err != nil || s != h.members[1].src || time.Since(began) > most {
				t.Errorf("%s: %v after %s, want it after %s at most", target, err, time.Since(began), most)
			}
			synctest.Wait()
		})
	}
}

// A pane that is closed does not wait for an ssh that cannot connect.
func TestAnSSHThatCannotConnectEndsWithItsReader(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "ssh"), []byte("#!/bin/sh\ntouch "+dir+"/began\nexec sleep 1000\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, _, err := New(Config{Host: "ssh://far"}).OpenLog(ctx, "web", time.Time{}, 1)
		done <- err
	}()
	sourcetest.Until(t, "ssh was started", func() bool {
		select {
		case err := <-done:
			t.Fatal(err)
		default:
		}
		return fileExists(filepath.Join(dir, "began"))
	})
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want it to end with its context", err)
	}
}

// Of an engine that is lost a log is not asked for, again and again, over connections
// of its own; and what is open ends with the run.
func TestALogEndsWithTheRunThatItWasOpenedIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := runningOn(t, func(r *http.Request) *http.Response {
			if strings.HasSuffix(r.URL.Path, "/logs") {
				return &http.Response{StatusCode: 200, Body: io.NopCloser(endless{r.Context()})}
			}
			return answer(200, `{"Id":"`+webID+`"}`)
		})
		up, down := context.WithCancel(t.Context())
		s.setEngine(s.cli, up)
		rc, _, err := s.OpenLog(t.Context(), webID, time.Time{}, 1)
		if err != nil {
			t.Fatal(err)
		}
		defer rc.Close()
		down()
		if _, err := rc.Read(make([]byte, 1)); !errors.Is(err, context.Canceled) {
			t.Errorf("a log whose engine was lost: %v", err)
		}
	})
	s := New(Config{Host: "unix:///nonexistent/docker.sock"})
	why := s.Run(t.Context(), func(state.Section) {})
	if _, _, err := s.OpenLog(t.Context(), webID, time.Time{}, 1); err == nil || err.Error() != why.Error() {
		t.Errorf("a log of a lost engine: %v, want %v", err, why)
	}
	if _, err := s.Execute(t.Context(), state.Action{Kind: state.ContainerRestart, Target: "web"}, nil); err == nil || !strings.Contains(err.Error(), "/nonexistent/docker.sock") {
		t.Errorf("an action on a lost engine does not say why: %v", err)
	}
}

// endless is a stream on which nothing comes.
type endless struct{ ctx context.Context }

// Read implements io.Reader.
func (e endless) Read([]byte) (int, error) {
	<-e.ctx.Done()
	return 0, e.ctx.Err()
}

// pipes is a listener without a network.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if c, ok := <-p; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (p pipes) Close() error   { return nil }
func (p pipes) Addr() net.Addr { return &net.UnixAddr{} }
func (p pipes) dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	p <- there
	return here, nil
}

// keys is a terminal without input.
type keys struct{ *io.PipeReader }

func (k keys) Cancel() bool { return k.Close() == nil }

// The terminal is given back by an engine that is frozen: raw as it is, it would take
// no key that ends the shell.
func TestAShellOnAFrozenEngineIsEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far := make(pipes)
		var open net.Conn
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case strings.HasSuffix(r.URL.Path, "/exec"):
				w.WriteHeader(http.StatusCreated)
				_, _ = io.WriteString(w, `{"Id":"x"}`)
			case strings.HasSuffix(r.URL.Path, "/start"):
				_, _ = io.ReadAll(r.Body)
				open, _, _ = http.NewResponseController(w).Hijack()
				_, _ = io.WriteString(open, "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n$ ")
			default:
				<-r.Context().Done()
			}
		})}
		go func() { _ = srv.Serve(far) }()
		cli, err := client.New(client.WithHost("tcp://engine:1"), client.WithDialContext(far.dial), client.WithAPIVersion("1.41"))
		if err != nil {
			t.Fatal(err)
		}
		s := New(Config{})
		s.setEngine(cli, t.Context())
		in, typed := io.Pipe()
		defer typed.Close()
		var out strings.Builder
		began := time.Now()
		_, err = s.Exec(t.Context(), webID, Exec{Cmd: []string{"sh"}, TTY: true, Stdin: keys{in}, Stdout: &out, Stderr: &out})
		if took := time.Since(began); !errors.Is(err, ErrLost) || out.String() != "$ " || took < silenceLimit || took > silenceLimit+pingEvery+pingTimeout {
			t.Errorf("%q, %v after %s", out.String(), err, took)
		}
		_ = open.Close()
		_ = cli.Close()
		close(far)
		_ = srv.Close()
	})
}
