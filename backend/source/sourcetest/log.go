package sourcetest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"
)

// Append writes text to the end of a file, which is created where it is not there.
func Append(t testing.TB, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

// SampleLog returns a log with all that can stand between the beginnings of two records,
// of at least size bytes.
func SampleLog(rnd *rand.Rand, size int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < size; i++ {
		end := "\n"
		if rnd.IntN(20) == 0 {
			end = "\r\n"
		}
		at := time.Unix(1795324924+int64(i), 0).UTC().Format("2006-01-02 15:04:05,000")
		switch rnd.IntN(12) {
		case 0:
			fmt.Fprintf(&b, "%s - app - ERROR - failed %d%sTraceback (most recent call last):%s  File \"x.py\", line %d%s%sKeyError: %d%s", at, i, end, end, i, end, strings.Repeat(end, rnd.IntN(2)), i, end)
		case 1:
			fmt.Fprintf(&b, "Error: plain %d%s    at f (x.js:%d)%s    at g (y.js:1)%s", i, end, i, end, end)
		case 2:
			fmt.Fprintf(&b, "{%s  \"level\": \"warn\",%s  \"n\": %d%s}%s", end, end, i, end, end)
		case 3:
			b.WriteString(strings.Repeat(end, 1+rnd.IntN(3)))
		case 4:
			fmt.Fprintf(&b, "\t\tindented %d%s", i, end)
		case 5:
			fmt.Fprintf(&b, "a line of text, %s%s", strings.Repeat("x", rnd.IntN(9000)), end)
		case 6:
			fmt.Fprintf(&b, "{\"level\":\"error\",\"message\":\"failed\",\"n\":%d}%s", i, end)
		default:
			fmt.Fprintf(&b, "%s - app - INFO - request %d status=%d%s", at, i, 200+i%400, end)
		}
	}
	if rnd.IntN(2) == 0 {
		b.WriteString("the end without a newline")
	}
	return b.Bytes()
}
