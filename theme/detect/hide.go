package detect

import "os"

var tmux, inside = hide("TMUX")

func hide(name string) (string, bool) {
	v, ok := os.LookupEnv(name)
	if ok {
		_ = os.Unsetenv(name)
	}
	return v, ok
}

// Restore gives the environment its $TMUX back.
func Restore() {
	if inside {
		_ = os.Setenv("TMUX", tmux)
	}
}
