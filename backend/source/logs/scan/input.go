package scan

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"

	"github.com/opsdeck/opsdeck/backend/state"
)

// ReadError returns what was tried, without the path twice.
func ReadError(path string, err error) error {
	return fmt.Errorf("read %s: %s", state.Clean(path), Reason(err))
}

// Reason returns an error without the path, which is shown beside it anyway.
func Reason(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	if errors.Is(err, fs.ErrPermission) {
		return "permission denied: give this user the right to read it (chmod o+r, or its group)"
	}
	return err.Error()
}

// File reads a file to its end: plain, compressed with gzip, zstd or bzip2, in
// UTF-8 or UTF-16. from is where a plain file is begun, at a record's beginning.
func File(path string, from int64) Input {
	in := Input{Title: path}
	if st, err := os.Stat(path); err == nil {
		in.Fallback = st.ModTime().UnixNano()
	}
	in.Read = func(_ context.Context, to *Feed) error {
		f, err := OpenLog(path)
		if err != nil {
			return err
		}
		defer f.Close()
		if from > 0 {
			if _, err := f.Seek(from, io.SeekStart); err != nil {
				return ReadError(path, err)
			}
		}
		r, done, err := Decoded(f)
		if err == nil {
			defer done()
			if err = to.From(r); err == nil || errors.Is(err, context.Canceled) {
				return err
			}
		}
		return ReadError(path, err)
	}
	return in
}

// OpenLog opens a regular file, or what can be read like one.
func OpenLog(path string) (*os.File, error) {
	st, err := os.Stat(path)
	if err == nil && st.IsDir() {
		return nil, fmt.Errorf("read %s: it is a directory: name the files in it, as in %s", state.Clean(path), state.Clean(filepath.Join(path, "*.log")))
	}
	if err != nil {
		return nil, ReadError(path, err)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, ReadError(path, err)
	}
	return f, nil
}

// Decoded reads what f has from its place on as UTF-8 lines, unpacked where it is
// compressed.
func Decoded(f *os.File) (r io.Reader, done func(), err error) {
	done = func() {}
	at, err := f.Seek(0, io.SeekCurrent)
	if err != nil { // a pipe
		return f, done, nil
	}
	var magic [6]byte
	n, err := f.ReadAt(magic[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, done, err
	}
	switch m := magic[:n]; {
	case at > 0:
		enc := DetectEncoding(f)
		if enc >= utf16LE {
			return &UTF16Reader{r: f, enc: enc}, done, nil
		}
		return &Sparse{f: f, at: at}, done, nil
	case bytes.HasPrefix(m, []byte{0x1f, 0x8b}):
		r, err = gzip.NewReader(bufio.NewReaderSize(f, 128<<10))
	case bytes.HasPrefix(m, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		var z *zstd.Decoder
		if z, err = zstd.NewReader(f, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true)); err == nil {
			r, done = z, z.Close
		}
	case bytes.HasPrefix(m, []byte("BZh")):
		r = bzip2.NewReader(bufio.NewReaderSize(f, 128<<10))
	case bytes.HasPrefix(m, []byte{0xfd, '7', 'z', 'X', 'Z', 0}):
		err = errors.New("it is compressed with xz, which opsdeck does not read: xzcat FILE | opsdeck logs -")
	default:
		enc := DetectEncoding(f)
		if _, err = f.Seek(int64(enc.Bom()), io.SeekStart); err != nil {
			return nil, done, err
		}
		if enc >= utf16LE {
			return &UTF16Reader{r: f, enc: enc}, done, nil
		}
		return &Sparse{f: f, at: int64(enc.Bom())}, done, nil
	}
	return r, done, err
}

// UTF16Reader reads a UTF-16 file as UTF-8.
type UTF16Reader struct {
	r    io.Reader
	enc  Encoding
	raw  []byte
	text []byte
	err  error
	Open bool // more may come: half a character at the end is waited for
}

// Read implements io.Reader.
func (u *UTF16Reader) Read(b []byte) (int, error) {
	for len(u.text) == 0 {
		if err := u.err; err != nil {
			if u.Open && errors.Is(err, io.EOF) {
				u.err = nil
				return 0, err
			}
			if len(u.raw) > 0 && errors.Is(u.err, io.EOF) { // half a character at the end
				u.text, u.raw = []byte("\uFFFD"), nil
				continue
			}
			return 0, u.err
		}
		n := len(u.raw)
		u.raw = append(u.raw, make([]byte, 64<<10)...)
		var m int
		m, u.err = u.r.Read(u.raw[n:])
		u.raw = u.raw[:n+m]
		text, used := u.enc.Decode(u.raw)
		u.text = text
		u.raw = append(u.raw[:0], u.raw[used:]...)
	}
	n := copy(b, u.text)
	u.text = u.text[n:]
	return n, nil
}

// Sparse reads a file and jumps over its holes, where nothing was ever written.
type Sparse struct {
	f  *os.File
	at int64
}

// Read implements io.Reader.
func (s *Sparse) Read(b []byte) (int, error) {
	for {
		n, err := s.f.ReadAt(b, s.at)
		if n > 0 && errors.Is(err, io.EOF) {
			err = nil
		}
		if n < len(b) || n == 0 || b[0] != 0 || !allZero(b) {
			s.at += int64(n)
			return n, err
		}
		// A full block of NULs: a hole, or written by one whose file was truncated.
		if emptyFrom(s.f, s.at) {
			return 0, io.EOF
		}
		s.at = max(s.at+int64(n), DataAt(s.f, s.at))
	}
}

func allZero(b []byte) bool { return len(bytes.TrimLeft(b, "\x00")) == 0 }

// Reader reads what is piped in, live, to its end.
func Reader(title string, r io.Reader) Input {
	return Input{Title: title, Live: true, Read: func(_ context.Context, to *Feed) error { return to.Live(r, true, nil) }}
}

// Joined reads inputs one after the other as one.
func Joined(title string, ins ...Input) Input {
	if len(ins) == 1 {
		ins[0].Title = title
		return ins[0]
	}
	last := ins[len(ins)-1]
	return Input{Title: title, Live: last.Live, Fallback: last.Fallback, Read: func(ctx context.Context, to *Feed) error {
		for _, in := range ins {
			if err := in.Read(ctx, to); err != nil {
				if errors.Is(err, fs.ErrNotExist) && in.Title != last.Title {
					continue // it was rotated away meanwhile
				}
				return err
			}
			if in.Title != last.Title {
				to.EndLine()
			}
		}
		return nil
	}}
}

// FirstTime returns the time of the first record of a file that has one among its first
// 64 KiB, in Unix nanoseconds; 0 for none.
func FirstTime(path string) int64 {
	f, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer f.Close()
	r, done, err := Decoded(f)
	if err != nil {
		return 0
	}
	defer done()
	buf := make([]byte, 64<<10)
	n, _ := io.ReadFull(r, buf)
	var p Parser
	for line := range bytes.Lines(buf[:n]) {
		if ns, ok, _ := p.Line(Text(trimmed(line))); ok {
			return ns
		}
	}
	return 0
}

// tailWindow is how much of a file's end is searched first for its last records.
const tailWindow = 1 << 20

// LastOf reads a file from a place on behind which it has at least n records that
// the query wants: where it is plain, no more of its end is read than is needed for
// that. All of what the query finds there is given, which may be more than n.
func LastOf(path string, n int, q Query, workers int) Input {
	in := File(path, 0)
	whole := in.Read
	in.Read = func(ctx context.Context, to *Feed) error {
		st, err := os.Stat(path)
		if err != nil || !st.Mode().IsRegular() {
			return whole(ctx, to)
		}
		for window := int64(tailWindow); window < st.Size(); window *= 4 {
			from, err := boundaryAfter(path, st.Size()-window)
			if err != nil || from <= 0 {
				break
			}
			got := 0
			probe := q
			probe.Before, probe.After, probe.Parse = 0, 0, false
			if err := Scan(ctx, File(path, from), probe, workers, nil, func(f *Found) error { got += f.Matched; return nil }); err != nil {
				return err
			}
			if got >= n {
				return File(path, from).Read(ctx, to)
			}
		}
		return whole(ctx, to)
	}
	return in
}

// boundaryAfter returns the beginning of the first record at or after a place in a plain
// file in UTF-8; 0 where none is near or the file is not of that kind.
func boundaryAfter(path string, at int64) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	r, done, err := Decoded(f)
	if err != nil {
		return 0, err
	}
	done()
	if _, plain := r.(*Sparse); !plain {
		return 0, nil
	}
	buf := make([]byte, BlockSize)
	n, err := f.ReadAt(buf, at)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	buf = buf[:n]
	for i := LineEnd(buf, 0); i < len(buf); i = LineEnd(buf, i) {
		if BeginsRecord(buf, i, LineEnd(buf, i)) {
			return at + int64(i), nil
		}
	}
	return 0, nil
}
