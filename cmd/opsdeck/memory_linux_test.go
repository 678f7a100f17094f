package main

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"testing"

	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
)

// It takes a process that has just begun: a test before may have let go of its pages.
func TestTheProgramGoesOnWithItsFileUnmapped(t *testing.T) {
	if os.Getenv("OPSDECK_TEST_UNMAP") == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), "OPSDECK_TEST_UNMAP=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return
	}
	resident := func() int {
		status, err := os.ReadFile("/proc/self/status")
		if err != nil {
			t.Fatal(err)
		}
		m := regexp.MustCompile(`RssFile:\s+(\d+) kB`).FindSubmatch(status)
		if m == nil {
			sourcetest.Missing(t, "a kernel that says what of a file is resident")
		}
		kib, _ := strconv.Atoi(string(m[1]))
		return kib
	}
	was := resident()
	unmapProgram()
	is := resident()
	if is >= was {
		t.Errorf("%d KiB of files are resident, and were %d before", is, was)
	}
	fmt.Println(was, is, newRoot().Name())
}
