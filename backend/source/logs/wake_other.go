//go:build !linux

package logs

// reportsWrites returns false: see canWatch.
func reportsWrites(string) bool { return false }

// canWatch returns false: files are polled here.
func canWatch() bool { return false }

func watchFile(string) (wait func(stop <-chan struct{})) { return nil }
