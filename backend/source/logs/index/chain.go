package index

import (
	"context"
	"os"
	"slices"
	"time"

	"github.com/opsdeck/opsdeck/backend/source/logs/scan"
	"github.com/opsdeck/opsdeck/backend/state"
)

// How a log and its rotated files are read as one.
const (
	// maxParts bounds the files that are open for one log; older ones are left out.
	maxParts = 64
	// partBits are the bits of a place that are the offset in its file.
	partBits = 44
	// firstLive is the number of the live file when a chain is opened: older files have
	// lower ones, and those that take its place higher ones.
	firstLive = 1 << 17
	// minChunk and maxChunk bound what is searched at a time for records that pass;
	// what is known to hold none is passed over in greater steps.
	minChunk  = 128 << 10
	maxChunk  = 16 << 20
	skipChunk = 256 << 20
	// walkBytes bounds the text that one walk takes.
	walkBytes = 1 << 20
)

// chain is a log file with its rotated files, oldest first. A place in it is the number
// of the file and the offset in that, so that it stays what it is when the log is
// rotated. It belongs to one goroutine.
type chain struct {
	path   string
	mask   func(string) string
	parts  []*part
	last   int64 // the highest number that was given
	unread []string
	bad    map[badFile]bool // why they cannot be read stands in unread
}

// badFile is a file that could not be opened, as it was then.
type badFile struct {
	id    scan.FileID
	mode  os.FileMode
	mtime time.Time
}

// part is one file of a chain.
type part struct {
	*Index
	number  int64
	live    bool
	first   int64 // time of its first record that has one; 0 for none
	tallies map[string]*Tally
}

func (p *part) place(off int64) int64 { return p.number<<partBits | off }

// tally returns what is known of a query in the part.
func (p *part) tally(key string) *Tally {
	t := p.tallies[key]
	if t == nil {
		t = &Tally{}
		p.tallies[key] = t
	}
	return t
}

func (c *chain) close() {
	for _, p := range c.parts {
		_ = p.Close()
	}
	c.parts = nil
}

// refresh lists the files that exist now. It reports whether they are others than
// before, and fails when there is none that can be read.
func (c *chain) refresh() (changed bool, err error) {
	type file struct {
		path string
		bad  badFile
		part *part
	}
	known := map[scan.FileID]*part{}
	for _, p := range c.parts {
		known[p.id] = p
	}
	paths := append(scan.Rotations(c.path, time.Time{}), c.path)
	paths = paths[max(0, len(paths)-maxParts):]
	var files []file
	same := true
	for _, path := range paths {
		st, err := os.Stat(path)
		if err != nil || !st.Mode().IsRegular() {
			continue // the live file may be away for a moment
		}
		bad := badFile{scan.IDOf(st), st.Mode(), st.ModTime()}
		if c.bad[bad] {
			continue
		}
		f := file{path: path, bad: bad, part: known[scan.IDOf(st)]}
		if f.part != nil && f.part.packed == nil && st.Size() < f.part.Stat().Size {
			f.part = nil // it was truncated
		}
		same = same && f.part != nil && len(files) < len(c.parts) && c.parts[len(files)] == f.part
		files = append(files, f)
	}
	if same && len(files) == len(c.parts) && len(files) > 0 {
		return false, nil
	}
	// What is new is numbered after what it follows.
	newest := len(files)
	for newest > 0 && files[newest-1].part == nil {
		newest--
	}
	number := c.last + 1
	switch {
	case newest > 0:
		number = files[newest-1].part.number
		if n := len(files) - newest; n > 0 {
			number = max(c.last+1, number+int64(n))
		}
	case c.last == 0:
		number = firstLive
	}
	parts := make([]*part, 0, len(files))
	for i := len(files) - 1; i >= 0; i-- {
		f := &files[i]
		if f.part == nil {
			x, oerr := Open(f.path, c.mask)
			if oerr != nil {
				if err = oerr; c.bad == nil {
					c.bad = map[badFile]bool{}
				}
				if f.path != c.path {
					c.bad[f.bad] = true
				}
				c.unread = append(c.unread, state.Clean(oerr.Error()))
				continue
			}
			f.part = &part{Index: x, number: number, first: scan.FirstTime(f.path), tallies: map[string]*Tally{}}
		} else if f.part.number > number || len(parts) > 0 && f.part.number >= parts[len(parts)-1].number {
			// They are in another order than before: all are renumbered.
			c.last += int64(len(files)) + 1
			c.close()
			_, err := c.refresh()
			return true, err
		}
		f.part.live = f.path == c.path
		number = f.part.number - 1
		parts = append(parts, f.part)
	}
	slices.Reverse(parts)
	for _, p := range c.parts {
		if !slices.Contains(parts, p) {
			_ = p.Close()
		}
	}
	c.parts = parts
	if len(parts) == 0 {
		if err == nil {
			err = scan.ReadError(c.path, os.ErrNotExist)
		}
		return true, err
	}
	c.last = max(c.last, parts[len(parts)-1].number)
	return true, nil
}

// find returns the part that holds a place, and the offset in it. A negative place is the
// log's end. What is older than the oldest part is at that one's beginning.
func (c *chain) find(at int64) (i int, off int64, err error) {
	i = len(c.parts) - 1
	if at >= 0 {
		for i > 0 && c.parts[i].number > at>>partBits {
			i--
		}
	}
	p := c.parts[i]
	c.use(p)
	switch {
	case at < 0, at>>partBits > p.number:
		off, err = p.Size()
	case at>>partBits < p.number:
		off = p.begin
	default:
		off = max(p.begin, at&(1<<partBits-1))
	}
	return i, off, err
}

// use releases what other parts keep unpacked: one at a time is enough.
func (c *chain) use(p *part) {
	if p.packed == nil {
		return
	}
	for _, o := range c.parts {
		if o != p {
			o.release()
		}
	}
}

// align returns the place of the record that holds a place.
func (c *chain) align(at int64) (int64, error) {
	i, off, err := c.find(at)
	if err != nil {
		return 0, err
	}
	p := c.parts[i]
	if size, known := p.extent(); off > 0 && off >= size && known == size {
		return p.place(off), nil
	}
	off, err = p.Align(off)
	return p.place(off), err
}

// begin returns the place of the log's first record.
func (c *chain) begin() int64 { return c.parts[0].place(c.parts[0].begin) }

// extent returns the size of all parts and how much of them was indexed, and how much of it
// lies before a place, in bytes.
func (c *chain) extent(at int64) (size, indexed, before int64) {
	for _, p := range c.parts {
		s, n := p.extent()
		switch {
		case p.number < at>>partBits:
			before += s
		case p.number == at>>partBits:
			before += min(s, at&(1<<partBits-1))
		}
		size, indexed = size+s, indexed+min(s, n)
	}
	return size, indexed, before
}

// index reads a part for its levels and times, as far as that was not done.
func (c *chain) index(ctx context.Context, p *part, progress func()) error {
	c.use(p)
	size, err := p.Size()
	if err != nil {
		return err
	}
	if s := p.Stat(); s.Done && s.Indexed >= size {
		return nil
	}
	return p.Build(ctx, viewWorkers, func(Stat) { progress() })
}

// at returns the place of the first record at or after a time. Where a part's times rise it
// is found by halving; otherwise the part is indexed for it.
func (c *chain) at(ctx context.Context, ns int64, progress func(*part)) (int64, error) {
	i := len(c.parts) - 1
	for i > 0 && (c.parts[i].first == 0 || c.parts[i].first > ns) {
		i--
	}
	for ; ; i++ {
		p := c.parts[i]
		c.use(p)
		size, err := p.Size()
		if err != nil {
			return 0, err
		}
		off, ok := int64(0), false
		if s := p.Stat(); p.packed == nil && (!s.Done || s.Indexed < size) {
			off, ok, err = p.halve(ctx, ns)
		}
		if err == nil && !ok {
			if err = c.index(ctx, p, func() { progress(p) }); err == nil {
				off, _, err = p.At(ctx, ns)
			}
		}
		if err != nil {
			return 0, err
		}
		if off < p.Stat().Size || i == len(c.parts)-1 {
			return p.place(off), nil
		}
	}
}

// histogram counts the records by time and level in n slots, as far as they are
// indexed, and those that were tallied by the times of where they are.
func (c *chain) histogram(n int, passed, matched string) []state.LogSlot {
	var first, last int64
	for _, p := range c.parts {
		s := p.Stat()
		for _, ns := range []int64{s.First, p.first} {
			if ns != 0 && (first == 0 || ns < first) {
				first = ns
			}
		}
		last = max(last, s.Last)
	}
	if n <= 0 || first == 0 || last <= first {
		return nil
	}
	out := make([]state.LogSlot, n)
	width := (last-first)/int64(n) + 1
	for i := range out {
		out[i].Start = first + int64(i)*width
	}
	slot := func(ns int64) int { return int(max(0, min(int64(n-1), (ns-first)/width))) }
	for _, p := range c.parts {
		p.each(func(b indexBlock) {
			// A block's records are taken to be spread evenly over its time.
			lo, hi := slot(b.first), slot(b.last)
			k := uint64(hi - lo + 1)
			for l, count := range b.levels {
				for j := range k {
					out[lo+int(j)].Levels[l] += uint64(count)*(j+1)/k - uint64(count)*j/k
				}
			}
		})
		for key, to := range map[string]func(*state.LogSlot) *uint64{
			passed:  func(s *state.LogSlot) *uint64 { return &s.Passed },
			matched: func(s *state.LogSlot) *uint64 { return &s.Matches },
		} {
			t := p.tallies[key]
			if key == "" || t == nil {
				continue
			}
			for i, count := range t.counts {
				if count == 0 {
					continue
				}
				if b, ok := p.block(int64(i)*t.grain + t.grain/2); ok {
					*to(&out[slot(b.first+(b.last-b.first)/2)]) += uint64(count)
				}
			}
		}
	}
	return out
}

// selector is what records have to pass: a query, and the name under which it is tallied.
type selector struct {
	q   scan.Query
	key string
}

// none reports whether it is known that in [from, to) of a part nothing passes.
func (s *selector) none(p *part, from, to int64) bool {
	return s.key != "" && p.tallies[s.key].none(from, to) || s.q.Least > 0 && p.below(from, to, s.q.Least)
}

// walker goes from a place on through a chain, forward or back, and takes the records
// that pass, a step at a time.
type walker struct {
	c    *chain
	s    *selector // nil takes all
	back bool
	n    int // how many are wanted

	number   int64 // of the part, and where in it
	off      int64
	chunk    int64
	found    []Entry // in the order of the log; places are the chain's
	bytes    int     // of their text
	done     bool    // it came to the log's end, or beginning
	searched int64   // bytes
}

// walk begins at a place, which is a record's beginning or the log's end.
func (c *chain) walk(at int64, back bool, n int, s *selector) (*walker, error) {
	i, off, err := c.find(at)
	if err != nil {
		return nil, err
	}
	return &walker{c: c, s: s, back: back, n: n, number: c.parts[i].number, off: off, chunk: minChunk}, nil
}

// ended reports whether nothing more is to be had of it.
func (w *walker) ended() bool { return w.done || len(w.found) >= w.n || w.bytes >= walkBytes }

// step searches one step further.
func (w *walker) step(ctx context.Context) error {
	i := slices.IndexFunc(w.c.parts, func(p *part) bool { return p.number == w.number })
	if i < 0 { // it was rotated away meanwhile
		w.done = true
		return nil
	}
	p := w.c.parts[i]
	w.c.use(p)
	size, err := p.Size()
	if err != nil {
		return err
	}
	if w.back && w.off <= p.begin || !w.back && w.off >= size {
		next := i + 1
		if w.back {
			next = i - 1
		}
		if next < 0 || next == len(w.c.parts) {
			w.done = true
			return nil
		}
		p = w.c.parts[next]
		w.number, w.off = p.number, p.begin
		if w.back {
			w.c.use(p)
			w.off, err = p.Size()
		}
		return err
	}
	if w.s == nil {
		return w.all(p, size)
	}
	return w.selected(ctx, p, size)
}

// all collects records as they come.
func (w *walker) all(p *part, size int64) error {
	var got []Entry
	var err error
	before := w.off
	if w.back {
		if got, err = p.Before(w.off, w.n-len(w.found)); err != nil {
			return err
		}
		if w.off = p.begin; len(got) > 0 {
			w.off = got[0].Offset
		}
		w.take(p, got)
		w.searched += before - w.off
		return nil
	}
	// One more shows where the last one ends.
	want := w.n - len(w.found)
	if got, err = p.After(w.off, want+1); err != nil {
		return err
	}
	if w.off = size; len(got) > want {
		w.off, got = got[want].Offset, got[:want]
	}
	w.take(p, got)
	w.searched += w.off - before
	return nil
}

// selected collects those of the next chunk that pass.
func (w *walker) selected(ctx context.Context, p *part, size int64) error {
	from, to := w.off, min(size, w.off+skipChunk)
	if w.back {
		from, to = max(p.begin, w.off-skipChunk), w.off
	}
	skip := w.s.none(p, from, to)
	var err error
	switch {
	case skip && w.back && from > p.begin: // what is searched next ends where a record does
		if from, err = p.Align(from); err != nil {
			return err
		}
	case skip && !w.back && to < size:
		if to, err = p.Align(to); err != nil {
			return err
		}
	}
	if !skip {
		switch {
		case w.back && p.packed != nil:
			from = p.begin // unpacked once, and not anew for every chunk
		case w.back:
			from = p.begin
			if near := w.off - w.chunk; near > from {
				if from, err = p.Align(near); from >= to { // one record is longer than that
					from, err = p.Align(to - 1)
				}
			}
		default:
			to = size
			if near := w.off + w.chunk; near < size {
				if to, err = p.Align(near); to <= from {
					w.chunk *= 4
					return err
				}
			}
		}
		if err != nil {
			return err
		}
		skip = w.s.none(p, from, to)
	}
	if !skip {
		if w.chunk = min(2*w.chunk, maxChunk); p.packed != nil {
			w.chunk = min(w.chunk, packedMax)
		}
		spots, err := p.spots(ctx, from, to, w.s.q, w.n-len(w.found), w.back)
		if err != nil {
			return err
		}
		got := make([]Entry, len(spots))
		for i, s := range spots {
			if got[i], err = p.read(s); err != nil {
				return err
			}
		}
		w.take(p, got)
	}
	w.searched += to - from
	if w.off = to; w.back {
		w.off = from
	}
	return nil
}

// take adds a part's entries to those that were found.
func (w *walker) take(p *part, es []Entry) {
	for i := range es {
		es[i].Offset = p.place(es[i].Offset)
		w.bytes += len(es[i].Text)
	}
	if w.back {
		w.found = append(es, w.found...)
	} else {
		w.found = append(w.found, es...)
	}
}

// count tallies what passes in all parts, the newest first.
func (c *chain) count(ctx context.Context, s *selector, progress func()) error {
	for _, p := range slices.Backward(c.parts) {
		c.use(p)
		if err := p.Count(ctx, s.q, viewWorkers, p.tally(s.key), progress); err != nil {
			return err
		}
	}
	return nil
}

// counted returns what a tally has found so far, and in how much of the log.
func (c *chain) counted(key string) (n uint64, searched int64) {
	for _, p := range c.parts {
		if t := p.tallies[key]; t != nil {
			n, searched = n+t.Count, searched+t.Searched
		}
	}
	return n, searched
}

// forget drops the tallies of all but the given names.
func (c *chain) forget(keys []string) {
	for _, p := range c.parts {
		for k := range p.tallies {
			if !slices.Contains(keys, k) {
				delete(p.tallies, k)
			}
		}
	}
}
