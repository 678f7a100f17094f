package logs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

// Sizes of an index.
const (
	// indexBlocks bounds the blocks that are told apart: when there are more,
	// neighbours become one. At 72 bytes each that is about 1.2 MiB for a file of any size.
	indexBlocks = 16 << 10
	// matchOffsets bounds the places of matches that are kept; beyond it they are counted.
	matchOffsets = 256 << 10
	// backward is how much of a file is read first to find records before a place, and
	// backwardMax how much at most.
	backward    = 64 << 10
	backwardMax = scanMax
)

// Index is a plain log file of any size, open to be looked at anywhere: its end at
// once, and what is known of the rest as [Index.Build] goes through it. Places in it
// are offsets in bytes, at which records begin. Memory does not grow with the file.
// Its methods may be called from any goroutine; what they read is masked and cleaned.
type Index struct {
	path string
	f    *os.File
	id   fileID
	mask func(string) string

	mu     sync.Mutex
	blocks []indexBlock
	grain  int64 // least size of a block
	end    int64 // up to here it has been read
	size   int64
	ready  bool
}

// indexBlock is what is known of some 256 KiB or more of the file.
type indexBlock struct {
	at          int64
	first, last int64 // times of its earliest and latest record; 0 for none
	levels      [state.LevelFatal + 1]uint32
}

// IndexStat is what is known of a file so far.
type IndexStat struct {
	// Size is the file's, Indexed how much of it has been read, in bytes.
	Size, Indexed int64
	// Levels counts records by [state.Level] in what has been read.
	Levels [state.LevelFatal + 1]uint64
	// First and Last are the earliest and the latest time, in Unix nanoseconds; 0 for none.
	First, Last int64
	// Done says that the file was read to the end that it had then.
	Done bool
}

// Entry is one record and where it begins.
type Entry struct {
	Offset int64
	state.LogRecord
}

// ErrReplaced says that another file has taken the path, or that the file is
// shorter than it was: it has to be opened anew.
var ErrReplaced = errors.New("the file was rotated or truncated")

// OpenIndex opens a file without reading it. A compressed file, or one in UTF-16,
// is refused: its records have no offsets. mask hides secrets; nil hides none.
func OpenIndex(path string, mask func(string) string) (*Index, error) {
	f, err := openLog(path)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = errors.New("it is not a regular file")
	}
	if err == nil {
		var r io.Reader
		var done func()
		if r, done, err = decoded(f); err == nil {
			done()
			if _, plain := r.(*sparse); !plain {
				err = errors.New("it is compressed or in UTF-16, and can only be read from its beginning")
			}
		}
	}
	if err != nil {
		_ = f.Close()
		return nil, errReading(path, err)
	}
	if mask == nil {
		mask = func(s string) string { return s }
	}
	return &Index{path: path, f: f, id: idOf(st), mask: mask, size: st.Size(), grain: scanBlock}, nil
}

// Close closes the file.
func (x *Index) Close() error { return x.f.Close() }

// Size asks for the file's present size. It fails with [ErrReplaced].
func (x *Index) Size() (int64, error) {
	st, err := x.f.Stat()
	if err != nil {
		return 0, errReading(x.path, err)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if st.Size() < x.size {
		return 0, ErrReplaced
	}
	if now, err := os.Stat(x.path); err == nil && idOf(now) != x.id {
		return 0, ErrReplaced
	}
	x.size = st.Size()
	return x.size, nil
}

// Stat is what is known so far.
func (x *Index) Stat() IndexStat {
	x.mu.Lock()
	defer x.mu.Unlock()
	s := IndexStat{Size: x.size, Indexed: x.end, Done: x.ready}
	for i := range x.blocks {
		b := &x.blocks[i]
		for l, n := range b.levels {
			s.Levels[l] += uint64(n)
		}
		if b.first != 0 && (s.First == 0 || b.first < s.First) {
			s.First = b.first
		}
		s.Last = max(s.Last, b.last)
	}
	return s
}

// section reads the file between two places, as an input.
func (x *Index) section(from, to int64) Input {
	in := Input{Title: x.path, Read: func(_ context.Context, feed *Feed) error {
		feed.offset = from
		if err := feed.From(io.NewSectionReader(x.f, from, to-from)); err != nil {
			if errors.Is(err, context.Canceled) {
				return err
			}
			return errReading(x.path, err)
		}
		return nil
	}}
	if st, err := x.f.Stat(); err == nil {
		in.Fallback = st.ModTime().UnixNano()
	}
	return in
}

// Build reads what has not been read yet, up to the present end, in workers
// goroutines, and calls progress (which may be nil) after every few MiB from the
// goroutine that called it. Called again it goes on where the file has grown. Only one
// Build may run at a time.
func (x *Index) Build(ctx context.Context, workers int, progress func(IndexStat)) error {
	size, err := x.Size()
	if err != nil {
		return err
	}
	x.mu.Lock()
	// The last block may have gone on since.
	if n := len(x.blocks); n > 0 {
		x.end = x.blocks[n-1].at
		x.blocks = x.blocks[:n-1]
	}
	x.ready = false
	from := x.end
	x.mu.Unlock()
	said := from
	err = Scan(ctx, x.section(from, size), Query{Parse: true}, workers, nil, func(f *Found) error {
		b := indexBlock{at: f.Offset}
		for _, h := range f.Hits {
			b.levels[h.Level]++
			if !h.Guessed {
				if b.first == 0 || h.Nanos < b.first {
					b.first = h.Nanos
				}
				b.last = max(b.last, h.Nanos)
			}
		}
		x.mu.Lock()
		x.add(b)
		x.end = f.Offset + int64(len(f.Data))
		end := x.end
		x.mu.Unlock()
		if progress != nil && end-said >= 16<<20 {
			said = end
			progress(x.Stat())
		}
		return nil
	})
	if err == nil {
		x.mu.Lock()
		x.ready = true
		x.mu.Unlock()
	}
	if progress != nil {
		progress(x.Stat())
	}
	return err
}

// add appends a block, to the last one where that is small.
func (x *Index) add(b indexBlock) {
	if n := len(x.blocks); n > 0 && b.at-x.blocks[n-1].at < x.grain {
		x.blocks[n-1].join(b)
		return
	}
	x.blocks = append(x.blocks, b)
	if len(x.blocks) < indexBlocks {
		return
	}
	x.grain *= 2
	kept := x.blocks[:1]
	for _, b := range x.blocks[1:] {
		if last := &kept[len(kept)-1]; b.at-last.at < x.grain {
			last.join(b)
		} else {
			kept = append(kept, b)
		}
	}
	x.blocks = kept
}

func (b *indexBlock) join(c indexBlock) {
	for i, n := range c.levels {
		b.levels[i] += n
	}
	if b.first == 0 || c.first != 0 && c.first < b.first {
		b.first = c.first
	}
	b.last = max(b.last, c.last)
}

// At is where to look for a time: the place of the first record at or after it, as
// far as the file has been indexed; ok is false where that is not yet known.
func (x *Index) At(ctx context.Context, ns int64) (at int64, ok bool, err error) {
	x.mu.Lock()
	i := slices.IndexFunc(x.blocks, func(b indexBlock) bool { return b.last >= ns })
	if i < 0 {
		at, ok = x.end, x.ready
		x.mu.Unlock()
		return at, ok, nil
	}
	from, to := x.blocks[i].at, x.end
	if i+1 < len(x.blocks) {
		to = x.blocks[i+1].at
	}
	x.mu.Unlock()
	at = to
	found := errors.New("found")
	err = Scan(ctx, x.section(from, to), Query{Since: ns}, 1, nil, func(f *Found) error {
		if len(f.Hits) > 0 {
			at = f.Offset + int64(f.Hits[0].From)
			return found
		}
		return nil
	})
	if errors.Is(err, found) {
		err = nil
	}
	return at, true, err
}

// Slot is a stretch of time in a histogram.
type Slot struct {
	Start  int64 // Unix nanoseconds
	Levels [state.LevelFatal + 1]uint64
}

// Histogram counts records by time and level in n slots from the earliest to the
// latest time known, to the resolution of blocks.
func (x *Index) Histogram(n int) []Slot {
	s := x.Stat()
	if n <= 0 || s.First == 0 || s.Last <= s.First {
		return nil
	}
	out := make([]Slot, n)
	width := (s.Last-s.First)/int64(n) + 1
	for i := range out {
		out[i].Start = s.First + int64(i)*width
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for i := range x.blocks {
		b := &x.blocks[i]
		if b.first == 0 {
			continue
		}
		// A block's records are taken to be spread evenly over its time.
		lo, hi := int((b.first-s.First)/width), int((b.last-s.First)/width)
		for l, count := range b.levels {
			k := uint64(hi - lo + 1)
			for j := range k {
				share := uint64(count)*(j+1)/k - uint64(count)*j/k
				out[lo+int(j)].Levels[l] += share
			}
		}
	}
	return out
}

// entries are the records of some bytes of the file that begin with a record.
func (x *Index) entries(data []byte, at int64, fallback int64) []Entry {
	q := Query{Parse: true}
	f := &Found{Data: data}
	newSearcher(&q, fallback).search(f)
	out := make([]Entry, len(f.Hits))
	for i, h := range f.Hits {
		t := f.Text(h)
		cut := ""
		if len(t) > maxRecord {
			t, cut = t[:maxRecord], cutNote(len(t))
		}
		out[i] = Entry{at + int64(h.From), state.LogRecord{Nanos: h.Nanos, Guessed: h.Guessed, Level: h.Level, Text: state.Clean(x.mask(tidy(t))) + cut}}
	}
	return out
}

// tidy is a copy of a record as the console keeps it: lines end in "\n", and those
// without text are left out.
func tidy(t string) string {
	if strings.IndexByte(t, '\r') < 0 && !strings.Contains(t, "\n\n") {
		return strings.Clone(t)
	}
	var b strings.Builder
	for line := range strings.Lines(t) {
		if line = strings.TrimRight(line, "\r\n"); line != "" {
			if b.Len() > 0 {
				b.WriteByte('\n')
			}
			b.WriteString(line)
		}
	}
	return b.String()
}

func (x *Index) fallback() int64 {
	if st, err := x.f.Stat(); err == nil {
		return st.ModTime().UnixNano()
	}
	return time.Now().UnixNano()
}

// Before is the last n records that end at or before a place, oldest first; fewer
// where the file begins. The file's size gives its end.
func (x *Index) Before(at int64, n int) ([]Entry, error) {
	for window := int64(backward); ; window *= 4 {
		from := max(0, at-window)
		data := make([]byte, at-from)
		got, err := x.f.ReadAt(data, from)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, errReading(x.path, err)
		}
		data = data[:got]
		begin := 0
		if from > 0 {
			begin = len(data)
			for i := lineEnd(data, 0); i < len(data); i = lineEnd(data, i) {
				if head(data, i, lineEnd(data, i)) {
					begin = i
					break
				}
			}
		} else if len(data) >= 3 && string(data[:3]) == "\xef\xbb\xbf" {
			begin = 3
		}
		all := x.entries(data[begin:], from+int64(begin), x.fallback())
		if len(all) >= n || from == 0 || window >= backwardMax {
			return all[max(0, len(all)-n):], nil
		}
	}
}

// After is the next n records from a place on at which a record begins; fewer where
// the file ends.
func (x *Index) After(at int64, n int) ([]Entry, error) {
	for window := int64(backward); ; window *= 4 {
		data := make([]byte, window)
		got, err := x.f.ReadAt(data, at)
		end := errors.Is(err, io.EOF)
		if err != nil && !end {
			return nil, errReading(x.path, err)
		}
		data = data[:got]
		if !end && window < backwardMax {
			if k := lastHead(data); k > 0 {
				data = data[:k]
			} else {
				continue
			}
		}
		all := x.entries(data, at, x.fallback())
		if len(all) >= n || end || window >= backwardMax {
			return all[:min(len(all), n)], nil
		}
	}
}

// Matches are the records that a search found.
type Matches struct {
	Count uint64
	// Offsets are where they begin, in order. Of more than 262,144 only the last ones
	// are kept: an incident is at the end.
	Offsets []int64
	// Searched is how much of the file was looked at, from its beginning, in bytes.
	Searched int64
}

// Search looks through the whole file as it is now. progress, which may be nil, is
// called from time to time with what was found until then, from the goroutine that
// called Search; its offsets must not be kept.
func (x *Index) Search(ctx context.Context, q Query, workers int, progress func(Matches)) (Matches, error) {
	size, err := x.Size()
	if err != nil {
		return Matches{}, err
	}
	q.Before, q.After = 0, 0
	var m Matches
	said := int64(0)
	err = Scan(ctx, x.section(0, size), q, workers, nil, func(f *Found) error {
		for _, h := range f.Hits {
			m.Offsets = append(m.Offsets, f.Offset+int64(h.From))
		}
		m.Count += uint64(f.Matched)
		if len(m.Offsets) > 2*matchOffsets {
			m.Offsets = append(m.Offsets[:0], m.Offsets[len(m.Offsets)-matchOffsets:]...)
		}
		m.Searched = f.Offset + int64(len(f.Data))
		if progress != nil && m.Searched-said >= 64<<20 {
			said = m.Searched
			progress(m)
		}
		return nil
	})
	if n := len(m.Offsets) - matchOffsets; n > 0 {
		m.Offsets = m.Offsets[n:]
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		err = fmt.Errorf("search %s: %w", state.Clean(x.path), err)
	}
	return m, err
}

// Next is the first match after a place, Previous the last one before it; ok is
// false where there is none among those kept.
func (m Matches) Next(at int64) (int64, bool) {
	i, found := slices.BinarySearch(m.Offsets, at)
	if found {
		i++
	}
	if i >= len(m.Offsets) {
		return 0, false
	}
	return m.Offsets[i], true
}

// Previous is the last match before a place.
func (m Matches) Previous(at int64) (int64, bool) {
	i, _ := slices.BinarySearch(m.Offsets, at)
	if i == 0 {
		return 0, false
	}
	return m.Offsets[i-1], true
}
