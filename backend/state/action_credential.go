package state

import (
	"fmt"
	"strings"
)

// The kinds of action on the credentials of modules.
const (
	CredentialRotate Kind = "credential.rotate"
	CredentialSet    Kind = "credential.set"
	CredentialDelete Kind = "credential.delete"
	CredentialUndo   Kind = "credential.restore"
	CredentialExpire Kind = "credential.expire"
	CredentialRekey  Kind = "credential.rekey"
	CredentialForget Kind = "credential.forget-keys"
	CredentialUnlock Kind = "credential.unlock"
)

var credentialSpecs = []Spec{
	{Kind: CredentialRotate, Key: "T", Verb: "rotate", Past: "rotated", Noun: "credentials", Section: SectionModules, Risk: Confirm, CLI: CLI{Use: "credentials rotate MODULE", Short: "set new credentials, check them by a real fetch, put the old ones back if it fails"},
		Disabled: credentialsDisabled, Impact: credentialImpact, Fields: credentialFields, Measured: true},
	{Kind: CredentialSet, Verb: "set", Past: "set", Noun: "credentials without a check", Section: SectionModules, Risk: Confirm, CLI: CLI{Use: "credentials set MODULE", Short: "set credentials without a check"},
		Disabled: credentialsDisabled, Fields: credentialFields},
	{Kind: CredentialDelete, Verb: "delete", Past: "deleted", Noun: "credentials", Section: SectionModules, Risk: Typed, CLI: CLI{Use: "credentials delete MODULE", Short: "delete credentials"},
		Disabled: storedCredentials, Impact: credentialImpact},
	{Kind: CredentialExpire, Verb: "set", Past: "set", Noun: "expiry of credentials", Section: SectionModules, Risk: Safe, CLI: CLI{Use: "credentials expire MODULE", Short: "set when credentials expire, so that one is told in time",
		Flags: []Flag{{Key: "at", Help: "a `DATE` such as 2027-01-31, or from now: 90d; empty for never"}}},
		Disabled: storedCredentials, Fields: func(*Snapshot, string) []Field {
			return []Field{{Key: "at", Label: "Expiry", Hint: "a date such as 2027-01-31, or from now: 90d; empty for never"}}
		}},
	{Kind: CredentialRekey, Verb: "change", Past: "changed", Noun: "the key of the credential store", Section: SectionModules, Risk: Confirm, CLI: CLI{Use: "credentials rekey", Short: "encrypt everything under a new master key; nothing is lost when it is cut short", Key: "new_key"}, Global: "credentials", Admin: true,
		Disabled: func(s *Snapshot, _ string) string { return s.Modules.Locked }, Impact: keyImpact,
		Fields: func(*Snapshot, string) []Field {
			return []Field{{Key: "new_key", Label: "New key", Hint: "empty: a new one is made", Secret: true}}
		}},
	{Kind: CredentialForget, Verb: "remove", Past: "removed", Noun: "old keys of the credential store", Section: SectionModules, Risk: Typed, CLI: CLI{Use: "credentials forget-keys", Short: "drop old master keys from the file that they come from"}, Global: "credentials", Admin: true,
		Disabled: func(s *Snapshot, _ string) string {
			switch n := s.Modules.UnderOldKeys(); {
			case s.Modules.Locked != "":
				return s.Modules.Locked
			case len(s.Modules.Keys) < 2:
				return "no old key is given"
			case n > 0:
				return fmt.Sprintf("%d entries are still under an old key: change the key first", n)
			}
			return ""
		}, Impact: func(*Snapshot, string) []string {
			return []string{"backups that were taken before the change of keys no longer open here: keep the old key where they are"}
		}},
	{Kind: CredentialUnlock, Verb: "unlock", Past: "unlocked", Noun: "the credential store", Section: SectionModules, Risk: Safe, CLI: CLI{Use: "credentials unlock", Short: "open the store with a key that is typed, until the engine ends", Key: "key"}, Global: "credentials",
		Disabled: func(s *Snapshot, _ string) string {
			if s.Modules.Locked == "" {
				return "it is not locked"
			}
			return ""
		}, Fields: func(*Snapshot, string) []Field {
			return []Field{{Key: "key", Label: "Key", Hint: "kept in memory until opsdeck ends", Secret: true, Required: true}}
		}},
	{Kind: CredentialUndo, Verb: "restore", Past: "restored", Noun: "credentials", Section: SectionModules, Risk: Confirm, Hidden: true,
		Disabled: credentialsDisabled},
}

func credentialsDisabled(s *Snapshot, t string) string {
	if s.Modules.Module(t) == nil {
		return notFound("module", t)
	}
	return s.Modules.Locked
}

func storedCredentials(s *Snapshot, t string) string {
	if r := credentialsDisabled(s, t); r != "" {
		return r
	}
	if m := s.Modules.Module(t); m.Credentials != CredentialsPresent && len(m.CredentialFields) == 0 {
		return "it has no credentials stored"
	}
	return ""
}

// credentialImpact says what depends on a module's credentials.
func credentialImpact(s *Snapshot, t string) []string {
	out := moduleImpact(s, t)
	if m := s.Modules.Module(t); m != nil && len(m.CredentialsServe) > 0 {
		out = append(out, "the same credentials serve "+strings.Join(m.CredentialsServe, ", "))
	}
	return out
}

// keyImpact says what a change of the master key touches.
func keyImpact(s *Snapshot, _ string) []string {
	out := []string{"the key comes from " + s.Modules.KeyFrom}
	rows := 0
	for _, k := range s.Modules.Keys {
		rows += k.Rows + k.Kept
	}
	if n := s.Modules.UnderOldKeys(); n > 0 {
		out = append(out, fmt.Sprintf("%d of %d entries are still under an old key: without a new one given, those are put under the present one", n, rows))
	} else {
		out = append(out, fmt.Sprintf("%d entries are re-encrypted, all or none; the old key stays beside the new one", rows))
	}
	return append(out, "other programs that read the store need the new key")
}

func credentialFields(s *Snapshot, t string) []Field {
	m := s.Modules.Module(t)
	if m == nil {
		return nil
	}
	names := m.RequiredCredentials
	if len(names) == 0 {
		names = m.CredentialFields
	}
	if len(names) == 0 {
		names = []string{"api_key"}
	}
	fields := make([]Field, 0, len(names))
	for _, n := range names {
		fields = append(fields, Field{Key: n, Label: n, Hint: "the new value; it is not shown", Secret: true, Required: true})
	}
	return fields
}
