package secrets

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func jwt(exp int64) string {
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	return part(`{"alg":"none"}`) + "." + part(fmt.Sprintf(`{"sub":"x","exp":%d}`, exp)) + ".c2ln"
}

func TestExpiryIsReadFromTheCredentials(t *testing.T) {
	at := time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		name   string
		values map[string]any
		want   time.Time
		by     string
	}{
		{"a field with a date", map[string]any{"key": "k", "expires_at": "2027-01-02T03:04:05Z"}, at, "field expires_at"},
		{"a field in seconds", map[string]any{"expiry": json.Number("1798859045")}, at, "field expiry"},
		{"a field in milliseconds", map[string]any{"expiry": json.Number("1798859045000")}, at, "field expiry"},
		{"a token", map[string]any{"token": jwt(at.Unix())}, at, "the token in token"},
		{"the first of two tokens", map[string]any{"a": jwt(at.Unix() + 9), "b": jwt(at.Unix())}, at, "the token in b"},
		{"one that is renewed", map[string]any{"access_token": jwt(at.Unix()), "refresh_token": "r"}, time.Time{}, ""},
		{"nothing", map[string]any{"api_key": "a.b.c", "expires": "soon", "valid_until": 5.0}, time.Time{}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, by := NewValues(c.values).expiry()
			if !got.Equal(c.want) || by != c.by {
				t.Errorf("got %v by %q, want %v by %q", got, by, c.want, c.by)
			}
		})
	}
}

func TestUseAndExpiryAreRecorded(t *testing.T) {
	path := copyOf(t)
	s := open(t, path, contractKey(t), nil)
	const id = "weather/openweather"
	end := time.Date(2027, 5, 1, 0, 0, 0, 0, time.UTC)
	used := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	if _, err := s.RecordExpiry(id, end); err != nil {
		t.Fatal(err)
	}
	if err := s.RecordUse(map[string]time.Time{id: used, "no/such": used}); err != nil {
		t.Fatal(err)
	}
	if err := s.RecordUse(map[string]time.Time{id: used.Add(-time.Hour)}); err != nil {
		t.Fatal(err)
	}
	info, err := s.Info(id)
	if err != nil || !info.Expires.Equal(end) || info.ExpiresBy != "noted" || !info.Used.Equal(used) {
		t.Errorf("got %+v, %v", info, err)
	}
	if _, err := s.RecordExpiry("no/such", end); !errors.Is(err, ErrNone) {
		t.Errorf("got %v, want ErrNone", err)
	}
	if _, err := s.Set(id, NewValues(map[string]any{"api_key": "fresh-value"}), false); err != nil {
		t.Fatal(err)
	}
	if info, err := s.Info(id); err != nil || !info.Expires.IsZero() || !info.Used.Equal(used) {
		t.Errorf("after a change: got %+v, %v: what was noted of the old value does not hold for the new one", info, err)
	}
}

func TestSecretIsMaskedInTheMiddleOfBase64(t *testing.T) {
	const secret = "s3cr3t-valü-1"
	var m Mask
	m.Add(secret)
	for _, before := range []string{"", "a", "ab", "user:", "user1:", "user12:"} {
		for _, after := range []string{"", "x", "xy", "\n"} {
			text := base64.StdEncoding.EncodeToString([]byte(before + secret + after))
			got := m.Mask("Basic " + text)
			if !strings.Contains(got, Masked) {
				t.Errorf("%q and %q around it: got %q", before, after, got)
			}
		}
	}
}
