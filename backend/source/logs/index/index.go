package index

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/opsdeck/opsdeck/backend/source/logs/scan"
	"github.com/opsdeck/opsdeck/backend/state"
)

// Sizes of an index.
const (
	// indexBlocks bounds the blocks that are told apart: when there are more,
	// neighbours become one. At 72 bytes each that is about 1.2 MiB for a file of any size.
	indexBlocks = 16 << 10
	// tallyBuckets bounds the stretches of a file in which matches are counted apart.
	tallyBuckets = 4 << 10
	// backward is how much of a file is read first to find records before a place, and
	// backwardMax how much at most.
	backward    = 64 << 10
	backwardMax = scan.MaxScanned
	// packedMax is the same of a file that has to be unpacked: half of what is kept of it.
	packedMax = unpackedKept / 2
)

// Index is a log file of any size, open to be read anywhere: its end at once, and
// what is known of the rest as [Index.Build] goes through it. Places in it are offsets
// in bytes, at which records begin; of a compressed file and of one in UTF-16, offsets
// in the text that it unpacks to, so that such a file is read through before its end is
// known. Memory does not grow with the file. Its methods may be called from any
// goroutine; what they read is masked and cleaned.
type Index struct {
	path   string
	f      *os.File
	r      io.ReaderAt
	packed *unpacked // r, where the file is not read as it is
	id     scan.FileID
	begin  int64 // where the first record begins: after the byte order mark
	mask   func(string) string

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

// Stat is what is known of a file so far.
type Stat struct {
	// Size is the file's, Indexed how much of it has been read, in bytes.
	Size, Indexed int64
	// Levels counts records by [state.Level] in what has been read.
	Levels [state.LevelFatal + 1]uint64
	// First and Last are the earliest and the latest time, in Unix nanoseconds; 0 for none.
	First, Last int64
	// Done is set once the file was read to the end that it had then.
	Done bool
}

// Entry is one record and where it begins.
type Entry struct {
	Offset int64
	state.LogRecord
}

// ErrReplaced says that the file is shorter than it was: it has to be reopened.
var ErrReplaced = errors.New("the file was truncated")

// Open opens a file without reading it. mask hides secrets; nil hides none.
func Open(path string, mask func(string) string) (*Index, error) {
	f, err := scan.OpenLog(path)
	if err != nil {
		return nil, err
	}
	x := &Index{path: path, f: f, r: f, mask: mask, grain: scan.BlockSize}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = errors.New("it is not a regular file")
	}
	if err == nil {
		x.id, x.size = scan.IDOf(st), st.Size()
		x.packed, err = unpackedOf(f)
	}
	if err != nil {
		_ = f.Close()
		return nil, scan.ReadError(path, err)
	}
	if x.packed != nil {
		x.r, x.size = x.packed, 0
	} else {
		x.begin = int64(scan.DetectEncoding(f).Bom())
		x.end = x.begin
	}
	if mask == nil {
		x.mask = func(s string) string { return s }
	}
	return x, nil
}

// Close closes the file.
func (x *Index) Close() error {
	x.release()
	return x.f.Close()
}

// release frees what was unpacked. It is unpacked again when it is needed.
func (x *Index) release() {
	if x.packed != nil {
		x.packed.release()
	}
}

// Size returns the file's present size; of a file that has to be unpacked it is known
// once that was done, which this does where it is needed. It fails with [ErrReplaced].
func (x *Index) Size() (int64, error) {
	st, err := x.f.Stat()
	if err != nil {
		return 0, scan.ReadError(x.path, err)
	}
	size := st.Size()
	if x.packed != nil {
		if size, err = x.packed.size(size); err != nil && !errors.Is(err, ErrReplaced) {
			return 0, scan.ReadError(x.path, err)
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if size < x.size || err != nil {
		return 0, ErrReplaced
	}
	x.size = size
	return x.size, nil
}

// extent returns how large the file is as far as that is known without reading it, and how
// much of it was indexed, in bytes.
func (x *Index) extent() (size, indexed int64) {
	raw := int64(0)
	if st, err := x.f.Stat(); err == nil {
		raw = st.Size()
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.packed == nil || x.size == 0 {
		return max(raw, x.size, x.end), x.end
	}
	return x.size, x.end
}

// Stat returns what is known so far.
func (x *Index) Stat() Stat {
	x.mu.Lock()
	defer x.mu.Unlock()
	s := Stat{Size: x.size, Indexed: x.end, Done: x.ready}
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
func (x *Index) section(from, to int64) scan.Input {
	in := scan.Input{Title: x.path, Read: func(_ context.Context, feed *scan.Feed) error {
		feed.StartAt(from)
		if err := feed.From(io.NewSectionReader(x.r, from, to-from)); err != nil {
			if errors.Is(err, context.Canceled) {
				return err
			}
			return scan.ReadError(x.path, err)
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
func (x *Index) Build(ctx context.Context, workers int, progress func(Stat)) error {
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
	err = scan.Scan(ctx, x.section(from, size), scan.Query{Parse: true}, workers, nil, func(f *scan.Found) error {
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

// At returns the place for a time: the place of the first record at or after it, as
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
	err = scan.Scan(ctx, x.section(from, to), scan.Query{Since: ns}, 1, nil, func(f *scan.Found) error {
		for _, h := range f.Hits {
			if !h.Guessed { // the first of a block may have the time of the file
				at = f.Offset + int64(h.From)
				return found
			}
		}
		return nil
	})
	if errors.Is(err, found) {
		err = nil
	}
	return at, true, err
}

// probe returns the first record at or behind a place that has a time, and that; ok is false
// where none is near.
func (x *Index) probe(at int64) (place, ns int64, ok bool, err error) {
	if place, err = x.Align(at); err != nil {
		return 0, 0, false, err
	}
	es, err := x.After(place, 64)
	if err != nil {
		return 0, 0, false, err
	}
	for _, e := range es {
		if !e.Guessed {
			return e.Offset, e.Nanos, true, nil
		}
	}
	return 0, 0, false, nil
}

// halve finds the first record at or after a time in a file that was not indexed; ok is
// false where the times of what it read do not rise, or there are none.
func (x *Index) halve(ctx context.Context, ns int64) (at int64, ok bool, err error) {
	low, high := x.begin, x.Stat().Size
	_, least, ok, err := x.probe(low)
	if err != nil || !ok || least >= ns {
		return low, ok, err
	}
	most := int64(1<<63 - 1)
	for high-low > scan.BlockSize {
		middle := low + (high-low)/2
		place, t, ok, err := x.probe(middle)
		switch {
		case err != nil || !ok || t < least || t > most:
			return 0, false, err
		case t >= ns:
			high, most = middle, t
		case place >= high: // the records before it have no times
			return 0, false, nil
		default:
			low, least = max(middle, place), t
		}
	}
	if low, err = x.Align(low); err != nil {
		return 0, false, err
	}
	at, size := int64(0), x.Stat().Size
	found := errors.New("found")
	err = scan.Scan(ctx, x.section(low, size), scan.Query{Since: ns}, 1, nil, func(f *scan.Found) error {
		for _, h := range f.Hits {
			if !h.Guessed {
				at = f.Offset + int64(h.From)
				return found
			}
		}
		return nil
	})
	if errors.Is(err, found) {
		return at, true, nil
	}
	return size, true, err
}

// each calls f with every block, with the earliest and latest time of the block before where it
// has none itself; 0 where none has any yet.
func (x *Index) each(give func(indexBlock)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	var first, last int64
	for _, b := range x.blocks {
		if b.first == 0 {
			b.first, b.last = first, last
		}
		first, last = b.first, b.last
		give(b)
	}
}

// block returns the block that holds a place, or the last one before it that has a time.
func (x *Index) block(at int64) (indexBlock, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	i, found := slices.BinarySearchFunc(x.blocks, at, func(b indexBlock, at int64) int { return cmp.Compare(b.at, at) })
	if !found {
		i--
	}
	for ; i >= 0; i-- {
		if x.blocks[i].first != 0 {
			return x.blocks[i], true
		}
	}
	return indexBlock{}, false
}

// entries returns the records of some bytes of the file that begin with a record.
func (x *Index) entries(data []byte, at int64, fallback int64) []Entry {
	q := scan.Query{Parse: true}
	f := &scan.Found{Data: data}
	scan.NewSearcher(&q, fallback).Search(f)
	out := make([]Entry, len(f.Hits))
	for i, h := range f.Hits {
		t := f.Text(h)
		out[i] = x.entry(spot{at: at + int64(h.From), nanos: h.Nanos, guessed: h.Guessed, level: h.Level}, t, len(t))
	}
	return out
}

// tidy returns a copy of a record as the console keeps it: lines end in "\n", and those
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

// widest returns how much is read at a time at most to find a record's border.
func (x *Index) widest() int64 {
	if x.packed != nil {
		return packedMax
	}
	return backwardMax
}

// Before returns the last n records that end at or before a place, oldest first; fewer
// where the file begins. The file's size gives its end.
func (x *Index) Before(at int64, n int) ([]Entry, error) {
	for window := int64(backward); ; window *= 4 {
		from := max(x.begin, at-window)
		if from >= at {
			return nil, nil
		}
		data := make([]byte, at-from)
		got, err := x.r.ReadAt(data, from)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, scan.ReadError(x.path, err)
		}
		data = data[:got]
		begin := 0
		if from > x.begin {
			begin = len(data)
			for i := scan.LineEnd(data, 0); i < len(data); i = scan.LineEnd(data, i) {
				if scan.BeginsRecord(data, i, scan.LineEnd(data, i)) {
					begin = i
					break
				}
			}
		}
		all := x.entries(data[begin:], from+int64(begin), x.fallback())
		if len(all) >= n || from == x.begin || window >= x.widest() {
			return all[max(0, len(all)-n):], nil
		}
	}
}

// After returns the next n records from a place on at which a record begins; fewer where
// the file ends.
func (x *Index) After(at int64, n int) ([]Entry, error) {
	at = max(at, x.begin)
	for window := int64(backward); ; window *= 4 {
		data := make([]byte, window)
		got, err := x.r.ReadAt(data, at)
		end := errors.Is(err, io.EOF)
		if err != nil && !end {
			return nil, scan.ReadError(x.path, err)
		}
		data = data[:got]
		if !end && window < x.widest() {
			if k := scan.LastHead(data); k > 0 {
				data = data[:k]
			} else {
				continue
			}
		}
		all := x.entries(data, at, x.fallback())
		if len(all) >= n || end || window >= x.widest() {
			return all[:min(len(all), n)], nil
		}
	}
}

// Align returns the beginning of the record that holds a place; the file's end for a place
// behind it.
func (x *Index) Align(at int64) (int64, error) {
	for window := int64(backward); ; window *= 4 {
		from := max(x.begin, at-window)
		data := make([]byte, max(0, at-from)+window)
		n, err := x.r.ReadAt(data, from)
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, scan.ReadError(x.path, err)
		}
		data = data[:n]
		here := int(at - from)
		if here < 0 {
			return from, nil
		}
		if here >= n {
			return from + int64(n), nil
		}
		begin := 0
		if from > x.begin { // in the middle of a line, most likely
			begin = scan.LineEnd(data, 0)
		}
		if begin > here {
			if window < x.widest() {
				continue
			}
			begin = 0
		}
		start := begin + scan.RecordStart(data[begin:], scan.LineStart(data[begin:], here-begin))
		if start == begin && from > x.begin && window < x.widest() {
			continue // it may begin before what was read
		}
		return from + int64(start), nil
	}
}
