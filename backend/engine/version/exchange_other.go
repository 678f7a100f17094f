//go:build !linux

package version

import "errors"

func exchange(string, string) error { return errors.ErrUnsupported }
