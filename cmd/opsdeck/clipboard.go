package main

import (
	"context"

	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	osc52lib "github.com/aymanbagabas/go-osc52/v2"
)

// largestOSC52 is how much a terminal takes by OSC 52; many refuse more.
const largestOSC52 = 74_000

// copyOut puts text where the user can paste it and says how: tmux's buffer, and
// through tmux the terminal's clipboard; the terminal's clipboard by OSC 52; or,
// where the text is too long for that, a file that only they can read.
func copyOut(dir, text string) (string, error) {
	if os.Getenv("TMUX") != "" {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		cmd := exec.CommandContext(ctx, "tmux", "load-buffer", "-w", "-")
		cmd.Stdin = strings.NewReader(text)
		if err := cmd.Run(); err == nil {
			return "tmux buffer (prefix ] pastes)", nil
		}
	}
	if len(text) <= largestOSC52 {
		tty, err := os.OpenFile("/dev/tty", os.O_WRONLY, 0)
		if err == nil {
			_, err = tty.WriteString(osc52(text))
			tty.Close()
		}
		if err == nil {
			return "clipboard (OSC 52)", nil
		}
	}
	path := filepath.Join(dir, "copy-"+time.Now().Format("20060102-150405.000")+".txt")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return "", fmt.Errorf("copy: it is too long for the clipboard, and the file cannot be written: %w", err)
	}
	return path, nil
}

// osc52 returns the sequence that asks the terminal to take text into its clipboard.
func osc52(text string) string {
	seq := osc52lib.New(text)
	if strings.HasPrefix(os.Getenv("TERM"), "screen") && os.Getenv("TMUX") == "" {
		seq = seq.Screen()
	}
	return seq.String()
}
