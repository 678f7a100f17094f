package scan

import (
	"strings"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

func TestParse(t *testing.T) {
	local := func(y, mo, d, h, mi, s, ns int) int64 {
		return time.Date(y, time.Month(mo), d, h, mi, s, ns, time.Local).UnixNano()
	}
	utc := func(h, mi, s, ns int) int64 { return time.Date(2026, 11, 22, h, mi, s, ns, time.UTC).UnixNano() }
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.Local)
	for _, tc := range []struct {
		name, line string
		level      state.Level
		ns         int64 // 0: none
	}{
		{"winston", `{"level":"info","message":{"path":"/me","level":"error"},"timestamp":"2026-11-22T05:22:04.201Z"}`, state.LevelInfo, utc(5, 22, 4, 201e6)},
		{"winston, misconfigured time", `{"timestamp":"i39o8601","level":"error","message":"x"}`, state.LevelError, 0},
		{"winston, coloured", `{"level":"\u001b[31merror\u001b[39m","timestamp":"2026-11-22T05:22:04Z"}`, state.LevelError, utc(5, 22, 4, 0)},
		{"zap", `{"level":"warn","ts":1795324924.5,"caller":"a.go:1","msg":"x"}`, state.LevelWarn, 1795324924.5e9},
		{"logrus", `{"level":"fatal","msg":"x","time":"2026-11-22T06:22:04+01:00"}`, state.LevelFatal, utc(5, 22, 4, 0)},
		{"slog", `{"time":"2026-11-22T05:22:04.000000001Z","level":"ERROR+2","msg":"x"}`, state.LevelError, utc(5, 22, 4, 1)},
		{"pino", `{"level":50,"time":1795324924201,"pid":1,"msg":"a \"quoted\\\" } thing"}`, state.LevelError, 1795324924201e6},
		{"spaces", `{ "severity" : "WARNING" , "timestamp" : "2026-11-22 05:22:04Z" }`, state.LevelWarn, utc(5, 22, 4, 0)},
		{"cut in the middle", `{"level":"error","message":"abc`, state.LevelError, 0},
		{"python", `2026-11-22 05:22:04,201 - nexus.core - ERROR - no such module`, state.LevelError, local(2026, 11, 22, 5, 22, 4, 201e6)},
		{"python, basic", `WARNING:root:disk is nearly full`, state.LevelWarn, 0},
		{"python, level first", `INFO 2026-11-22 05:22:04,201 server started`, state.LevelInfo, local(2026, 11, 22, 5, 22, 4, 201e6)},
		{"logfmt", `time=2026-11-22T05:22:04Z level=error msg="a level=info thing" err=x`, state.LevelError, utc(5, 22, 4, 0)},
		{"logfmt, quoted time", `ts="2026-11-22T05:22:04Z" lvl=dbug level=debug msg=x`, state.LevelDebug, utc(5, 22, 4, 0)},
		{"klog", `E1122 05:22:04.123456    1 main.go:12] failed`, state.LevelError, local(2026, 11, 22, 5, 22, 4, 123456e3)},
		{"nginx access 200", `10.0.0.1 - - [22/Nov/2026:05:22:04 +0000] "GET /error HTTP/1.1" 200 12 "-" "curl"`, state.LevelInfo, utc(5, 22, 4, 0)},
		{"nginx access 503", `10.0.0.1 - bob [22/Nov/2026:06:22:04 +0100] "GET / HTTP/1.1" 503 12 "-" "curl"`, state.LevelError, utc(5, 22, 4, 0)},
		{"nginx access 404", `::1 - - [22/Nov/2026:05:22:04 +0000] "GET /\"x HTTP/1.1" 404 12`, state.LevelWarn, utc(5, 22, 4, 0)},
		{"nginx error", `2026/11/22 05:22:04 [crit] 12#12: *1 connect() failed`, state.LevelFatal, local(2026, 11, 22, 5, 22, 4, 0)},
		{"syslog", `Nov 22 05:22:04 host sshd[12]: error: PAM`, state.LevelError, local(2026, 11, 22, 5, 22, 4, 0)},
		{"syslog 5424", `<11>1 2026-11-22T05:22:04.5Z host app 12 - - hello`, state.LevelError, utc(5, 22, 4, 5e8)},
		{"syslog 3164", `<12>Nov 22 05:22:04 host app: hello`, state.LevelWarn, local(2026, 11, 22, 5, 22, 4, 0)},
		{"postgres", `2026-11-22 05:22:04.201 UTC [12] FATAL:  no pg_hba.conf entry`, state.LevelFatal, utc(5, 22, 4, 201e6)},
		{"brackets", `[2026-11-22T05:22:04Z] [WARN] slow`, state.LevelWarn, utc(5, 22, 4, 0)},
		{"spring", `2026-11-22 05:22:04.201  INFO 1 --- [main] c.e.App : started`, state.LevelInfo, local(2026, 11, 22, 5, 22, 4, 201e6)},
		{"plain", `hello information for you, errors: none`, 0, 0},
		{"http is no level", `GET /x HTTP/1.1`, 0, 0},
		{"error with colon", `Error: cannot find module`, state.LevelError, 0},
		{"not a date", `2026-13-45 99:99:99 x`, 0, 0},
		{"empty", ``, 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := Parser{now: func() time.Time { return now }}
			ns, ok, level := p.Line(tc.line)
			if level != tc.level {
				t.Errorf("level: got %q, want %q", level, tc.level)
			}
			if ok != (tc.ns != 0) || ok && ns != tc.ns {
				t.Errorf("time: got %v %s, want %s", ok, time.Unix(0, ns).UTC(), time.Unix(0, tc.ns).UTC())
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{`{"level":"info"}`, `E1122 05:22:04.123456 x`, `<34>1 x`, `a [22/Nov/2026:05:22:04 +0000] "`, "level=x", `{"a":{"b":["\"`, "2026-11-22 05:22:04,"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		r := Parse(line)
		if r.Text != state.Clean(strings.TrimRight(line, "\r\n")) {
			t.Errorf("text changed: %q", r.Text)
		}
		Continues(line)
	})
}

func BenchmarkParse(b *testing.B) {
	for _, bc := range []struct{ name, line string }{
		{"winston", `{"level":"info","message":{"duration":1,"ip":"::ffff:127.0.0.1","method":"GET","path":"/me","statusCode":500,"userAgent":"curl/7.88.1"},"timestamp":"2026-11-22T05:22:04.201Z"}`},
		{"python", `2026-11-22 05:22:04,201 - nexus.core.orchestrator - ERROR - adapter weather/openweather failed: timeout after 30 s`},
		{"logfmt", `time=2026-11-22T05:22:04.201Z level=info msg="request done" method=GET path=/me status=200 duration=1ms`},
		{"klog", `E1122 05:22:04.123456    1 main.go:12] failed to sync the thing with the other thing, will retry`},
		{"nginx", `10.0.0.1 - - [22/Nov/2026:05:22:04 +0000] "GET /me HTTP/1.1" 200 1234 "-" "Mozilla/5.0 (X11; Linux x86_64)"`},
		{"plain", `the quick brown fox jumps over the lazy dog and nothing at all is wrong with that in this long line`},
	} {
		b.Run(bc.name, func(b *testing.B) {
			var p Parser
			b.SetBytes(int64(len(bc.line)))
			b.ReportAllocs()
			for b.Loop() {
				p.Line(bc.line)
			}
		})
	}
}
