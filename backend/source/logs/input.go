package logs

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
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/opsdeck/opsdeck/backend/state"
)

// errReading is what was tried, without the path twice.
func errReading(path string, err error) error {
	return fmt.Errorf("read %s: %s", state.Clean(path), plain(err))
}

// File reads a file to its end: plain, compressed with gzip, zstd or bzip2, in
// UTF-8 or UTF-16. from is where a plain file is begun, at a record's beginning.
func File(path string, from int64) Input {
	in := Input{Title: path}
	if st, err := os.Stat(path); err == nil {
		in.Fallback = st.ModTime().UnixNano()
	}
	in.Read = func(_ context.Context, to *Feed) error {
		f, err := openLog(path)
		if err != nil {
			return err
		}
		defer f.Close()
		if from > 0 {
			if _, err := f.Seek(from, io.SeekStart); err != nil {
				return errReading(path, err)
			}
		}
		r, done, err := decoded(f)
		if err == nil {
			defer done()
			if err = to.From(r); err == nil || errors.Is(err, context.Canceled) {
				return err
			}
		}
		return errReading(path, err)
	}
	return in
}

// openLog opens a regular file, or what can be read like one.
func openLog(path string) (*os.File, error) {
	st, err := os.Stat(path)
	if err == nil && st.IsDir() {
		return nil, fmt.Errorf("read %s: it is a directory: name the files in it, as in %s", state.Clean(path), state.Clean(filepath.Join(path, "*.log")))
	}
	if err != nil {
		return nil, errReading(path, err)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, errReading(path, err)
	}
	return f, nil
}

// decoded reads what f has from its place on as UTF-8 lines, unpacked where it is
// compressed.
func decoded(f *os.File) (r io.Reader, done func(), err error) {
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
		enc := detect(f)
		if enc >= utf16LE {
			return &utf16Reader{r: f, enc: enc}, done, nil
		}
		return &sparse{f: f, at: at}, done, nil
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
		err = errors.New("it is compressed with xz, which is not read here: xzcat FILE | opsdeck logs -")
	default:
		enc := detect(f)
		if _, err = f.Seek(int64(enc.bom()), io.SeekStart); err != nil {
			return nil, done, err
		}
		if enc >= utf16LE {
			return &utf16Reader{r: f, enc: enc}, done, nil
		}
		return &sparse{f: f, at: int64(enc.bom())}, done, nil
	}
	return r, done, err
}

// utf16Reader gives a UTF-16 file as UTF-8.
type utf16Reader struct {
	r    io.Reader
	enc  encoding
	raw  []byte
	text []byte
	err  error
	open bool // more may come: half a character at the end is waited for
}

// Read implements io.Reader.
func (u *utf16Reader) Read(b []byte) (int, error) {
	for len(u.text) == 0 {
		if err := u.err; err != nil {
			if u.open && errors.Is(err, io.EOF) {
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
		text, used := u.enc.decode(u.raw)
		u.text = text
		u.raw = append(u.raw[:0], u.raw[used:]...)
	}
	n := copy(b, u.text)
	u.text = u.text[n:]
	return n, nil
}

// sparse reads a file and jumps over its holes, where nothing was ever written.
type sparse struct {
	f  *os.File
	at int64
}

// Read implements io.Reader.
func (s *sparse) Read(b []byte) (int, error) {
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
		s.at = max(s.at+int64(n), dataAt(s.f, s.at))
	}
}

func allZero(b []byte) bool { return len(bytes.TrimLeft(b, "\x00")) == 0 }

// Reader reads what is piped in, live, to its end.
func Reader(title string, r io.Reader) Input {
	return Input{Title: title, Live: true, Read: func(_ context.Context, to *Feed) error { return to.Live(r, true, nil) }}
}

// FollowFile reads a file's last 256 KiB, with fromStart all of it, and then what
// is written to it, through rotation and truncation, until ctx ends. A file that is
// not there is waited for; with forgetful it is given up after a minute.
func FollowFile(path string, fromStart, forgetful bool) Input {
	return Input{Title: path, Live: true, Read: func(ctx context.Context, to *Feed) error {
		f := newFollower(path, fromStart)
		defer f.close()
		buf := make([]byte, min(blockSize, max(64<<10, 4*to.size)))
		var failed error
		take := func(lines []byte) {
			if failed == nil {
				failed = to.Lines(lines)
			}
		}
		caught, said, truncations, lost := false, "", 0, int64(0)
		last := time.Now()
		wait := time.NewTimer(0)
		defer wait.Stop()
		for {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-wait.C:
			}
			now := time.Now()
			got, more := f.look(now, buf, take, take)
			if failed != nil {
				return failed
			}
			if f.err != said {
				if said = f.err; said != "" {
					to.Note(fmt.Sprintf("%s: %s", state.Clean(path), said))
				}
			}
			if f.truncations > truncations || f.lost > lost {
				truncations, lost = f.truncations, f.lost
				what := "lines written just before may be lost"
				if lost > 0 {
					what = fmt.Sprintf("at least %d bytes were lost so far", lost)
				}
				to.Note(fmt.Sprintf("%s was truncated (%d times so far): %s", state.Clean(path), truncations, what))
			}
			if got {
				last = now
			}
			if forgetful && !f.goneSince.IsZero() && now.Sub(f.goneSince) > forget {
				return nil
			}
			if !more && !caught {
				caught = true
				if err := to.Flush(); err != nil {
					return err
				}
				to.Caught()
				if err := to.Flush(); err != nil {
					return err
				}
			}
			quiet := now.Sub(last) >= quietFor
			if quiet || len(to.notes) > 0 {
				if err := to.Flush(); err != nil {
					return err
				}
			}
			switch {
			case more:
				wait.Reset(0)
			case f.took >= hotBytes:
				wait.Reset(lookHot)
			case quiet:
				wait.Reset(lookIdle)
			default:
				wait.Reset(lookBusy)
			}
		}
	}}
}

// packedSuffix is what rotation appends to a log file's name, compressed or not.
var packedSuffix = regexp.MustCompile(`^[.\-_]\d[\d.\-_T:]*(\.(gz|zst|bz2|xz))?$`)

// Rotations are the rotated files of a log, compressed or not, oldest first. What
// was last written before since, where that is not zero, is left out.
func Rotations(path string, since time.Time) []string {
	type old struct {
		path string
		at   time.Time
		n    int
	}
	var olds []old
	rotated(path, packedSuffix, func(name, suffix string, st os.FileInfo) {
		if !since.IsZero() && st.ModTime().Before(since) {
			return
		}
		n := 0
		if num, _, _ := strings.Cut(suffix[1:], "."); len(num) < 6 {
			n, _ = strconv.Atoi(num)
		}
		olds = append(olds, old{name, st.ModTime(), n})
	})
	slices.SortStableFunc(olds, func(a, b old) int {
		if a.n > 0 && b.n > 0 { // .2.gz is older than .1
			return b.n - a.n
		}
		return a.at.Compare(b.at)
	})
	out := make([]string, len(olds))
	for i, o := range olds {
		out[i] = o.path
	}
	// A file that is being compressed is there twice for a moment.
	return slices.DeleteFunc(out, func(p string) bool {
		ext := filepath.Ext(p)
		return (ext == ".gz" || ext == ".zst" || ext == ".bz2") && slices.Contains(out, strings.TrimSuffix(p, ext))
	})
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
			if n := len(to.buf); n > 0 && to.buf[n-1] != '\n' && in.Title != last.Title {
				to.buf = append(to.buf, '\n')
			}
		}
		return nil
	}}
}

// FirstTime is the time of the first record of a file that has one among its first
// 64 KiB, in Unix nanoseconds; 0 for none.
func FirstTime(path string) int64 {
	f, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer f.Close()
	r, done, err := decoded(f)
	if err != nil {
		return 0
	}
	defer done()
	buf := make([]byte, 64<<10)
	n, _ := io.ReadFull(r, buf)
	var p parser
	for line := range bytes.Lines(buf[:n]) {
		if ns, ok, _ := p.line(text(trimmed(line))); ok {
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
			from, err := borderAfter(path, st.Size()-window)
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

// borderAfter is the beginning of the first record at or after a place in a plain
// file in UTF-8; 0 where none is near or the file is not of that kind.
func borderAfter(path string, at int64) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	r, done, err := decoded(f)
	if err != nil {
		return 0, err
	}
	done()
	if _, plain := r.(*sparse); !plain {
		return 0, nil
	}
	buf := make([]byte, scanBlock)
	n, err := f.ReadAt(buf, at)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	buf = buf[:n]
	for i := lineEnd(buf, 0); i < len(buf); i = lineEnd(buf, i) {
		if head(buf, i, lineEnd(buf, i)) {
			return at + int64(i), nil
		}
	}
	return 0, nil
}
