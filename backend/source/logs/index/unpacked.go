package index

import (
	"errors"
	"io"
	"os"
	"sync"

	"github.com/opsdeck/opsdeck/backend/source/logs/scan"
)

// unpackedKept is how much of what was unpacked last is kept, in bytes: more than what
// is searched at a time, so that going backwards unpacks from the beginning seldom.
const unpackedKept = 8 << 20

// unpacked reads a compressed file, or one in UTF-16, at any place of the text that it
// unpacks to. What lies before the part that is kept is unpacked again from the file's
// beginning.
type unpacked struct {
	f *os.File

	mu   sync.Mutex
	r    io.Reader // nil while nothing is kept
	done func()
	kept []byte // the last bytes before pos
	pos  int64
	end  int64 // of the text; -1 while unknown
	raw  int64 // the file's size when its end was found
}

// unpackedOf returns f unpacked, or nil where it is to be read as it is.
func unpackedOf(f *os.File) (*unpacked, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	r, done, err := scan.Decoded(f)
	if err != nil {
		return nil, err
	}
	done()
	if _, plain := r.(*scan.Sparse); plain {
		return nil, nil
	}
	return &unpacked{f: f, end: -1}, nil
}

// ReadAt implements io.ReaderAt.
func (u *unpacked) ReadAt(b []byte, off int64) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.end >= 0 && off >= u.end {
		return 0, io.EOF
	}
	if u.r == nil || off < u.pos-int64(len(u.kept)) {
		if err := u.restart(); err != nil {
			return 0, err
		}
	}
	for u.pos < off+int64(len(b)) && u.end < 0 || u.pos < u.end && u.pos < off+int64(len(b)) {
		if err := u.more(); err != nil {
			return 0, err
		}
	}
	from := off - (u.pos - int64(len(u.kept)))
	if from < 0 { // more was asked for than is kept
		return 0, io.ErrShortBuffer
	}
	if from >= int64(len(u.kept)) {
		return 0, io.EOF
	}
	n := copy(b, u.kept[from:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// more unpacks some more.
func (u *unpacked) more() error {
	if len(u.kept)+scan.BlockSize > cap(u.kept) {
		if cap(u.kept) < 2*unpackedKept {
			grown := make([]byte, len(u.kept), min(2*unpackedKept, max(2*cap(u.kept), 2*scan.BlockSize)))
			copy(grown, u.kept)
			u.kept = grown
		} else {
			u.kept = u.kept[:copy(u.kept, u.kept[len(u.kept)-unpackedKept:])]
		}
	}
	n := len(u.kept)
	m, err := io.ReadFull(u.r, u.kept[n:n+scan.BlockSize])
	u.kept = u.kept[:n+m]
	u.pos += int64(m)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		u.end, err = u.pos, nil
	}
	return err
}

func (u *unpacked) restart() error {
	u.close()
	if _, err := u.f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	r, done, err := scan.Decoded(u.f)
	if err != nil {
		return err
	}
	if w, ok := r.(*scan.UTF16Reader); ok {
		w.Open = true
	}
	u.r, u.done = r, done
	return nil
}

// size returns how long the text is, of a file that has raw bytes now.
func (u *unpacked) size(raw int64) (int64, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.end >= 0 && raw == u.raw {
		return u.end, nil
	}
	if raw < u.raw {
		return 0, ErrReplaced
	}
	if _, utf16 := u.r.(*scan.UTF16Reader); u.r == nil || !utf16 || u.end >= 0 && u.pos < u.end {
		if err := u.restart(); err != nil {
			return 0, err
		}
	}
	u.end = -1
	for u.end < 0 {
		if err := u.more(); err != nil {
			return 0, err
		}
	}
	u.raw = raw
	return u.end, nil
}

func (u *unpacked) close() {
	if u.r != nil {
		u.done()
	}
	u.r, u.kept, u.pos = nil, nil, 0
}

// release frees what is kept.
func (u *unpacked) release() {
	u.mu.Lock()
	u.close()
	u.mu.Unlock()
}
