package main

import (
	"io"
	"regexp"
	"slices"
	"strings"
)

// modes passes a terminal's output on, and remembers which of the terminal's modes
// it has changed: a program that dies with its container does not set them back.
type modes struct {
	w    io.Writer
	tail []byte // an unfinished sequence
	set  map[string]bool
}

// modeSequence sets (h) or resets (l) private modes.
var modeSequence = regexp.MustCompile(`\x1b\[\?([0-9;]+)([hl])`)

// keptModes are those that a terminal has set by itself: the cursor is shown, lines
// wrap.
var keptModes = []string{"25", "7"}

// longestSequence bounds what is kept of an unfinished sequence, in bytes.
const longestSequence = 32

// Write implements io.Writer.
func (m *modes) Write(p []byte) (int, error) {
	text := append(m.tail, p...)
	for _, s := range modeSequence.FindAllSubmatch(text, -1) {
		for _, mode := range strings.Split(string(s[1]), ";") {
			if m.set == nil {
				m.set = map[string]bool{}
			}
			m.set[mode] = string(s[2]) == "h"
		}
	}
	m.tail = nil
	if i := strings.LastIndexByte(string(text), '\x1b'); i >= 0 && len(text)-i < longestSequence && !modeSequence.Match(text[i:]) {
		m.tail = slices.Clone(text[i:])
	}
	return m.w.Write(p)
}

// restore puts the modes back that are not as a terminal has them, the alternate
// screen last, and the colours.
func (m *modes) restore() {
	var on, off []string
	for mode, set := range m.set {
		switch kept := slices.Contains(keptModes, mode); {
		case kept && !set:
			on = append(on, mode)
		case !kept && set:
			off = append(off, mode)
		}
	}
	if len(on)+len(off) == 0 {
		return
	}
	slices.Sort(on)
	slices.Sort(off)
	out := "\x1b[0m"
	for _, mode := range on {
		out += "\x1b[?" + mode + "h"
	}
	screen := func(mode string) bool { return mode == "1049" || mode == "1047" || mode == "47" }
	for _, mode := range off {
		if !screen(mode) {
			out += "\x1b[?" + mode + "l"
		}
	}
	for _, mode := range off {
		if screen(mode) {
			out += "\x1b[?" + mode + "l"
		}
	}
	_, _ = io.WriteString(m.w, out)
}
