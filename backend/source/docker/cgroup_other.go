//go:build !linux

package docker

import "errors"

// mounts is empty where there are no cgroups.
type mounts struct{}

// reader cannot be had where there are no cgroups.
type reader struct{}

var errOtherNamespace = errors.New("there are no cgroups on this system")

func readMounts() (mounts, error) { return mounts{}, errOtherNamespace }

func (mounts) open(string, int, float64, []byte) (*reader, error) { return nil, errOtherNamespace }

func (mounts) openRunning(float64) []earlyReader { return nil }

func (*reader) close()                     {}
func (*reader) leaveNet()                  {}
func (*reader) readLimit()                 {}
func (*reader) read([]byte) (sample, bool) { return noSample(), false }

func hostMemory() float64 { return 0 }
