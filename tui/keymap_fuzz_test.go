package tui

import "testing"

func FuzzClashes(f *testing.F) {
	f.Add("follow", "f5")
	f.Add("nope", "ctrl+b")
	f.Add("quit", "")
	f.Add("help", "ctrl+\x00")
	f.Fuzz(func(t *testing.T, name, key string) {
		found := Clashes(map[string]string{name: key})
		if !keyName(key) && len(found) <= len(Clashes(nil)) {
			t.Errorf("%q is no key, and binding %q to it is not a clash", key, name)
		}
		_ = Render(nil, Options{Keys: map[string]string{name: key}}, 80, 24)
	})
}

func TestKeyNames(t *testing.T) {
	for _, tt := range []struct {
		key  string
		want bool
	}{{"a", true}, {"é", true}, {"f5", true}, {"ctrl+r", true}, {"pgdown", true}, {"space", true}, {"", false}, {"f", true}, {"f0", false}, {"f99", false}, {"hyper+x", false}, {"\x1b", false}, {"ab", false}} {
		if got := keyName(tt.key); got != tt.want {
			t.Errorf("keyName(%q) = %v, want %v", tt.key, got, tt.want)
		}
	}
}
