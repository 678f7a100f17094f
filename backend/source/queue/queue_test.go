package queue

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
	"github.com/opsdeck/opsdeck/backend/state"
)

// server is a redis-server of the test's own.
type server struct {
	addr, dir, pass string
	cmd             *exec.Cmd
}

func newServer(t testing.TB, pass string) *server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		sourcetest.Missing(t, "redis-server")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{addr: ln.Addr().String(), dir: t.TempDir(), pass: pass}
	_ = ln.Close()
	s.up(t)
	t.Cleanup(s.down)
	return s
}

func (s *server) up(t testing.TB) {
	t.Helper()
	_, port, _ := net.SplitHostPort(s.addr)
	args := []string{"--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", s.dir, "--logfile", filepath.Join(s.dir, "log")}
	if s.pass != "" {
		args = append(args, "--requirepass", s.pass)
	}
	s.cmd = exec.Command("redis-server", args...)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := s.client(t)
	sourcetest.Until(t, "redis-server answers", func() bool { return c.Ping(t.Context()).Err() == nil })
}

func (s *server) down() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

func (s *server) client(t testing.TB) *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: s.addr, Password: s.pass})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func (s *server) url() string {
	if s.pass != "" {
		return "redis://:" + s.pass + "@" + s.addr + "/0"
	}
	return "redis://" + s.addr + "/0"
}

func find(q state.Queues, key string) *state.Queue {
	for i := range q.List {
		if q.List[i].Key == key {
			return &q.List[i]
		}
	}
	return nil
}

func depth(key string, n float64) func(state.Queues) bool {
	return func(q state.Queues) bool {
		f := find(q, key)
		return f != nil && f.Depth == n
	}
}

func TestContract(t *testing.T) {
	s := newServer(t, "")
	s.client(t).RPush(t.Context(), "task:queue", "a")
	sourcetest.Contract(t, sourcetest.Subject{
		New:   func(*testing.T) state.Source { return New(Config{URL: s.url(), Interval: 20 * time.Millisecond}) },
		Ready: func(sec state.Section) bool { return sec.(state.Queues).Version != "" },
		Down:  func(*testing.T) { s.down() },
		Up:    func(t *testing.T) { s.up(t) },
	})
}

func TestDiscoversAndMeasures(t *testing.T) {
	s := newServer(t, "")
	c, ctx := s.client(t), t.Context()
	src := New(Config{URL: s.url(), Interval: 50 * time.Millisecond, Mask: func(s string) string { return strings.ReplaceAll(s, "hunter2", "***") }})
	r := sourcetest.Run(t, src)
	for i := range 1000 {
		at := time.Now().Add(-time.Hour).Format(time.RFC3339)
		c.RPush(ctx, "task:queue", fmt.Sprintf(`{"id":%d,"created_at":%q,"pw":"hunter2\u001b"}`, i, at))
	}
	c.ZAdd(ctx, "delayed", redis.Z{Score: float64(time.Now().Add(-time.Minute).Unix()), Member: "x"})
	c.Set(ctx, "worker:1", "x", 0)
	c.Set(ctx, "worker:2", "x", 0)
	c.Set(ctx, "other", "x", 0)
	for range 5 {
		c.XAdd(ctx, &redis.XAddArgs{Stream: "events", Values: map[string]any{"a": "b"}})
	}
	c.XGroupCreate(ctx, "events", "g", "0")
	c.XReadGroup(ctx, &redis.XReadGroupArgs{Group: "g", Consumer: "c", Streams: []string{"events", ">"}, Count: 2})

	q := sourcetest.Wait(r, "the list", depth("task:queue", 1000))
	l := find(q, "task:queue")
	if l.Kind != "list" || !l.NetOnly && l.In >= 0 || l.Peek != nil {
		t.Errorf("list: %+v", l)
	}
	sourcetest.Wait(r, "its oldest item", func(q state.Queues) bool {
		f := find(q, "task:queue")
		return f.Oldest > 59*time.Minute && f.Oldest < 62*time.Minute
	})
	sourcetest.Wait(r, "the sorted set", func(q state.Queues) bool {
		f := find(q, "delayed")
		return f != nil && f.Kind == "zset" && f.Depth == 1 && f.Oldest >= 59*time.Second
	})
	sourcetest.Wait(r, "the workers", func(q state.Queues) bool {
		f := find(q, "worker:*")
		return f != nil && f.Kind == "keys" && f.Depth == 2
	})
	q = sourcetest.Wait(r, "the stream", func(q state.Queues) bool {
		f := find(q, "events")
		return q.Scan != "" && f != nil && f.Kind == "stream" && f.Depth == 5 && len(f.Groups) == 1 && f.Groups[0].Pending == 2 && f.Groups[0].Lag == 3 && f.Oldest >= 0
	})
	if find(q, "other") != nil || q.Server != "redis://"+s.addr+"/0" {
		t.Errorf("server %q, queues %+v", q.Server, q.List)
	}
	src.Interest(state.Interests{{Topic: state.LookQueue, Key: "task:queue"}})
	q = sourcetest.Wait(r, "a peek", func(q state.Queues) bool { return len(find(q, "task:queue").Peek) == peekItems })
	if p := find(q, "task:queue").Peek[0]; strings.Contains(p, "hunter2") || strings.Contains(p, "\x1b") {
		t.Errorf("peek: %q", p)
	}
	c.Del(ctx, "task:queue")
	sourcetest.Wait(r, "emptied", depth("task:queue", 0))
	// Adding to a stream shows as a true rate.
	for range 100 {
		c.XAdd(ctx, &redis.XAddArgs{Stream: "events", Values: map[string]any{"a": "b"}})
	}
	sourcetest.Wait(r, "the stream's rate", func(q state.Queues) bool {
		f := find(q, "events")
		return f.Depth == 105 && f.In > 0 && !f.NetOnly
	})
}

func TestNamedKeysInTheirOrder(t *testing.T) {
	s := newServer(t, "")
	c := s.client(t)
	c.RPush(t.Context(), "b", "1")
	c.Set(t.Context(), "text", "x", 0)
	c.Set(t.Context(), "job:1", "x", 0)
	r := sourcetest.Run(t, New(Config{URL: s.url(), Keys: []string{"z-missing", "b", "text", "job:*"}, Interval: 20 * time.Millisecond}))
	q := sourcetest.Wait(r, "all named and measured", func(q state.Queues) bool {
		return len(q.List) == 4 && depth("z-missing", 0)(q) && depth("b", 1)(q) && depth("job:*", 1)(q) && strings.Contains(find(q, "text").Err, "string")
	})
	var keys []string
	for _, f := range q.List {
		keys = append(keys, f.Key)
	}
	if got := strings.Join(keys, " "); got != "z-missing b text job:*" {
		t.Errorf("order: %s", got)
	}
}

func TestRequeue(t *testing.T) {
	s := newServer(t, "")
	c, ctx := s.client(t), t.Context()
	src := New(Config{URL: s.url(), Interval: 20 * time.Millisecond})
	r := sourcetest.Run(t, src)
	sourcetest.Wait(r, "the server", func(state.Queues) bool { return true })
	const n = 1234
	c.RPush(ctx, "task:queue", "there already")
	for i := range n {
		c.RPush(ctx, "task:queue:failed", fmt.Sprint(i))
	}
	steps := 0
	out, err := src.Execute(ctx, state.Action{Kind: state.QueueRequeue, Target: "task:queue:failed"}, func(string, float64) { steps++ })
	if err != nil || !strings.Contains(out.Result, "1234 items") || steps < 3 {
		t.Fatalf("got %q, %v, %d steps", out.Result, err, steps)
	}
	got, _ := c.LRange(ctx, "task:queue", 0, -1).Result()
	if len(got) != n+1 || got[0] != "there already" || got[1] != "0" || got[n] != fmt.Sprint(n-1) {
		t.Errorf("order: %d items, %v ... %v", len(got), got[:2], got[len(got)-1])
	}

	for i := range n {
		c.RPush(ctx, "task:queue:failed", fmt.Sprint(i))
	}
	stop, cancel := context.WithCancel(ctx)
	_, err = src.Execute(stop, state.Action{Kind: state.QueueRequeue, Target: "task:queue:failed"}, func(_ string, pct float64) {
		if pct > 10 {
			cancel()
		}
	})
	left, _ := c.LLen(ctx, "task:queue:failed").Result()
	if !errors.Is(stop.Err(), context.Canceled) || err == nil || !strings.Contains(err.Error(), fmt.Sprintf("after %d of", n-left)) {
		t.Errorf("cancelled: %v, %d left", err, left)
	}
	c.Set(ctx, "x:failed", "text", 0)
	for _, target := range []string{"x:failed", "task:queue"} {
		if _, err := src.Execute(ctx, state.Action{Kind: state.QueueRequeue, Target: target}, func(string, float64) {}); err == nil {
			t.Errorf("%s was requeued", target)
		}
	}
}

func TestPasswordsAreNeverShown(t *testing.T) {
	s := newServer(t, "s3cr3tpw")
	c := s.client(t)
	r := sourcetest.Run(t, New(Config{URL: s.url()}))
	q := sourcetest.Wait(r, "the server", func(state.Queues) bool { return true })
	if strings.Contains(q.Server, "s3cr3tpw") {
		t.Errorf("server: %s", q.Server)
	}
	if list, _ := c.ClientList(t.Context()).Result(); !strings.Contains(list, "name=opsdeck") {
		t.Errorf("clients: %s", list)
	}
	for _, u := range []string{"redis://:wrongpw9@" + s.addr, "redis://:wrongpw9@%zz", "redis://:wrongpw9@127.0.0.1:1", "http://:wrongpw9@h", "redis://:wrongpw9@h/notanumber"} {
		err := New(Config{URL: u}).Run(t.Context(), func(state.Section) {})
		if err == nil || errors.Is(err, state.ErrAbsent) || strings.Contains(err.Error(), "wrongpw9") {
			t.Errorf("%v", err)
		}
	}
}

func TestAbsent(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	_ = ln.Close()
	c := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1})
	defer func() { _ = c.Close() }()
	refused := c.Ping(t.Context()).Err()
	s := New(Config{})
	if err := s.explain(DefaultURL, refused); !errors.Is(err, state.ErrAbsent) {
		t.Errorf("nothing on the default address: %v", err)
	}
	s.seen.Store(true)
	if err := s.explain(DefaultURL, refused); errors.Is(err, state.ErrAbsent) {
		t.Errorf("it was here and went away: %v", err)
	}
}

func TestTrendAndDrain(t *testing.T) {
	tr := &track{q: newQueue("k", "list")}
	at := time.Unix(1e9, 0)
	for i := range 30 {
		tr.add(point{at: at.Add(time.Duration(i) * time.Second), depth: float64(1000 - 10*i), added: -1, rd: -1})
	}
	if q := tr.q; q.Trend > -9.99 || q.Trend < -10.01 || q.Drain != time.Duration(q.Depth/-q.Trend*1e9) || q.Out < 9.9 || q.In != 0 || !q.NetOnly {
		t.Errorf("got trend %v, drain %v, in %v, out %v", q.Trend, q.Drain, q.In, q.Out)
	}
	tr = &track{q: newQueue("k", "list")}
	for i := range 3 {
		tr.add(point{at: at.Add(time.Duration(i) * time.Second), depth: 5, added: -1, rd: -1})
	}
	if q := tr.q; q.Trend != 0 || q.Drain != -1 {
		t.Errorf("standing: trend %v, drain %v", q.Trend, q.Drain)
	}
}

func BenchmarkSweep(b *testing.B) {
	s := newServer(b, "")
	c := s.client(b)
	for i := range 50 {
		c.RPush(b.Context(), fmt.Sprintf("queue:%d", i), `{"created_at":"2026-11-22T05:22:04Z"}`)
	}
	opt, _, err := New(Config{URL: s.url()}).options()
	if err != nil {
		b.Fatal(err)
	}
	rdb := redis.NewClient(opt)
	defer func() { _ = rdb.Close() }()
	r := &run{s: New(Config{URL: s.url()}), rdb: rdb, byKey: map[string]*track{}}
	r.plan()
	for b.Loop() {
		if err := r.scan(b.Context()); err != nil {
			b.Fatal(err)
		}
		if err := r.sample(b.Context()); err != nil {
			b.Fatal(err)
		}
		r.publish()
	}
}
