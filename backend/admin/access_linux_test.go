package admin_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/opsdeck/opsdeck/backend/admin"
	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
	"github.com/opsdeck/opsdeck/backend/state"
)

// become has cmd run as another user.
func become(cmd *exec.Cmd, uid int) error {
	if uid == os.Geteuid() {
		return nil
	}
	if os.Geteuid() != 0 {
		return os.ErrPermission
	}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	return nil
}

// TestAnotherLocalUserNeedsAToken runs real programs as another user: against
// loopback, by both families, and against the unix socket.
func TestAnotherLocalUserNeedsAToken(t *testing.T) {
	sourcetest.Program(t, "curl")
	if os.Geteuid() != 0 {
		sourcetest.Missing(t, "root, which may start a process of another user,")
	}
	const other = 61234
	r := newRig(t, options{}, shell("host/load", false))
	url := strings.Replace(r.url, "127.0.0.1", "localhost", 1)
	if status, text := curl(t, 0, url+"/admin/health"); status != "200" {
		t.Fatalf("root: %s %s", status, text)
	}
	status, text := curl(t, other, url+"/admin/health")
	if status != "401" || !strings.Contains(text, "uid 61234 needs a token") || !strings.Contains(text, "opsdeck tokens create") {
		t.Errorf("another user reads: %s %s", status, text)
	}
	if status, text = curl(t, other, "-X", "POST", url+"/admin/modules/host/load/restart"); status != "401" {
		t.Errorf("another user acts: %s %s", status, text)
	}
	if n := len(r.hub.Latest().Actions.List); n != 0 {
		t.Errorf("%d actions were done all the same", n)
	}

	auth := admin.NewAuthenticator(admin.AuthConfig{Latest: func() *state.Snapshot { return &state.Snapshot{} }})
	path := socketServer(t, auth)
	if err := os.Chmod(strings.TrimSuffix(path, "/s.sock"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o666); err != nil { // somebody did
		t.Fatal(err)
	}
	if status, text := curl(t, 0, "--unix-socket", path, "http://x/"); status != "200" {
		t.Errorf("root at the socket: %s %s", status, text)
	}
	if status, text := curl(t, other, "--unix-socket", path, "http://x/"); status != "403" || !strings.Contains(text, "not for uid 61234") {
		t.Errorf("another user at the socket: %s %s", status, text)
	}
}

// TestTheOwnerOfAConnectionIsTold with real sockets of every form, and is not of one
// whose end was closed: the kernel's table has uid 0 for those.
func TestTheOwnerOfAConnectionIsTold(t *testing.T) {
	for _, tt := range []struct{ listen, dial string }{
		{"127.0.0.1:0", "tcp4"}, {"[::1]:0", "tcp6"}, {"[::]:0", "tcp4"}, // the last: IPv4 in IPv6 at the server's end
	} {
		ln, err := net.Listen("tcp", tt.listen)
		if err != nil {
			if strings.Contains(tt.listen, "::") {
				t.Logf("no IPv6 here: %v", err)
				continue
			}
			t.Fatal(err)
		}
		host := map[string]string{"tcp4": "127.0.0.1", "tcp6": "::1"}[tt.dial]
		_, port, _ := net.SplitHostPort(ln.Addr().String())
		client, err := net.Dial(tt.dial, net.JoinHostPort(host, port))
		if err != nil {
			t.Fatal(err)
		}
		server, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		at := func(a net.Addr) netip.AddrPort {
			ap := a.(*net.TCPAddr).AddrPort()
			return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
		}
		from, to := at(server.RemoteAddr()), at(server.LocalAddr())
		if uid, err := admin.SocketOwner(from, to); err != nil || uid != os.Geteuid() {
			t.Errorf("%s by %s: uid %d, %v", tt.listen, tt.dial, uid, err)
		}
		if _, err := admin.SocketOwner(netip.AddrPortFrom(from.Addr(), 1), to); err == nil {
			t.Errorf("%s: a connection that is not there has an owner", tt.listen)
		}
		// Closed with the server's end open, it waits in the table without an owner.
		if _, err := client.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		client.Close()
		if uid, err := admin.SocketOwner(from, to); err == nil {
			t.Errorf("%s: a closed connection belongs to uid %d", tt.listen, uid)
		}
		server.Close()
		ln.Close()
	}
}

// TestRowsWithoutAnOwnerAreNobodys: another user connects, sends and closes before the
// server looks.
func TestRowsWithoutAnOwnerAreNobodys(t *testing.T) {
	const listed = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F43 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1 0 100 0 0 10 0
   1: 0100007F:AAAA 0100007F:1F43 05 00000000:00000000 00:00000000 00000000     0        0 0 1 0
   2: 0100007F:AAAB 0100007F:1F43 01 00000000:00000000 00:00000000 00000000     0        0 0 1 0
   3: 0100007F:AAAC 0100007F:1F43 01 00000000:00000000 00:00000000 00000000  1000        0 222 1 0
   4: 0100007F:1F43 0100007F:AAAD 01 00000000:00000000 00:00000000 00000000     0        0 333 1 0
   5: garbage
`
	// The kernel prints an address as one number in the order of the host's bytes.
	loopback := fmt.Sprintf("%08X", binary.NativeEndian.Uint32([]byte{127, 0, 0, 1}))
	table := strings.ReplaceAll(listed, "0100007F", loopback)
	for port, want := range map[uint16]int{0xAAAA: -1, 0xAAAB: -1, 0xAAAC: 1000, 0xAAAD: -1, 0xAAAE: -1} {
		ip := netip.MustParseAddr("127.0.0.1")
		uid, found, err := admin.OwnerIn(strings.NewReader(table), netip.AddrPortFrom(ip, port), netip.AddrPortFrom(ip, 0x1F43))
		if err != nil || found != (want >= 0) || found && uid != want {
			t.Errorf("port %X: uid %d, %v, %v; want %d", port, uid, found, err, want)
		}
	}
}
