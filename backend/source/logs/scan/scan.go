package scan

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/opsdeck/opsdeck/backend/record"
	"github.com/opsdeck/opsdeck/backend/state"
)

// Sizes of a scan.
const (
	// BlockSize is how much is searched at a time: it fits into a core's cache.
	BlockSize = 256 << 10
	// MaxScanned is how long a record may be; what is longer is cut.
	MaxScanned = 32 << 20
	// QuietFor is how long nothing must have come until the last record of something
	// live is taken to be complete.
	QuietFor = 100 * time.Millisecond
)

// Query selects records. The zero Query selects all.
type Query struct {
	// Text is to be found in one of the record's lines; with Invert in none.
	Text   *record.Search
	Invert bool
	// Where is to pass, nil for no filter.
	Where *record.Filter
	// Least is the lowest level; records without one have none.
	Least state.Level
	// Since and Until bound the time in Unix nanoseconds: from Since on, before Until;
	// 0 is no bound.
	Since, Until int64
	// Before and After are how many records around each are wanted too.
	Before, After int
	// Parse has time and level of every hit read, which otherwise are only where the
	// query needs them.
	Parse bool
	// Block is how much is searched at a time, in bytes; 0 is 256 KiB, which is fastest.
	// A scan has some six blocks under way: for many inputs at once use less.
	Block int
}

// Selects reports whether the query leaves anything out.
func (q *Query) Selects() bool {
	return q.Text != nil || q.Where != nil || q.Least > 0 || q.Since != 0 || q.Until != 0
}

// Hit is one record in [Found.Data].
type Hit struct {
	From, To int
	// Nanos, Guessed and Level are as in [state.LogRecord], where they were read. Nanos
	// is 0 where neither the record nor one before it in the block has a time.
	Nanos   int64
	Guessed bool
	Level   state.Level
	// Context says that the record only stands beside one that was wanted, Gap that
	// records were left out before it where context was asked for.
	Context, Gap bool
}

// Found is what one block of records held. It is valid until emit returns.
type Found struct {
	Data []byte // raw; see Found.Text
	// Offset is the place of Data in what the input read, in bytes from its beginning.
	Offset int64
	Hits   []Hit
	// Matched counts the hits that are not context.
	Matched int
	// Out is scratch space for what work makes of the hits; it is emptied before.
	Out []byte
	// Ends are places in Out, one for each hit, for work to use.
	Ends []int
	// Notes are things that happened to the input before these records.
	Notes []string
	// CaughtUp is set when all that existed when reading began has been passed on.
	CaughtUp bool

	stamps []stamp
	ready  chan struct{}
}

// Text returns a hit's record as it was written, without its line's end.
func (f *Found) Text(h Hit) string { return Text(trimmed(f.Data[h.From:h.To])) }

// stamp is the time of the lines from a place on, as recorded with them.
type stamp struct {
	at int
	ns int64
}

// Scan reads an input and searches it in workers goroutines. work is called in
// those, for every block with what was found in it; emit in the order of the input,
// from the goroutine that called Scan. Scan ends with the input, with ctx, or with
// emit's first error, which it returns.
func Scan(ctx context.Context, in Input, q Query, workers int, work func(*Found), emit func(*Found) error) error {
	outer := ctx
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if q.Before > 0 || q.After > 0 {
		workers = 1 // what stands beside a hit may stand in another block
	}
	workers = max(1, workers)
	queue := make(chan *Found, 2*workers)
	todo := make(chan *Found, workers)
	var pool sync.Pool
	size := q.Block
	if size <= 0 {
		size = BlockSize
	}
	feed := &Feed{ctx: ctx, free: &pool, size: size, live: in.Live, given: time.Now(), give: func(b *Found) error {
		select {
		case queue <- b:
		case <-ctx.Done():
			return ctx.Err()
		}
		todo <- b // as many as are queued; the workers do not stop before it is closed
		return nil
	}}
	var wg sync.WaitGroup
	var readErr error
	wg.Go(func() {
		defer close(queue)
		defer close(todo)
		readErr = in.Read(ctx, feed)
		if len(feed.buf) > 0 || len(feed.notes) > 0 || feed.caughtUp {
			if err := feed.cut(len(feed.buf)); readErr == nil {
				readErr = err
			}
		}
	})
	for range workers {
		wg.Go(func() {
			s := NewSearcher(&q, in.Fallback)
			for b := range todo {
				s.Search(b)
				b.Out, b.Ends = b.Out[:0], b.Ends[:0]
				if work != nil {
					work(b)
				}
				close(b.ready)
			}
		})
	}
	var err error
	for b := range queue {
		<-b.ready
		if err == nil {
			if err = emit(b); err != nil {
				cancel()
			}
		}
		if cap(b.Data) > 4*size+8192 {
			continue
		}
		b.Notes = nil
		pool.Put(b)
	}
	wg.Wait()
	switch {
	case err != nil:
		return err
	case outer.Err() != nil:
		return outer.Err()
	}
	return readErr
}

// Searcher finds a query's records in blocks.
type Searcher struct {
	q *Query
	// first is looked for before anything else; text is the query's, asked of what
	// first found where that is another.
	first, text *record.Matcher
	parse       bool
	parser      Parser
	fallback    int64
	lastNs      int64
	// carry are the last records of the block before, for context; owed are how many
	// records after the last hit are still wanted; printed is where what was given on
	// ends in carry.
	carry       []byte
	contextLeft int
	printed     int
	any         bool
}

// NewSearcher returns a searcher for q. fallback is the time, in Unix nanoseconds, of records
// without any.
func NewSearcher(q *Query, fallback int64) *Searcher {
	s := &Searcher{q: q, fallback: fallback}
	s.parse = q.Parse || q.Least > 0 || q.Since != 0 || q.Until != 0 || q.Where != nil && q.Where.NeedsLevel()
	switch {
	case q.Text != nil && !q.Invert:
		s.first = q.Text.Matcher()
	case q.Where != nil && q.Where.Required() != nil:
		s.first = q.Where.Required().Matcher()
	}
	if q.Text != nil && q.Invert {
		s.text = q.Text.Matcher()
	}
	return s
}

// Search finds the hits of a block.
func (s *Searcher) Search(b *Found) {
	b.Hits, b.Matched = b.Hits[:0], 0
	from := 0
	if s.q.Before > 0 || s.q.After > 0 {
		from = len(s.carry)
		data := append(s.carry, b.Data...)
		for i := range b.stamps {
			b.stamps[i].at += from
		}
		s.carry, b.Data = b.Data[:0], data // the two change places
		b.Offset -= int64(from)
	}
	s.find(b, from)
	if s.q.Before > 0 || s.q.After > 0 {
		s.context(b, from)
	}
}

func (s *Searcher) find(b *Found, from int) {
	data := b.Data
	if s.first != nil {
		s.first.Reset(data)
	}
	for at := from; at < len(data); {
		start, end := at, 0
		if s.first != nil {
			line, lineEnd, _ := s.first.Next(at)
			if line < 0 {
				return
			}
			start = RecordStart(data[at:], line-at) + at
			end = recordEnd(data, line, min(lineEnd+1, len(data)))
		} else {
			end = recordEnd(data, at, LineEnd(data, at))
		}
		h := Hit{From: start, To: end}
		if s.wants(b, &h) {
			b.Hits = append(b.Hits, h)
			b.Matched++
		}
		at = end
	}
}

// wants reports whether a record passes, and reads its time and level.
func (s *Searcher) wants(b *Found, h *Hit) bool {
	rec := b.Text(*h)
	if rec == "" || s.text != nil && s.text.Match(rec) {
		return false
	}
	q := s.q
	if s.parse {
		s.read(b, h, rec)
		if q.Least > 0 && h.Level < q.Least || q.Since != 0 && h.Nanos < q.Since || q.Until != 0 && h.Nanos >= q.Until {
			return false
		}
	}
	return q.Where == nil || q.Where.Match(state.LogRecord{Nanos: h.Nanos, Level: h.Level, Text: rec})
}

// read reads a record's time and level.
func (s *Searcher) read(b *Found, h *Hit, rec string) {
	line := rec
	if len(line) > MaxLine {
		line = line[:MaxLine]
	}
	if i := strings.IndexByte(line, '\n'); i >= 0 {
		line = line[:i]
		if n := len(line); n > 0 && line[n-1] == '\r' {
			line = line[:n-1]
		}
	}
	ns, ok, level := s.parser.Line(line)
	if !ok && len(b.stamps) > 0 {
		i, found := slices.BinarySearchFunc(b.stamps, h.From, func(st stamp, at int) int { return st.at - at })
		if !found {
			i--
		}
		if i >= 0 && b.stamps[i].ns != 0 {
			ns, ok = b.stamps[i].ns, true
		}
	}
	h.Nanos, h.Guessed, h.Level = ns, !ok, level
	if level == 0 && tracebackIn(rec) {
		h.Level = state.LevelError
	}
	switch {
	case ok:
		s.lastNs = ns
	case s.lastNs != 0:
		h.Nanos = s.lastNs
	case s.fallback != 0:
		h.Nanos = s.fallback
	default:
		h.Nanos = time.Now().UnixNano()
	}
}

// context adds the records beside the hits, and keeps what the next block may need.
func (s *Searcher) context(b *Found, from int) {
	data, hits := b.Data, b.Hits
	out := make([]Hit, 0, 3*len(hits)+s.contextLeft)
	done := min(s.printed, from) // up to here all has been given on or left out
	add := func(start, end int) {
		h := Hit{From: start, To: end, Context: true}
		if rec := b.Text(h); rec != "" {
			if s.parse {
				s.read(b, &h, rec)
			}
			out = append(out, h)
		}
	}
	after := func(at, until int) int {
		for s.contextLeft > 0 && at < until {
			end := min(recordEnd(data, at, LineEnd(data, at)), until)
			add(at, end)
			s.contextLeft--
			at = end
		}
		return at
	}
	if s.contextLeft > 0 {
		until := len(data)
		if len(hits) > 0 {
			until = hits[0].From
		}
		done = max(done, after(from, until))
	}
	for i, h := range hits {
		start := h.From
		for range s.q.Before {
			if start <= done {
				break
			}
			start = RecordStart(data, LineStart(data, start-1))
		}
		start = max(start, done)
		gap := start > done && s.any
		n := len(out)
		for at := start; at < h.From; {
			end := min(recordEnd(data, at, LineEnd(data, at)), h.From)
			add(at, end)
			at = end
		}
		out = append(out, h)
		out[n].Gap = gap
		s.any = true
		s.contextLeft = s.q.After
		until := len(data)
		if i+1 < len(hits) {
			until = hits[i+1].From
		}
		done = after(h.To, until)
	}
	b.Hits = out
	keep := len(data)
	for range s.q.Before {
		if keep == 0 {
			break
		}
		keep = RecordStart(data, LineStart(data, keep-1))
	}
	s.carry = append(s.carry[:0], data[keep:]...)
	s.printed = max(0, done-keep)
	if done < keep {
		s.printed = -1 // records were left out
	}
}
