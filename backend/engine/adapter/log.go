package adapter

import (
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// maxLog is how much of an adapter's log is kept, in bytes.
const maxLog = 32 << 10

const (
	// logBurst is how much of a log is read without a pause within a second, in bytes.
	logBurst = 1 << 20
	// logPause follows every further read: an adapter that prints without end is
	// slowed down by its full pipe, and costs the engine nothing.
	logPause = 10 * time.Millisecond
)

// pace slows reading down from what prints without end.
type pace struct {
	from time.Time
	read int
}

// took notes n bytes that were read, and waits where that was too much.
func (p *pace) took(n int) {
	if now := time.Now(); now.Sub(p.from) > time.Second {
		p.from, p.read = now, 0
	}
	if p.read += n; p.read > logBurst {
		time.Sleep(logPause)
	}
}

// copyLog reads an adapter's log until it ends.
func copyLog(to io.Writer, from *os.File) {
	buf := make([]byte, 64<<10)
	var p pace
	for {
		n, err := from.Read(buf)
		_, _ = to.Write(buf[:n])
		if err != nil {
			return
		}
		p.took(n)
	}
}

// Log keeps the newest of what is written to it.
type Log struct {
	mu  sync.Mutex
	buf []byte
}

// Write implements io.Writer.
func (r *Log) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.buf = append(r.buf, p...)
	if over := len(r.buf) - maxLog; over > 0 {
		r.buf = append(r.buf[:0], r.buf[over:]...)
	}
	return len(p), nil
}

// String returns what is kept.
func (r *Log) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.ToValidUTF8(string(r.buf), "?")
}

func (r *Log) lastLine() string {
	s := strings.TrimSpace(r.String())
	s = s[strings.LastIndexByte(s, '\n')+1:]
	return shortened(strings.TrimSpace(s))
}

// shortened returns the first 80 bytes of a text, marked where it is cut.
func shortened(s string) string {
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:80], "") + "..."
	}
	return s
}
