//go:build !linux

package engine

import "errors"

func exchange(string, string) error { return errors.ErrUnsupported }
