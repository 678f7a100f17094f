package secrets

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/fernet/fernet-go"
)

// SplitKeys returns the keys in a text: one or several, separated by white space or
// commas. The first encrypts; all of them decrypt.
func SplitKeys(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
}

// NewKey returns a new random master key: url-safe base64 of 32 bytes.
func NewKey() (string, error) {
	var k fernet.Key
	if err := k.Generate(); err != nil {
		return "", fmt.Errorf("secrets: make a key: %w", err)
	}
	return k.Encode(), nil
}

// CheckKey returns an error unless text is one master key. The error does not quote
// it.
func CheckKey(text string) error {
	_, err := parseKeys(text)
	return err
}

// parseKeys reads the keys in a text, of which there must be one at least.
func parseKeys(text string) ([]*fernet.Key, error) {
	var keys []*fernet.Key
	for i, s := range SplitKeys(text) {
		k, err := fernet.DecodeKey(s)
		if err != nil {
			which := KeyVariable
			if i > 0 {
				which = fmt.Sprintf("%s, old key %d", KeyVariable, i)
			}
			return nil, fmt.Errorf("%s is not a Fernet key: url-safe base64 of 32 bytes was expected", which)
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, errors.New(KeyVariable + " is not set")
	}
	return keys, nil
}

// Fingerprint returns what identifies a key without revealing it: the first 8 hex
// digits of its SHA-256.
func Fingerprint(key string) string {
	k, err := fernet.DecodeKey(strings.TrimSpace(key))
	if err != nil {
		return ""
	}
	return fingerprint(k)
}

func fingerprint(k *fernet.Key) string {
	sum := sha256.Sum256(k[:])
	return hex.EncodeToString(sum[:4])
}

// opens returns the index of the key that opens a token, and what it held.
func opens(token string, keys []*fernet.Key) (int, []byte) {
	for i := range keys {
		// A ttl of 0 checks no age: credentials do not expire, and clocks differ.
		if text := fernet.VerifyAndDecrypt([]byte(token), 0, keys[i:i+1]); text != nil {
			return i, text
		}
	}
	return -1, nil
}

func decrypt(token string, keys []*fernet.Key) (Values, error) {
	_, text := opens(token, keys)
	if text == nil {
		return Values{}, errors.New("its token does not open with the key in " + KeyVariable)
	}
	return ParseValues(text)
}
