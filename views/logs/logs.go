package logs

import (
	"slices"
	"sort"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/views/pane"
)

// Pane is the pane of log lines: the sources beside one stream, merged by time.
type Pane struct {
	env  *pane.Env
	w, h int

	snap    *state.Snapshot
	version uint64

	// The list of sources.
	inSources bool
	srcSel    string
	srcTop    int
	marks     map[string]bool
	solo      string

	// The stream. base is the logs that are shown: the newest while following, kept
	// as they were while not.
	following bool
	base      state.Logs
	cur       merge
	row       int // the cursor's line on the screen
	filters   filterSet
	filtered  map[string]*filtered
	filtering bool // it is being made
	siftGen   int
	instant   time.Time

	search  pattern
	hits    int // -1 while counting
	hitsGen int
	// hitTimes are when the hits were, rising.
	hitTimes []int64
	worsts   map[string]*worst
	bars     barsMode

	columns []string
	widths  map[string]int
	counts  *counts // shown in place of the stream
	beyond  *beyond // a look at a file beyond its tail
	said    string  // what came of a search in the background; until the next key

	noTimes, wrap, raw bool
	skip               int // cells left out at the left
	books              map[bookmark]marked

	open   bool
	docTop int
	doc    []string

	focused bool
	dirty   bool
	view    string
}

// hitsMsg is how many records match the search, and when they were.
type hitsMsg struct {
	gen, n int
	at     []int64
}

// New makes the pane of logs.
func New(env *pane.Env) pane.Pane {
	return &Pane{env: env, following: true, marks: map[string]bool{}, filtered: map[string]*filtered{}, books: map[bookmark]marked{}, worsts: map[string]*worst{}, widths: map[string]int{}, dirty: true}
}

// Info implements pane.Pane.
func (p *Pane) Info() pane.Info {
	return pane.Info{
		Name: "logs", Title: "Logs", Section: state.SectionLogs,
		Band: 3, Weight: 1.25,
		Acts: []state.SectionName{state.SectionLogs}, Stream: true,
		About: "All followed files and the chosen containers as one stream, by time. [ and ] go between the sources and the stream: enter on a source shows it alone, space chooses several. A container's log and the journal are followed only while they are chosen. Of one file, what is filtered and searched for holds for all of it and its rotated files: k goes on beyond the newest lines, esc comes back.",
		Keys: []pane.KeyHelp{
			{Command: pane.LevelNext, Does: "all levels, warnings and worse, errors only"},
			{Command: pane.BookNext, Does: "next bookmark"},
			{Command: pane.Keep, Does: "keep lines that pass a filter, on top of those in force: words, status>=500, level>=warn, duration>1s, user=anna, path~^/api, /a regular expression/, and, or, not; ! drops; esc takes the newest away"},
			{Command: pane.CountBy, Does: "count what passes by pattern, or by the value of a field; enter keeps such lines"},
			{Command: pane.Columns, Does: "fields as columns before the text"},
			{Command: pane.GoTo, Does: "go to a time"},
			{Command: pane.Bars, Does: "histogram of what is shown, of the whole file, none"}, {Command: pane.Earlier, Does: "back along the histogram"}, {Command: pane.Later, Does: "forward along it"},
			{Command: pane.Save, Does: "write what passes to a file"},
			{Command: pane.Left, Does: "scroll left"}, {Command: pane.Right, Does: "scroll right"},
		},
	}
}

// Resize implements pane.Pane.
func (p *Pane) Resize(w, h int) {
	if w != p.w || h != p.h {
		p.w, p.h, p.dirty = w, h, true
	}
}

// Focus implements pane.Pane.
func (p *Pane) Focus(f bool) {
	if f != p.focused {
		p.focused, p.dirty = f, true
	}
}

// Touch implements pane.Pane.
func (p *Pane) Touch() { p.dirty = p.dirty || p.inSources }

// Apply implements pane.Pane.
func (p *Pane) Apply(s *state.Snapshot) {
	if s != nil && p.snap != nil && s.Versions != nil && s.Versions[state.SectionLogs] == p.version && s.Version >= p.snap.Version {
		p.snap = s
		return
	}
	p.snap, p.dirty = s, true
	if s == nil {
		return
	}
	p.version = s.Versions[state.SectionLogs]
	if len(s.Logs.Sources) > 0 && s.Logs.Source(p.srcSel) == nil {
		p.srcSel = s.Logs.Sources[0].ID
	}
	if p.beyond != nil {
		p.takeWindow()
		return
	}
	if p.following && p.instant.IsZero() {
		p.base = s.Logs
		p.cur = mergeEnd(p.streams())
	}
}

// SetInstant implements Instant.
func (p *Pane) SetInstant(at time.Time) {
	p.dirty, p.beyond = true, nil
	if at.IsZero() {
		p.instant = at
		p.follow()
		return
	}
	if p.instant.IsZero() && p.following && p.snap != nil && len(p.snap.Logs.Tails) > 0 {
		p.base = p.snap.Logs
	}
	p.instant, p.following = at, false
	p.cur = mergeEnd(p.streams())
	p.row = p.h
}

func (p *Pane) follow() {
	p.following, p.dirty = true, true
	if p.snap != nil && p.snap.Logs.Tails != nil {
		p.base = p.snap.Logs
	}
	p.cur = mergeEnd(p.streams())
}

// pause keeps what is shown as it is.
func (p *Pane) pause() {
	if p.following {
		p.following = false
		p.row = p.h
	}
}

// chosen says whether a source is part of the stream.
func (p *Pane) chosen(id string) bool {
	switch {
	case p.solo != "":
		return id == p.solo
	case len(p.marks) > 0:
		return p.marks[id]
	}
	return true
}

// streams returns the chosen sources' records that pass the filters.
func (p *Pane) streams() []stream {
	if p.filtering {
		return p.cur.s
	}
	var out []stream
	for i := range p.base.Sources {
		src := &p.base.Sources[i]
		recs := p.base.Tails[src.ID].Records
		if len(recs) == 0 || !p.chosen(src.ID) {
			continue
		}
		if !p.filters.open() {
			f := p.filtered[src.ID]
			if f == nil {
				f = &filtered{}
				p.filtered[src.ID] = f
			}
			f.update(p.filters, recs)
			recs = f.upTo(recs[len(recs)-1].Seq)
		}
		if !p.instant.IsZero() {
			t := p.instant.UnixNano()
			recs = recs[:sort.Search(len(recs), func(i int) bool { return recs[i].Nanos > t })]
		}
		out = append(out, stream{src.ID, src.Title, recs})
	}
	return out
}

// restream makes the stream anew after what is chosen or filtered has changed.
func (p *Pane) restream() {
	p.dirty = true
	if p.following {
		p.cur = mergeEnd(p.streams())
		return
	}
	p.cur = p.cur.rebase(p.streams())
}

// catchUp takes in what came since the stream was paused, and stays in place.
func (p *Pane) catchUp() {
	if p.snap != nil && p.instant.IsZero() && p.snap.Logs.Tails != nil {
		p.base = p.snap.Logs
		p.cur = p.cur.rebase(p.streams())
	}
}

// fresh counts the lines that came since the stream was paused.
func (p *Pane) fresh() (n uint64) {
	if p.snap == nil {
		return 0
	}
	for id, t := range p.snap.Logs.Tails {
		old := p.base.Tails[id].Records
		if len(t.Records) > 0 && len(old) > 0 && p.chosen(id) {
			n += t.Records[len(t.Records)-1].Seq - old[len(old)-1].Seq
		}
	}
	return n
}

// Following implements Follower.
func (p *Pane) Following() bool { return p.following }

// Update implements pane.Pane.
func (p *Pane) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case hitsMsg:
		if msg.gen == p.hitsGen {
			p.hits, p.hitTimes, p.dirty = msg.n, msg.at, true
		}
	case filteredMsg:
		p.dirty = true
		p.takeFiltered(msg)
	case counts:
		if p.counts != nil && p.counts.gen == msg.gen {
			p.counts, p.dirty = &msg, true
		}
	case pane.CommandMsg:
		p.dirty, p.said = true, ""
		if p.open {
			if done, cmd := p.updateOpen(msg.Command); done {
				return cmd
			}
		}
		if p.counts != nil && !p.inSources {
			if done, cmd := p.updateCounts(msg.Command); done {
				return cmd
			}
		}
		if p.inSources {
			if done, cmd := p.updateSources(msg.Command); done {
				return cmd
			}
		}
		if p.beyond != nil {
			if done, cmd := p.updateBeyond(msg.Command); done {
				return cmd
			}
		}
		return p.updateStream(msg.Command)
	}
	return nil
}

func (p *Pane) updateStream(c pane.Command) tea.Cmd {
	page := max(1, p.h-2)
	switch c {
	case pane.Up:
		return p.up(1)
	case pane.Down:
		p.step(1)
	case pane.HalfUp:
		return p.up(max(1, page/2))
	case pane.HalfDown:
		p.step(max(1, page/2))
	case pane.PageUp:
		return p.up(page)
	case pane.PageDown:
		p.step(page)
	case pane.Top:
		p.pause()
		for k := range p.cur.at {
			p.cur.at[k] = 0
		}
		p.cur.forward()
		p.row = 0
	case pane.Bottom, pane.Follow:
		if !p.instant.IsZero() {
			p.cur = mergeEnd(p.streams())
			p.row = p.h
			return nil
		}
		p.follow()
	case pane.Left:
		p.skip = max(0, p.skip-max(8, p.w/4))
	case pane.Right:
		if p.wrap {
			return pane.Send(pane.NoticeMsg{Text: "lines are wrapped: w shows them on one line each"})
		}
		p.skip += max(8, p.w/4)
	case pane.FindNext:
		return p.find(true)
	case pane.FindPrev:
		return p.find(false)
	case pane.ErrNext, pane.ErrPrev:
		back := c == pane.ErrPrev || p.following
		if !p.seek(back, func(r *state.LogRecord) bool { return r.Level >= state.LevelError }) && !p.seekBeyond(state.SeekError, back) {
			return pane.Send(pane.NoticeMsg{Text: "no error that way"})
		}
	case pane.Times:
		p.noTimes = !p.noTimes
	case pane.Raw:
		if p.raw = !p.raw; p.raw {
			return pane.Send(pane.NoticeMsg{Text: "JSON records are shown as they were written"})
		}
		return pane.Send(pane.NoticeMsg{Text: "JSON records are shown message first"})
	case pane.Wrap:
		p.wrap, p.skip = !p.wrap, 0
	case pane.LevelNext:
		return p.nextLevel()
	case pane.Bars:
		return p.nextBars()
	case pane.Earlier:
		return p.searchAhead(-1)
	case pane.Later:
		return p.searchAhead(1)
	case pane.Bookmark:
		p.setBookmark()
	case pane.BookNext:
		return p.nextBookmark()
	case pane.Mark, pane.MarkRange, pane.SortNext:
		return pane.Send(pane.NoticeMsg{Text: "that is for the list of sources: [ goes there"})
	case pane.TabNext, pane.TabPrev:
		p.inSources = true
	case pane.Open:
		if _, r := p.cur.cur(); r == nil {
			return pane.Send(pane.NoticeMsg{Text: "there is no line to open"})
		}
		p.pause()
		p.open, p.docTop = true, 0
	case pane.CopyRow:
		if _, r := p.cur.cur(); r != nil {
			return pane.Send(pane.CopyMsg{Text: r.Text, What: "the line"})
		}
		return pane.Send(pane.NoticeMsg{Text: "there is no line to copy"})
	case pane.Back:
		switch {
		case p.search.text != "":
			p.search, p.hitTimes = pattern{}, nil
		case len(p.filters.terms) > 0:
			return p.unkeep()
		case !p.following && p.instant.IsZero():
			p.follow()
		case p.solo != "":
			p.solo = ""
			p.restream()
		default:
			return pane.Send(pane.ClosedMsg{})
		}
	default:
		return pane.Send(pane.UnhandledMsg{Command: c})
	}
	return nil
}

func (p *Pane) nextLevel() tea.Cmd {
	text := "all levels"
	switch p.filters.min {
	case 0:
		p.filters.min, text = state.LevelWarn, "warnings and errors only"
	case state.LevelWarn:
		p.filters.min, text = state.LevelError, "errors only"
	default:
		p.filters.min = 0
	}
	return tea.Batch(p.refilter(), pane.Send(pane.NoticeMsg{Text: text}))
}

// up moves the cursor back by n records, and on in the file where the tail ends.
func (p *Pane) up(n int) tea.Cmd {
	m := p.cur.clone()
	_, here := m.back()
	if _, r := m.cur(); r == nil && (!p.following || here == nil) {
		switch {
		case here != nil:
			return p.goBeyond(0, here.Nanos)
		case !p.filters.open(): // nothing that is kept passes
			return p.goBeyond(-1, 0)
		}
		return nil
	}
	p.step(-n)
	return nil
}

// step moves the cursor by n records.
func (p *Pane) step(n int) {
	if p.following && n > 0 {
		return
	}
	p.pause()
	for ; n < 0; n++ {
		p.cur.back()
		if _, r := p.cur.cur(); r == nil {
			p.cur.forward()
			p.row = 0
			break
		}
		p.row--
	}
	for ; n > 0; n-- {
		if _, r := p.cur.forward(); r == nil {
			p.catchUp()
			if _, r := p.cur.forward(); r == nil {
				if p.instant.IsZero() {
					p.follow()
				}
				return
			}
		}
		p.row++
	}
	p.row = max(0, min(p.row, p.h-1))
}

func (p *Pane) updateSources(c pane.Command) (bool, tea.Cmd) {
	if p.snap == nil || len(p.snap.Logs.Sources) == 0 {
		if c == pane.TabNext || c == pane.TabPrev || c == pane.Back {
			p.inSources = false
			return true, nil
		}
		return false, nil
	}
	src := p.snap.Logs.Sources
	at := max(0, slices.IndexFunc(src, func(s state.LogSource) bool { return s.ID == p.srcSel }))
	move := func(i int) { p.srcSel = src[max(0, min(i, len(src)-1))].ID }
	page := max(1, p.h-2)
	switch c {
	case pane.Up:
		move(at - 1)
	case pane.Down:
		move(at + 1)
	case pane.Top:
		move(0)
	case pane.Bottom:
		move(len(src) - 1)
	case pane.PageUp, pane.HalfUp:
		move(at - page)
	case pane.PageDown, pane.HalfDown:
		move(at + page)
	case pane.Open:
		if p.solo == p.srcSel {
			p.solo = ""
		} else {
			p.solo = p.srcSel
		}
		p.follow()
	case pane.Mark:
		if p.marks[p.srcSel] {
			delete(p.marks, p.srcSel)
		} else {
			p.marks[p.srcSel] = true
		}
		p.solo = ""
		p.restream()
		move(at + 1)
	case pane.CopyRow:
		s := src[at]
		text := s.Path
		if text == "" {
			text = s.Title
		}
		return true, pane.Send(pane.CopyMsg{Text: text, What: text})
	case pane.TabNext, pane.TabPrev:
		p.inSources = false
	case pane.Back:
		if len(p.marks) > 0 || p.solo != "" {
			p.marks, p.solo = map[string]bool{}, ""
			p.restream()
			return true, nil
		}
		p.inSources = false
	default:
		return false, nil
	}
	return true, nil
}

func (p *Pane) updateOpen(c pane.Command) (bool, tea.Cmd) {
	page := max(1, p.h-2)
	switch c {
	case pane.Up:
		p.docTop--
	case pane.Down:
		p.docTop++
	case pane.PageUp, pane.HalfUp:
		p.docTop -= page
	case pane.PageDown, pane.HalfDown:
		p.docTop += page
	case pane.Top:
		p.docTop = 0
	case pane.Bottom:
		p.docTop = len(p.doc)
	case pane.Back, pane.Open:
		p.open = false
	default:
		return false, nil
	}
	return true, nil
}

// Redraw forgets what was drawn, after the theme has changed.
func (p *Pane) Redraw() { p.dirty = true }
