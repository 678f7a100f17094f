package main

// helper is the file that each package is given, after its package clause. A process has
// one fault, or none and a file to which it appends the number of each fault that it
// reaches.
const helper = `
import (
	mutantErrors "errors"
	mutantOS "os"
	mutantStrconv "strconv"
	mutantSync "sync"
)

var (
	mutantOn, _ = mutantStrconv.Atoi(mutantOS.Getenv("OPSDECK_MUTANT"))
	mutantFile  = mutantOS.Getenv("OPSDECK_MUTANT_REACHED")
	mutantSeen  mutantSync.Map
	errMutant   = mutantErrors.New("mutant")
)

func mutant(n int) bool {
	if mutantFile != "" {
		if _, was := mutantSeen.LoadOrStore(n, true); !was {
			if f, err := mutantOS.OpenFile(mutantFile, mutantOS.O_APPEND|mutantOS.O_CREATE|mutantOS.O_WRONLY, 0o600); err == nil {
				f.WriteString(mutantStrconv.Itoa(n) + "\n")
				f.Close()
			}
		}
	}
	return n == mutantOn
}

type mutantNumber interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~uintptr | ~float32 | ~float64
}

type mutantOrdered interface{ mutantNumber | ~string }

func mutantLess[T mutantOrdered](on bool, a, b T) bool    { return a < b || on && a == b }
func mutantMore[T mutantOrdered](on bool, a, b T) bool    { return a > b || on && a == b }
func mutantAtMost[T mutantOrdered](on bool, a, b T) bool  { return a < b || !on && a == b }
func mutantAtLeast[T mutantOrdered](on bool, a, b T) bool { return a > b || !on && a == b }

func mutantSum[T mutantNumber](on bool, a, b T) T {
	if on {
		return a - b
	}
	return a + b
}

func mutantCompare[T mutantNumber](on bool, op string, a, b, other T) bool {
	if on {
		b = other
	}
	switch op {
	case "==":
		return a == b
	case "!=":
		return a != b
	case "<":
		return a < b
	case "<=":
		return a <= b
	case ">":
		return a > b
	}
	return a >= b
}
`
