package remote

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/opsdeck/opsdeck/backend"
	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
	"github.com/opsdeck/opsdeck/backend/state"
)

// TestALinkIsMadeAgainAndItsVersionsRise cuts a link to an engine and gives it back.
func TestALinkIsMadeAgainAndItsVersionsRise(t *testing.T) {
	e := serve(t)
	open := make(chan struct{}, 1)
	open <- struct{}{}
	var last *Client
	l, err := NewLink(t.Context(), "far", func(ctx context.Context) (*Client, error) {
		select {
		case <-open:
		default:
			return nil, errors.New("nobody is there")
		}
		c, err := Dial(ctx, e.socket, state.Actor{User: "ada", Via: "console"})
		last = c
		return c, err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	before := sourcetest.Snapshot(t, l, "it is attached", func(s *state.Snapshot) bool { return len(s.Workspace.Consoles) == 1 && s.You != "" })
	l.Watch(state.Interests{{Topic: state.LookContainer, Key: "c1"}})

	last.cancel() // as when the network goes
	sourcetest.Until(t, "the loss is told", func() bool {
		_, err := l.Wait(t.Context(), before.Version+1000)
		return errors.Is(err, ErrDown) && strings.Contains(err.Error(), "no link to far for") && strings.Contains(err.Error(), "nobody is there")
	})
	if _, err := l.Submit(t.Context(), state.Action{Kind: state.ModuleDisable, Target: "a/b"}); !errors.Is(err, ErrDown) || !strings.Contains(err.Error(), "nothing was sent") {
		t.Errorf("submit without a link: %v", err)
	}
	open <- struct{}{}
	var after *state.Snapshot
	sourcetest.Until(t, "it is back", func() bool {
		after, err = l.Wait(t.Context(), before.Version)
		return err == nil
	})
	if after.Version <= before.Version || after.Versions[state.SectionWorkspace] > after.Version {
		t.Errorf("version %d, workspace %d, come after %d", after.Version, after.Versions[state.SectionWorkspace], before.Version)
	}
	sourcetest.Until(t, "the new connection looks at the same", func() bool {
		e.src.mu.Lock()
		defer e.src.mu.Unlock()
		return e.src.in.Has(state.LookContainer, "c1")
	})
	l.Close()
	if _, err := l.Wait(t.Context(), 1<<40); err == nil {
		t.Error("a link that was closed still answers")
	}
}

// TestAnEngineThatStopsSendingIsLost: its host is gone, and TCP does not say so.
func TestAnEngineThatStopsSendingIsLost(t *testing.T) {
	hang := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, `{"protocol":%d,"version":"1"}`+"\n", Protocol)
		_ = http.NewResponseController(w).Flush()
		<-hang
	}))
	defer srv.Close()
	defer close(hang)
	c, err := attach(t.Context(), srv.Client(), srv.URL, "far", state.Actor{}, "", sourcetest.Patience, 20*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Wait(t.Context(), 0); err == nil || !strings.Contains(err.Error(), "nothing came for 20ms") {
		t.Errorf("a silent engine: %v", err)
	}
}

// TestAQuietEngineSendsHeartbeats: a console may tell a quiet engine from a dead link.
func TestAQuietEngineSendsHeartbeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := backend.New(backend.Options{}) // it does not run: it never publishes
		ctx, cancel := context.WithCancel(t.Context())
		w := &lines{came: make(chan string, 100)}
		done := make(chan struct{})
		go func() {
			defer close(done)
			NewHandler(h, "1", slog.New(slog.DiscardHandler)).ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, Prefix+"stream?session=s&actor=%7B%7D", nil))
		}()
		time.Sleep(time.Second)
		before := len(w.came)
		time.Sleep(time.Minute)
		if n := len(w.came) - before; n < 12 {
			t.Errorf("%d frames in a minute, want one in %s", n, heartbeat)
		}
		cancel()
		<-done
	})
}

func TestATokenAndAPrivateAuthorityAreAccepted(t *testing.T) {
	e := serve(t)
	h := NewHandler(e.hub, "1", slog.New(slog.DiscardHandler))
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer tok" {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"detail":"a token is needed: send it as Authorization: Bearer TOKEN"}`))
			return
		}
		h.ServeHTTP(w, r)
	}))
	defer srv.Close()
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	plain := httptest.NewServer(h)
	defer plain.Close()
	for _, tt := range []struct {
		name, at string
		access   Access
		want     string
	}{
		{"unknown authority", srv.URL, Access{Token: "tok"}, "--ca FILE names the authority"},
		{"wrong token", srv.URL, Access{Token: "no", CA: ca}, "a token is needed: send it as Authorization: Bearer TOKEN: pass the token with OPSDECK_TOKEN or --token-file FILE"},
		{"another name", strings.Replace(srv.URL, "127.0.0.1", "localhost", 1), Access{Token: "tok", CA: ca}, "use a name that its certificate has"},
		{"no certificates", srv.URL, Access{CA: os.DevNull}, "holds no certificate"},
		{"no such file", srv.URL, Access{CA: "/nowhere/ca.pem"}, "/nowhere/ca.pem"},
		{"http on https", strings.Replace(plain.URL, "http:", "https:", 1), Access{}, "it speaks http, not https"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := DialHTTP(t.Context(), tt.at, tt.access, state.Actor{})
			if err == nil {
				c.Close()
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("the error is %v, want %q in it", err, tt.want)
			}
		})
	}
	c, err := DialHTTP(t.Context(), srv.URL, Access{Token: "tok", CA: ca}, state.Actor{User: "ada"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	sourcetest.Snapshot(t, c, "a snapshot arrives", func(s *state.Snapshot) bool { return s.Version > 0 })
}

func TestAnSSHURLSaysWhereTheWorkspaceIs(t *testing.T) {
	for _, tt := range []struct {
		at   string
		want Host
	}{
		{"ssh://h", Host{Name: "h"}},
		{"ssh://ada@h:2222/srv/a%20b/", Host{Name: "h", User: "ada", Port: "2222", Path: "/srv/a b"}},
		{"ssh://[::1]:22", Host{Name: "::1", Port: "22"}},
	} {
		if got, err := ParseHost(tt.at); err != nil || got != tt.want {
			t.Errorf("ParseHost(%q) = %+v, %v; want %+v", tt.at, got, err, tt.want)
		}
	}
	for _, at := range []string{"ssh://", "ssh:///path", "http://h", "ssh://-oProxyCommand=x", "ssh://-l@h", "ssh://ada:pw@h", "ssh://h/a%0ab", "ssh://h?x=1"} {
		if h, err := ParseHost(at); err == nil {
			t.Errorf("ParseHost(%q) = %+v, want an error", at, h)
		} else if strings.Contains(err.Error(), "pw") {
			t.Errorf("the password is in %v", err)
		}
	}
}

// lines is a response of which each line goes into a channel.
type lines struct {
	header http.Header
	came   chan string
}

func (l *lines) Header() http.Header {
	if l.header == nil {
		l.header = http.Header{}
	}
	return l.header
}
func (l *lines) WriteHeader(int)             {}
func (l *lines) Flush()                      {}
func (l *lines) Write(b []byte) (int, error) { l.came <- string(b); return len(b), nil }
