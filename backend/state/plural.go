package state

import "strconv"

// Plural returns a number with its noun: "1 module", "3 modules". The noun is one whose
// plural has an "s".
func Plural(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return strconv.Itoa(n) + " " + noun
}
