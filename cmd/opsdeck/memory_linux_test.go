package main

import (
	"os"
	"regexp"
	"strconv"
	"testing"
)

func TestTheProgramGoesOnWithItsFileUnmapped(t *testing.T) {
	resident := func() int {
		status, err := os.ReadFile("/proc/self/status")
		if err != nil {
			t.Fatal(err)
		}
		m := regexp.MustCompile(`RssFile:\s+(\d+) kB`).FindSubmatch(status)
		if m == nil {
			t.Skip("the kernel does not say what of a file is resident")
		}
		kib, _ := strconv.Atoi(string(m[1]))
		return kib
	}
	newRoot() // pages that were needed
	was := resident()
	unmapProgram()
	if is := resident(); is >= was*3/4 {
		t.Errorf("%d KiB of files are resident, and were %d before", is, was)
	}
	if newRoot() == nil {
		t.Error("no command")
	}
}
