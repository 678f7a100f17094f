package logcmd

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/opsdeck/opsdeck/backend/record"
	"github.com/opsdeck/opsdeck/backend/source/logs/scan"
	"github.com/opsdeck/opsdeck/backend/state"
)

// logLine is a record as `opsdeck logs --json` prints it.
type logLine struct {
	Time    time.Time `json:"time"`
	Guessed bool      `json:"time_guessed,omitempty"`
	Level   string    `json:"level,omitempty"`
	Source  string    `json:"source"`
	Text    string    `json:"text"`
	Context bool      `json:"context,omitempty"`
}

// logPrinter prints the records that a query finds in inputs.
type logPrinter struct {
	program   Program
	errOut    io.Writer // what happened to inputs
	out       io.Writer
	json, raw bool
	color     bool           // for a terminal
	find      *record.Search // what is marked in colour
	mask      func(string) string
	q         scan.Query
	lines     int // of each input the last, negative for all
	workers   int

	w       *bufio.Writer
	matched int
}

// How merging waits.
const (
	// historyPatience is how long following waits for what every input has already,
	// so that it comes merged by time.
	historyPatience = 3 * time.Second
	// historyBytes is how much of that is held at most.
	historyBytes = 32 << 20
	// globScan is how often globs that are followed are looked at.
	globScan = time.Second
)

// mergeBytes is about what all inputs together have under way of blocks that are
// read, and leastBlock how small one becomes for that.
const (
	mergeBytes = 4 << 20
	leastBlock = 16 << 10
)

// share makes the blocks of n inputs that are read at once small enough.
func (p *logPrinter) share(n int) {
	p.q.Block = max(leastBlock, min(256<<10, mergeBytes/max(1, n)))
}

// errOutput marks that what was found could not be written.
var errOutput = errors.New("write the output")

// outputError says what to do about it. A reader that went away is no error.
func outputError(err error) error {
	if err == nil || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrClosedPipe) {
		return nil
	}
	hint := ""
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		hint = ": free some space there, or write somewhere else; what is there already ends in the middle"
	}
	return fmt.Errorf("%w: %w%s", errOutput, err, hint)
}

// titles returns how inputs' lines begin, where there are several inputs.
func titles(ins []scan.Input) []string {
	seen := map[string]int{}
	for _, in := range ins {
		seen[filepath.Base(in.Title)]++
	}
	out := make([]string, len(ins))
	for i, in := range ins {
		if out[i] = state.Clean(filepath.Base(in.Title)); seen[filepath.Base(in.Title)] > 1 {
			out[i] = state.Clean(in.Title)
		}
	}
	return out
}

// renderer makes text of hits in a searching goroutine.
func (p *logPrinter) renderer(in scan.Input, prefix string) func(*scan.Found) {
	return func(f *scan.Found) {
		for _, h := range f.Hits {
			if h.Gap && !p.json {
				f.Out = append(f.Out, "--\n"...)
			}
			f.Out = p.render(f.Out, in.Title, prefix, f.Text(h), h)
			f.Ends = append(f.Ends, len(f.Out))
		}
	}
}

// render appends one record.
func (p *logPrinter) render(to []byte, source, prefix, text string, h scan.Hit) []byte {
	text = p.mask(text)
	if !p.raw {
		if strings.IndexByte(text, '\r') >= 0 {
			text = strings.ReplaceAll(text, "\r\n", "\n")
		}
		text = state.Clean(text)
	}
	if p.json {
		b, err := json.Marshal(logLine{Time: time.Unix(0, h.Nanos).UTC(), Guessed: h.Guessed, Level: h.Level.String(), Source: state.Clean(source), Text: text, Context: h.Context})
		if err != nil { // a year beyond 9999
			return to
		}
		return append(append(to, b...), '\n')
	}
	if p.color {
		if prefix != "" {
			to = append(append(append(to, attrSource...), prefix...), ": "+attrOff...)
		}
		return append(paint(to, text, h, p.find), '\n')
	}
	if prefix != "" {
		to = append(to, prefix...)
		if h.Context {
			to = append(to, "- "...)
		} else {
			to = append(to, ": "...)
		}
	}
	return append(append(to, text...), '\n')
}

// notes says what happened to an input.
func (p *logPrinter) notes(f *scan.Found) {
	for _, n := range f.Notes {
		fmt.Fprintln(p.errOut, "opsdeck:", n)
	}
}

// begin makes the writer, of a size for few system calls.
func (p *logPrinter) begin() {
	p.w = bufio.NewWriterSize(p.out, 256<<10)
	p.q.Parse = p.q.Parse || p.json
}

// end flushes what was printed.
func (p *logPrinter) end(err error) error {
	werr := p.w.Flush()
	if errors.Is(err, errGone) || werr != nil {
		if werr == nil {
			return nil
		}
		return outputError(werr)
	}
	return err
}

// errGone ends reading once nothing can be written any more.
var errGone = errors.New("the output is gone")

// print prints all of the inputs.
func (p *logPrinter) print(ctx context.Context, ins []scan.Input) error {
	p.begin()
	if len(ins) == 1 && p.lines < 0 {
		return p.end(scan.Scan(ctx, ins[0], p.q, p.workers, p.renderer(ins[0], ""), func(f *scan.Found) error {
			p.notes(f)
			p.matched += f.Matched
			if _, err := p.w.Write(f.Out); err != nil {
				return errGone
			}
			if ins[0].Live && p.w.Flush() != nil {
				return errGone
			}
			return nil
		}))
	}
	return p.end(p.merge(ctx, ins))
}

// portion is a copy of the records of one block.
type portion struct {
	out  []byte
	ends []int
	ns   []int64
	// matched are how many of them are no context.
	matched int
	caught  bool
}

// portionOf copies what was found. Within one input records stay in order, however
// their times are.
func portionOf(f *scan.Found, last *int64) portion {
	b := portion{out: slices.Clone(f.Out), ends: slices.Clone(f.Ends), ns: make([]int64, len(f.Hits)), matched: f.Matched, caught: f.CaughtUp}
	for i, h := range f.Hits {
		*last = max(*last, h.Nanos)
		b.ns[i] = *last
	}
	return b
}

// tail keeps the last n records.
func (b *portion) tail(n int) {
	if k := len(b.ends) - n; k > 0 {
		from := b.ends[k-1]
		b.out = slices.Clone(b.out[from:])
		b.ends = slices.Clone(b.ends[k:])
		for i := range b.ends {
			b.ends[i] -= from
		}
		b.ns = slices.Clone(b.ns[k:])
	}
}

func (b *portion) append(more portion) {
	at := len(b.out)
	b.out = append(b.out, more.out...)
	for _, e := range more.ends {
		b.ends = append(b.ends, at+e)
	}
	b.ns = append(b.ns, more.ns...)
	b.matched += more.matched
}

// record returns the i-th record's text.
func (b *portion) record(i int) []byte {
	from := 0
	if i > 0 {
		from = b.ends[i-1]
	}
	return b.out[from:b.ends[i]]
}

// merge prints the inputs' records in the order of their times. Of each input some
// blocks are held, not more.
func (p *logPrinter) merge(ctx context.Context, ins []scan.Input) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p.q.Parse = p.q.Parse || len(ins) > 1
	p.share(len(ins))
	names := titles(ins)
	if len(ins) == 1 {
		names[0] = ""
	}
	type lane struct {
		ch   chan portion
		cur  portion
		next int
	}
	lanes := make([]*lane, len(ins))
	errs := make([]error, len(ins))
	var wg sync.WaitGroup
	var noteMu sync.Mutex
	for i, in := range ins {
		l := &lane{ch: make(chan portion, 1)}
		lanes[i] = l
		wg.Go(func() {
			defer close(l.ch)
			var last int64
			var kept portion
			give := func(b portion) error {
				select {
				case l.ch <- b:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			errs[i] = scan.Scan(ctx, in, p.q, max(1, p.workers/len(ins)), p.renderer(in, names[i]), func(f *scan.Found) error {
				noteMu.Lock()
				p.notes(f)
				noteMu.Unlock()
				b := portionOf(f, &last)
				if p.lines < 0 {
					if len(b.ends) == 0 {
						return nil
					}
					return give(b)
				}
				kept.append(b)
				if len(kept.ends) > 4*p.lines+1000 || len(kept.out) > historyBytes {
					kept.tail(p.lines)
				}
				return nil
			})
			if p.lines >= 0 && errs[i] == nil {
				kept.tail(p.lines)
				errs[i] = give(kept)
			}
		})
	}
	// A linear choice among the lanes would cost as many comparisons as there are
	// files for each record: the lanes are kept in order instead.
	var order []*lane
	fill := func(l *lane) bool {
		for l.next >= len(l.cur.ends) {
			b, ok := <-l.ch
			if !ok {
				return false
			}
			l.cur, l.next = b, 0
			p.matched += b.matched
		}
		return true
	}
	place := func(l *lane) {
		// Behind those of the same time: what was named first comes first.
		i, _ := slices.BinarySearchFunc(order, l, func(a, b *lane) int {
			return cmp.Or(cmp.Compare(a.cur.ns[a.next], b.cur.ns[b.next]), cmp.Compare(slices.Index(lanes, a), slices.Index(lanes, b)))
		})
		order = slices.Insert(order, i, l)
	}
	for _, l := range lanes {
		if fill(l) {
			place(l)
		}
	}
	gone := false
	for len(order) > 0 {
		l := order[0]
		order = order[1:]
		until := int64(1<<63 - 1)
		if len(order) > 0 {
			until = order[0].cur.ns[order[0].next]
		}
		for more := true; more; {
			if _, err := p.w.Write(l.cur.record(l.next)); err != nil {
				gone = true
				break
			}
			l.next++
			if more = fill(l); more && l.cur.ns[l.next] >= until {
				place(l)
				more = false
			}
		}
		if gone {
			break
		}
	}
	cancel()
	for _, l := range lanes { // let those go that wait
		for range l.ch {
		}
	}
	wg.Wait()
	if gone {
		return errGone
	}
	for i, err := range errs {
		if errors.Is(err, context.Canceled) {
			errs[i] = nil
		}
	}
	return errors.Join(errs...)
}

// follow prints what the inputs have, merged by time, and then what comes, as it
// comes. appeared is asked for further inputs, and told those that ended; nil for
// none, and then it ends with the last of the inputs.
func (p *logPrinter) follow(ctx context.Context, ins []scan.Input, appeared func(gone []string) []scan.Input) error {
	p.begin()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	many := len(ins) != 1 || appeared != nil
	p.q.Parse = p.q.Parse || many
	p.share(len(ins))
	type arrival struct {
		source int
		portion
		notes []string
		ended bool
		title string
		err   error
	}
	arrivals := make(chan arrival)
	var wg sync.WaitGroup
	started := 0
	start := func(in scan.Input, name string) {
		id := started
		started++
		wg.Go(func() {
			var last int64
			give := func(a arrival) error {
				a.source = id
				select {
				case arrivals <- a:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			err := scan.Scan(ctx, in, p.q, 1, p.renderer(in, name), func(f *scan.Found) error {
				return give(arrival{portion: portionOf(f, &last), notes: f.Notes})
			})
			_ = give(arrival{ended: true, title: in.Title, err: err})
		})
	}
	names := titles(ins)
	for i, in := range ins {
		if !many {
			names[i] = ""
		}
		start(in, names[i])
	}
	defer wg.Wait()
	defer cancel()

	history := make([]portion, len(ins))
	waiting := map[int]bool{}
	for i := range ins {
		waiting[i] = true
	}
	held, shown := 0, false
	show := func() {
		type one struct {
			ns   int64
			text []byte
		}
		var all []one
		for i := range history {
			b := &history[i]
			if p.lines >= 0 && waiting[i] {
				b.tail(p.lines)
			}
			for k := range b.ends {
				all = append(all, one{b.ns[k], b.record(k)})
			}
		}
		slices.SortStableFunc(all, func(a, b one) int { return cmp.Compare(a.ns, b.ns) })
		for _, o := range all {
			_, _ = p.w.Write(o.text)
		}
		history, shown = nil, true
	}
	patience := time.NewTimer(historyPatience)
	defer patience.Stop()
	scan := time.NewTicker(globScan)
	defer scan.Stop()
	running := len(ins)
	var gone []string
	failed := false
	for {
		if !shown && (len(waiting) == 0 || held > historyBytes) {
			show()
		}
		if p.w.Flush() != nil {
			return p.end(errGone)
		}
		if running == 0 && appeared == nil {
			if failed {
				return ExitError{Code: exitFailed} // each said why
			}
			return p.end(nil)
		}
		select {
		case <-ctx.Done():
			if !shown {
				show()
			}
			return p.end(nil)
		case <-patience.C:
			if !shown {
				show()
			}
		case <-scan.C:
			if appeared == nil {
				continue
			}
			for _, in := range appeared(gone) {
				running++
				start(in, state.Clean(filepath.Base(in.Title)))
			}
			gone = nil
		case a := <-arrivals:
			for _, n := range a.notes {
				fmt.Fprintln(p.errOut, "opsdeck:", n)
			}
			if a.ended {
				running--
				delete(waiting, a.source)
				gone = append(gone, a.title)
				if a.err != nil && !errors.Is(a.err, context.Canceled) {
					failed = true
					fmt.Fprintln(p.errOut, "opsdeck:", a.err)
				}
				continue
			}
			p.matched += a.matched
			if shown || a.source >= len(history) {
				_, _ = p.w.Write(a.out)
				continue
			}
			b := &history[a.source]
			b.append(a.portion)
			held += len(a.out)
			if waiting[a.source] && p.lines >= 0 && (a.caught || len(b.ends) > 4*p.lines+1000) {
				held -= len(b.out)
				b.tail(p.lines)
				held += len(b.out)
			}
			if a.caught { // what comes from here on is new, and all of it wanted
				delete(waiting, a.source)
			}
		}
	}
}
