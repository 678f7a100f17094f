package admin

import (
	"fmt"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// misdirected says why a request was not meant for this address by who sends it:
// a page in somebody's browser may have sent it. "" when it may come in.
func (d *Authenticator) misdirected(addr string, r *http.Request) string {
	if !d.named(addr, r.Host) {
		return fmt.Sprintf("the Host header names %q: use the address that opsdeck listens on, %s, or name it under hosts in opsdeck.yaml", cut(r.Host, 200), addr)
	}
	site := r.Header.Get("Sec-Fetch-Site")
	if site == "cross-site" {
		return "a page of another site may not call this API"
	}
	origin := r.Header.Get("Origin")
	if o, err := url.Parse(origin); origin != "" && (err != nil || o.Host == "" || !d.named(addr, o.Host)) {
		return fmt.Sprintf("the Origin %q may not call this API", cut(origin, 200))
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions {
		return "" // no page of another origin can read the answer: there are no CORS headers
	}
	from := origin
	if from == "" {
		from = r.Header.Get("Referer")
	}
	if u, err := url.Parse(from); from != "" && (err != nil || !strings.EqualFold(u.Host, r.Host)) {
		return fmt.Sprintf("a page of %q may not change anything here: pages of another port are another origin", cut(u.Host, 200))
	}
	if site != "" && site != "same-origin" && site != "none" {
		return "a page of another origin may not change anything here"
	}
	// What a form can send needs no preflight; curl -d names the form's type too, but
	// says nothing else that a browser says.
	if from == "" && site == "" && r.Header.Get("Sec-Fetch-Mode") == "" && !strings.HasPrefix(r.UserAgent(), "Mozilla/") {
		return ""
	}
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); r.ContentLength != 0 && (err != nil || t != "application/json") {
		return "a page must send its body as Content-Type: application/json"
	}
	return ""
}

// named reports whether hostport names loopback, the address that is listened on, or
// this machine. A name is never resolved: that is how rebinding gets in. Any literal
// address will do where all are listened on, since no page can put its own name there.
func (d *Authenticator) named(addr, hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	listen, _, _ := net.SplitHostPort(addr)
	if ip, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		wild := listen == ""
		if l, err := netip.ParseAddr(listen); err == nil {
			wild = l.IsUnspecified()
			if l == ip {
				return true
			}
		}
		return ip.IsLoopback() || wild
	}
	if host == "" {
		return false
	}
	short, _, _ := strings.Cut(d.hostname, ".")
	if host == "localhost" || host == strings.ToLower(listen) || host == d.hostname || host == short {
		return true
	}
	for _, h := range d.cfg.Hosts {
		if strings.EqualFold(h, host) {
			return true
		}
	}
	return false
}

// Loopback reports whether addr, a host and port, is reached from this host alone.
func Loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
