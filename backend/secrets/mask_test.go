package secrets

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

func TestMaskKnowsEveryForm(t *testing.T) {
	const secret = "pä<ss>/w+rd=\"1\" &?"
	m := &Mask{}
	m.Add(secret, "short", "abc")
	html, _ := json.Marshal(secret)
	for name, form := range map[string]string{
		"plain": secret, "query": url.QueryEscape(secret), "path": url.PathEscape(secret), "json": string(html),
		"python json": `p\u00e4<ss>/w+rd=\"1\" &?`, "std": base64.StdEncoding.EncodeToString([]byte(secret)),
		"rawstd": base64.RawStdEncoding.EncodeToString([]byte(secret)), "url": base64.URLEncoding.EncodeToString([]byte(secret)),
	} {
		got := m.Mask("before " + form + " after")
		if !strings.HasPrefix(got, "before ") || !strings.HasSuffix(got, " after") || !strings.Contains(got, Masked) || len(got) > len("before \"***\" after")+2 {
			t.Errorf("%s: got %q", name, got)
		}
	}
	if got := m.Mask("short abc"); got != "short abc" {
		t.Errorf("secrets under %d bytes are masked: %q", MinLength, got)
	}
}

func TestMaskOfOverlappingAndLinedSecrets(t *testing.T) {
	m := &Mask{}
	m.Add("abcdef", "abcdefghij", "-----BEGIN-----\nMIIEvQIBADANBgkqhkiG9w0BAQ\n-----END-----")
	for in, want := range map[string]string{
		"xabcdefghijx":                     "x***x",
		"abcdefabcdef":                     "******",
		"abcde":                            "abcde",
		"":                                 "",
		"key MIIEvQIBADANBgkqhkiG9w0BAQ .": "key *** .",
	} {
		if got := m.Mask(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
	if !m.Has("zabcdefz") || m.Has("zabcdez") {
		t.Error("Has is wrong")
	}
	var none *Mask
	if none.Mask("x") != "x" {
		t.Error("a nil mask changes text")
	}
}

// The searcher finds what a plain search finds.
func TestMaskAgainstPlainSearch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.StringOfN(rapid.RuneFrom([]rune("abc")), 6, 9, -1)
		ps := rapid.SliceOfN(secret, 1, 5).Draw(t, "secrets")
		text := rapid.StringOfN(rapid.RuneFrom([]rune("abcd")), 0, 60, -1).Draw(t, "text")
		mt := newMatcher(ps)
		at, n := mt.find(text, 0)
		want, length := -1, 0
		for i := range text {
			for _, p := range ps {
				if strings.HasPrefix(text[i:], p) && len(p) > length {
					want, length = i, len(p)
				}
			}
			if want >= 0 {
				break
			}
		}
		if at != want || n != length {
			t.Fatalf("got %d+%d, want %d+%d", at, n, want, length)
		}
	})
}

func TestMaskIsSafeForConcurrentUse(t *testing.T) {
	m := &Mask{}
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for j := range 50 {
				m.Add(fmt.Sprintf("secret-%d-%d", i, j))
				if got := m.Mask(fmt.Sprintf("x secret-%d-%d y", i, j)); got != "x *** y" {
					t.Errorf("got %q", got)
				}
			}
		})
	}
	wg.Wait()
}

func FuzzMask(f *testing.F) {
	f.Add("secret-value", "a secret-value b")
	f.Fuzz(func(t *testing.T, secret, text string) {
		m := &Mask{}
		m.Add(secret)
		got := m.Mask(text)
		if len(secret) >= MinLength && strings.Contains(got, secret) && !strings.Contains(secret, "*") {
			// Masking may not leave the secret, unless what is left joins to it again.
			if !strings.Contains(got, Masked) {
				t.Fatalf("%q is left in %q", secret, got)
			}
		}
		if !strings.Contains(text, secret) && m.Len() == 0 && got != text {
			t.Fatalf("%q became %q", text, got)
		}
	})
}

// Lines of a log at 500,000 a second leave 2000 ns a line on one core.
func BenchmarkMask(b *testing.B) {
	m := &Mask{}
	for range 50 {
		k := make([]byte, 24)
		for i := range k {
			k[i] = "abcdefghijklmnopqrstuvwxyz0123456789"[rand.IntN(36)]
		}
		m.Add(string(k))
	}
	m.Add("hunter22")
	line := `{"level":"info","message":"request completed","path":"/v1/tasks/8c1f","status":200,"duration_ms":12,"timestamp":"2026-02-11T12:00:00.000Z"}`
	b.Run("clean", func(b *testing.B) {
		b.SetBytes(int64(len(line)))
		b.ReportAllocs()
		for b.Loop() {
			m.Mask(line)
		}
	})
	hit := line[:60] + "hunter22" + line[60:]
	b.Run("hit", func(b *testing.B) {
		b.SetBytes(int64(len(hit)))
		b.ReportAllocs()
		for b.Loop() {
			m.Mask(hit)
		}
	})
}
