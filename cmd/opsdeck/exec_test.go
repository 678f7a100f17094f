package main

import (
	"strings"
	"testing"
)

func TestATerminalIsGivenBackAsItWasWhateverDiedOnIt(t *testing.T) {
	for _, tt := range []struct {
		name   string
		writes []string
		want   string
	}{
		{"a program that ended well", []string{"\x1b[?1049h\x1b[?25l", "text", "\x1b[?25h\x1b[?1049l"}, ""},
		{"an editor that died", []string{"\x1b[?1049h\x1b[?25l\x1b[?2004h\x1b[?1000;1006h"}, "\x1b[0m\x1b[?25h\x1b[?1000l\x1b[?1006l\x1b[?2004l\x1b[?1049l"},
		{"sequences in pieces", []string{"a\x1b", "[?", "20", "04h", "b"}, "\x1b[0m\x1b[?2004l"},
		{"one that is not finished", []string{"\x1b[?2004"}, ""},
		{"others", []string{"\x1b[31mred\x1b[2J"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			m := &modes{w: &out}
			want := ""
			for _, s := range tt.writes {
				want += s
				if n, err := m.Write([]byte(s)); n != len(s) || err != nil {
					t.Fatal(n, err)
				}
			}
			m.restore()
			if got := out.String(); got != want+tt.want {
				t.Errorf("got %q, want %q behind it", got, tt.want)
			}
		})
	}
}

func TestWhatIsInAContainerIsToldFromWhatIsHere(t *testing.T) {
	for arg, want := range map[string][2]string{
		"web:/etc/x": {"web", "/etc/x"}, "web:etc/x": {"web", "/etc/x"}, "web:": {"web", "/"}, "./a:b": {}, "/a:b": {}, "file": {}, ":x": {}, "dir/a:b": {}, "web:/a:b": {"web", "/a:b"},
		"edge/web:/etc": {"edge/web", "/etc"}, "edge/:x": {}, "edge/a/b:x": {},
	} {
		id, at, ok := inContainer(arg, func(host string) bool { return host == "edge" })
		if got := [2]string{id, at}; got != want || ok != (want[0] != "") {
			t.Errorf("inContainer(%q) = %q, %q, %v, want %q", arg, id, at, ok, want)
		}
	}
}
