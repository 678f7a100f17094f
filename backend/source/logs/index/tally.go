package index

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/opsdeck/opsdeck/backend/source/logs/scan"
	"github.com/opsdeck/opsdeck/backend/state"
)

// Tally counts the records of a file that pass a query, and knows where there are none.
// The zero Tally has read nothing.
type Tally struct {
	Count uint64
	// Searched is how much of the file was read, from its beginning, in bytes.
	Searched int64

	grain  int64 // size of a bucket; 0 before the first
	counts []uint32
	// The last block that was read, whose last record may go on: where it began,
	// and what was found in it.
	resume int64
	last   []int64
}

func (t *Tally) add(at int64, n int) {
	if t.grain == 0 {
		t.grain = scan.BlockSize
	}
	for at/t.grain >= tallyBuckets {
		t.grain *= 2
		for i := range t.counts {
			c := t.counts[i]
			t.counts[i] = 0
			t.counts[i/2] += c
		}
		t.counts = t.counts[:(len(t.counts)+1)/2]
	}
	for i := int(at / t.grain); i >= len(t.counts); {
		t.counts = append(t.counts, 0)
	}
	t.counts[at/t.grain] += uint32(n)
	t.Count += uint64(n)
}

// none reports whether it is known that no record which passes begins in [from, to).
func (t *Tally) none(from, to int64) bool {
	if t == nil || to > t.Searched {
		return false
	}
	if t.grain == 0 {
		return true
	}
	for i := from / t.grain; i <= (to-1)/t.grain && i < int64(len(t.counts)); i++ {
		if t.counts[i] > 0 {
			return false
		}
	}
	return true
}

// Count searches the file as it is now, from where it had come the last time.
// progress, which may be nil, is called from time to time from the goroutine that
// called Count. A count that was interrupted goes on where it was.
func (x *Index) Count(ctx context.Context, q scan.Query, workers int, t *Tally, progress func()) error {
	size, err := x.Size()
	if err != nil {
		return err
	}
	q.Before, q.After = 0, 0
	if t.Searched >= size {
		return nil
	}
	for _, at := range t.last {
		t.counts[at/t.grain]--
		t.Count--
	}
	t.last = t.last[:0]
	from := max(t.resume, x.begin)
	t.Searched = from
	said := from
	err = scan.Scan(ctx, x.section(from, size), q, workers, nil, func(f *scan.Found) error {
		t.last, t.resume = t.last[:0], f.Offset
		for _, h := range f.Hits {
			at := f.Offset + int64(h.From)
			t.add(at, 1)
			t.last = append(t.last, at)
		}
		t.Searched = f.Offset + int64(len(f.Data))
		if progress != nil && t.Searched-said >= 32<<20 {
			said = t.Searched
			progress()
		}
		return nil
	})
	if err != nil && !errors.Is(err, context.Canceled) {
		err = fmt.Errorf("search %s: %w", state.Clean(x.path), err)
	}
	return err
}

// below reports whether the index knows that no record of a level or above begins in
// [from, to).
func (x *Index) below(from, to int64, least state.Level) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if to > x.end {
		return false
	}
	i, found := slices.BinarySearchFunc(x.blocks, from, func(b indexBlock, at int64) int { return cmp.Compare(b.at, at) })
	if !found {
		i = max(0, i-1)
	}
	for ; i < len(x.blocks) && x.blocks[i].at < to; i++ {
		for _, n := range x.blocks[i].levels[least:] {
			if n > 0 {
				return false
			}
		}
	}
	return true
}

// spot is a record that passed a query: where it begins and its text ends.
type spot struct {
	at, end int64
	nanos   int64
	guessed bool
	level   state.Level
	text    string // as it was read, where that is not to be read again
}

// spots returns the records in [from, to) that pass a query: the first n, with last the
// last n. from and to are where records begin. Of a file that has to be unpacked they
// have their texts.
func (x *Index) spots(ctx context.Context, from, to int64, q scan.Query, n int, last bool) (out []spot, err error) {
	enough := errors.New("enough")
	q.Parse = true
	err = scan.Scan(ctx, x.section(from, to), q, viewWorkers, nil, func(f *scan.Found) error {
		for _, h := range f.Hits {
			if !last && len(out) >= n {
				return enough
			}
			at := f.Offset + int64(h.From)
			s := spot{at: at, end: at + int64(len(f.Text(h))), nanos: h.Nanos, guessed: h.Guessed, level: h.Level}
			if x.packed != nil {
				s.text = strings.Clone(f.Text(h)[:min(s.end-s.at, scan.MaxRecord+utf8.UTFMax)])
			}
			out = append(out, s)
		}
		if last && len(out) > 2*n {
			out = slices.Delete(out, 0, len(out)-n)
		}
		return nil
	})
	if errors.Is(err, enough) {
		err = nil
	}
	if last && len(out) > n {
		out = out[len(out)-n:]
	}
	return out, err
}

// read returns a spot with its text.
func (x *Index) read(s spot) (Entry, error) {
	if s.text != "" {
		return x.entry(s, s.text, int(s.end-s.at)), nil
	}
	data := make([]byte, min(s.end-s.at, scan.MaxRecord+utf8.UTFMax))
	n, err := x.r.ReadAt(data, s.at)
	if err != nil && !errors.Is(err, io.EOF) {
		return Entry{}, scan.ReadError(x.path, err)
	}
	return x.entry(s, scan.Text(data[:n]), int(s.end-s.at)), nil
}

// entry returns a spot with its text, which had size bytes before it was cut.
func (x *Index) entry(s spot, t string, size int) Entry {
	cut := ""
	if len(t) > scan.MaxRecord {
		t, cut = t[:scan.CutLine], scan.CutNote(size)
	}
	return Entry{s.at, state.LogRecord{Nanos: s.nanos, Guessed: s.guessed, Level: s.level, Text: state.Clean(x.mask(tidy(t))) + cut}}
}
