package admin

import "encoding/binary"

// SocketOwner and OwnerIn are for the tests of who owns a connection.
var (
	SocketOwner = socketOwner
	OwnerIn     = ownerIn
)

// NativeBigEndian reports the byte order of this host.
func NativeBigEndian() bool { return binary.NativeEndian.Uint16([]byte{0, 1}) == 1 }
