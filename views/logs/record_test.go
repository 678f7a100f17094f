package logs

import "testing"

func TestReadableRecords(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"winston", `{"timestamp":"i39o8601","level":"error","message":"Failed to get task","service":"nervix-api","error":"TypeError: fetch failed","task_id":"stats"}`,
			`Failed to get task service=nervix-api error="TypeError: fetch failed" task_id=stats`},
		{"an object as message", `{"level":"info","message":{"duration":1,"method":"GET","path":"/me","statusCode":500},"timestamp":"2026-11-22T05:22:04.201Z"}`,
			`duration=1 method=GET path=/me statusCode=500`},
		{"zap", `{"level":"warn","ts":1770811200.5,"caller":"a.go:1","msg":"slow","took":1.5}`, `slow caller=a.go:1 took=1.5`},
		{"continued", "{\"msg\":\"x\"}\n  at y", "x\n  at y"},
		{"plain", "2026-11-22 - INFO - {\"a\":1}", "2026-11-22 - INFO - {\"a\":1}"},
		{"cut off", `{"msg":"x`, `{"msg":"x`},
		{"two values", `{"msg":"x"} {"msg":"y"}`, `{"msg":"x"} {"msg":"y"}`},
		{"control sequences behind escapes", `{"msg":"a\u001b[2Jb\u009b","\u0007k":"\u202e"}`, `a^[[2Jb<U+009B> ^Gk=<U+202E>`},
		{"empty", `{}`, `{}`},
		{"lists stay JSON", `{"msg":"x","a":[1, 2]}`, `x a=[1, 2]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, _ := Readable(tt.in); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestUnstampedLines(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"2026-11-22 05:22:04,201 - api - INFO - up", "api - INFO - up"},
		{"2026-11-22T05:22:04.201Z INFO up", "INFO up"},
		{"[2026-11-22 05:22:04 +0000] [7] [INFO] up", "[7] [INFO] up"},
		{"2026-11-22T05:22:04+01:00 up", "up"},
		{"2026-11-22 is a day", "2026-11-22 is a day"},
		{"up since 2026-11-22 05:22:04", "up since 2026-11-22 05:22:04"},
		{"2026-11-22 05:22:04", ""},
		{"", ""},
	} {
		if got, _ := unstamped(tt.in); got != tt.want {
			t.Errorf("unstamped(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func BenchmarkReadable(b *testing.B) {
	const line = `{"timestamp":"2026-11-22T05:22:04.201Z","level":"error","message":"Failed to get task","service":"nervix-api","error":"TypeError: fetch failed","task_id":"stats"}`
	b.ReportAllocs()
	for b.Loop() {
		Readable(line)
	}
}
