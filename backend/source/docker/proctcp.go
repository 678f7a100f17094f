package docker

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"
)

// port returns that of an address as /proc/net/tcp has it: "0100007F:1F90"; 0 for none.
func port(s string) int {
	_, p, _ := strings.Cut(s, ":")
	n, err := strconv.ParseUint(p, 16, 16)
	if err != nil {
		return 0
	}
	return int(n)
}

// address returns an address of /proc/net/tcp or tcp6 as people write it. Its IP is in
// words of four bytes, each in the host's order, which is little-endian on all
// that opsdeck is built for.
func address(s string) string {
	ip, _, _ := strings.Cut(s, ":")
	b, err := hex.DecodeString(ip)
	if err != nil || len(b)%4 != 0 {
		return "?"
	}
	for i := 0; i < len(b); i += 4 {
		binary.BigEndian.PutUint32(b[i:], binary.LittleEndian.Uint32(b[i:]))
	}
	addr, ok := netip.AddrFromSlice(b)
	if !ok {
		return "?"
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(port(s))).String()
}
