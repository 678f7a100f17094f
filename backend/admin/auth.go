package admin

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/user"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/opsdeck/opsdeck/backend/secrets"
	"github.com/opsdeck/opsdeck/backend/state"
)

// AuthConfig is what a Authenticator is made of.
type AuthConfig struct {
	// Tokens are those that were given out; nil for none.
	Tokens *Tokens
	// Token is one of an admin's choosing (OPSDECK_TOKEN); "" for none.
	Token string
	// Hosts are further names that a Host header may have.
	Hosts []string
	// Latest is the newest snapshot: it tells what an undo undoes.
	Latest func() *state.Snapshot
	// Mask learns the tokens that are presented, and hides them in what is answered.
	Mask *secrets.Mask
	Log  *slog.Logger
	// Owner tells the uid that owns the client's end of a loopback connection; nil
	// for the system's own word. An error means that it is not known.
	Owner func(client, server netip.AddrPort) (uid int, err error)
}

// Authenticator lets callers in, as whom, and how often. Make one with NewAuthenticator.
type Authenticator struct {
	cfg       AuthConfig
	hostname  string
	tokenHash [sha256.Size]byte // of Token
	answers

	reads, changes, failures *limiter

	mu    sync.Mutex
	known map[string]bool // names of tokens that the mask has learned, by hash
}

// NewAuthenticator returns an authenticator.
func NewAuthenticator(cfg AuthConfig) *Authenticator {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Mask == nil {
		cfg.Mask = &secrets.Mask{}
	}
	if cfg.Owner == nil {
		cfg.Owner = socketOwner
	}
	if cfg.Latest == nil {
		cfg.Latest = func() *state.Snapshot { return &state.Snapshot{} }
	}
	hostname, _ := os.Hostname()
	return &Authenticator{
		cfg: cfg, hostname: strings.ToLower(hostname), tokenHash: sha256.Sum256([]byte(cfg.Token)), answers: answers{cfg.Mask.Mask, cfg.Log},
		reads: newLimiter(readsPerSecond, readsAtOnce), changes: newLimiter(changesPerSecond, changesAtOnce),
		failures: newLimiter(failuresPerSecond, failuresAtOnce), known: map[string]bool{},
	}
}

// Tokens returns those that were given out; nil for none.
func (d *Authenticator) Tokens() *Tokens { return d.cfg.Tokens }

// Guard puts the authenticator before h, for listening at the TCP address addr.
func (d *Authenticator) Guard(addr string, h http.Handler) http.Handler {
	return d.authenticate(h, func(r *http.Request) (Principal, *refusal) {
		if why := d.misdirected(addr, r); why != "" {
			return Principal{}, &refusal{status: http.StatusForbidden, text: why}
		}
		return d.overTCP(r)
	})
}

// Socket puts the authenticator before h, for listening at the workspace's unix socket. Its
// permissions let in this user and root; who it is, the kernel says.
func (d *Authenticator) Socket(h http.Handler) http.Handler {
	return d.authenticate(h, func(r *http.Request) (Principal, *refusal) {
		p, _ := r.Context().Value(peerKey).(*peer)
		if p == nil {
			return Principal{}, &refusal{status: http.StatusUnauthorized, text: "who calls is not known"}
		}
		uid, pid, err := p.unix()
		if err != nil || !ours(uid) {
			d.cfg.Log.Warn("admin: refused at the socket", "uid", uid, "pid", pid, "err", err)
			return Principal{}, &refusal{status: http.StatusForbidden, text: fmt.Sprintf("this socket is for %s, not for %s", owners(), userOf(uid))}
		}
		how := fmt.Sprintf("uid %d", uid)
		if pid > 0 {
			how += fmt.Sprintf(", pid %d", pid)
		}
		return Principal{Name: userOf(uid), Role: Admin, How: how, Local: true}, nil
	})
}

// Connect returns the context for http.Server's ConnContext: who owns a connection is asked once for
// the connection, not for each of its requests.
func (d *Authenticator) Connect(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, peerKey, &peer{conn: c})
}

// refusal is why a request does not come in.
type refusal struct {
	status int
	text   string
	wait   time.Duration // of a 429
}

// longestPath bounds a path, in bytes.
const longestPath = 2048

// authenticate returns what both doors have in common; who tells the caller.
func (d *Authenticator) authenticate(h http.Handler, who func(*http.Request) (Principal, *refusal)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := cleanID(r.Header.Get("X-Request-Id"))
		w.Header().Set("X-Request-Id", id)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		// A connection is used again: the last answer's deadline is not this one's.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
		if status, why := validatePath(r); why != "" {
			d.fail(w, status, why)
			return
		}
		p, no := who(r)
		if no == nil {
			if wait := d.reads.take(p.key()); wait > 0 {
				no = &refusal{status: http.StatusTooManyRequests, text: Busy{wait}.Error(), wait: wait}
			} else if !p.reaches(r.URL.Path) {
				no = &refusal{status: http.StatusForbidden, text: fmt.Sprintf("the token %s is for %s alone, not for %s", p.Name, strings.Join(p.Scopes, ", "), cut(r.URL.Path, 200))}
			}
		}
		if no != nil {
			d.refuse(w, r, id, *no)
			return
		}
		if !d.readBody(w, r) {
			return
		}
		ctx := context.WithValue(r.Context(), principalKey, p)
		h.ServeHTTP(w, r.WithContext(context.WithValue(ctx, requestKey, id)))
	})
}

func (d *Authenticator) refuse(w http.ResponseWriter, r *http.Request, id string, no refusal) {
	switch no.status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", "Bearer")
	case http.StatusTooManyRequests:
		w.Header().Set("Retry-After", strconv.Itoa(Busy{no.wait}.seconds()))
	}
	d.cfg.Log.Info("admin: refused", "request", id, "method", cut(r.Method, 16), "path", cut(r.URL.Path, 200), "from", r.RemoteAddr, "status", no.status)
	d.fail(w, no.status, no.text)
}

var requestIDText = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,64}$`)

// cleanID returns the caller's own request id where it is one, else a new one.
func cleanID(sent string) string {
	if requestIDText.MatchString(sent) {
		return sent
	}
	return strings.ToLower(rand.Text()[:16])
}

func requestID(ctx context.Context) string {
	id, _ := ctx.Value(requestKey).(string)
	return id
}

// validatePath says what is wrong with a request's path, before anything looks at it.
func validatePath(r *http.Request) (status int, why string) {
	p := r.URL.Path
	switch {
	case len(p) > longestPath || len(r.URL.RawQuery) > 4*longestPath:
		return http.StatusRequestURITooLong, fmt.Sprintf("the path is longer than %d bytes, or its query than %d", longestPath, 4*longestPath)
	case p != strings.ToValidUTF8(p, ""):
		return http.StatusBadRequest, "the path is not UTF-8"
	case state.Clean(p) != p || strings.ContainsAny(p, "\x00\r\n\t"):
		return http.StatusBadRequest, "there are control characters in the path"
	case strings.ContainsRune(p, '\\'):
		return http.StatusBadRequest, `there is a backslash in the path`
	}
	for i, part := range strings.Split(p, "/") {
		if part == ".." || part == "." || part == "" && i > 0 && i < strings.Count(p, "/") {
			return http.StatusBadRequest, "the path has an empty part, or one that leads elsewhere (. or ..): write it out"
		}
	}
	return 0, ""
}

// overTCP tells who calls over TCP: by token, or on loopback by the owner of the socket.
func (d *Authenticator) overTCP(r *http.Request) (Principal, *refusal) {
	if auth := r.Header.Values("Authorization"); len(auth) > 0 {
		scheme, token, _ := strings.Cut(auth[0], " ")
		if len(auth) > 1 || !strings.EqualFold(scheme, "Bearer") || token == "" {
			return Principal{}, d.failed(r, "a token is needed: send it as Authorization: Bearer TOKEN")
		}
		return d.byToken(r, strings.TrimSpace(token))
	}
	p := d.peerOf(r)
	client, server, ok := p.loopback()
	if !ok {
		return Principal{}, d.failed(r, "a token is needed: an admin makes one with opsdeck tokens create NAME, and you send it as Authorization: Bearer TOKEN")
	}
	// What a proxy on this host passes on is its callers' doing, not its owner's.
	for _, h := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via"} {
		if r.Header.Get(h) != "" {
			return Principal{}, &refusal{status: http.StatusUnauthorized, text: "a token is needed: this comes through a proxy (" + h + "), so that its owner does not tell who calls"}
		}
	}
	uid, err := p.tcp(d.cfg.Owner, client, server)
	if err != nil {
		d.cfg.Log.Info("admin: the owner of a loopback connection is not known", "from", r.RemoteAddr, "err", err)
		return Principal{}, &refusal{status: http.StatusUnauthorized, text: "a token is needed: " + noOwner + ". An admin makes one with opsdeck tokens create NAME, and you send it as Authorization: Bearer TOKEN"}
	}
	if !ours(uid) {
		return Principal{}, &refusal{status: http.StatusUnauthorized, text: fmt.Sprintf(
			"%s needs a token: an admin (%s on this host) makes one with opsdeck tokens create NAME, and you send it as Authorization: Bearer TOKEN", userOf(uid), owners())}
	}
	return Principal{Name: userOf(uid), Role: Operator, How: fmt.Sprintf("uid %d", uid)}, nil
}

// byToken tells who calls by the token that is presented.
func (d *Authenticator) byToken(r *http.Request, token string) (Principal, *refusal) {
	now := time.Now()
	t, ok := d.cfg.Tokens.check(token, now)
	if ok {
		d.keepToken(t.Hash, token)
		return Principal{Name: t.Name, Role: t.Role, Scopes: t.Scopes, How: "token"}, nil
	}
	if t.Name != "" {
		return Principal{}, d.failed(r, fmt.Sprintf("the token %s is over since %s: an admin makes a new one with opsdeck tokens create", t.Name, t.Expires.Format(time.RFC3339)))
	}
	if d.cfg.Token != "" {
		// People choose this one, so that it may be guessed: not faster than this. Tokens
		// of the file cannot be, and are let in above however many guesses fail.
		if wait := d.failures.full(d.rateKey(r)); wait > 0 {
			return Principal{}, &refusal{status: http.StatusTooManyRequests, text: Busy{wait}.Error(), wait: wait}
		}
		sum := sha256.Sum256([]byte(token))
		if subtle.ConstantTimeCompare(sum[:], d.tokenHash[:]) == 1 {
			return Principal{Name: "OPSDECK_TOKEN", Role: Admin, How: "token"}, nil
		}
	}
	return Principal{}, d.failed(r, "the token is not known here: it was revoked, or is another engine's; opsdeck tokens list names those that are valid")
}

// keepToken has the mask hide a token from now on.
func (d *Authenticator) keepToken(hash, token string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.known[hash] {
		d.known[hash] = true
		d.cfg.Mask.Add(token)
	}
}

// failed counts a failure to say who calls.
func (d *Authenticator) failed(r *http.Request, text string) *refusal {
	if wait := d.failures.take(d.rateKey(r)); wait > 0 {
		return &refusal{status: http.StatusTooManyRequests, text: Busy{wait}.Error(), wait: wait}
	}
	return &refusal{status: http.StatusUnauthorized, text: text}
}

// rateKey returns whose failures are counted together: an IPv4 address, an IPv6 network,
// and on this host a user, so that one cannot lock out another.
func (d *Authenticator) rateKey(r *http.Request) string {
	p := d.peerOf(r)
	if client, server, ok := p.loopback(); ok {
		if uid, err := p.tcp(d.cfg.Owner, client, server); err == nil {
			return fmt.Sprintf("uid %d", uid)
		}
	}
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return "unknown"
	}
	ip := ap.Addr().Unmap()
	if ip.Is4() {
		return ip.String()
	}
	network, _ := ip.WithZone("").Prefix(64)
	return network.String()
}

// ours reports whether a uid is the engine's own or root.
func ours(uid int) bool { return uid == 0 || uid == os.Geteuid() }

// owners names those that ours means.
func owners() string {
	if os.Geteuid() == 0 {
		return "root"
	}
	return userOf(os.Geteuid()) + " or root"
}

// userOf names a uid.
func userOf(uid int) string {
	u, err := user.LookupId(strconv.Itoa(uid))
	if err != nil {
		return fmt.Sprintf("uid %d", uid)
	}
	return state.Clean(u.Username)
}

// peer is the other end of one connection.
type peer struct {
	conn          net.Conn // nil where only the addresses are known
	remote, local net.Addr

	once     sync.Once
	uid, pid int
	err      error
}

// peerOf returns the other end of r's connection. Behind a server without ConnContext it
// is told anew for every request.
func (d *Authenticator) peerOf(r *http.Request) *peer {
	if p, ok := r.Context().Value(peerKey).(*peer); ok {
		return p
	}
	p := &peer{}
	if a, err := net.ResolveTCPAddr("tcp", r.RemoteAddr); err == nil {
		p.remote = a
	}
	p.local, _ = r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return p
}

// loopback reports whether both ends of a connection that does not leave this host.
func (p *peer) loopback() (client, server netip.AddrPort, ok bool) {
	remote, local := p.remote, p.local
	if p.conn != nil {
		remote, local = p.conn.RemoteAddr(), p.conn.LocalAddr()
	}
	r, ok1 := remote.(*net.TCPAddr)
	l, ok2 := local.(*net.TCPAddr)
	if !ok1 || !ok2 {
		return client, server, false
	}
	plain := func(a *net.TCPAddr) netip.AddrPort {
		return netip.AddrPortFrom(a.AddrPort().Addr().Unmap().WithZone(""), a.AddrPort().Port())
	}
	client, server = plain(r), plain(l)
	return client, server, client.Addr().IsLoopback() && server.Addr().IsLoopback()
}

func (p *peer) tcp(owner func(client, server netip.AddrPort) (int, error), client, server netip.AddrPort) (int, error) {
	p.once.Do(func() { p.uid, p.err = owner(client, server) })
	return p.uid, p.err
}

func (p *peer) unix() (uid, pid int, err error) {
	p.once.Do(func() {
		c, ok := p.conn.(*net.UnixConn)
		if !ok {
			p.uid, p.err = -1, fmt.Errorf("not a unix socket but %T", p.conn)
			return
		}
		p.uid, p.pid, p.err = socketPeer(c)
	})
	return p.uid, p.pid, p.err
}
