package theme

// Box is the pieces of one border.
type Box struct{ TL, T, TR, L, R, BL, B, BR string }

// Glyphs are the special characters, each one column wide.
type Glyphs struct {
	Light, Heavy Box
	// Ellipsis ends what was cut; Return stands for a line end inside a row.
	Ellipsis, Return string
	// Cursor marks the selected row, Mark a marked one, Bookmark a bookmarked line.
	Cursor, Mark, Bookmark string
	// Dot separates facts; Rule and Bar are lines; Arrow joins stages of a flow.
	Dot, Rule, Bar, Arrow string
	// OK, Caution, Wrong, Off and Wait are the shapes of statuses.
	OK, Caution, Wrong, Off, Wait string
	Up, Down                      string
	// Open and Shut mark the heading of a group.
	Open, Shut string
	// ScrollTrack and ScrollThumb draw a scroll bar.
	ScrollTrack, ScrollThumb string
	// Sparks are the steps of a sparkline from lowest to highest; Gap is a missing
	// sample, Fail a failed one.
	Sparks    []string
	Gap, Fail string
	// Unknown stands for a figure that is not known.
	Unknown string
	// Full and Empty draw a meter.
	Full, Empty string
	// Secret stands for a hidden character.
	Secret rune
}

func unicodeGlyphs() Glyphs {
	return Glyphs{
		Light:    Box{"╭", "─", "╮", "│", "│", "╰", "─", "╯"},
		Heavy:    Box{"┏", "━", "┓", "┃", "┃", "┗", "━", "┛"},
		Ellipsis: "…", Return: "↵",
		Cursor: "▸", Mark: "◆", Bookmark: "◆",
		Dot: "·", Rule: "─", Bar: "│", Arrow: "→",
		OK: "●", Caution: "▲", Wrong: "✗", Off: "○", Wait: "◌",
		Up: "↑", Down: "↓", Open: "▾", Shut: "▹",
		ScrollTrack: "│", ScrollThumb: "┃",
		Sparks: []string{"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"}, Gap: " ", Fail: "×",
		Unknown: "–", Full: "━", Empty: "─", Secret: '•',
	}
}

func asciiGlyphs() Glyphs {
	return Glyphs{
		Light:    Box{"+", "-", "+", "|", "|", "+", "-", "+"},
		Heavy:    Box{"#", "=", "#", "#", "#", "#", "=", "#"},
		Ellipsis: "~", Return: "$",
		Cursor: ">", Mark: "*", Bookmark: "*",
		Dot: "-", Rule: "-", Bar: "|", Arrow: ">",
		OK: "+", Caution: "!", Wrong: "x", Off: "o", Wait: ".",
		Up: "^", Down: "v", Open: "-", Shut: "+",
		ScrollTrack: "|", ScrollThumb: "#",
		Sparks: []string{"_", ".", "-", "=", "+", "*", "%", "#"}, Gap: " ", Fail: "x",
		Unknown: "-", Full: "=", Empty: "-", Secret: '*',
	}
}
