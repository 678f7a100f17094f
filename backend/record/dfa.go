package record

import (
	"regexp/syntax"
	"slices"
	"unicode/utf8"
)

// dfa decides whether a regular expression may match in a line. It is
// built as it is needed: a state is a set of places in the program, and a step
// that was never taken is worked out then. Assertions ("^", "\b") are taken to hold,
// and a byte above ASCII to match whatever matches any rune above ASCII, so that
// yes may be wrong and no is right.
type dfa struct {
	prog *syntax.Prog
	// next has 256 steps for each state, and states in it times 256.
	next []uint32
	sets [][]uint32
	ids  map[string]uint32
	key  []byte
	mark []uint32 // generation at which a place was put into the set being built
	gen  uint32
	// high says of each place whether it matches a rune above ASCII.
	high []bool
}

// States that are none.
const (
	dfaUnknown = 0
	dfaMatch   = 1
	dfaStart   = 2
	maxStates  = 2000
)

func newDFA(prog *syntax.Prog) *dfa {
	d := &dfa{prog: prog, mark: make([]uint32, len(prog.Inst)), high: make([]bool, len(prog.Inst))}
	for pc := range prog.Inst {
		in := &prog.Inst[pc]
		switch in.Op {
		case syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
			d.high[pc] = true
		case syntax.InstRune, syntax.InstRune1:
			// A rune whose case is ignored may have a third case.
			d.high[pc] = len(in.Rune) == 1 && (in.Rune[0] >= utf8.RuneSelf || syntax.Flags(in.Arg)&syntax.FoldCase != 0) ||
				len(in.Rune) > 1 && in.Rune[len(in.Rune)-1] >= utf8.RuneSelf
		}
	}
	d.clear()
	return d
}

// clear drops all states but the first.
func (d *dfa) clear() {
	d.ids = map[string]uint32{}
	d.next = make([]uint32, dfaStart*256, 16*256)
	d.sets = make([][]uint32, dfaStart)
	d.gen++
	d.id(d.add(nil, uint32(d.prog.Start)))
}

// find returns a place in b at or after from up to which some line may match, or -1.
func (d *dfa) find(b []byte, from int) int {
	if d.accepts(d.sets[dfaStart]) {
		if from < len(b) || from == 0 {
			return from
		}
		return -1
	}
	s := uint32(dfaStart) << 8
	next := d.next
	for i := from; i < len(b); i++ {
		if s == dfaStart<<8 {
			// Most bytes of most texts begin nothing. These steps do not wait for each other.
			row := (*[256]uint32)(next[dfaStart<<8:])
			for i < len(b) && row[b[i]] == dfaStart<<8 {
				i++
			}
			if i == len(b) {
				return -1
			}
		}
		to := next[s|uint32(b[i])]
		if to <= dfaMatch<<8 {
			if to == dfaUnknown {
				to = d.step(&s, b[i])
				next = d.next
			}
			if to == dfaMatch<<8 {
				return i
			}
		}
		s = to
	}
	return -1
}

// step computes a step. It may drop all states, and then returns a new s.
func (d *dfa) step(s *uint32, c byte) uint32 {
	to := uint32(dfaStart) << 8
	if c != '\n' {
		if len(d.sets) >= maxStates {
			set := d.sets[*s>>8]
			d.clear()
			*s = d.id(set)
		}
		d.gen++
		var set []uint32
		for _, pc := range d.sets[*s>>8] {
			in := &d.prog.Inst[pc]
			if c < utf8.RuneSelf {
				if in.MatchRune(rune(c)) {
					set = d.add(set, in.Out)
				}
			} else if d.high[pc] {
				set = d.add(set, in.Out)
				set = d.put(set, pc)
			}
		}
		set = d.add(set, uint32(d.prog.Start))
		if d.accepts(set) {
			to = dfaMatch << 8
		} else {
			to = d.id(set)
		}
	}
	d.next[*s|uint32(c)] = to
	return to
}

func (d *dfa) accepts(set []uint32) bool {
	return slices.ContainsFunc(set, func(pc uint32) bool { return d.prog.Inst[pc].Op == syntax.InstMatch })
}

// id returns the state of a set, times 256.
func (d *dfa) id(set []uint32) uint32 {
	slices.Sort(set)
	d.key = d.key[:0]
	for _, pc := range set {
		d.key = append(d.key, byte(pc), byte(pc>>8), byte(pc>>16))
	}
	if id, ok := d.ids[string(d.key)]; ok {
		return id
	}
	id := uint32(len(d.sets)) << 8
	d.ids[string(d.key)] = id
	d.sets = append(d.sets, slices.Clone(set))
	d.next = append(d.next, make([]uint32, 256)...)
	return id
}

// add adds to the set what can be reached from pc without reading.
func (d *dfa) add(set []uint32, pc uint32) []uint32 {
	if d.mark[pc] == d.gen {
		return set
	}
	in := &d.prog.Inst[pc]
	switch in.Op {
	case syntax.InstFail:
	case syntax.InstAlt, syntax.InstAltMatch:
		d.mark[pc] = d.gen
		set = d.add(set, in.Out)
		set = d.add(set, in.Arg)
	case syntax.InstCapture, syntax.InstNop, syntax.InstEmptyWidth:
		d.mark[pc] = d.gen
		set = d.add(set, in.Out)
	default:
		set = d.put(set, pc)
	}
	return set
}

func (d *dfa) put(set []uint32, pc uint32) []uint32 {
	if d.mark[pc] == d.gen {
		return set
	}
	d.mark[pc] = d.gen
	return append(set, pc)
}
