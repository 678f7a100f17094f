package engine

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"regexp"
	gauge "runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/itchyny/gojq"
	"github.com/opsdeck/opsdeck/backend/document"
	"github.com/opsdeck/opsdeck/backend/engine/adapter"
	"github.com/opsdeck/opsdeck/backend/secrets"
)

// httpSpec is the "http" member of a manifest.
type httpSpec struct {
	url, method    string
	headers, query map[string]string
	body           any // nil for none
	auth           httpAuth
	transform      *gojq.Code // nil for the answer as it is
	next           *gojq.Code // gives the next page's URL, or null
	pages          int
	expect         []int // nil for 200 to 299
	// fields are the credentials that it names, sorted.
	fields []string
}

// httpAuth says how it authenticates, by the names of credential fields.
type httpAuth struct{ kind, field, name, user, password string }

const (
	// maxPages is how many pages are read where a manifest says nothing.
	maxPages = 10
	// maxRedirects bounds how often an answer may lead to another address.
	maxRedirects = 5
	// maxTransform bounds what a transform may take of the engine's memory, in bytes.
	maxTransform = 256 << 20
)

// hole is where the value of a credential goes.
var hole = regexp.MustCompile(`\$\{([A-Za-z0-9_.-]+)\}`)

// readHTTP reads what the schema has found to be of its form.
func readHTTP(d *document.Document, h map[string]any) (*httpSpec, document.Problems) {
	str := func(m map[string]any, k, dflt string) string {
		if s, ok := m[k].(string); ok {
			return s
		}
		return dflt
	}
	texts := func(k string) map[string]string {
		out := map[string]string{}
		for name, v := range asObject(h[k]) {
			out[name], _ = v.(string)
		}
		return out
	}
	at := func(text string, path ...string) document.Problems {
		path = append([]string{"http"}, path...)
		return document.Problems{d.ProblemAt(d.Offset(path...), path, text)}
	}
	s := &httpSpec{url: str(h, "url", ""), method: str(h, "method", http.MethodGet), headers: texts("headers"), query: texts("query"), body: h["body"], pages: maxPages}
	if _, err := url.Parse(hole.ReplaceAllString(s.url, "x")); err != nil {
		return nil, at("this is no URL", "url")
	}
	_, host, _ := strings.Cut(s.url, "://")
	if i := strings.IndexAny(host, "/?#"); i >= 0 {
		host = host[:i]
	}
	if strings.ContainsAny(host, "$@") {
		return nil, at("credentials do not belong into the host of a url: use \"auth\", \"headers\" or \"query\"", "url")
	}
	if _, says := h["method"]; s.body != nil && !says {
		s.method = http.MethodPost
	}
	if s.body != nil && (s.method == http.MethodGet || s.method == http.MethodHead) {
		return nil, at("a "+s.method+" request has no body: set \"method\" to POST, or leave it out", "body")
	}
	a := asObject(h["auth"])
	s.auth = httpAuth{kind: str(a, "type", "none"), field: str(a, "field", "api_key"), name: str(a, "name", ""), user: str(a, "username_field", "username"), password: str(a, "password_field", "password")}
	switch s.auth.kind {
	case "header", "query":
		if s.auth.name == "" {
			return nil, at("the member \"name\" is missing: the name of the "+s.auth.kind+" that carries the credential", "auth")
		}
		s.fields = append(s.fields, s.auth.field)
	case "bearer":
		s.fields = append(s.fields, s.auth.field)
	case "basic":
		s.fields = append(s.fields, s.auth.user, s.auth.password)
	}
	compile := func(text string, path ...string) (*gojq.Code, document.Problems) {
		q, err := gojq.Parse(text)
		if err == nil {
			var c *gojq.Code
			if c, err = gojq.Compile(q); err == nil {
				return c, nil
			}
		}
		return nil, at("not a jq program: "+err.Error(), path...)
	}
	var ps document.Problems
	if text := str(h, "transform", ""); text != "" {
		if s.transform, ps = compile(text, "transform"); ps != nil {
			return nil, ps
		}
	}
	if p := asObject(h["pagination"]); p != nil {
		if s.next, ps = compile(str(p, "next", "null"), "pagination", "next"); ps != nil {
			return nil, ps
		}
		if n, ok := p["max_pages"].(json.Number); ok {
			f, _ := n.Float64()
			s.pages = int(f)
		}
	}
	list, one := h["expect_status"].([]any)
	if n, ok := h["expect_status"].(json.Number); ok && !one {
		list = []any{n}
	}
	for _, v := range list {
		n, _ := v.(json.Number)
		f, _ := n.Float64()
		s.expect = append(s.expect, int(f))
	}
	var named func(v any)
	named = func(v any) {
		switch v := v.(type) {
		case string:
			for _, m := range hole.FindAllStringSubmatch(v, -1) {
				s.fields = append(s.fields, m[1])
			}
		case map[string]any:
			for _, x := range v {
				named(x)
			}
		case []any:
			for _, x := range v {
				named(x)
			}
		}
	}
	for _, v := range []any{s.url, h["headers"], h["query"], s.body} {
		named(v)
	}
	slices.Sort(s.fields)
	s.fields = slices.Compact(s.fields)
	return s, nil
}

// asObject returns a JSON object, empty where v is something else.
func asObject(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

// fill puts credentials into a value's strings.
func fill(v any, creds map[string]string, escape func(string) string) any {
	switch v := v.(type) {
	case string:
		return hole.ReplaceAllStringFunc(v, func(m string) string { return escape(creds[m[2:len(m)-1]]) })
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			out[k] = fill(x, creds, escape)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = fill(x, creds, escape)
		}
		return out
	}
	return v
}

func plainly(s string) string { return s }

// fetchHTTP makes the module's request with the credentials that are stored.
func (fe *fetcher) fetchHTTP(ctx context.Context, m *module, man *Manifest) (*adapter.Reply, error) {
	fe.mu.Lock()
	store := fe.vault.store
	fe.mu.Unlock()
	return fe.askHTTP(ctx, m, man, fe.vault.stored(m, man, store))
}

// askHTTP makes the module's request, of all its pages.
func (fe *fetcher) askHTTP(ctx context.Context, m *module, man *Manifest, values func() (secrets.Values, error)) (*adapter.Reply, error) {
	if err := fe.approval.mayRun(m); err != nil {
		return nil, &adapter.Failure{Stage: "start", Text: err.Error()}
	}
	v, err := values()
	if err != nil {
		return nil, &adapter.Failure{Stage: "start", Text: "its credentials cannot be had: " + err.Error()}
	}
	creds := map[string]string{}
	for _, f := range man.HTTP.fields {
		x, ok := v.Reveal()[f]
		if !ok || x == nil || x == "" {
			return nil, &adapter.Failure{Stage: "start", Text: fmt.Sprintf("credential %q is missing: none of that name is stored for this module", f)}
		}
		creds[f] = fmt.Sprint(x)
	}
	s := man.HTTP
	items := []any{}
	next := ""
	for page := range s.pages {
		req, err := s.request(ctx, creds, next)
		if err != nil {
			return nil, err
		}
		answer, err := s.answer(ctx, req)
		if err != nil {
			return nil, err
		}
		part, err := run(ctx, s.transform, answer)
		if err != nil {
			return nil, err
		}
		if page == 0 && s.next == nil {
			return httpResult(part)
		}
		if list, ok := part.([]any); ok {
			items = append(items, list...)
		} else if part != nil {
			items = append(items, part)
		}
		to, err := run(ctx, s.next, answer)
		if err != nil {
			return nil, err
		}
		if next, _ = to.(string); next == "" {
			break
		}
	}
	return httpResult(items)
}

// httpResult returns a value as an adapter would give it.
func httpResult(v any) (*adapter.Reply, error) {
	text, err := gojq.Marshal(v)
	if err != nil {
		return nil, &adapter.Failure{Stage: "result", Text: "its result has no JSON form: " + err.Error()}
	}
	if len(text) > adapter.MaxResult {
		return nil, &adapter.Failure{Stage: "result", Text: fmt.Sprintf("its result was refused: it is over %d MiB", adapter.MaxResult>>20)}
	}
	return &adapter.Reply{Op: "result", Data: text}, nil
}

// request returns one page's; next is its address where it is not the first.
func (s *httpSpec) request(ctx context.Context, creds map[string]string, next string) (*http.Request, error) {
	// Go's errors about URLs quote them, and they may hold credentials.
	u, err := url.Parse(fill(s.url, creds, url.QueryEscape).(string))
	if err != nil {
		return nil, &adapter.Failure{Stage: "start", Text: "its url is none after its credentials were put in"}
	}
	if next != "" {
		n, err := u.Parse(next)
		if err != nil || !sameHost(n, u) {
			return nil, &adapter.Failure{Stage: "fetch", Text: "its next page is at another host than its url: that was not followed"}
		}
		u = n
	}
	q := u.Query()
	for k, v := range s.query {
		if next == "" || !q.Has(k) {
			q.Set(k, fill(v, creds, plainly).(string))
		}
	}
	if s.auth.kind == "query" {
		q.Set(s.auth.name, creds[s.auth.field])
	}
	u.RawQuery = q.Encode()
	var body io.Reader
	kind := ""
	switch b := fill(s.body, creds, plainly).(type) {
	case nil:
	case string:
		body = strings.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			return nil, &adapter.Failure{Stage: "start", Text: "its body has no JSON form"}
		}
		body, kind = bytes.NewReader(text), "application/json"
	}
	req, err := http.NewRequestWithContext(ctx, s.method, u.String(), body)
	if err != nil {
		return nil, &adapter.Failure{Stage: "start", Text: "its request cannot be made: its url or method is none"}
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "opsdeck")
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	for k, v := range s.headers {
		req.Header.Set(k, fill(v, creds, plainly).(string))
	}
	switch s.auth.kind {
	case "bearer":
		req.Header.Set("Authorization", "Bearer "+creds[s.auth.field])
	case "basic":
		req.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(creds[s.auth.user]+":"+creds[s.auth.password])))
	case "header":
		req.Header.Set(s.auth.name, creds[s.auth.field])
	}
	return req, nil
}

// sameHost reports whether credentials for b may go to a.
func sameHost(a, b *url.URL) bool { return a.Host == b.Host && a.Scheme == b.Scheme }

var errElsewhere = errors.New("it redirects to another host: that was not followed")

// client makes the requests of all modules. TLS is verified; connections are kept.
var client = &http.Client{
	CheckRedirect: func(req *http.Request, via []*http.Request) error {
		if !sameHost(req.URL, via[0].URL) {
			return errElsewhere
		}
		if len(via) > maxRedirects {
			return fmt.Errorf("it redirects over %d times", maxRedirects)
		}
		return nil
	},
}

// answer makes a request and reads its answer.
func (s *httpSpec) answer(ctx context.Context, req *http.Request) (any, error) {
	what := req.Method + " " + req.URL.Host
	resp, err := client.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, timedOut(ctx)
		}
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return nil, &adapter.Failure{Stage: "fetch", Text: what + ": " + err.Error()}
	}
	defer resp.Body.Close()
	good := resp.StatusCode >= 200 && resp.StatusCode < 300
	if s.expect != nil {
		good = slices.Contains(s.expect, resp.StatusCode)
	}
	if !good {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
		line, _, _ := strings.Cut(strings.TrimSpace(strings.ToValidUTF8(string(text), "?")), "\n")
		out := fmt.Sprintf("%s answered %d %s", what, resp.StatusCode, http.StatusText(resp.StatusCode))
		if line = strings.TrimSpace(line); line != "" {
			out += ": " + brief(line)
		}
		return nil, &adapter.Failure{Stage: "fetch", Text: out, Traceback: string(text)}
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, adapter.MaxResult+1))
	if err != nil {
		if ctx.Err() != nil {
			return nil, timedOut(ctx)
		}
		return nil, &adapter.Failure{Stage: "fetch", Text: what + ": its answer broke off: " + err.Error()}
	}
	if len(text) > adapter.MaxResult {
		return nil, &adapter.Failure{Stage: "fetch", Text: fmt.Sprintf("%s: its answer was refused: it is over %d MiB", what, adapter.MaxResult>>20)}
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, nil
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, &adapter.Failure{Stage: "fetch", Text: fmt.Sprintf("%s: its answer is not JSON (%s): %v", what, brief(resp.Header.Get("Content-Type")), err), Traceback: string(text[:min(len(text), 4096)])}
	}
	return numbers(v), nil
}

func timedOut(ctx context.Context) error {
	if f := (*adapter.Failure)(nil); errors.As(context.Cause(ctx), &f) {
		return &adapter.Failure{Stage: f.Stage, Text: strings.TrimSuffix(f.Text, "; its runner was killed")}
	}
	return context.Cause(ctx)
}

// numbers turns JSON's numbers into those that gojq works with, without losing digits
// of whole ones.
func numbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := strconv.Atoi(v.String()); err == nil {
			return n
		}
		if n, ok := new(big.Int).SetString(v.String(), 10); ok {
			return n
		}
		f, _ := v.Float64()
		return f
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = numbers(v[k])
		}
	}
	return v
}

// run applies a program to a value: what it gives, or a list of all that it gives.
// Without a program that is the value.
func run(ctx context.Context, c *gojq.Code, v any) (any, error) {
	if c == nil {
		return v, nil
	}
	limited, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan struct{})
	defer func() { cancel(nil); <-done }()
	go func() {
		defer close(done)
		guard(limited, cancel)
	}()
	var out []any
	iter := c.RunWithContext(limited, v)
	for {
		x, ok := iter.Next()
		if !ok {
			break
		}
		if err, ok := x.(error); ok {
			if f := (*adapter.Failure)(nil); errors.As(context.Cause(limited), &f) {
				return nil, timedOut(limited)
			}
			var halt *gojq.HaltError
			if errors.As(err, &halt) && halt.Value() == nil {
				break
			}
			return nil, &adapter.Failure{Stage: "transform", Text: "its transform failed: " + brief(err.Error())}
		}
		out = append(out, x)
	}
	if len(out) == 1 {
		return out[0], nil
	}
	return out, nil
}

// guard cancels a program under which the engine's memory grows too much.
func guard(ctx context.Context, cancel context.CancelCauseFunc) {
	sample := []gauge.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	gauge.Read(sample)
	from := sample[0].Value.Uint64()
	t := time.NewTicker(10 * time.Millisecond)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			if gauge.Read(sample); sample[0].Value.Uint64() > from+maxTransform {
				cancel(&adapter.Failure{Stage: "memory", Text: fmt.Sprintf("its transform made more than %d MiB", maxTransform>>20)})
				return
			}
		}
	}
}
