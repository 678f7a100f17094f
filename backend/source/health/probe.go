package health

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

// bodyMax is how much of an answer is read.
const bodyMax = 256 << 10

// Words of a service's health.
const (
	healthy   = "healthy"
	degraded  = "degraded"
	unhealthy = "unhealthy"
	down      = "down"
	unknown   = "unknown"
)

// result is what one probe found.
type result struct {
	word    string
	code    int
	err     string
	latency time.Duration
	checks  []state.Check
}

// onto returns the service with the probe's result.
func (r result) onto(s state.Service, now time.Time) state.Service {
	if s.Word != r.word || s.Since.IsZero() {
		s.Since = now
	}
	s.Word, s.StatusCode, s.Err, s.Checks, s.Checked = r.word, r.code, r.err, r.checks, now
	ms := float64(r.latency.Microseconds()) / 1000
	if r.word == down {
		ms = -1
	}
	s.LatencyMS = ms
	keep := s.Latencies[max(0, len(s.Latencies)-historyLen+1):]
	s.Latencies = append(slices.Clone(keep), ms)
	return s
}

// prober probes services.
type prober struct {
	http *http.Client
	mask func(string) string
}

// redact hides a URL's password; what cannot be read is not shown.
func redact(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "(a URL that cannot be read)"
	}
	q := u.Query()
	for k := range q {
		l := strings.ToLower(k)
		if strings.Contains(l, "token") || strings.Contains(l, "key") || strings.Contains(l, "pass") || strings.Contains(l, "secret") {
			q.Set(k, "***")
			u.RawQuery = q.Encode()
		}
	}
	if u.User != nil {
		u.User = url.User(u.User.Username())
	}
	return u.String()
}

// probe probes one service. It never takes longer than ctx.
func (p *prober) probe(ctx context.Context, raw string) result {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return result{word: unknown, err: "its url cannot be read: write it as http://host:port/path, redis://host:port, postgres://host:port or tcp://host:port"}
	}
	began := time.Now()
	var r result
	switch u.Scheme {
	case "http", "https":
		r = p.get(ctx, u)
	case "redis", "rediss":
		r = ping(ctx, u)
	case "postgres", "postgresql":
		r = connect(ctx, u, "5432")
	case "tcp":
		r = connect(ctx, u, "")
	default:
		return result{word: unknown, err: fmt.Sprintf("the scheme %q of its url is not known: write http, https, redis, postgres or tcp", state.Clean(u.Scheme))}
	}
	r.latency = time.Since(began)
	r.err = state.Clean(p.mask(r.err))
	for i := range r.checks {
		c := &r.checks[i]
		c.Title, c.Word, c.Message = state.Clean(c.Title), state.Clean(c.Word), state.Clean(p.mask(c.Message))
	}
	return r
}

// failed returns the result for a service that could not be reached.
func failed(u *url.URL, err error) result {
	msg := err.Error()
	var ue *url.Error
	if errors.As(err, &ue) {
		msg = ue.Err.Error() // without the URL, which may hold a password
	}
	var ne net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		msg = "connection refused by " + u.Host + ": is it running?"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &ne) && ne.Timeout():
		msg = "no answer from " + u.Host + " in time"
	}
	return result{word: down, err: msg}
}

func address(u *url.URL, port string) (string, error) {
	if u.Port() != "" {
		port = u.Port()
	}
	if port == "" {
		return "", errors.New("its URL names no port")
	}
	return net.JoinHostPort(u.Hostname(), port), nil
}

// connect opens a connection and closes it again.
func connect(ctx context.Context, u *url.URL, port string) result {
	addr, err := address(u, port)
	if err != nil {
		return result{word: unknown, err: err.Error()}
	}
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return failed(u, err)
	}
	_ = c.Close()
	return result{word: healthy}
}

// ping sends PING. A server that wants a password answers too, and so is up.
func ping(ctx context.Context, u *url.URL) result {
	addr, err := address(u, "6379")
	if err != nil {
		return result{word: unknown, err: err.Error()}
	}
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return failed(u, err)
	}
	if u.Scheme == "rediss" {
		t := tls.Client(c, &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12})
		if err := t.HandshakeContext(ctx); err != nil {
			_ = c.Close()
			return failed(u, err)
		}
		c = t
	}
	defer func() { _ = c.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := io.WriteString(c, "PING\r\n"); err != nil {
		return failed(u, err)
	}
	line, err := bufio.NewReader(io.LimitReader(c, 4096)).ReadString('\n')
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("it closed the connection without an answer to PING")
		}
		return failed(u, err)
	}
	switch line = strings.TrimSpace(line); {
	case line == "+PONG", strings.HasPrefix(line, "-NOAUTH"), strings.HasPrefix(line, "-NOPERM"):
		return result{word: healthy}
	case strings.HasPrefix(line, "-LOADING"), strings.HasPrefix(line, "-MASTERDOWN"), strings.HasPrefix(line, "-BUSY"):
		return result{word: degraded, err: strings.TrimPrefix(line, "-")}
	}
	return result{word: unhealthy, err: "PING was answered with " + line}
}

// get sends a GET and reads the health that the service reports.
func (p *prober) get(ctx context.Context, u *url.URL) result {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return result{word: unknown, err: "its url cannot be read"}
	}
	req.Header.Set("User-Agent", "opsdeck")
	req.Header.Set("Accept", "application/json, */*")
	resp, err := p.http.Do(req)
	if err != nil {
		return failed(u, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, bodyMax))
	if err != nil {
		return failed(u, err)
	}
	r := read(resp.StatusCode, body)
	r.code = resp.StatusCode
	return r
}

// answer is every shape of a health answer that is known: NEXUS' and Grafana's flat
// one, Nervix' in "data" or flat with a list of checks, and Nervix' error.
type answer struct {
	Status   string          `json:"status"`
	Database string          `json:"database"` // Grafana
	Checks   json.RawMessage `json:"checks"`
	Data     *struct {
		Status string          `json:"status"`
		Checks json.RawMessage `json:"checks"`
	} `json:"data"`
	Error json.RawMessage `json:"error"`
}

// read returns the health in an answer's body, else by its status code.
func read(code int, body []byte) result {
	var a answer
	isJSON := json.Unmarshal(body, &a) == nil
	var r result
	if isJSON {
		status, checks := a.Status, a.Checks
		if a.Data != nil {
			status, checks = a.Data.Status, a.Data.Checks
		}
		if status == "" {
			status = a.Database
		}
		r.word = word(status)
		r.checks = readChecks(checks)
		if r.word == "" && status != "" {
			r.word, r.err = unknown, fmt.Sprintf("it says its status is %q", status)
		}
	}
	switch {
	case code == http.StatusNotFound:
		r.word = unknown
		r.err = "404: it answers, but has no such route: fix the URL"
		if c, msg := errorOf(a.Error); c != "" {
			r.err = fmt.Sprintf("404 %s: %s: it answers, but has no such route", c, msg)
		}
	case code >= 500:
		if r.word == "" || r.word == healthy {
			r.word = unhealthy
		}
		r.err = fmt.Sprintf("it answered %d %s", code, http.StatusText(code))
		if c, msg := errorOf(a.Error); c != "" || msg != "" {
			r.err += ": " + strings.TrimSpace(c+" "+msg)
		}
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		r.word = unknown
		r.err = fmt.Sprintf("it answered %d %s: it is up, but its health is not open to this probe", code, http.StatusText(code))
	case code == http.StatusTooManyRequests:
		r.word = degraded
		r.err = "it answered 429 Too Many Requests"
	case code >= 300:
		if r.word == "" || r.word == healthy {
			r.word = unknown
		}
		r.err = fmt.Sprintf("it answered %d %s", code, http.StatusText(code))
	case r.word == "":
		r.word = healthy
	}
	if r.word != healthy && r.err == "" {
		var bad []string
		for _, c := range r.checks {
			if word(c.Word) != healthy {
				bad = append(bad, strings.TrimSuffix(c.Title+" is "+c.Word+": "+c.Message, ": "))
			}
		}
		r.err = strings.Join(bad, "; ")
	}
	return r
}

// word reads a status word; "" when it is not known.
func word(s string) string {
	switch strings.ToLower(s) {
	case "ok", "healthy", "up", "pass", "passing", "running", "success", "alive", "ready":
		return healthy
	case "degraded", "warn", "warning", "partial":
		return degraded
	case "unhealthy", "down", "fail", "failed", "error", "critical", "failing":
		return unhealthy
	}
	return ""
}

// readChecks reads a list of checks, or an object of words or of objects.
func readChecks(raw json.RawMessage) []state.Check {
	type check struct {
		Name    string `json:"name"`
		Status  string `json:"status"`
		Message string `json:"message"`
		Error   string `json:"error"`
	}
	var out []state.Check
	add := func(title string, c check) {
		if c.Message == "" {
			c.Message = c.Error
		}
		out = append(out, state.Check{Title: title, Word: c.Status, Message: c.Message})
	}
	var list []check
	if json.Unmarshal(raw, &list) == nil {
		for _, c := range list {
			add(c.Name, c)
		}
		return out
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(raw, &object) != nil {
		return nil
	}
	for title, v := range object {
		var c check
		if json.Unmarshal(v, &c.Status) == nil || json.Unmarshal(v, &c) == nil {
			add(title, c)
		}
	}
	slices.SortFunc(out, func(a, b state.Check) int { return strings.Compare(a.Title, b.Title) })
	return out
}

// errorOf reads an error that is {"code","message"} or a text.
func errorOf(raw json.RawMessage) (code, msg string) {
	var e struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	if json.Unmarshal(raw, &e) == nil {
		return e.Code, e.Message
	}
	_ = json.Unmarshal(raw, &msg)
	return "", msg
}
