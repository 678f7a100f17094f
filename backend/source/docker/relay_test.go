package docker

import (
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// relay passes connections on to the engine's socket, until it is taken down.
type relay struct {
	path   string
	target string // the engine's socket where it is empty, else an address
	mu     sync.Mutex
	ln     net.Listener
	conns  map[net.Conn]bool
	wg     sync.WaitGroup
}

func newRelay(t *testing.T) *relay {
	r := &relay{path: filepath.Join(t.TempDir(), "d.sock"), conns: map[net.Conn]bool{}}
	r.up(t)
	t.Cleanup(func() { r.down(); r.wg.Wait() })
	return r
}

func tcpRelay(t *testing.T) string {
	r := &relay{path: "127.0.0.1:0", conns: map[net.Conn]bool{}}
	r.up(t)
	t.Cleanup(func() { r.down(); r.wg.Wait() })
	return "tcp://" + r.ln.Addr().String()
}

func (r *relay) up(t *testing.T) {
	if r.target == "" {
		e, err := resolve()
		if err != nil {
			t.Fatal(err)
		}
		r.target = strings.TrimPrefix(e.host, "unix://")
	}
	network := "unix"
	if !strings.HasPrefix(r.path, "/") {
		network = "tcp"
	}
	ln, err := net.Listen(network, r.path)
	if err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	r.ln = ln
	r.mu.Unlock()
	r.wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			r.wg.Go(func() { r.pass(c) })
		}
	})
}

func (r *relay) pass(c net.Conn) {
	network := "unix"
	if !strings.HasPrefix(r.target, "/") {
		network = "tcp"
	}
	up, err := net.Dial(network, r.target)
	if err != nil {
		_ = c.Close()
		return
	}
	r.mu.Lock()
	r.conns[c], r.conns[up] = true, true
	r.mu.Unlock()
	var wg sync.WaitGroup
	cp := func(to, from net.Conn) {
		// Through memory: splice keeps pipes open, which look like a leak of the source's.
		_, _ = io.Copy(struct{ io.Writer }{to}, struct{ io.Reader }{from})
		_ = to.Close()
		_ = from.Close()
	}
	wg.Go(func() { cp(up, c) })
	wg.Go(func() { cp(c, up) })
	wg.Wait()
	r.mu.Lock()
	delete(r.conns, c)
	delete(r.conns, up)
	r.mu.Unlock()
}

// down refuses new connections and cuts those there are.
func (r *relay) down() {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.ln.Close()
	for c := range r.conns {
		_ = c.Close()
	}
}
