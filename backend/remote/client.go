package remote

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/opsdeck/opsdeck/backend"
	"github.com/opsdeck/opsdeck/backend/state"
)

// Client is the console's side of the wire: a [backend.Client] of an engine in another
// process.
type Client struct {
	http    *http.Client
	base    string
	session string
	body    io.ReadCloser
	cancel  context.CancelFunc
	// Engine is the version of the engine at the other end.
	Engine string
	you    string        // our ID there
	ended  chan struct{} // closed when the stream has ended
	// quiet is how long the engine may send nothing before the link counts as dead;
	// 0 for ever, as on this host, where a dead engine's socket closes.
	quiet time.Duration

	mu     sync.Mutex
	snap   *state.Snapshot
	notify chan struct{}
	err    error
	watch  chan state.Interests
	wg     sync.WaitGroup
}

// ErrNotOpsdeck means that what answers at an address does not speak this protocol.
var ErrNotOpsdeck = errors.New("what answers is not opsdeck")

// Dial attaches to the engine that listens at the unix socket.
func Dial(ctx context.Context, socket string, actor state.Actor) (*Client, error) {
	return dialSocket(ctx, socket, actor, "", 0)
}

func dialSocket(ctx context.Context, socket string, actor state.Actor, session string, quiet time.Duration) (*Client, error) {
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, "unix", socket)
	}}
	return attach(ctx, &http.Client{Transport: tr}, "http://opsdeck", socket, actor, session, helloTimeout, quiet)
}

// silenceLimit is how long an engine on another host may send nothing: it sends a
// frame each heartbeat, so that by then the link is dead, even if TCP has not noticed.
const silenceLimit = 4 * heartbeat

// Alive requests the engine at the unix socket to publish once, and waits for it until
// ctx ends. It returns an error if the engine does not.
func Alive(ctx context.Context, socket string) error {
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}
	defer tr.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://opsdeck"+Prefix+"alive", nil)
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Transport: tr}).Do(req)
	if err != nil {
		return fmt.Errorf("ask the engine at %s whether it is alive: %w", socket, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		return fmt.Errorf("ask the engine at %s whether it is alive: it answers %s", socket, resp.Status)
	}
	return nil
}

// helloTimeout is how long an engine may take to answer a console: one that was
// stopped, or hangs, still accepts the connection.
const helloTimeout = 10 * time.Second

// ErrSilent means that the engine accepts a console's connection and does not answer.
var ErrSilent = errors.New("it accepts the connection and does not answer: it hangs, or was stopped")

func attach(ctx context.Context, hc *http.Client, base, where string, actor state.Actor, session string, patience, quiet time.Duration) (*Client, error) {
	who, err := json.Marshal(actor)
	if err != nil {
		return nil, err
	}
	runCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c := &Client{http: hc, base: base, session: cmp.Or(session, rand.Text()), cancel: cancel, notify: make(chan struct{}),
		watch: make(chan state.Interests, 1), snap: &state.Snapshot{}, ended: make(chan struct{}), quiet: quiet}
	q := url.Values{"session": {c.session}, "actor": {string(who)}}
	stop := context.AfterFunc(ctx, cancel)
	defer stop()
	silent := make(chan struct{})
	timer := time.AfterFunc(patience, func() { close(silent); cancel() })
	defer timer.Stop()
	why := func(err error) error {
		select {
		case <-silent:
			return ErrSilent
		default:
			return err
		}
	}
	req, err := http.NewRequestWithContext(runCtx, http.MethodGet, base+Prefix+"stream?"+q.Encode(), nil)
	if err != nil {
		cancel()
		return nil, err
	}
	resp, err := hc.Do(req)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("attach to %s: %w", where, why(err))
	}
	c.body = resp.Body
	r := bufio.NewReaderSize(resp.Body, 256<<10)
	var hi hello
	line, err := r.ReadBytes('\n')
	if err == nil && resp.StatusCode == http.StatusOK {
		err = json.Unmarshal(line, &hi)
	}
	switch {
	case err != nil && why(err) == ErrSilent:
		err = fmt.Errorf("attach to %s: %w", where, ErrSilent)
	case resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden:
		err = fmt.Errorf("attach to %s: it answers %s: %s", where, resp.Status, detail(line))
	case resp.StatusCode != http.StatusOK:
		err = fmt.Errorf("attach to %s: %w: it answers %s", where, ErrNotOpsdeck, resp.Status)
	case err != nil:
		err = fmt.Errorf("attach to %s: %w: %w", where, ErrNotOpsdeck, err)
	case hi.Protocol != Protocol:
		err = fmt.Errorf("attach to %s: its opsdeck is version %s, whose protocol is %d; this one speaks %d: use the same version", where, hi.Version, hi.Protocol, Protocol)
	}
	if err != nil {
		cancel()
		resp.Body.Close()
		hc.CloseIdleConnections()
		return nil, err
	}
	c.Engine, c.you = hi.Version, hi.Console
	c.wg.Go(func() { c.read(r) })
	c.wg.Go(func() { c.sendInterest(runCtx) })
	return c, nil
}

// read applies frames until the stream ends.
func (c *Client) read(r *bufio.Reader) {
	defer close(c.ended)
	var err error
	dead := make(chan struct{})
	var timer *time.Timer
	if c.quiet > 0 {
		timer = time.AfterFunc(c.quiet, func() { close(dead); c.cancel() })
		defer timer.Stop()
	}
	for {
		var line []byte
		if line, err = r.ReadBytes('\n'); err != nil {
			break
		}
		if timer != nil {
			timer.Reset(c.quiet)
		}
		var f frame
		if err = json.Unmarshal(line, &f); err != nil {
			break
		}
		c.mu.Lock()
		if c.snap, err = f.apply(c.snap); err == nil {
			c.snap.You = c.you
		}
		close(c.notify)
		c.notify = make(chan struct{})
		c.mu.Unlock()
		if err != nil {
			break
		}
	}
	if err == io.EOF {
		err = errors.New("the engine stopped")
	}
	select {
	case <-dead:
		err = fmt.Errorf("nothing came for %s", c.quiet)
	default:
	}
	c.mu.Lock()
	c.err = fmt.Errorf("the link to the engine ended: %w", err)
	close(c.notify)
	c.notify = make(chan struct{})
	c.mu.Unlock()
}

// Wait implements [backend.Client]. Its error, other than ctx's, means that the engine
// is gone.
func (c *Client) Wait(ctx context.Context, after uint64) (*state.Snapshot, error) {
	for {
		c.mu.Lock()
		s, err, notify := c.snap, c.err, c.notify
		c.mu.Unlock()
		if s.Version > after {
			return s, nil
		}
		if err != nil {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-notify:
		}
	}
}

// reason returns why the stream has ended.
func (c *Client) reason() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Submit implements [backend.Client].
func (c *Client) Submit(ctx context.Context, a state.Action) (state.ActionID, error) {
	req := request{Session: c.session, Action: a, Secrets: map[string]string{}}
	for k, v := range a.Secrets {
		req.Secrets[k] = v.Reveal()
	}
	var ans answer
	if err := c.call(ctx, http.MethodPost, "actions", req, &ans); err != nil {
		return "", fmt.Errorf("%s %s: %w", a.Kind, a.Target, err)
	}
	if ans.Refused {
		return "", fmt.Errorf("%w%s", backend.ErrRefused, strings.TrimPrefix(ans.Err, backend.ErrRefused.Error()))
	}
	if ans.Err != "" {
		return "", errors.New(ans.Err)
	}
	return ans.ID, nil
}

// Watch implements [backend.Client]. It does not block: the newest interest wins.
func (c *Client) Watch(in state.Interests) {
	for {
		select {
		case c.watch <- in:
			return
		default:
		}
		select {
		case <-c.watch:
		default:
		}
	}
}

func (c *Client) sendInterest(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case in := <-c.watch:
			// A failure shows as the stream's own end; the next interest is sent again.
			_ = c.call(ctx, http.MethodPut, "interest?session="+c.session, in, nil)
		}
	}
}

func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	b, err := json.Marshal(in)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, c.base+Prefix+path, bytes.NewReader(b))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return fmt.Errorf("the engine answers %s: %s", resp.Status, strings.TrimSpace(string(text)))
	}
	if out == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(out)
}

// Close detaches the console.
func (c *Client) Close() {
	c.cancel()
	c.body.Close()
	c.wg.Wait()
	c.http.CloseIdleConnections()
}

// Access holds the credentials for an http or https URL.
type Access struct {
	// Token is sent with every request; "" for none.
	Token string
	// CA is a file of PEM certificates that may sign the server's, beside those the
	// system knows; "" for none.
	CA string
	// Session names a console over its connections, so that one that comes again has
	// the place that it had; it is secret. "" for a new one at each.
	Session string
}

// client returns one for requests with this access. They follow no redirect to another server.
func (a Access) client(limit time.Duration) (*http.Client, error) {
	tr := http.DefaultTransport.(*http.Transport).Clone()
	if a.CA != "" {
		pem, err := os.ReadFile(a.CA)
		if err != nil {
			return nil, fmt.Errorf("read the certificates of the authority: %w", err)
		}
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate: a file in PEM was expected", a.CA)
		}
		tr.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	c := &http.Client{Transport: tr, CheckRedirect: sameServer, Timeout: limit}
	if a.Token != "" {
		c.Transport = bearer{tr, a.Token}
	}
	return c, nil
}

// DialHTTP attaches to the engine whose API is at an http or https URL.
func DialHTTP(ctx context.Context, at string, access Access, actor state.Actor) (*Client, error) {
	u, err := url.Parse(at)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("attach to %q: a URL such as http://127.0.0.1:8003 was expected", at)
	}
	hc, err := access.client(0)
	if err != nil {
		return nil, fmt.Errorf("attach to %s: %w", at, err)
	}
	c, err := attach(ctx, hc, u.Scheme+"://"+u.Host, at, actor, access.Session, helloTimeout, silenceLimit)
	return c, remedy(err)
}

// remedy adds what to do to the errors of a first connection that have one.
func remedy(err error) error {
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &unknown):
		return fmt.Errorf("%w: --ca FILE names the authority that signed its certificate", err)
	case errors.As(err, &host):
		return fmt.Errorf("%w: use a name that its certificate has", err)
	case errors.As(err, &invalid):
		return fmt.Errorf("%w: its certificate must be renewed, or a clock is wrong", err)
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return fmt.Errorf("%w: it speaks http, not https", err)
	case strings.Contains(err.Error(), "it answers 401"):
		return fmt.Errorf("%w: pass the token with OPSDECK_TOKEN or --token-file FILE", err)
	}
	return err
}

// sameServer follows redirects on the same server only: a request carries the token,
// and an action its credentials, and neither may go to another server.
func sameServer(r *http.Request, via []*http.Request) error {
	if first := via[0].URL; r.URL.Scheme != first.Scheme || r.URL.Host != first.Host || len(via) >= 5 {
		return http.ErrUseLastResponse
	}
	return nil
}

// bearer adds a token to every request.
type bearer struct {
	*http.Transport
	token string
}

// RoundTrip implements http.RoundTripper.
func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return b.Transport.RoundTrip(r)
}
