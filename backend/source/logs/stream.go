package logs

import (
	"bytes"
	"strings"
	"time"

	"github.com/opsdeck/opsdeck/backend/source/logs/scan"
	"github.com/opsdeck/opsdeck/backend/state"
)

// Limits of a record.
const (
	// overhead is what a record costs beside its text.
	overhead = 64
	// lateBy is how old a neighbour's time may be for a line that has none and just
	// came; an older one gives way to the time of arrival.
	lateBy = 5 * time.Second
)

// stream is the records of one source: raw blocks of lines until they are
// published, and the tail that was made of them.
type stream struct {
	src state.LogSource
	// limit is the tail's size in bytes.
	limit int
	mask  func(string) string
	tap   func(time.Time, string) // nil for nobody

	// watched is nil where nothing watches the source.
	watched *watched

	pend      []block
	pendBytes int
	// skipped counts pending lines that will not be made into records.
	skipped uint64

	parser  scan.Parser
	tail    []state.LogRecord
	bytes   int
	dropped uint64
	seq     uint64
	// pub is how many records of tail have been published and may not be written.
	pub int
	// lastNs is the last time that was read, 0 before the first.
	lastNs int64
	// trace says that the last record is in a Python traceback.
	trace bool
	// part is the unfinished line that stands at the tail's end; before is what it
	// was folded into.
	part   string
	before *state.LogRecord
	shown  bool
	free   [][]byte

	rateLines uint64
	rateAt    time.Time
}

// block is whole lines as they were read.
type block struct {
	data  []byte
	lines int
	// past says that they were there before following began.
	past bool
	at   time.Time
	// times are when each line was written, where the engine that kept them knows.
	times []int64
}

// tapped is what lines for the tap contain; it is searched for once in a whole block.
const tapped = `"complexity`

func newStream(src state.LogSource, limit int, mask func(string) string) *stream {
	return &stream{src: src, limit: limit, mask: mask}
}

// add adds whole lines. Of what will not fit into the tail anyway only lines and
// errors are counted.
func (s *stream) add(data []byte, past bool, now time.Time) {
	lines := bytes.Count(data, nl)
	if !past {
		s.src.Lines += uint64(lines)
		s.src.LastAt = now
		s.watch(data, now)
	}
	var b []byte
	if n := len(s.free); n > 0 && len(data) > 64<<10 {
		b, s.free = s.free[n-1][:0], s.free[:n-1]
	}
	s.pend = append(s.pend, block{data: append(b, data...), lines: lines, past: past, at: now})
	s.pendBytes += len(data) + lines*overhead
	for len(s.pend) > 1 {
		old := s.pend[0]
		if s.pendBytes-(len(old.data)+old.lines*overhead) < s.limit {
			break
		}
		s.skip(old)
		s.pend = append(s.pend[:0], s.pend[1:]...)
	}
}

var nl = []byte{'\n'}

// skip counts a block that will not be made into records.
func (s *stream) skip(b block) {
	s.pendBytes -= len(b.data) + b.lines*overhead
	s.skipped += uint64(b.lines)
	if !b.past {
		for line := range bytes.Lines(b.data) {
			l := string(line[:len(line)-1])
			if scan.Continues(l) {
				continue
			}
			if _, _, level := s.parser.Line(l); level >= state.LevelError {
				s.src.Errors++
			}
		}
	}
	s.recycle(b)
}

func (s *stream) recycle(b block) {
	if cap(b.data) > 64<<10 && len(s.free) < 2 {
		s.free = append(s.free, b.data)
	}
}

// releaseScratch frees scratch space after a flood.
func (s *stream) releaseScratch() { s.free = nil }

// pending reports whether there is anything to make records of.
func (s *stream) pending() bool { return len(s.pend) > 0 || s.skipped > 0 }

// settle makes records of what is pending.
func (s *stream) settle() {
	if !s.pending() {
		return
	}
	s.dropPart()
	if s.skipped > 0 {
		// There is a gap: what was before it is no longer the end of the log.
		s.dropped += uint64(len(s.tail)) + s.skipped
		s.seq += s.skipped
		s.tail, s.bytes, s.pub, s.trace, s.skipped = nil, 0, 0, false, 0
	}
	for _, b := range s.pend {
		s.records(s.mask(string(b.data)), b)
		s.recycle(b)
	}
	s.pend, s.pendBytes = s.pend[:0], 0
	s.trim(s.limit)
}

// records appends the records of whole lines.
func (s *stream) records(text string, b block) {
	// A record's lines that lie side by side are one substring of the block.
	from, to := -1, -1
	finish := func() {
		if from >= 0 {
			s.tail[len(s.tail)-1].Text = state.Clean(text[from:to])
			s.bytes += len(s.tail[len(s.tail)-1].Text)
		}
		from = -1
	}
	tap := s.tap != nil && strings.Contains(text, tapped)
	waiting := s.lastNs == 0 // the records so far wait for a neighbour's time
	for at, n := 0, 0; at < len(text); n++ {
		start := at
		end := strings.IndexByte(text[at:], '\n')
		if end < 0 {
			end = len(text)
		} else {
			end += at
		}
		at = end + 1
		for end > start && text[end-1] == '\r' {
			end--
		}
		line, cut := text[start:end], ""
		if len(line) > scan.MaxLine {
			cut = scan.CutNote(len(line))
			line = line[:scan.CutLine]
			end = start + scan.CutLine
		}
		if line == "" {
			continue
		}
		if len(s.tail) > 0 && (from < 0 || end-from <= scan.MaxRecord) && s.folds(line) {
			last := len(s.tail) - 1
			if from >= 0 && text[to:start] == "\n" && cut == "" {
				to = end
				continue
			}
			finish()
			s.fold(last, state.Clean(line)+cut)
			continue
		}
		finish()
		ns, ok, level := s.parser.Line(line)
		if !b.past && level >= state.LevelError {
			s.src.Errors++
		}
		if s.trace = strings.HasPrefix(line, "Traceback (most"); s.trace && level == 0 {
			level = state.LevelError
		}
		if ok {
			if waiting {
				for i := s.pub; i < len(s.tail); i++ {
					if s.tail[i].Guessed {
						s.tail[i].Nanos = ns
					}
				}
				waiting = false
			}
			s.lastNs = ns
		} else if n < len(b.times) && b.times[n] != 0 {
			ns, ok = b.times[n], true
		} else {
			ns = s.neighbour(b)
		}
		if tap && strings.Contains(line, tapped) {
			s.tap(time.Unix(0, ns), line)
		}
		s.seq++
		s.tail = append(s.tail, state.LogRecord{Seq: s.seq, Nanos: ns, Guessed: !ok, Level: level})
		s.bytes += overhead
		from, to = start, end
		if cut != "" {
			finish()
			s.tail[len(s.tail)-1].Text += cut
			s.bytes += len(cut)
		}
		if s.bytes > 2*s.limit {
			finish()
			s.trim(s.limit)
		}
	}
	finish()
}

// neighbour returns the time of a line without one.
func (s *stream) neighbour(b block) int64 {
	arrival := b.at.UnixNano()
	if s.lastNs == 0 || !b.past && arrival-s.lastNs > int64(lateBy) {
		return arrival
	}
	return s.lastNs
}

// folds reports whether a line belongs to the last record.
func (s *stream) folds(line string) bool {
	last := &s.tail[len(s.tail)-1]
	if len(last.Text)+len(line) > scan.MaxRecord {
		return false
	}
	if scan.Continues(line) {
		if strings.HasPrefix(line, "Traceback") {
			s.trace = true
		}
		return true
	}
	if s.trace {
		// The line that names the exception ends a traceback.
		s.trace = false
		if _, ok, _ := s.parser.Line(line); !ok && line[0] != '{' {
			return true
		}
	}
	return false
}

// fold appends a line to a record, of which a published one is first replaced by
// a copy: what was published is never written again.
func (s *stream) fold(i int, line string) {
	if i < s.pub {
		s.own()
	}
	r := &s.tail[i]
	r.Text += "\n" + line
	s.bytes += 1 + len(line)
	if r.Level == 0 && s.trace {
		r.Level = state.LevelError
	}
}

// own makes the tail a copy that has not been published.
func (s *stream) own() {
	s.tail = append(make([]state.LogRecord, 0, len(s.tail)+len(s.tail)/4+16), s.tail...)
	s.pub = 0
}

// trim drops the oldest records until the tail fits.
func (s *stream) trim(limit int) {
	n := 0
	for s.bytes > limit && n < len(s.tail)-1 {
		s.bytes -= overhead + len(s.tail[n].Text)
		n++
	}
	if n == 0 {
		return
	}
	s.tail = s.tail[n:]
	s.dropped += uint64(n)
	s.pub = max(0, s.pub-n)
}

// showPart appends the unfinished line to the tail, until it is finished.
func (s *stream) showPart(line string, now time.Time) {
	if line == s.part && s.shown {
		return
	}
	s.settle()
	s.dropPart()
	n, errs, last := len(s.tail), s.src.Errors, state.LogRecord{}
	if n > 0 {
		last = s.tail[n-1]
	}
	lastNs, trace := s.lastNs, s.trace
	s.records(s.mask(line), block{past: true, at: now})
	s.src.Errors, s.lastNs, s.trace = errs, lastNs, trace
	s.before = nil
	if n > 0 && len(s.tail) == n {
		s.before = &last
	}
	s.part, s.shown = line, len(s.tail) > n || s.before != nil
}

// dropPart removes the unfinished line again.
func (s *stream) dropPart() {
	if !s.shown {
		return
	}
	s.own()
	n := len(s.tail) - 1
	s.bytes -= len(s.tail[n].Text)
	if s.before != nil {
		s.tail[n] = *s.before
		s.bytes += len(s.before.Text)
	} else {
		s.bytes -= overhead
		s.tail = s.tail[:n]
		s.seq--
	}
	s.before, s.part, s.shown = nil, "", false
}

// publish returns the tail as it stands, which is not written from now on.
func (s *stream) publish() state.Tail {
	n := len(s.tail)
	s.pub = n
	return state.Tail{Records: s.tail[:n:n], Dropped: s.dropped}
}

// rate updates the lines a second over the last seconds, and reports a change.
func (s *stream) rate(now time.Time) bool {
	if s.rateAt.IsZero() {
		s.rateAt, s.rateLines = now, s.src.Lines
		return false
	}
	dt := now.Sub(s.rateAt).Seconds()
	if dt < 1 {
		return false
	}
	current := float64(s.src.Lines-s.rateLines) / dt
	s.rateAt, s.rateLines = now, s.src.Lines
	was := s.src.Rate
	// Half of the weight is on the last second.
	s.src.Rate = (was + current) / 2
	if s.src.Rate < 0.05 {
		s.src.Rate = 0
	}
	return s.src.Rate != was
}
