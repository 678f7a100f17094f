package admin

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// noOwner is added to the 401 of a loopback caller whose owner cannot be told.
const noOwner = "who owns its end of the connection cannot be told from /proc/net/tcp"

// socketOwner returns the uid that owns the client's end of a TCP connection on this
// host, from /proc/net/tcp and tcp6 (proc_pid_net(5)): a line has the numbers
// "sl local_address rem_address st ... uid timeout inode", addresses in the host's
// byte order, 32 bits at a time.
//
// Only a row that is established and has an inode counts. When a process closes
// its socket with data under way, its row stays for a while without an inode and
// with uid 0: whoever could connect, send and close would be root.
func socketOwner(client, server netip.AddrPort) (uid int, err error) {
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		f, oerr := os.Open(file)
		if oerr != nil {
			err = errors.Join(err, oerr)
			continue
		}
		uid, found, rerr := ownerIn(f, client, server)
		f.Close()
		if found {
			return notOverflow(uid)
		}
		err = errors.Join(err, rerr)
	}
	return -1, errors.Join(err, errors.New("no such connection is in /proc/net/tcp"))
}

// notOverflow refuses the uid that stands for all those which the engine's user
// namespace does not know.
func notOverflow(uid int) (int, error) {
	b, err := os.ReadFile("/proc/sys/kernel/overflowuid")
	if err == nil && strings.TrimSpace(string(b)) == strconv.Itoa(uid) {
		return -1, fmt.Errorf("uid %d stands for users that are not known here", uid)
	}
	return uid, nil
}

// ownerIn looks a connection up in one of the tables.
func ownerIn(r io.Reader, client, server netip.AddrPort) (uid int, found bool, err error) {
	sc := bufio.NewScanner(r)
	for sc.Scan() {
		f := strings.Fields(sc.Text())
		if len(f) < 10 || f[3] != "01" || f[9] == "0" {
			continue
		}
		local, ok1 := procAddr(f[1])
		remote, ok2 := procAddr(f[2])
		if !ok1 || !ok2 || local != client || remote != server {
			continue
		}
		uid, err := strconv.ParseUint(f[7], 10, 32)
		if err != nil {
			return -1, false, fmt.Errorf("the uid %q is not a number", f[7])
		}
		return int(uid), true, nil
	}
	return -1, false, sc.Err()
}

// procAddr reads an address of the table; IPv4 in IPv6 becomes IPv4.
func procAddr(s string) (netip.AddrPort, bool) {
	host, port, ok := strings.Cut(s, ":")
	b, err := hex.DecodeString(host)
	p, perr := strconv.ParseUint(port, 16, 16)
	if !ok || err != nil || perr != nil || len(b)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(b); i += 4 {
		binary.NativeEndian.PutUint32(b[i:], binary.BigEndian.Uint32(b[i:]))
	}
	ip, ok := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(ip.Unmap(), uint16(p)), ok
}

// socketPeer returns who is at the other end of a unix socket, as of its connect.
func socketPeer(c *net.UnixConn) (uid, pid int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return -1, 0, err
	}
	var cred *unix.Ucred
	if cerr := raw.Control(func(fd uintptr) { cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); cerr != nil || err != nil {
		return -1, 0, errors.Join(cerr, err)
	}
	return int(cred.Uid), int(cred.Pid), nil
}
