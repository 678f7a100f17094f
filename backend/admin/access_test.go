package admin_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/admin"
	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
	"github.com/opsdeck/opsdeck/backend/state"
)

// TestAPageReachesNothingByRebinding: a name of the page's own, that resolves to this
// host, also where all addresses are listened on.
func TestAPageReachesNothingByRebinding(t *testing.T) {
	for _, listen := range []string{"127.0.0.1:8003", "0.0.0.0:8003", "[::]:8003", ":8003"} {
		r := newRig(t, options{listen: listen, hosts: []string{"ops.example"}}, shell("host/load", false))
		hostname, _ := os.Hostname()
		wild := listen != "127.0.0.1:8003"
		for host, want := range map[string]int{
			"evil.example:8003": 403, "evil.example": 403, "localhost.evil.example:8003": 403, "127.0.0.1.nip.example": 403, "a.localhost:8003": 403,
			"0x7f000001": 403, "localhost:8003": 200, "ops.example:8003": 200, "OPS.example.": 200, hostname + ":8003": 200,
			"10.1.2.3:8003": map[bool]int{true: 200, false: 403}[wild],
		} {
			status, text, _ := r.request("GET", "/admin/modules", "", func(q *http.Request) { q.Host = host })
			if status != want {
				t.Errorf("%s, Host %s: %d %s, want %d", listen, host, status, text, want)
			}
		}
	}
}

// TestAPageForgesNothing: what a page in this user's own browser can send without the
// server's consent (CSRF).
func TestAPageForgesNothing(t *testing.T) {
	r := newRig(t, options{}, shell("host/load", false))
	const act = `{"kind": "module.restart", "target": "host/load"}`
	for _, tt := range []struct {
		name, method, path, body string
		header                   map[string]string
		want                     int
	}{
		{"a form on another site", "POST", "/admin/actions", act, map[string]string{"Origin": "https://evil.example", "Content-Type": "text/plain"}, 403},
		{"a form in a sandboxed frame", "POST", "/admin/modules/host/load/restart", "", map[string]string{"Origin": "null"}, 403},
		{"a form without an Origin, on another site", "POST", "/admin/modules/host/load/restart", "", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 403},
		{"a form on another port of this host", "POST", "/admin/modules/host/load/restart", "", map[string]string{"Origin": "http://localhost:5001"}, 403},
		{"the same, told by Sec-Fetch-Site", "POST", "/admin/modules/host/load/restart", "", map[string]string{"Sec-Fetch-Site": "same-site"}, 403},
		{"the same, told by the Referer", "POST", "/admin/modules/host/load/restart", "", map[string]string{"Referer": "http://localhost:5001/x"}, 403},
		{"an old browser without any of these", "POST", "/admin/actions", act, map[string]string{"User-Agent": "Mozilla/5.0", "Content-Type": "text/plain"}, 403},
		{"text/plain from this origin", "POST", "/admin/actions", act, map[string]string{"Origin": "http://localhost:8003", "Content-Type": "text/plain"}, 403},
		{"a form's type from this origin", "POST", "/admin/actions", act, map[string]string{"Origin": "http://localhost:8003", "Content-Type": "application/x-www-form-urlencoded"}, 403},
		{"an image on another site", "GET", "/admin/credentials/load/check", "", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403},
		{"a page of this origin", "POST", "/admin/modules/host/load/fetch", "", map[string]string{"Origin": "http://localhost:8003", "Sec-Fetch-Site": "same-origin"}, 200},
		{"curl -d", "POST", "/admin/actions", `{"kind": "module.fetch", "target": "host/load"}`, map[string]string{"User-Agent": "curl/8.5.0", "Content-Type": "application/x-www-form-urlencoded"}, 200},
	} {
		status, text, _ := r.request(tt.method, tt.path, tt.body, func(q *http.Request) {
			q.Host = "localhost:8003"
			for k, v := range tt.header {
				q.Header.Set(k, v)
			}
		})
		if status != tt.want {
			t.Errorf("%s: %d %s, want %d", tt.name, status, text, tt.want)
		}
	}
	// Asked whether a page may, it says nothing that a browser takes for a yes.
	status, _, header := r.request("OPTIONS", "/admin/actions", "", func(q *http.Request) {
		q.Header.Set("Origin", "http://localhost:5001")
		q.Header.Set("Access-Control-Request-Method", "POST")
		q.Header.Set("Access-Control-Request-Headers", "content-type")
	})
	for k := range header {
		if strings.HasPrefix(k, "Access-Control-") {
			t.Errorf("a preflight is answered with %s", k)
		}
	}
	if status < 400 {
		t.Errorf("a preflight is answered with %d", status)
	}
	if n := len(r.hub.Latest().Actions.List); n != 2 {
		t.Errorf("%d actions were done, want those of the page of this origin and of curl", n)
	}
}

// TestAnotherHostNeedsAToken: a connection that is not loopback's own, and one that a
// proxy on this host passes on.
func TestAnotherHostNeedsAToken(t *testing.T) {
	mine := func(_, _ netip.AddrPort) (int, error) { return os.Geteuid(), nil }
	auth := admin.NewAuthenticator(admin.AuthConfig{Token: "token-of-the-workspace", Owner: mine})
	in := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := admin.PrincipalFrom(r.Context())
		fmt.Fprint(w, p.Role)
	})
	h := auth.Guard("0.0.0.0:8003", in)
	for _, tt := range []struct {
		name, remote, local, header, value string
		want                               int
	}{
		{"this user on loopback", "127.0.0.1:4444", "127.0.0.1:8003", "", "", 200},
		{"the same by IPv6", "[::1]:4444", "[::1]:8003", "", "", 200},
		{"the same by IPv4 in IPv6", "[::ffff:127.0.0.1]:4444", "[::ffff:127.0.0.1]:8003", "", "", 200},
		{"another host", "10.0.0.9:4444", "10.0.0.1:8003", "", "", 401},
		{"this host by its other address", "10.0.0.1:4444", "10.0.0.1:8003", "", "", 401},
		{"a forged loopback address from elsewhere", "127.0.0.1:4444", "10.0.0.1:8003", "", "", 401},
		{"a proxy", "127.0.0.1:4444", "127.0.0.1:8003", "X-Forwarded-For", "10.0.0.9", 401},
		{"a proxy of the standard", "127.0.0.1:4444", "127.0.0.1:8003", "Forwarded", "for=10.0.0.9", 401},
		{"another host with the token", "10.0.0.9:4444", "10.0.0.1:8003", "Authorization", "Bearer token-of-the-workspace", 200},
		{"a wrong token on loopback", "127.0.0.1:4444", "127.0.0.1:8003", "Authorization", "Bearer wrong", 401},
		{"an empty token", "127.0.0.1:4444", "127.0.0.1:8003", "Authorization", "Bearer ", 401},
	} {
		q := httptest.NewRequest("GET", "http://localhost:8003/admin/health", nil)
		q.RemoteAddr = tt.remote
		local, err := net.ResolveTCPAddr("tcp", tt.local)
		if err != nil {
			t.Fatal(err)
		}
		q = q.WithContext(context.WithValue(q.Context(), http.LocalAddrContextKey, local))
		if tt.header != "" {
			q.Header.Set(tt.header, tt.value)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, q)
		if w.Code != tt.want {
			t.Errorf("%s: %d %s, want %d", tt.name, w.Code, w.Body, tt.want)
		}
	}
}

// TestGuessingIsSlowedDown for the token that a human chose, without locking out
// those of the file.
func TestGuessingIsSlowedDown(t *testing.T) {
	r := newRig(t, options{token: "token-of-the-workspace", owner: func(_, _ netip.AddrPort) (int, error) { return -1, fmt.Errorf("not known") }})
	_, got := r.call("POST", "/admin/tokens", `{"name": "safe", "role": "viewer"}`)
	safe := got["token"].(string)
	as := func(token string) (int, http.Header) {
		status, _, h := r.request("GET", "/admin/health", "", func(q *http.Request) { q.Header.Set("Authorization", "Bearer "+token) })
		return status, h
	}
	last := 0
	for range 30 {
		var h http.Header
		if last, h = as("a guess"); last == 429 && h.Get("Retry-After") == "" {
			t.Error("a 429 without Retry-After")
		}
	}
	if last != 429 {
		t.Errorf("the 30th guess is answered with %d", last)
	}
	if status, _ := as("token-of-the-workspace"); status != 429 {
		t.Errorf("the right guess among them is answered with %d", status)
	}
	if status, _ := as(safe); status != 200 {
		t.Errorf("a token that cannot be guessed is locked out: %d", status)
	}
}

// TestReadsAreNotHindered: far more than a dashboard asks, from one caller at once.
func TestReadsAreNotHindered(t *testing.T) {
	r := newRig(t, options{}, shell("host/load", false))
	for range 500 {
		if status, text, _ := r.request("GET", "/admin/modules", "", nil); status != 200 {
			t.Fatalf("%d %s", status, text)
		}
	}
	busy := 0
	for range 400 {
		status, _, h := r.request("POST", "/admin/modules/host/load/enable", "", nil) // it is: nothing is done
		if status == 429 {
			busy++
			if h.Get("Retry-After") == "" {
				t.Error("a 429 without Retry-After")
			}
		}
	}
	if busy != 0 {
		t.Errorf("%d that change nothing are counted as changes", busy)
	}
	for i := range 400 {
		if status, _, _ := r.request("DELETE", "/admin/modules/host/load/credentials", "", nil); status == 429 {
			if i < 100 {
				t.Errorf("the %dth change is one too many", i)
			}
			return
		}
	}
	t.Error("400 changes at once are not too many")
}

// socketServer serves an authenticator at the workspace's unix socket.
func socketServer(t *testing.T, auth *admin.Authenticator) (path string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "auth") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path = filepath.Join(dir, "s.sock")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(auth.Socket(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(auth.Actor(r, state.Actor{}))
	})))
	srv.Listener.Close()
	srv.Listener, srv.Config.ConnContext = ln, auth.Connect
	srv.Start()
	t.Cleanup(srv.Close)
	return path
}

func TestTheSocketKnowsItsCallerByTheKernelsWord(t *testing.T) {
	auth := admin.NewAuthenticator(admin.AuthConfig{})
	path := socketServer(t, auth)
	c := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}, Timeout: sourcetest.Patience}
	defer c.CloseIdleConnections()
	resp, err := c.Get("http://anything/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var a state.Actor
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil || resp.StatusCode != 200 {
		t.Fatalf("%d %v", resp.StatusCode, err)
	}
	if want := fmt.Sprintf("uid %d", os.Geteuid()); !strings.Contains(a.From, want) || !strings.Contains(a.From, "unix socket") || a.User == "" || a.Request == "" {
		t.Errorf("the journal would name %+v, want %s in it", a, want)
	}
}

// curl runs curl as uid, and gives the status and what came.
func curl(t *testing.T, uid int, args ...string) (status, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), sourcetest.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, sourcetest.Program(t, "curl"), append([]string{"-s", "-w", "\n%{http_code}"}, args...)...)
	cmd.WaitDelay = time.Second
	if err := become(cmd, uid); err != nil {
		sourcetest.Missing(t, fmt.Sprintf("the right to start a process of uid %d (%v)", uid, err))
	}
	out, err := cmd.Output()
	text = strings.TrimSpace(string(out))
	i := strings.LastIndexByte(text, '\n')
	if err != nil && i < 0 {
		return "000", err.Error()
	}
	return text[i+1:], text[:max(i, 0)]
}
