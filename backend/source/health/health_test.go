package health

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
	"github.com/opsdeck/opsdeck/backend/state"
)

func TestContract(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, `{"status":"ok"}`) }))
	defer srv.Close()
	sourcetest.Contract(t, sourcetest.Subject{
		New: func(*testing.T) state.Source {
			return New(Config{Services: []Service{{"a", srv.URL}, {"b", srv.URL}}, Interval: 10 * time.Millisecond})
		},
		Ready: func(s state.Section) bool { return s.(state.Services).List[1].Word == healthy },
	})
}

func TestRead(t *testing.T) {
	nervix, err := os.ReadFile("testdata/health_all.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name   string
		code   int
		body   string
		word   string
		err    string
		checks int
	}{
		{"nexus", 200, `{"status":"ok","modules_loaded":3,"config_manager":true}`, healthy, "", 0},
		{"nexus, the guide's word", 200, `{"status":"healthy"}`, healthy, "", 0},
		{"nervix", 200, `{"success":true,"data":{"status":"healthy","version":"1.0.0"}}`, healthy, "", 0},
		{"nervix with checks", 200, `{"success":true,"data":{"status":"degraded","checks":{"database":"healthy","redis":"unhealthy"}}}`, degraded, "redis is unhealthy", 2},
		{"nervix, all", 200, string(nervix), healthy, "", 3},
		{"nervix, no such route", 404, `{"success":false,"error":{"code":"NOT_FOUND","message":"Route not found"}}`, unknown, "404 NOT_FOUND: Route not found", 0},
		{"plain 404", 404, `<html>`, unknown, "has no such route", 0},
		{"grafana", 200, `{"database":"ok","version":"11"}`, healthy, "", 0},
		{"plain text", 200, "Prometheus Server is Healthy.\n", healthy, "", 0},
		{"a new word", 200, `{"status":"sideways"}`, unknown, "sideways", 0},
		{"503 with a good word", 503, `{"status":"ok"}`, unhealthy, "503", 0},
		{"503 unhealthy", 503, `{"status":"unhealthy","checks":[{"name":"db","status":"unhealthy","message":"refused"}]}`, unhealthy, "503", 1},
		{"401", 401, ``, unknown, "401", 0},
		{"redirect", 302, ``, unknown, "302", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := read(tc.code, []byte(tc.body))
			if r.word != tc.word || !strings.Contains(r.err, tc.err) || (r.err == "") != (tc.err == "") || len(r.checks) != tc.checks {
				t.Errorf("got %+v", r)
			}
		})
	}
}

func TestFailureAndRecoveryOfEachKind(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	_ = ln.Close()
	r := sourcetest.Run(t, New(Config{Interval: 10 * time.Millisecond, Services: []Service{
		{"web", "http://user:pw7@" + addr + "/health?token=pw6"}, {"redis", "redis://:pw5@" + addr}, {"db", "postgres://" + addr + "/x"}, {"bad", "gopher://h"},
	}}))
	s := sourcetest.Wait(r, "all down", func(s state.Services) bool {
		return s.List[0].Word == down && s.List[1].Word == down && s.List[2].Word == down && s.List[3].Word == unknown && s.List[3].Err != ""
	})
	if all := fmt.Sprintf("%+v", s); strings.Contains(all, "pw7") || strings.Contains(all, "pw6") || strings.Contains(all, "pw5") {
		t.Errorf("a password shows: %s", all)
	}
	if s.List[0].Latencies[0] != -1 || !strings.Contains(s.List[0].Err, "connection refused") {
		t.Errorf("web: %+v", s.List[0])
	}
	if ln, err = net.Listen("tcp", addr); err != nil {
		t.Fatal(err)
	}
	// One port that speaks both: Redis for PING, HTTP for the rest.
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			b := make([]byte, 4096)
			n, _ := c.Read(b)
			if strings.HasPrefix(string(b[:n]), "PING") {
				_, _ = c.Write([]byte("-NOAUTH Authentication required.\r\n"))
			} else if n > 0 {
				_, _ = c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"))
			}
			_ = c.Close()
		}
	}()
	defer func() { _ = ln.Close(); <-done }()
	sourcetest.Wait(r, "all up", func(s state.Services) bool {
		return s.List[0].Word == healthy && s.List[0].LatencyMS > 0 && s.List[1].Word == healthy && s.List[2].Word == healthy
	})
}

func TestASlowServiceDoesNotDelayTheOthers(t *testing.T) {
	stop := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-stop }))
	defer slow.Close()
	defer close(stop)
	fast := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {}))
	defer fast.Close()
	r := sourcetest.Run(t, New(Config{Services: []Service{{"slow", slow.URL}, {"fast", fast.URL}}, Timeout: time.Minute}))
	s := sourcetest.Wait(r, "the fast one", func(s state.Services) bool { return s.List[1].Word == healthy })
	if s.List[0].Word != unknown {
		t.Errorf("slow: %+v", s.List[0])
	}
}

func TestNoServicesIsAbsent(t *testing.T) {
	if err := New(Config{}).Run(t.Context(), func(state.Section) {}); !errors.Is(err, state.ErrAbsent) {
		t.Errorf("got %v", err)
	}
}
