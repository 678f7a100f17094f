package logcmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/opsdeck/opsdeck/backend/record"
	"github.com/opsdeck/opsdeck/backend/source/logs/scan"
	"github.com/opsdeck/opsdeck/backend/state"
)

// each searches the inputs one after the other, of which each uses all workers, and
// calls work in those for every block. What fails is told, and the rest read.
func (p *logPrinter) each(ctx context.Context, ins []scan.Input, work func(*scan.Found), done func(in scan.Input, matched int) error) error {
	var errs []error
	for _, in := range ins {
		n := 0
		err := scan.Scan(ctx, in, p.q, p.workers, work, func(f *scan.Found) error {
			p.notes(f)
			n += f.Matched
			return nil
		})
		p.matched += n
		if err != nil {
			if errors.Is(err, context.Canceled) {
				return err
			}
			errs = append(errs, err)
			continue
		}
		if done != nil {
			if err := done(in, n); err != nil {
				return err
			}
		}
	}
	return errors.Join(errs...)
}

// count prints how many records there are, of each input where there are several.
func (p *logPrinter) count(ctx context.Context, ins []scan.Input) error {
	p.begin()
	p.q.Parse = false
	names := titles(ins)
	counts := map[string]int{}
	i := 0
	return p.end(p.each(ctx, ins, nil, func(in scan.Input, n int) error {
		defer func() { i++ }()
		switch {
		case p.json:
			counts[in.Title] = n
			if len(counts) == len(ins) {
				return p.program.PrintJSON(p.w, counts)
			}
			return nil
		case len(ins) == 1:
			_, err := fmt.Fprintln(p.w, n)
			return err
		}
		_, err := fmt.Fprintf(p.w, "%s: %d\n", names[slices.IndexFunc(ins, func(o scan.Input) bool { return o.Title == in.Title })], n)
		return err
	}))
}

// workspaceOf lends one T to each searching goroutine, so that none waits for another.
type workspaceOf[T any] struct {
	mu   sync.Mutex
	free []T
	all  []T
	make func() T
}

func (w *workspaceOf[T]) take() T {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(w.free); n > 0 {
		t := w.free[n-1]
		w.free = w.free[:n-1]
		return t
	}
	t := w.make()
	w.all = append(w.all, t)
	return t
}

func (w *workspaceOf[T]) give(t T) {
	w.mu.Lock()
	w.free = append(w.free, t)
	w.mu.Unlock()
}

// patternLine is a pattern as --json prints it.
type patternLine struct {
	Template string    `json:"template"`
	Count    uint64    `json:"count"`
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
	Rate     float64   `json:"rate"`
	Level    string    `json:"level,omitempty"`
	Example  string    `json:"example"`
}

// patterns prints the kinds of lines, those never seen before newSince where that
// is not 0.
func (p *logPrinter) patterns(ctx context.Context, ins []scan.Input, newSince int64, limit int) error {
	p.begin()
	p.q.Parse = true
	w := workspaceOf[*record.Patterns]{make: func() *record.Patterns { return record.NewPatterns(0) }}
	err := p.each(ctx, ins, func(f *scan.Found) {
		ps := w.take()
		for _, h := range f.Hits {
			ps.Add(state.LogRecord{Nanos: h.Nanos, Level: h.Level, Text: f.Text(h)})
		}
		w.give(ps)
	}, nil)
	if errors.Is(err, context.Canceled) {
		return err
	}
	all := record.NewPatterns(0)
	for i, ps := range w.all {
		if i == 0 {
			all = ps
		} else {
			all.Merge(ps)
		}
	}
	return p.printPatterns(all, newSince, limit, err)
}

const patternTitles = "COUNT RATE LEVEL FIRST LAST PATTERN"

// patternRows returns patterns as rows of a table.
func (p *logPrinter) patternRows(list []record.Pattern) [][]string {
	rows := make([][]string, len(list))
	for i, c := range list {
		rows[i] = []string{fmt.Sprint(c.Count), perSecond(c.Rate), c.Level.String(), clock(c.First), clock(c.Last), state.Clean(p.mask(c.Template))}
	}
	return rows
}

// printPatterns prints what patterns and livePatterns found, with their error.
func (p *logPrinter) printPatterns(all *record.Patterns, newSince int64, limit int, err error) error {
	list := all.List()
	if newSince != 0 {
		list = all.NewSince(newSince)
		p.matched = len(list)
	}
	total := len(list)
	if limit > 0 && len(list) > limit {
		list = list[:limit]
	}
	shown := func(s string) string { return state.Clean(p.mask(s)) }
	if p.json {
		out := make([]patternLine, len(list))
		for i, c := range list {
			out[i] = patternLine{shown(c.Template), c.Count, time.Unix(0, c.First).UTC(), time.Unix(0, c.Last).UTC(), c.Rate, c.Level.String(), shown(c.Example)}
		}
		return p.end(errors.Join(err, p.program.PrintJSON(p.w, out)))
	}
	if rows := p.patternRows(list); len(rows) > 0 {
		err = errors.Join(err, p.program.Table(p.w, patternTitles, rows))
	}
	p.more(total, len(list), "kinds of lines")
	if n, records := all.Dropped(); n > 0 {
		fmt.Fprintf(p.errOut, "opsdeck: %d rare kinds with %d records fell out: at most %d are kept\n", n, records, record.DefaultPatterns)
	}
	return p.end(err)
}

// more says that rows were left out.
func (p *logPrinter) more(total, shown int, what string) {
	if total > shown {
		fmt.Fprintf(p.errOut, "opsdeck: %d more %s: --limit 0 shows all\n", total-shown, what)
	}
}

// clock returns a time in this host's zone, without the day where that is today.
func clock(ns int64) string {
	at, now := time.Unix(0, ns), time.Now()
	if at.Year() == now.Year() && at.YearDay() == now.YearDay() {
		return at.Format("15:04:05")
	}
	return at.Format("2006-01-02T15:04:05")
}

func perSecond(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f/s", v)
	case v >= 0.095:
		return fmt.Sprintf("%.1f/s", v)
	case v > 0:
		return fmt.Sprintf("%.1f/min", v*60)
	}
	return ""
}

// maxValues is how many values of a field are told apart.
const maxValues = 200_000

// values counts the values of a field.
type values struct {
	n             map[string]*uint64
	without, rest uint64
}

// topLine is a value as --json prints it.
type topLine struct {
	Value string  `json:"value"`
	Count uint64  `json:"count"`
	Share float64 `json:"share"` // of the records that have the field
}

// top prints the values of a field by how many records have them.
func (p *logPrinter) top(ctx context.Context, ins []scan.Input, field string, limit int) error {
	p.begin()
	level := field == "level"
	p.q.Parse = level
	w := workspaceOf[*values]{make: func() *values { return &values{n: map[string]*uint64{}} }}
	err := p.each(ctx, ins, func(f *scan.Found) {
		v := w.take()
		for _, h := range f.Hits {
			value, ok := "", false
			if level && h.Level != state.LevelUnknown {
				value, ok = h.Level.String(), true
			} else {
				value, ok = record.Get(f.Text(h), field)
			}
			switch n := v.n[value]; {
			case !ok:
				v.without++
			case n != nil: // assigning would put a key of the block in place of the copy
				*n++
			case len(v.n) < maxValues:
				one := uint64(1)
				v.n[strings.Clone(value)] = &one
			default:
				v.rest++
			}
		}
		w.give(v)
	}, nil)
	if errors.Is(err, context.Canceled) {
		return err
	}
	var sum values
	counts := map[string]uint64{}
	for _, v := range w.all {
		for k, n := range v.n {
			counts[k] += *n
		}
		sum.without += v.without
		sum.rest += v.rest
	}
	total := sum.rest
	for _, n := range counts {
		total += n
	}
	p.matched = int(total)
	if total == 0 && err == nil {
		return p.end(fmt.Errorf("no record has a field %s: opsdeck logs --json SOURCE shows what they have", state.Clean(field)))
	}
	keys := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), strings.Compare(a, b))
	})
	all := len(keys)
	if limit > 0 && len(keys) > limit {
		keys = keys[:limit]
	}
	if p.json {
		out := make([]topLine, len(keys))
		for i, k := range keys {
			out[i] = topLine{state.Clean(p.mask(k)), counts[k], float64(counts[k]) / float64(total)}
		}
		return p.end(errors.Join(err, p.program.PrintJSON(p.w, out)))
	}
	rows := make([][]string, len(keys))
	for i, k := range keys {
		rows[i] = []string{fmt.Sprint(counts[k]), fmt.Sprintf("%.1f %%", 100*float64(counts[k])/float64(total)), state.Clean(p.mask(k))}
	}
	if len(rows) > 0 {
		err = errors.Join(err, p.program.Table(p.w, "COUNT SHARE "+strings.ToUpper(state.Clean(field)), rows))
	}
	p.more(all, len(keys), "values")
	if sum.without > 0 {
		fmt.Fprintf(p.errOut, "opsdeck: %d records have no %s\n", sum.without, state.Clean(field))
	}
	if sum.rest > 0 {
		fmt.Fprintf(p.errOut, "opsdeck: %d records have values beyond the first %d\n", sum.rest, maxValues)
	}
	return p.end(err)
}
