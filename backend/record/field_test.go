package record

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"unicode/utf8"
)

const (
	winston = `{"level":"info","message":{"duration":1,"ip":"::ffff:127.0.0.1","method":"GET","path":"/me","statusCode":500},"timestamp":"2026-11-22T05:22:04.201Z"}`
	inside  = `{"level":"error","message":"request failed status=500 path=/api/v1/orders/12 duration_ms=870","seq":7}`
	logfmt  = `time=2026-11-22T05:22:04.201Z level=info msg="request \"done\"" method=GET path=/me?status=1 status=200 duration=1.5s`
	access  = `10.0.0.1 - anna [22/Nov/2026:05:22:04 +0000] "GET /me HTTP/1.1" 404 1234 "-" "curl/8"`
	python  = `2026-11-22 05:22:04,201 - api - ERROR - [seq=12] job failed id=9, attempt=2) {"error": {"code": "E\u0041"}}`
)

func TestGetFindsFields(t *testing.T) {
	for _, tc := range []struct{ text, key, want string }{
		{winston, "level", "info"},
		{winston, "statusCode", "500"},
		{winston, "message.statusCode", "500"},
		{winston, "status", "500"},
		{winston, "path", "/me"},
		{winston, "message.nothing", ""},
		{winston, "nothing", ""},
		{inside, "seq", "7"},
		{inside, "status", "500"},
		{inside, "duration_ms", "870"},
		{logfmt, "msg", `request "done"`},
		{logfmt, "status", "200"},
		{logfmt, "path", "/me?status=1"},
		{logfmt, "tatus", ""},
		{access, "ip", "10.0.0.1"},
		{access, "user", "anna"},
		{access, "method", "GET"},
		{access, "path", "/me"},
		{access, "protocol", "HTTP/1.1"},
		{access, "status", "404"},
		{access, "size", "1234"},
		{access, "referer", ""},
		{access, "agent", "curl/8"},
		{python, "seq", "12"},
		{python, "id", "9"},
		{python, "attempt", "2"},
		{python, "code", "EA"},
		{`{"a":{"a":{"b":1}},"b":2}`, "b", "2"},
		{`{"a":"cut off`, "a", `"cut off`},
		{`{"a":}`, "a", ""},
		{``, "a", ""},
		{`a=`, "", ""},
	} {
		if got, ok := Get(tc.text, tc.key); got != tc.want || ok != (tc.want != "") {
			t.Errorf("%s of %s: got %q %v, want %q", tc.key, tc.text, got, ok, tc.want)
		}
	}
}

func TestFieldsAreInOrder(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{winston, "level=info message.duration=1 message.ip=::ffff:127.0.0.1 message.method=GET message.path=/me message.statusCode=500 timestamp=2026-11-22T05:22:04.201Z"},
		{`ts=1 msg="a b" x=`, "ts=1 msg=a b x="},
		{access, "ip=10.0.0.1 user=anna method=GET path=/me protocol=HTTP/1.1 status=404 size=1234 agent=curl/8"},
		{"nothing here", ""},
	} {
		var got []string
		for k, v := range Fields(tc.text) {
			got = append(got, k+"="+v)
		}
		if s := strings.Join(got, " "); s != tc.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tc.text, s, tc.want)
		}
	}
}

func TestQuantity(t *testing.T) {
	for _, tc := range []struct {
		text string
		v    float64
		k    kind
		bad  bool
	}{
		{"500", 500, plain, false}, {"-1.5", -1.5, plain, false}, {"1e3", 1000, plain, false}, {"99.5%", 99.5, plain, false},
		{"1.5s", 1.5, seconds, false}, {"200ms", 0.2, seconds, false}, {"1h30m", 5400, seconds, false}, {"3 s", 3, seconds, false}, {"5µs", 5e-6, seconds, false},
		{"10MB", 1e7, byteSize, false}, {"4KiB", 4096, byteSize, false}, {"2G", 2e9, byteSize, false},
		{"", 0, 0, true}, {"x", 0, 0, true}, {"10.0.0.1", 0, 0, true}, {"2026-11-22", 0, 0, true}, {"5parsecs", 0, 0, true}, {"1MB2s", 0, 0, true}, {".", 0, 0, true}, {"-", 0, 0, true},
	} {
		v, k, ok := quantity(tc.text)
		if ok == tc.bad || ok && (k != tc.k || v < tc.v-1e-12 || v > tc.v+1e-12) {
			t.Errorf("%q: got %v %v %v, want %v %v", tc.text, v, k, ok, tc.v, tc.k)
		}
	}
}

func FuzzFields(f *testing.F) {
	for _, s := range []string{winston, inside, logfmt, access, python, `{"a":`, `{"a":{"b":[{"c":"`, `a="`, `x [22/Nov/2026:05:22:04 +0000] "`, `{"a":"\u12`} {
		f.Add(s, "a")
		f.Add(s, "message.path")
	}
	f.Fuzz(func(t *testing.T, text, key string) {
		Get(text, key)
		n := 0
		for range Fields(text) {
			n++
		}
		if n > len(text) {
			t.Errorf("%d fields in %d bytes", n, len(text))
		}
		// What is an object to encoding/json has the same strings at its top here.
		var m map[string]any
		if !utf8.ValidString(text) || !strings.HasPrefix(text, "{") || json.Unmarshal([]byte(text), &m) != nil {
			return
		}
		for k := range maps.Keys(m) {
			want, ok := m[k].(string)
			if !ok || k == "" || strings.Count(text, `"`+k+`"`) != 1 || !strings.Contains(text, `"`+k+`":"`) {
				continue
			}
			if got, _ := Get(text, k); got != want {
				t.Errorf("%q of %q: got %q, want %q", k, text, got, want)
			}
		}
	})
}

func BenchmarkGet(b *testing.B) {
	for _, bc := range []struct{ name, text, key string }{
		{"json", winston, "statusCode"}, {"json, inside", inside, "status"}, {"logfmt", logfmt, "status"}, {"access", access, "status"}, {"missing", logfmt, "nothing"},
	} {
		b.Run(bc.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Get(bc.text, bc.key)
			}
		})
	}
}
