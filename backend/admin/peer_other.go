//go:build !linux

package admin

import (
	"errors"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// noOwner is added to the 401 of a loopback caller.
const noOwner = "this system does not tell who owns a connection; the workspace's unix socket needs no token (curl --unix-socket)"

// socketOwner cannot tell: there is no /proc/net/tcp here, and what there is
// instead (a sysctl of undocumented structures) is nothing to authenticate with.
func socketOwner(_, _ netip.AddrPort) (uid int, err error) {
	return -1, errors.New("there is no /proc/net/tcp")
}

// socketPeer returns who is at the other end of a unix socket, as of its connect. The
// process is not told.
func socketPeer(c *net.UnixConn) (uid, pid int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return -1, 0, err
	}
	var cred *unix.Xucred
	if cerr := raw.Control(func(fd uintptr) { cred, err = unix.GetsockoptXucred(int(fd), 0, unix.LOCAL_PEERCRED) }); cerr != nil || err != nil {
		return -1, 0, errors.Join(cerr, err)
	}
	return int(cred.Uid), 0, nil
}
