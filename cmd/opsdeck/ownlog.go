package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"sync"
)

// largestLog is how large opsdeck's own log may grow before it is set aside; one
// earlier file is kept.
const largestLog = 8 << 20

// ownLog is opsdeck's own log, of bounded size: a service runs for months, and a
// source that fails says so every few seconds.
//
// It is not lumberjack.v2, which starts a goroutine for each log that no Close ends,
// opens a closed log again with the next line, and empties the file that another
// process has put in place between its rename and its open: two consoles of a
// workspace that hand over write to one log.
type ownLog struct {
	path string
	most int64

	mu   sync.Mutex
	f    *os.File // nil when closed
	size int64
}

// openLog opens opsdeck's own log in the data folder; where it cannot, what goes
// wrong behind the screen is not kept.
func openLog(dir string) (*ownLog, *slog.Logger) {
	l := &ownLog{path: filepath.Join(dir, "opsdeck.log"), most: largestLog}
	if l.open() != nil {
		return nil, slog.New(slog.DiscardHandler)
	}
	return l, slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{Level: slog.LevelInfo}))
}

func (l *ownLog) open() error {
	f, err := os.OpenFile(l.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	l.f, l.size = f, 0
	if st, err := f.Stat(); err == nil {
		l.size = st.Size()
	}
	return nil
}

// Write implements io.Writer.
func (l *ownLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f == nil {
		return 0, os.ErrClosed
	}
	if l.size > 0 && l.size+int64(len(p)) > l.most && os.Rename(l.path, l.path+".1") == nil {
		old := l.f
		if err := l.open(); err == nil { // else it goes on in the one set aside
			old.Close()
		}
	}
	n, err := l.f.Write(p)
	l.size += int64(n)
	return n, err
}

// Close closes the file.
func (l *ownLog) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f == nil {
		return nil
	}
	f := l.f
	l.f = nil
	return f.Close()
}
