package pipeline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
)

// ingest turns what an adapter gave into items: an array's elements, an object's
// "items" or "data" array, or the one value.
func ingest(j *Job) error {
	items, err := Items(j.raw)
	if err != nil {
		return fmt.Errorf("%s: its result is not JSON: %w", j.module, err)
	}
	j.raw = nil
	size := 0
	for i, it := range items {
		if t := stampOf(it); t.After(j.newest) && t.Before(j.fetched.Add(10*365*24*time.Hour)) {
			j.newest = t
		}
		if size += len(it); size > maxKept && !j.truncated {
			j.truncated = true
			j.items = slices.Clone(items[:i])
		}
	}
	j.mu.Lock()
	j.summary = Summary{Items: len(items)} // which is published while the job is worked on
	j.mu.Unlock()
	if !j.truncated {
		j.items = items
	}
	return nil
}

func Items(raw json.RawMessage) ([]json.RawMessage, error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		return nil, nil
	}
	switch raw[0] {
	case '[':
		var list []json.RawMessage
		return list, json.Unmarshal(raw, &list)
	case '{':
		var m map[string]json.RawMessage
		if err := json.Unmarshal(raw, &m); err != nil {
			return nil, err
		}
		for _, k := range []string{"items", "data"} {
			if v := bytes.TrimSpace(m[k]); len(v) > 0 && v[0] == '[' {
				var list []json.RawMessage
				return list, json.Unmarshal(v, &list)
			}
		}
	}
	if !json.Valid(raw) {
		return nil, errors.New("malformed")
	}
	return []json.RawMessage{raw}, nil
}

// stampFields are where an item says when it is of, the most telling first.
var stampFields = []string{"timestamp", "updated_at", "observed_at", "created_at", "start_time", "battle_time", "start", "time", "date"}

func stampOf(item json.RawMessage) time.Time {
	if len(item) == 0 || item[0] != '{' || len(item) > 64<<10 {
		return time.Time{}
	}
	var m map[string]json.RawMessage
	if json.Unmarshal(item, &m) != nil {
		return time.Time{}
	}
	for _, k := range stampFields {
		v := m[k]
		if len(v) == 0 {
			continue
		}
		if v[0] == '"' {
			s, err := strconv.Unquote(string(v))
			if err != nil {
				continue
			}
			for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999", "2006-01-02 15:04:05", time.DateOnly} {
				if t, err := time.Parse(layout, s); err == nil {
					return t
				}
			}
			continue
		}
		f, err := strconv.ParseFloat(string(v), 64)
		if err != nil || f < 1e8 || f > 1e14 {
			continue
		}
		if f > 1e11 { // milliseconds
			f /= 1000
		}
		return time.Unix(int64(f), int64((f-math.Floor(f))*1e9)).UTC()
	}
	return time.Time{}
}
