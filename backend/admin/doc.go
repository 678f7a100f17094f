// Package admin is the HTTP API: the calls of NEXUS' admin plane in both of its
// dialects, the console's table of actions, metrics, and the pipeline stream; and
// the authenticator before it, which tells who calls.
//
// It owns routes, status codes, roles, the file of tokens and the guarding of the
// authenticator. It refuses to act by itself: every change is an action submitted to the hub,
// so that curl, the console and the command line leave the same trail in the
// journal, with who asked and the id of the request.
//
// # Who calls
//
//	by                              is known as            role
//	Authorization: Bearer TOKEN     the token's name       the token's
//	OPSDECK_TOKEN as such a token   OPSDECK_TOKEN          admin
//	loopback, engine's uid or root  the user               operator
//	loopback, any other uid         refused: needs a token
//	the workspace's unix socket     the user and process   admin (this uid and root)
//	anything else                   refused: needs a token
//
// The uid on loopback is that of the row of the client's end in /proc/net/tcp or
// tcp6, looked up once for a connection. An unknown owner is refused, never let in:
// a row that is not found, one that is closing (it reads as uid 0), a uid that the
// user namespace does not know, a request that a proxy passed on (Forwarded,
// X-Forwarded-For, Via). Programs in other network namespaces that reach a published
// port are in no table of ours, and need a token; containers in the host's network
// that run as root are root. Where there is no /proc (macOS) loopback callers need a
// token too: what tells owners there is no documented interface. The unix socket
// needs none: curl --unix-socket data/opsdeck.sock http://localhost/admin/health.
//
// Roles: a viewer reads, an operator also submits actions, an admin also those of
// [state.Spec.Admin]. A token's scopes narrow that down: see [Principal].
//
// # Tokens
//
// data/api_tokens.json has the SHA-256 of each, its role, scopes and end; see
// [NewToken] why that hash is enough. Whoever asks for a token makes it and sends
// its hash, so that the value is on one screen, once. The file is read again when it
// changes; while it cannot be read, or others can write it, no token is valid. Its
// one writer is [Tokens], as executor of token.create and token.revoke.
//
// # Web pages
//
// The Host header must name loopback, the address listened on, this machine, or a
// name under hosts in opsdeck.yaml, so that a page cannot reach in by DNS rebinding.
// No answer has CORS headers. A page of another origin (Origin, Referer,
// Sec-Fetch-Site) changes nothing, and what a browser sends must be JSON by its
// Content-Type, which a form's cannot be. curl -d names a form's type and is let in:
// it sends nothing else that browsers send.
//
// # Bounds
//
// Bodies: 1 MiB, 64 levels, UTF-8, 30 s. Paths: 2 KiB, nothing that leads elsewhere.
// Streams: 256, 10 s for an event. Rates: 500 reads and 20 changes a second for a
// principal, with room for a burst; 20 failures to say who one is, then one in 2 s.
// Guessing is slowed down for OPSDECK_TOKEN, which a human chose; tokens of the file
// cannot be guessed, so that failures of others at the same address never lock them
// out. See limit.go.
//
// # Configuration
//
// GET /admin/routing-config has an ETag. PUT, PATCH and DELETE with If-Match are
// answered 412 where the configuration is another by now; the engine compares in the
// same step in which it writes. Without If-Match they do as they always did. The
// guide prints a PUT of {"lidm_delegation_threshold": 0.8, ...}: that works as it is
// printed, and leaves what the dots stand for as it is.
//
// # Dialects
//
// Errors carry both forms at once: "detail", as recorded from the real service,
// and "error", "details", "timestamp", as its guide documents; also "request_id".
// Where the real service answers 500 for what does not exist, this one answers 404.
//
// # Adding a call
//
// Add its row to the table in routes.go and its handler beside its kin. The mux, the
// check of roles, the OpenAPI document and the test that calls every row with its
// example come from the row.
package admin
