package scan

import "fmt"

// Limits of a line and a record.
const (
	// MaxLine is how long a line may be, in bytes; of a longer one CutLine is kept, which
	// leaves room for a note that says so.
	MaxLine = 64 << 10
	CutLine = MaxLine - 128
	// MaxRecord is how large a record may grow by folding.
	MaxRecord = 64 << 10
)

// CutNote returns the note behind the kept head of a line of n bytes.
func CutNote(n int) string {
	return fmt.Sprintf(" ... [cut: the line has %d bytes, of which %d are kept]", n, CutLine)
}
