package admin

// SocketOwner and OwnerIn are for the tests of who owns a connection.
var (
	SocketOwner = socketOwner
	OwnerIn     = ownerIn
)
