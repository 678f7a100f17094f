// Package secrets owns data/module_credentials.db, the credentials of modules,
// and [Mask], which masks known secret values wherever text leaves opsdeck.
//
// # What it owns
//
// The table credentials(module_id, encrypted_data, created_at, updated_at) as
// NEXUS' credential store writes it, in each of its versions: with or without the
// column org_id, keyed by module_id or by platform. The columns are read from
// the file, and a file is only ever changed row by row: no migration, no added
// table, no added column, so that NEXUS can use the file again at any time. The
// journal mode stays "delete" and synchronous is FULL: a committed change
// survives a kill at any moment. encrypted_data is a Fernet token
// (github.com/fernet/spec) of one JSON object; tokens never expire.
//
// A row serves the module that it names; a row named by a platform alone serves
// every module of that platform that has no row of its own.
//
// Beside it lies opsdeck_secrets.db, which keeps the rows that a change
// replaced (still encrypted, [KeepVersions] for each module), so that they can
// be restored, and when each row was last used and when it expires. A change that is
// on trial (a rotation that has not been checked yet) is marked there; when the process dies in the middle of the trial, the
// next [Open] puts the old row back.
//
// # Keys
//
// The master key may be several: the first encrypts, all of them decrypt.
// [Store.Rekey] puts everything under the first, in one transaction over both
// files. [Store.KeyUses] returns what is under which key.
//
// # What it refuses
//
// Without a key, or with one that opens none of the stored rows, the store is
// locked: [Store.Locked] returns why, every read and write returns [ErrLocked], and
// the file is not touched. There is no built-in key. A file without the columns
// above locks it too.
//
// # Who may write
//
// The engine, through [Store.Set], [Store.Delete], [Store.Restore] and
// [Store.Rekey]. Values
// print, log and marshal as "***"; only [Values.Reveal] returns them, and its
// callers are the adapter pipe and the mask.
//
// # Adding a version of the file
//
// Add its column names to schema.go and a file of that version to store_test.go.
//
// # Why the old keys are kept beside the new one
//
// A backup that was taken before a change of keys opens only with the old key, and
// so does a row that another program wrote meanwhile. The operator drops old keys
// when nothing needs them; nothing here does so by itself.
//
// # Why the mask is its own searcher
//
// Every log line passes it, up to 500,000 a second, and nearly none matches.
// strings.Replacer walks a trie from every byte. A shift table over byte pairs
// (Wu and Manber's) skips several bytes at a time, since no secret is shorter
// than [MinLength], and allocates nothing where nothing matches.
package secrets
